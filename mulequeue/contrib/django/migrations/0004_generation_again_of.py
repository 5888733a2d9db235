"""Add the next tasks of a generation, and the generation that it repeats."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("mulequeue", "0003_generation_estimated_usd"),)

    operations = (
        migrations.AddField(
            "Generation",
            "again_of",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="again",
                to="mulequeue.generation",
            ),
        ),
        migrations.AddField("Generation", "following", models.JSONField(default=list)),
    )

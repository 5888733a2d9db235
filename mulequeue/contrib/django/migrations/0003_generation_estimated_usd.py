"""The estimated cost of a generation."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("mulequeue", "0002_generation_metadata"),)

    operations = (
        migrations.AddField(
            "Generation",
            "estimated_usd",
            models.DecimalField(max_digits=16, decimal_places=6, null=True),
        ),
    )

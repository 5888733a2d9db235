"""The caller's own data of a generation."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("mulequeue", "0001_initial"),)

    operations = (migrations.AddField("Generation", "metadata", models.JSONField(default=dict)),)

"""The first tables."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = ()

    operations = (
        migrations.CreateModel(
            name="Batch",
            fields=[
                ("batch_id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("size", models.PositiveIntegerField(default=0)),
                ("is_cancelled", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "batches",
                "ordering": ("-created_at",),
                "indexes": [models.Index(fields=["-created_at"], name="mulequeue_batch_created")],
            },
        ),
        migrations.CreateModel(
            name="Generation",
            fields=[
                ("task_id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("remote_id", models.CharField(blank=True, max_length=255)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("submitting", "submitting"),
                            ("generating", "generating"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                            ("timed_out", "timed out"),
                            ("submit_unknown", "unknown whether submitted"),
                            ("cancelled", "cancelled"),
                            ("lost", "no longer in the ledger"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("model", models.CharField(blank=True, max_length=255)),
                ("profile", models.CharField(default="default", max_length=255)),
                ("api_path", models.CharField(blank=True, max_length=255)),
                ("kind", models.CharField(blank=True, max_length=16)),
                ("prompt", models.TextField(blank=True)),
                ("input", models.JSONField(null=True)),
                ("assets", models.JSONField(default=list)),
                ("files", models.JSONField(default=list)),
                ("error", models.JSONField(null=True)),
                ("polls", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(null=True)),
                ("submitted_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("mirrored_at", models.DateTimeField(null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="generations",
                        to="mulequeue.batch",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at",),
                "permissions": (
                    ("operate_generation", "Can cancel, resume and repeat generations"),
                ),
                "indexes": [
                    models.Index(fields=["-created_at"], name="mulequeue_gen_created"),
                    models.Index(fields=["state", "-created_at"], name="mulequeue_gen_state"),
                    models.Index(fields=["batch", "state"], name="mulequeue_gen_batch"),
                    models.Index(fields=["remote_id"], name="mulequeue_gen_remote"),
                ],
            },
        ),
    )

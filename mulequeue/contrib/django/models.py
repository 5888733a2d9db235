"""The ledger's records as database rows, for joins, filters and searches. The rows do not expire.

:mod:`.mirror` writes them. The ledger is authoritative; a row shows the state at the time when the row was
last written.
"""

from __future__ import annotations

from django.db import models

from mulequeue.contrib.django.filesystem import public_url

MAX_CHARACTERS = 255


class State(models.TextChoices):
    """The state of a generation, or its outcome once it is finished."""

    WAITING = "waiting", "waiting"
    SUBMITTING = "submitting", "submitting"
    GENERATING = "generating", "generating"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    TIMED_OUT = "timed_out", "timed out"
    SUBMIT_UNKNOWN = "submit_unknown", "unknown whether submitted"
    CANCELLED = "cancelled", "cancelled"
    LOST = "lost", "no longer in the ledger"


FAILED = (State.FAILED, State.TIMED_OUT, State.SUBMIT_UNKNOWN, State.CANCELLED)
UNDER_WAY = (State.WAITING, State.SUBMITTING, State.GENERATING)


class Batch(models.Model):
    """The generations of one ``generate_many``."""

    batch_id = models.CharField(primary_key=True, max_length=MAX_CHARACTERS)
    size = models.PositiveIntegerField(default=0)
    is_cancelled = models.BooleanField(default=False)
    created_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "batches"
        ordering = ("-created_at",)
        indexes = (models.Index(fields=["-created_at"], name="mulequeue_batch_created"),)

    def __str__(self) -> str:
        return str(self.batch_id)

    def counts(self) -> dict[str, int]:
        """Return the number of mirrored members per state."""
        rows = self.generations.order_by().values_list("state")
        return dict(rows.annotate(count=models.Count("pk")))


class Generation(models.Model):
    """One generation. Its primary key is the Celery task id of ``generate``."""

    task_id = models.CharField(primary_key=True, max_length=MAX_CHARACTERS)
    remote_id = models.CharField(max_length=MAX_CHARACTERS, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    batch = models.ForeignKey(
        Batch, models.CASCADE, null=True, related_name="generations", db_index=False
    )
    model = models.CharField(max_length=MAX_CHARACTERS, blank=True)
    profile = models.CharField(max_length=MAX_CHARACTERS, default="default")
    api_path = models.CharField(max_length=MAX_CHARACTERS, blank=True)
    kind = models.CharField(max_length=16, blank=True)
    prompt = models.TextField(blank=True)
    input = models.JSONField(null=True)
    """The input; null if it exceeds 64 KiB as JSON or is unknown, as of a generation that was adopted, or that
    no worker with this app has processed."""
    assets = models.JSONField(default=list)
    """``[{url, kind, expires_at}]``: the API's URLs, which expire after hours."""
    files = models.JSONField(default=list)
    """``[{url, kind, media_type, bytes}]``: the files that ``download`` stored."""
    error = models.JSONField(null=True)
    metadata = models.JSONField(default=dict)
    """The caller's own data, as the call gave it."""
    estimated_usd = models.DecimalField(max_digits=16, decimal_places=6, null=True)
    """Estimated cost in US dollars: 0 if nothing was created; null if the price is unknown."""
    again_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="again"
    )
    """The generation that this one repeats."""
    following = models.JSONField(default=list)
    """The tasks that follow in its chain, in order: dicts with ``task``, ``args``, ``kwargs`` and ``options``."""
    polls = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(null=True)
    submitted_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    mirrored_at = models.DateTimeField(null=True)
    """The time at which this row was last written."""

    class Meta:
        ordering = ("-created_at",)
        indexes = (
            models.Index(fields=["-created_at"], name="mulequeue_gen_created"),
            models.Index(fields=["state", "-created_at"], name="mulequeue_gen_state"),
            models.Index(fields=["batch", "state"], name="mulequeue_gen_batch"),
            models.Index(fields=["remote_id"], name="mulequeue_gen_remote"),
        )
        permissions = (("operate_generation", "Can cancel, resume and repeat generations"),)

    def __str__(self) -> str:
        return str(self.task_id)

    @property
    def is_over(self) -> bool:
        return self.state not in UNDER_WAY

    @property
    def state_and_reason(self) -> str:
        """Return the state with the reason of an error: ``failed: Not here.``; without a reason the state."""
        error = self.error or {}
        reason = error.get("detail") or error.get("title") or error.get("type")
        return f"{self.get_state_display()}: {reason}" if reason else self.get_state_display()

    @property
    def urls(self) -> list[str]:
        """Return the public URLs of the stored files; if there are none, the API's URLs that have not expired."""
        stored = [url for item in self.files if (url := public_url(item))]
        return stored or [url for item in self.assets if (url := public_url(item))]

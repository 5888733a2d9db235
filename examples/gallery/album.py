"""An album: the prompts of one form and their generations.

It is one batch (``generate_many``) and, for each further attempt at a prompt, a batch with one member.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery import Signature
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from mulequeue import catalog, estimate, generate_many
from mulequeue.contrib.progress import batch_json
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Ledger
from mulequeue.settings.costs import Estimate
from mulequeue.tasks.batch_ids import member_id

EXPIRES_SECONDS = float(os.environ.get("GALLERY_EXPIRES_SECONDS", 600))
"""What waits for longer, and a second more per prompt, ends unpaid with the reason of the wait.

Somebody looks at the page, so a wrong key or an empty balance has to be seen. In a program that nobody
waits for, leave it out: everything goes on when the key is corrected.
"""
WORDS = {
    "queued": "queued",
    "waiting": "waiting",
    "submitting": "being submitted",
    "generating": "generating",
    "storing": "being stored",
    "succeeded": "ready",
    "not_stored": "not stored",
    "failed": "failed",
    "timed_out": "timed out",
    "submit_unknown": "unknown",
    "cancelled": "cancelled",
}
FAILED = ("failed", "timed_out", "submit_unknown", "cancelled", "not_stored")
WAITING = ("queued", "waiting")

TASK_OPTIONS: dict[str, Any] = {
    # If a worker crashes, another repeats the task. The ids are the same, so nothing runs twice.
    "acks_late": True,
    "reject_on_worker_lost": True,
    "autoretry_for": (OperationalError, RedisError),
    "max_retries": None,
    "retry_backoff": True,
    "retry_backoff_max": 60,
    "ignore_result": True,
}
"""The options of the task that starts an album."""


@dataclass(frozen=True)
class Album:
    """An album in the example's database."""

    album_id: str
    """Also the batch id. Contains no hyphen."""
    model: str
    size: int
    attempts: Mapping[int, int] = field(default_factory=dict)
    """The number of further attempts by place in the album, for prompts that have any."""

    def task_id(self, index: int, attempt: int | None = None) -> str:
        """Return the task id of an attempt at a prompt.

        :param attempt: 0 is the first one; None: the newest one.
        """
        attempt = self.attempts.get(index, 0) if attempt is None else attempt
        if not attempt:
            return member_id(self.album_id, index)
        return member_id(again_id(self.album_id, index, attempt), 0)

    def batch_ids(self) -> list[str]:
        """Return the ids of all batches that have the newest attempt at a prompt."""
        again = (again_id(self.album_id, *place) for place in self.attempts.items())
        return [self.album_id, *again]


def again_id(album_id: str, index: int, attempt: int) -> str:
    """Return the batch id of a further attempt at one prompt."""
    return f"{album_id}-{index}-again{attempt}"


def album_of(name: str) -> str:
    """Return the id of the album to which a batch id or task id belongs."""
    return name.partition("-")[0]


def refusal(model: str, prompts: Sequence[str]) -> str | None:
    """Return the reason why mulequeue would reject the album, such as a budget, or None."""
    try:
        _batch(model, prompts, "asked")
    except MuleQueueError as exc:
        return str(exc)
    return None


def start(album: Album, prompts: Sequence[str]) -> None:
    """Enqueue an album. Repeating it has no effect, because all ids derive from the album's id."""
    _send(_batch(album.model, prompts, album.album_id), album.size)


def start_again(album: Album, index: int, attempt: int, prompt: str) -> None:
    """Enqueue a further attempt at one prompt: a new generation, which is charged again.

    Its metadata names the attempt before it. Repeating the same attempt has no effect.
    """
    before = {"again_of": album.task_id(index, attempt - 1)}
    batch_id = again_id(album.album_id, index, attempt)
    _send(_batch(album.model, [prompt], batch_id, metadata=before), 1)


def cost(album: Album, prompt: str) -> Estimate:
    """Return the estimated cost of one generation of the album."""
    return estimate(album.model, _inputs(album.model, [prompt]))


def _send(batch: Signature, size: int) -> None:
    batch.apply_async(expires=EXPIRES_SECONDS + size)


def _batch(model: str, prompts: Sequence[str], batch_id: str, **call: Any) -> Signature:
    return generate_many(model, _inputs(model, prompts), batch_id=batch_id, **call)


def _inputs(model: str, prompts: Sequence[str]) -> list[dict[str, Any]]:
    found = catalog.find(model)
    # Without n, a model makes up to four images, and each is charged.
    one = {"n": 1} if "n" in found.parameters else {}
    return [{found.prompt_field: text, **one} for text in prompts]


def progress(ledger: Ledger, album: Album) -> dict[str, Any]:
    """Return the progress of the album, counting the newest attempt at each prompt.

    :returns: ``{size, done, percent, text, waits, counts, is_over}``; ``waits`` is why nothing is sent.
    """
    now = batch_json(ledger, album.album_id)
    counts, done, waits = dict(now["counts"]), now["done"], dict.fromkeys(now["waits_for"])
    firsts = ledger.queries.records([album.task_id(index, 0) for index in album.attempts])
    for (index, attempt), first in zip(album.attempts.items(), firsts, strict=True):
        ended = first.status if first else "cancelled"
        if ended in counts:
            counts[ended] -= 1
        again = batch_json(ledger, again_id(album.album_id, index, attempt))
        done += again["done"] - 1
        waits |= dict.fromkeys(again["waits_for"])
        for name, count in again["counts"].items():
            counts[name] = counts.get(name, 0) + count
    counts = _shown_counts(album.size, done, counts)
    return {
        "size": album.size,
        "done": done,
        "percent": 100 * done // album.size,
        "text": _text(album.size, done, counts),
        "waits": f"Nothing is sent: {'; '.join(waits)}" if waits else "",
        "counts": counts,
        "is_over": done >= album.size,
    }


def _shown_counts(size: int, done: int, counts: Mapping[str, int]) -> dict[str, int]:
    known = {name: counts.get(name, 0) for name in WORDS}
    over = sum(known[name] for name in ("succeeded", *FAILED))
    known["storing"] = min(max(0, over - done), known["succeeded"])
    known["succeeded"] -= known["storing"]
    known["queued"] = max(0, size - sum(known.values()))
    return known


def _text(size: int, done: int, counts: Mapping[str, int]) -> str:
    """Return ``7 of 12 done: 6 ready, 1 failed, 2 being stored, 3 generating``."""
    order = ["succeeded", *FAILED, "storing", "generating", "submitting", "waiting", "queued"]
    parts = [f"{counts[name]} {WORDS[name]}" for name in order if counts[name] > 0]
    return f"{done} of {size} done: {', '.join(parts)}"

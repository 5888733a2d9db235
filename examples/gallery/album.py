"""An album: the prompts of one form, and what has become of them.

It is one batch (``generate_many``) and, for every prompt that was tried again, a batch of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery import Signature
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from mulequeue import catalog, generate_many
from mulequeue.contrib.progress import batch_json, generation_json
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Ledger
from mulequeue.tasks.canvases import member_id

PAGE = 60
_SHORT = 110
_WORDS = {
    "queued": "in line",
    "waiting": "waiting",
    "submitting": "being sent",
    "generating": "generating",
    "storing": "being stored",
    "succeeded": "ready",
    "not_stored": "not stored",
    "failed": "failed",
    "timed_out": "took too long",
    "submit_unknown": "unknown",
    "cancelled": "cancelled",
}
_TRIED_AGAIN = ("failed", "timed_out", "submit_unknown", "cancelled", "not_stored")

TASK_OPTIONS: dict[str, Any] = {
    # What a worker that died had begun, another one does again: all ids are the same.
    "acks_late": True,
    "reject_on_worker_lost": True,
    "autoretry_for": (OperationalError, RedisError),
    "max_retries": None,
    "retry_backoff": True,
    "retry_backoff_max": 60,
    "ignore_result": True,
}
"""Of the task that starts an album."""


@dataclass(frozen=True)
class Album:
    """What the host's database knows of an album."""

    album_id: str
    """Also the batch id. Without a dash."""
    model: str
    size: int
    attempts: Mapping[int, int] = field(default_factory=dict)
    """How often a prompt was tried again, by its place in the album; only those that were."""

    def task_id(self, index: int) -> str:
        """Of the newest attempt at a prompt."""
        attempt = self.attempts.get(index, 0)
        return (
            member_id(again_id(self.album_id, index, attempt), 0) if attempt else self._first(index)
        )

    def _first(self, index: int) -> str:
        return member_id(self.album_id, index)

    def firsts(self) -> list[str]:
        """The first attempts at what was tried again."""
        return [self._first(index) for index in self.attempts]


def again_id(album_id: str, index: int, attempt: int) -> str:
    """The batch id of another attempt at one prompt."""
    return f"{album_id}-{index}-again{attempt}"


def album_of(name: str) -> str:
    """The album that a batch or a task of it belongs to."""
    return name.partition("-")[0]


def refusal(model: str, prompts: Sequence[str]) -> str | None:
    """Why mulequeue would not start them, such as a budget; None: it would."""
    try:
        _batch(model, prompts, "asked")
    except MuleQueueError as exc:
        return str(exc)
    return None


def start(album: Album, prompts: Sequence[str]) -> None:
    """Enqueue an album. A second time changes nothing, because all ids follow from the album's."""
    _batch(album.model, prompts, album.album_id).delay()


def start_again(album: Album, index: int, attempt: int, prompt: str) -> None:
    """Enqueue another attempt at one prompt: a new generation, that is paid again.

    The same attempt a second time changes nothing.
    """
    _batch(album.model, [prompt], again_id(album.album_id, index, attempt)).delay()


def _batch(model: str, prompts: Sequence[str], batch_id: str) -> Signature:
    found = catalog.find(model)
    # The API's documentation makes four of it where nothing is said, and each is paid.
    one = {"n": 1} if "n" in found.parameters else {}
    inputs = [{found.prompt_field: text, **one} for text in prompts]
    return generate_many(model, inputs, batch_id=batch_id)


def progress(ledger: Ledger, album: Album) -> dict[str, Any]:
    """Where the album stands, counting the newest attempt at each prompt.

    :returns: ``{size, done, percent, text, is_over}``.
    """
    now = batch_json(ledger, album.album_id)
    counts, done = dict(now["counts"]), now["done"]
    firsts = ledger.queries.records(album.firsts()) if album.attempts else []
    for (index, attempt), first in zip(album.attempts.items(), firsts, strict=True):
        if first is not None and first.status:
            counts[first.status] = counts.get(first.status, 0) - 1
        again = batch_json(ledger, again_id(album.album_id, index, attempt))
        done += again["done"] - 1
        for name, count in again["counts"].items():
            counts[name] = counts.get(name, 0) + count
    return {
        "size": album.size,
        "done": done,
        "percent": 100 * done // album.size,
        "text": _text(album.size, done, counts),
        "is_over": done >= album.size,
    }


def _text(size: int, done: int, counts: Mapping[str, int]) -> str:
    """``7 of 12 done: 6 ready, 1 failed, 2 being stored, 3 generating``."""
    known = {name: counts.get(name, 0) for name in _WORDS}
    over = sum(known[name] for name in ("succeeded", *_TRIED_AGAIN))
    known["storing"] = min(max(0, over - done), known["succeeded"])
    known["succeeded"] -= known["storing"]
    known["queued"] = max(0, size - sum(known.values()))
    order = ["succeeded", *_TRIED_AGAIN, "storing", "generating", "submitting", "waiting", "queued"]
    parts = [f"{known[name]} {_WORDS[name]}" for name in order if known[name] > 0]
    return f"{done} of {size} done: {', '.join(parts)}"


def cards(
    ledger: Ledger,
    album: Album,
    prompts: Sequence[str],
    first: int,
    urls: Callable[[str, int], str],
    retry_url: Callable[[int], str],
) -> list[dict[str, Any]]:
    """What a page shows of some prompts.

    :param prompts: the texts of a page.
    :param first: the place in the album of the first of them.
    :param urls: gives the URL of a file, by task id and number.
    :param retry_url: gives where "try again" goes, by the place in the album.
    """
    places = range(first, first + len(prompts))
    task_ids = [album.task_id(index) for index in places]
    is_over = progress(ledger, album)["is_over"]
    made = []
    for index, prompt, task_id, record in zip(
        places, prompts, task_ids, ledger.queries.records(task_ids), strict=True
    ):
        seen = generation_json(record, urls) if record else {"state": "queued", "files": []}
        state = seen["state"]
        if state == "succeeded" and not seen["files"]:
            state = "not_stored" if is_over else "storing"
        made.append(
            {
                "number": index + 1,
                "prompt": prompt,
                "short": prompt if len(prompt) <= _SHORT else f"{prompt[:_SHORT].rstrip()} …",
                "is_long": len(prompt) > _SHORT,
                "state": state,
                "word": _WORDS[state],
                "is_active": state in ("queued", "waiting", "submitting", "generating", "storing"),
                "reason": seen.get("error") or ("" if state != "not_stored" else _NOT_STORED),
                "files": seen["files"],
                "version": f"{task_id}/{state}",
                "retry_url": retry_url(index) if state in _TRIED_AGAIN else "",
            }
        )
    return made


_NOT_STORED = "It was made, and its file could not be stored. The worker's log says why."


def pages(album: Album, number: int) -> dict[str, Any]:
    """Where a page of the album begins, and its neighbours: ``{number, count, first, previous, next}``."""
    count = max(1, -(-album.size // PAGE))
    number = min(max(1, number), count)
    return {
        "number": number,
        "count": count,
        "first": (number - 1) * PAGE,
        "previous": number - 1 if number > 1 else None,
        "next": number + 1 if number < count else None,
    }

"""An album: the prompts of one form and their generations.

It is one batch (``generate_many``) and, for each further attempt at a prompt, a batch with one member.
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
from mulequeue.tasks.batch_ids import member_id

PAGE = 60
_SHORT = 110
_WORDS = {
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
_NOT_STORED = "It was generated, but its file could not be stored. The worker's log has the reason."
_ACTIVE = ("queued", "waiting", "submitting", "generating", "storing")
_TRIED_AGAIN = ("failed", "timed_out", "submit_unknown", "cancelled", "not_stored")

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

    def task_id(self, index: int) -> str:
        """Return the task id of the newest attempt at a prompt."""
        attempt = self.attempts.get(index, 0)
        return (
            member_id(again_id(self.album_id, index, attempt), 0) if attempt else self._first(index)
        )

    def _first(self, index: int) -> str:
        return member_id(self.album_id, index)

    def firsts(self) -> list[str]:
        """Return the task ids of the first attempts at prompts that have further attempts."""
        return [self._first(index) for index in self.attempts]


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
    _batch(album.model, prompts, album.album_id).delay()


def start_again(album: Album, index: int, attempt: int, prompt: str) -> None:
    """Enqueue a further attempt at one prompt: a new generation, which is charged again.

    Repeating the same attempt has no effect.
    """
    _batch(album.model, [prompt], again_id(album.album_id, index, attempt)).delay()


def _batch(model: str, prompts: Sequence[str], batch_id: str) -> Signature:
    found = catalog.find(model)
    # Without n, a model makes up to four images, and each is charged.
    one = {"n": 1} if "n" in found.parameters else {}
    inputs = [{found.prompt_field: text, **one} for text in prompts]
    return generate_many(model, inputs, batch_id=batch_id)


def progress(ledger: Ledger, album: Album) -> dict[str, Any]:
    """Return the progress of the album, counting the newest attempt at each prompt.

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
    """Return ``7 of 12 done: 6 ready, 1 failed, 2 being stored, 3 generating``."""
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
    """Return the cards of a page.

    :param prompts: the texts of a page.
    :param first: the place of the first of them in the album.
    :param urls: returns the URL of a file, from task id and number.
    :param retry_url: returns the URL of "Try again", from the place in the album.
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
                **_prompt_fields(index, prompt),
                "state": state,
                "word": _WORDS[state],
                "is_active": state in _ACTIVE,
                "reason": seen.get("error") or ("" if state != "not_stored" else _NOT_STORED),
                "files": seen["files"],
                "version": f"{task_id}/{state}",
                "retry_url": retry_url(index) if state in _TRIED_AGAIN else "",
            }
        )
    return made


def _prompt_fields(index: int, prompt: str) -> dict[str, Any]:
    is_long = len(prompt) > _SHORT
    short = f"{prompt[:_SHORT].rstrip()} …" if is_long else prompt
    return {"number": index + 1, "prompt": prompt, "short": short, "is_long": is_long}


def pages(album: Album, number: int) -> dict[str, Any]:
    """Return the position of a page: ``{number, count, first, previous, next}``."""
    count = max(1, -(-album.size // PAGE))
    number = min(max(1, number), count)
    return {
        "number": number,
        "count": count,
        "first": (number - 1) * PAGE,
        "previous": number - 1 if number > 1 else None,
        "next": number + 1 if number < count else None,
    }

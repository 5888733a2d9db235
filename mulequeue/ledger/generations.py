"""The transitions of a generation's record, from its intent to the delivery of its outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mulequeue.ledger.encode_limits import encode_limits
from mulequeue.ledger.keyspace import Keyspace, optional_time, texts
from mulequeue.ledger.records import read_record
from mulequeue.ledger.serialization import pack
from mulequeue.ledger.types import (
    Action,
    Effects,
    Intent,
    Recorded,
    RecordIdResult,
    Verdict,
    Wake,
)
from mulequeue.outcome import File

SUBMIT_MARGIN_SECONDS = 15.0
"""The lease of a submission is this much longer than the deadline of its create request."""


class Generations:
    """Every transition is safe to repeat with the same tokens."""

    def __init__(self, keys: Keyspace) -> None:
        self._keys = keys

    # -- the first delivery ------------------------------------------------------------------

    def begin_delivery(self, intent: Intent, *, submit_seconds: float) -> Verdict:
        """Decide what a delivery of ``generate`` has to do, and write its intent.

        :param submit_seconds: total deadline of the create request.
        """
        answer = self._keys.run(
            "begin_delivery",
            intent.task_id,
            intent.marker,
            intent.run,
            intent.epoch,
            intent.digest,
            submit_seconds + SUBMIT_MARGIN_SECONDS,
            json.dumps(encode_limits(intent.profile)),
            pack(dict(intent.signature)),
            intent.batch_id or "",
            intent.batch_size or 0,
            json.dumps(intent.refusal) if intent.refusal else "",
            intent.profile.name,
            *intent.fields(),
        )
        return _verdict_of(intent.task_id, answer)

    def extend_lease(self, intent: Intent, *, submit_seconds: float) -> bool:
        """Restart the lease of a submission before its create request; False if it was lost."""
        lease = submit_seconds + SUBMIT_MARGIN_SECONDS
        return bool(self._keys.run("extend_lease", intent.task_id, intent.run, lease))

    def record_id(
        self,
        intent: Intent,
        remote_id: str,
        *,
        parked: Mapping[str, Any],
        first_poll_seconds: float,
        max_wait_seconds: float,
        poll_by_seconds: float | None = None,
        claim_token: str = "",
    ) -> Recorded:
        """Record a billed id. The ledger never rejects it for a reason of state.

        :param parked: the signature without the input.
        :param poll_by_seconds: until a sweep is needed; None: the first poll.
        :param claim_token: claims the record if the response is already terminal and is settled next.
        """
        result, signature, admission, poll_by, webhook_arrived = self._keys.run(
            "record_id",
            intent.task_id,
            intent.epoch if not intent.marker else intent.marker,
            remote_id,
            pack(dict(parked)),
            first_poll_seconds,
            max_wait_seconds,
            claim_token,
            intent.profile.name,
            first_poll_seconds if poll_by_seconds is None else poll_by_seconds,
            "digest",
            intent.digest,
            *intent.fields(),
        )
        settled = _effects_of(intent.task_id, (signature, admission))
        effects = Effects.merge([settled, Effects(poll_by=optional_time(poll_by))])
        return Recorded(RecordIdResult(result.decode()), effects, bool(webhook_arrived))

    def requeue(
        self, intent: Intent, *, retry_after_seconds: float | None, first: float, ceiling: float
    ) -> Effects:
        """Move a record whose create was not made back to waiting; pause the profile's submissions.

        :param retry_after_seconds: as the API asked; None: ``first``, doubled per refusal in a row
            up to ``ceiling``.
        :returns: also the wake of a generation that was cancelled meanwhile.
        """
        seconds = "" if retry_after_seconds is None else retry_after_seconds
        group = intent.path if intent.path in intent.profile.models else ""
        answer = self._keys.run(
            "requeue", intent.task_id, intent.run, seconds, first, ceiling, group
        )
        if answer and answer[0] == b"waiting":
            return Effects(poll_by=float(answer[1]))
        return _effects_of(intent.task_id, answer[1:])

    def settle_submit(
        self, intent: Intent, status: str, answer: Mapping[str, Any] | None
    ) -> Effects:
        """Settle a create that ended without an id: rejected, or its response is unknown."""
        return self._settle(intent.task_id, status, answer, "run", intent.run)

    # -- the outcome -------------------------------------------------------------------------

    def settle(
        self,
        task_id: str,
        token: str | None,
        status: str,
        answer: Mapping[str, Any] | None,
        *,
        duration_seconds: float | None = None,
        polls: int = 0,
    ) -> Effects:
        """Write an outcome, once.

        :param token: of the claim; None for a verified webhook, which needs none.
        :param duration_seconds: by the API's own times, if it states them.
        :param polls: status checks to add to the record.
        :returns: no wake if the record was settled before, or the claim had lapsed.
        """
        by = "any" if token is None else "claim"
        return self._settle(task_id, status, answer, by, token or "", polls, duration_seconds)

    def _settle(
        self,
        task_id: str,
        status: str,
        answer: Mapping[str, Any] | None,
        by: str,
        token: str,
        polls: int = 0,
        duration: float | None = None,
    ) -> Effects:
        text = json.dumps(answer, ensure_ascii=False) if answer else ""
        found = self._keys.run("settle", task_id, status, text, by, token, polls, duration)
        return _effects_of(task_id, found)

    def end_delivery(self, task_id: str, epoch: str, *, ttl_seconds: int) -> bool:
        """Mark the record as delivered: Celery has dispatched what follows the task."""
        return bool(self._keys.run("end_delivery", task_id, epoch, ttl_seconds))

    def record_files(self, task_id: str, files: Sequence[File]) -> None:
        """Record the files that ``download`` stored of a generation."""
        text = json.dumps([asdict(item) for item in files], ensure_ascii=False)
        self._keys.run("files", task_id, text, len(files))

    # -- cancelling: on this side only, because the API has no cancel --------------------------

    def cancel(self, task_id: str, *, ttl_seconds: int) -> tuple[str, Effects]:
        """Cancel a generation, or leave a tombstone for one that has no record yet.

        :param ttl_seconds: how long a tombstone is kept.
        :returns: the state it was in (``unknown`` without a record), and the effects.
        """
        state, *settled = self._keys.run("cancel", task_id, ttl_seconds)
        return state.decode(), _effects_of(task_id, settled)

    def cancel_batch(self, batch_id: str, *, ttl_seconds: int | None = None) -> None:
        """Keep members of a batch that have not begun from beginning.

        :param ttl_seconds: how long that is kept for a batch without a record; a known batch is
            kept as long as its members.
        """
        key = f"{self._keys.prefix}batch:{batch_id}"
        pipe = self._keys.redis.pipeline()
        pipe.hset(key, "stopped", 1)
        if ttl_seconds is not None:
            pipe.expire(key, ttl_seconds)
        pipe.execute()


def _effects_of(task_id: str, answer: Sequence[Any]) -> Effects:
    """Read ``[signature, poll_by]``, either of which may be missing."""
    if not answer or not answer[0]:
        return Effects()
    poll_by = optional_time(answer[1]) if len(answer) > 1 else None
    return Effects((Wake(task_id, answer[0]),), poll_by)


def _verdict_of(task_id: str, answer: Sequence[Any]) -> Verdict:
    action = Action(answer[0].decode())
    match action:
        case Action.DELIVER:
            pairs = answer[1]
            fields = texts(dict(zip(pairs[::2], pairs[1::2], strict=True)))
            return Verdict(action=action, record=read_record(task_id, fields, answer[2], answer[3]))
        case Action.SUBMIT | Action.PARKED:
            return Verdict(action=action, effects=Effects(poll_by=optional_time(answer[1])))
        case Action.WAKE:
            return Verdict(action=action, effects=_effects_of(task_id, answer[1:]))
        case Action.DUPLICATE:
            state, is_same_input = answer[1].decode(), bool(answer[2])
            return Verdict(action=action, state=state, is_same_input=is_same_input)
    return Verdict(action=action)

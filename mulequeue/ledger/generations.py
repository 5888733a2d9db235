"""The transitions of a generation's record, from its intent to the delivery of its outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mulequeue.ledger.keyspace import Keyspace, optional_time
from mulequeue.ledger.packed import pack_record, unpack_record
from mulequeue.ledger.records import read_record
from mulequeue.ledger.serialization import pack
from mulequeue.ledger.types import (
    Action,
    CancelScope,
    Effects,
    Intent,
    Pause,
    Recorded,
    RecordIdResult,
    Verdict,
    Wake,
    encode_limits,
)
from mulequeue.outcome import File

CANCEL_SLICE = 1000
"""Generations that one call to Redis cancels: it takes about 20 ms, in which Redis does nothing else."""
SUBMIT_MARGIN_SECONDS = 15.0
"""The lease of a submission is this much longer than the deadline of its create request."""
MAX_REASON = 300
"""Characters of a reason that the ledger keeps."""


class Generations:
    """The transitions of generations. Each is safe to repeat with the same tokens."""

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
            intent.worker,
            intent.fault[:MAX_REASON],
            intent.price_line if intent.usd_micros is None else intent.usd_micros,
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
        api_trace: str = "",
    ) -> Recorded:
        """Record a billed id. The ledger never rejects it for a reason of state.

        :param parked: the signature without the input.
        :param poll_by_seconds: until a sweep is needed; None: the first poll.
        :param claim_token: claims the record if the response is already terminal and is settled next.
        :param api_trace: the API's ``Traceparent``, if it is kept.
        """
        result, signature, admission, poll_by, webhook_arrived = self._keys.run(
            "record_id",
            intent.task_id,
            intent.marker or intent.epoch,
            remote_id,
            pack(dict(parked)),
            first_poll_seconds,
            max_wait_seconds,
            claim_token,
            intent.profile.name,
            first_poll_seconds if poll_by_seconds is None else poll_by_seconds,
            api_trace,
            "digest",
            intent.digest,
            *intent.fields(),
        )
        settled = _effects_of(intent.task_id, (signature, admission))
        effects = Effects.merge([settled, Effects(poll_by=optional_time(poll_by))])
        return Recorded(RecordIdResult(result.decode()), effects, bool(webhook_arrived))

    def requeue(self, intent: Intent, pause: Pause | None = None) -> Effects:
        """Move a record whose create was not made back to waiting.

        :param pause: None: it was too late to send it, which no pause follows.
        :returns: also the wake of a generation that was cancelled meanwhile, or has expired.
        """
        args: tuple[Any, ...] = ("", "", 0, 0, "")
        if pause is not None:
            reason = pause.reason[:MAX_REASON]
            args = (pause.scope, pause.seconds, pause.first, pause.ceiling, reason)
        has_limits = int(intent.path in intent.profile.models)
        answer = self._keys.run("requeue", intent.task_id, intent.run, has_limits, *args)
        if answer and answer[0] == b"waiting":
            return Effects(poll_by=float(answer[1]))
        return _effects_of(intent.task_id, answer[1:])

    def settle_submit(
        self,
        intent: Intent,
        status: str,
        answer: Mapping[str, Any] | None,
        *,
        is_answered: bool = False,
    ) -> Effects:
        """Settle a create that ended without an id: rejected, not sent, or its response is unknown.

        :param is_answered: the API rejected it, so it accepts requests.
        """
        error = (answer or {}).get("error", {})
        reason = str(error.get("detail") or error.get("title") or "")[:MAX_REASON]
        more = (0, None, reason, int(is_answered))
        return self._settle(intent.task_id, status, answer, "run", intent.run, *more)

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
        more = (polls, duration_seconds, "", 0)
        return self._settle(task_id, status, answer, by, token or "", *more)

    def _settle(
        self, task_id: str, status: str, answer: Mapping[str, Any] | None, *more: Any
    ) -> Effects:
        text = json.dumps(answer, ensure_ascii=False) if answer else ""
        return _effects_of(task_id, self._keys.run("settle", task_id, status, text, *more))

    def record_dispatch(self, task_id: str, epoch: str, tail: str) -> None:
        """Record that a delivery of the outcome published what follows the task.

        :param tail: digest of what follows; a later delivery of it is not published again.
        """
        self._keys.run("delivery_lease", "dispatched", task_id, epoch, tail)

    def retry_delivery(self, task_id: str, epoch: str, *, seconds: float) -> None:
        """Deliver the outcome again after that many seconds: its result could not be stored."""
        self._keys.run("delivery_lease", "again", task_id, epoch, seconds)

    def keep_delivery(self, task_id: str, epoch: str, run: str) -> bool:
        """Renew the lease of a delivery; False if another run has it, or it has ended."""
        return bool(self._keys.run("delivery_lease", "keep", task_id, epoch, run))

    def end_delivery(self, task_id: str, epoch: str, *, ttl_seconds: int) -> bool:
        """Mark the record as delivered: Celery has dispatched what follows the task."""
        return bool(self._keys.run("end_delivery", task_id, epoch, ttl_seconds))

    def compact(self, task_id: str) -> bool:
        """Store the record of a delivered generation that succeeded in its packed form.

        :returns: False if it is not over, its files could not be stored, or it has changed meanwhile.
        """
        pipe = self._keys.redis.pipeline(transaction=False)
        pipe.hgetall(f"{self._keys.prefix}record:{task_id}")
        pipe.mget([f"{self._keys.prefix}{kind}:{task_id}" for kind in ("outcome", "files")])
        fields, (answer, files) = pipe.execute()
        is_over = fields.get(b"state") == b"delivered" and fields.get(b"status") == b"succeeded"
        packed = pack_record(fields, answer, files) if is_over else None
        if packed is None or b"file_error" in fields:
            return False
        flat = [part for pair in (*fields.items(), *packed.items()) for part in pair]
        return bool(self._keys.run("compact", task_id, answer, files, len(fields), *flat))

    def record_files(
        self, task_id: str, files: Sequence[File], *, error: str | None = None
    ) -> Effects:
        """Record that the download of a generation has ended.

        :param error: why files could not be stored.
        """
        text = json.dumps([asdict(item) for item in files], ensure_ascii=False)
        poll_by = self._keys.run("files", task_id, text, len(files), error)
        return Effects(poll_by=optional_time(poll_by))

    # -- cancelling: on this side only, because the API has no cancel --------------------------

    def cancel(
        self, task_id: str, *, ttl_seconds: int, which: CancelScope = CancelScope.ALL
    ) -> tuple[str, Effects]:
        """Cancel a generation, or leave a tombstone for one that has no record yet.

        :param ttl_seconds: how long a tombstone is kept.
        :returns: the state it was in (``unknown`` without a record), and the effects.
        """
        [state], effects = self._cancel("", [task_id], ttl_seconds, which)
        return state, effects

    def cancel_batch(
        self,
        batch_id: str,
        task_ids: Sequence[str] = (),
        *,
        ttl_seconds: int,
        which: CancelScope = CancelScope.ALL,
    ) -> tuple[list[str], Effects]:
        """Cancel generations of a batch, and keep members that have not begun from beginning.

        :param ttl_seconds: how long that is kept for a batch without a record; a known batch is
            kept as long as its members.
        :param which: those whose create request was sent may go on.
        :returns: the states they were in, and the effects.
        """
        parts = [
            self._cancel(batch_id, task_ids[start : start + CANCEL_SLICE], ttl_seconds, which)
            for start in range(0, len(task_ids) or 1, CANCEL_SLICE)
        ]
        states = [state for found, _ in parts for state in found]
        return states, Effects.merge(effects for _, effects in parts)

    def _cancel(
        self, batch_id: str, task_ids: Sequence[str], ttl_seconds: int, which: CancelScope
    ) -> tuple[list[str], Effects]:
        poll_by, *found = self._keys.run("cancel", ttl_seconds, batch_id, str(which), *task_ids)
        states = [state.decode() for state in found[::2]]
        wakes = (Wake(*pair) for pair in zip(task_ids, found[1::2], strict=True) if pair[1])
        return states, Effects(tuple(wakes), optional_time(poll_by))


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
            whole = unpack_record(dict(zip(pairs[::2], pairs[1::2], strict=True)), *answer[2:])
            return Verdict(action=action, record=read_record(task_id, *whole))
        case Action.SUBMIT:
            effects = Effects(poll_by=optional_time(answer[1]))
            return Verdict(action=action, effects=effects, seconds=optional_time(answer[2]))
        case Action.PARKED:
            return Verdict(action=action, effects=Effects(poll_by=optional_time(answer[1])))
        case Action.WAKE:
            return Verdict(action=action, effects=_effects_of(task_id, answer[1:]))
        case Action.DUPLICATE:
            state, is_same_input = answer[1].decode(), bool(answer[2])
            return Verdict(action=action, state=state, is_same_input=is_same_input)
    return Verdict(action=action)

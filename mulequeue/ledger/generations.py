"""The transitions of a generation's record, from its intent to the delivery of its outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mulequeue.ledger.keyspace import Part, optional_time
from mulequeue.ledger.packed import pack_record, unpack_record
from mulequeue.ledger.records import answer_values, read_record
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


class Generations(Part):
    """The transitions of generations. Each is safe to repeat with the same tokens."""

    # -- the first delivery ------------------------------------------------------------------

    def begin_delivery(self, intent: Intent, *, submit_seconds: float) -> Verdict:
        """Decide what a delivery of ``generate`` has to do, and write its intent.

        :param submit_seconds: total deadline of the create request.
        """
        answer = self._keys.run(
            "begin_delivery",
            *intent.fields(),
            task_id=intent.task_id,
            marker=intent.marker,
            run=intent.run,
            epoch=intent.epoch,
            digest=intent.digest,
            lease=submit_seconds + SUBMIT_MARGIN_SECONDS,
            limits=json.dumps(encode_limits(intent.profile)),
            signature=pack(dict(intent.signature)),
            batch_id=intent.batch_id or None,
            size=intent.batch_size or 0,
            refusal=json.dumps(intent.refusal) if intent.refusal else None,
            profile=intent.profile.name,
            worker=intent.worker,
            fault=intent.fault[:MAX_REASON],
            cost=intent.price_line if intent.usd_micros is None else intent.usd_micros,
        )
        return _verdict_of(intent.task_id, answer)

    def extend_lease(self, intent: Intent, *, submit_seconds: float) -> bool:
        """Restart the lease of a submission before its create request; False if it was lost."""
        lease = submit_seconds + SUBMIT_MARGIN_SECONDS
        given = {"task_id": intent.task_id, "run": intent.run}
        return bool(self._keys.run("extend_lease", lease=lease, **given))

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
        answer = self._keys.run(
            "record_id",
            *("digest", intent.digest, *intent.fields()),
            task_id=intent.task_id,
            epoch=intent.marker or intent.epoch,
            remote_id=remote_id,
            parked=pack(dict(parked)),
            first_poll=first_poll_seconds,
            max_wait=max_wait_seconds,
            claim_token=claim_token or None,
            profile=intent.profile.name,
            poll_by=first_poll_seconds if poll_by_seconds is None else poll_by_seconds,
            api_trace=api_trace or None,
        )
        result, *_, poll_by, webhook_arrived = answer
        needed = [Effects.of(answer, intent.task_id), Effects(poll_by=optional_time(poll_by))]
        result = RecordIdResult(result.decode())
        return Recorded(result, Effects.merge(needed), bool(webhook_arrived))

    def requeue(self, intent: Intent, pause: Pause | None = None) -> Effects:
        """Move a record whose create was not made back to waiting.

        :param pause: None: it was too late to send it, which no pause follows.
        :returns: also the wake of a generation that was cancelled meanwhile, or has expired.
        """
        given = {} if pause is None else asdict(pause) | {"reason": pause.reason[:MAX_REASON]}
        answer = self._keys.run(
            "requeue",
            task_id=intent.task_id,
            run=intent.run,
            has_limits=intent.path in intent.profile.models,
            **given,
        )
        return Effects.of(answer, intent.task_id)

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
        given = {"by": "run", "token": intent.run, "reason": reason}
        return self._settle(intent.task_id, status, answer, is_answered=is_answered, **given)

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
        given = {"by": "any" if token is None else "claim", "token": token}
        more = {"polls": polls or None, "duration": duration_seconds}
        return self._settle(task_id, status, answer, **given, **more)

    def _settle(
        self, task_id: str, status: str, answer: Mapping[str, Any] | None, **given: Any
    ) -> Effects:
        text = json.dumps(answer, ensure_ascii=False) if answer else None
        given |= {"task_id": task_id, "status": status, "answer": text}
        return Effects.of(self._keys.run("settle", **given), task_id)

    def record_dispatch(self, task_id: str, epoch: str, tail: str) -> None:
        """Record that a delivery of the outcome published what follows the task.

        :param tail: digest of what follows; a later delivery of it is not published again.
        """
        self._extend_delivery("dispatched", task_id, epoch, tail=tail)

    def retry_delivery(self, task_id: str, epoch: str, *, seconds: float) -> None:
        """Deliver the outcome again after that many seconds: its result could not be stored."""
        self._extend_delivery("again", task_id, epoch, seconds=seconds)

    def keep_delivery(self, task_id: str, epoch: str, run: str) -> bool:
        """Renew the lease of a delivery; False if another run has it, or it has ended."""
        return self._extend_delivery("keep", task_id, epoch, run=run)

    def _extend_delivery(self, what: str, task_id: str, epoch: str, **given: Any) -> bool:
        given |= {"what": what, "task_id": task_id, "epoch": epoch}
        return bool(self._keys.run("delivery_lease", **given))

    def end_delivery(self, task_id: str, epoch: str, *, ttl_seconds: int) -> bool:
        """Mark the record as delivered: Celery has dispatched what follows the task."""
        given = {"task_id": task_id, "epoch": epoch, "ttl": ttl_seconds}
        return bool(self._keys.run("end_delivery", **given))

    def compact(self, task_id: str) -> bool:
        """Store the record of a delivered generation that succeeded in its packed form.

        :returns: False if it is not over, its files could not be stored, or it has changed meanwhile.
        """
        pipe = self._redis.pipeline(transaction=False)
        pipe.hgetall(f"{self._prefix}record:{task_id}")
        pipe.mget([f"{self._prefix}{kind}:{task_id}" for kind in ("outcome", "files")])
        fields, (answer, files) = pipe.execute()
        is_over = fields.get(b"state") == b"delivered" and fields.get(b"status") == b"succeeded"
        packed = pack_record(fields, answer, files) if is_over else None
        if packed is None or b"file_error" in fields:
            return False
        flat = [part for pair in (*fields.items(), *packed.items()) for part in pair]
        texts = {"outcome": answer, "files": files}
        return bool(self._keys.run("compact", *flat, task_id=task_id, count=len(fields), **texts))

    def record_files(
        self, task_id: str, files: Sequence[File], *, error: str | None = None
    ) -> Effects:
        """Record that the download of a generation has ended; the error: why files could not be stored."""
        text = json.dumps([asdict(item) for item in files], ensure_ascii=False)
        given = {"task_id": task_id, "files": text, "count": len(files), "error": error or None}
        return Effects.of(self._keys.run("files", **given))

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
        given = {"ttl": ttl_seconds, "batch_id": batch_id or None, "which": str(which)}
        poll_by, *found = self._keys.run("cancel", *task_ids, **given)
        states = [state.decode() for state in found[::2]]
        wakes = (Wake(*pair) for pair in zip(task_ids, found[1::2], strict=True) if pair[1])
        return states, Effects(tuple(wakes), optional_time(poll_by))


def _verdict_of(task_id: str, answer: Sequence[Any]) -> Verdict:
    action = Action(answer[0].decode())
    if action is Action.DELIVER:
        pairs, *texts = answer[3:]
        whole = unpack_record(dict(zip(pairs[::2], pairs[1::2], strict=True)), *texts)
        return Verdict(action=action, record=read_record(task_id, *whole))
    effects = Effects.of(answer, task_id)
    return Verdict(action=action, effects=effects, **answer_values(Verdict, answer))

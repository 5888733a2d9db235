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
"""Most generations that one script call cancels. It takes about 20 ms, in which Redis serves no other client."""
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
        """Restart the lease of a submission before its create request; return False if the lease was lost."""
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
        """Record the API's id of a generation. No state of the record rejects the id, because it is billed.

        :param parked: the signature without the input.
        :param poll_by_seconds: seconds until a sweep is needed; None: ``first_poll_seconds``.
        :param claim_token: claims the record for the caller, who settles it next; for a terminal response.
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
        """Move a record back to waiting, because its create request was rejected for now or not sent.

        :param pause: the pause of submissions; None: there is none, because it was too late to send the request.
        :returns: the effects; they contain the wake of a generation that was cancelled meanwhile or has expired.
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
        """Settle a create request that ended without an id: it was rejected or not sent, or its response was lost.

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

        :param token: of the claim; None for a verified webhook, which needs no claim.
        :param duration_seconds: the duration by the API's own times, if it states them.
        :param polls: status checks to add to the record.
        :returns: the effects; none if the record was settled before or the claim had lapsed.
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
        """Record that a delivery of the outcome has published the tasks that follow.

        :param tail: digest of these tasks; a later delivery with the same digest does not publish them again.
        """
        self._extend_delivery("dispatched", task_id, epoch, tail=tail)

    def retry_delivery(self, task_id: str, epoch: str, *, seconds: float) -> None:
        """Deliver the outcome again after that many seconds: its result could not be stored."""
        self._extend_delivery("again", task_id, epoch, seconds=seconds)

    def keep_delivery(self, task_id: str, epoch: str, run: str) -> bool:
        """Renew the lease of a delivery; return False if another run has the lease or the delivery has ended."""
        return self._extend_delivery("keep", task_id, epoch, run=run)

    def _extend_delivery(self, what: str, task_id: str, epoch: str, **given: Any) -> bool:
        given |= {"what": what, "task_id": task_id, "epoch": epoch}
        return bool(self._keys.run("delivery_lease", **given))

    def end_delivery(self, task_id: str, epoch: str, *, ttl_seconds: int) -> bool:
        """Mark the record as delivered: Celery has published the tasks that follow."""
        given = {"task_id": task_id, "epoch": epoch, "ttl": ttl_seconds}
        return bool(self._keys.run("end_delivery", **given))

    def compact(self, task_id: str) -> bool:
        """Store the record of a delivered, successful generation in its packed form.

        :returns: False if nothing was changed: the record is in another state, its files could not be stored, the
            packed form is too long, another canvas waits for the outcome, or the record has changed meanwhile.
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
        """Record that the download of a generation has ended.

        :param error: why the files could not be stored; None: they were stored.
        """
        text = json.dumps([asdict(item) for item in files], ensure_ascii=False)
        given = {"task_id": task_id, "files": text, "count": len(files), "error": error or None}
        return Effects.of(self._keys.run("files", **given))

    # -- cancelling: on this side only, because the API has no cancel --------------------------

    def cancel(
        self, task_id: str, *, ttl_seconds: int, which: CancelScope = CancelScope.ALL
    ) -> tuple[str, Effects]:
        """Cancel a generation, or leave a tombstone for one that has no record yet.

        :param ttl_seconds: how long a tombstone is kept.
        :returns: the state before (``unknown`` without a record), and the effects.
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
        """Cancel the given generations of a batch, and keep its members that have not begun from beginning.

        :param ttl_seconds: how long the cancellation of an unknown batch is kept; a known batch is kept as
            long as its members.
        :param which: the generations to cancel.
        :returns: the state of each given generation before the call, and the effects to carry out.
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

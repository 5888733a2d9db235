"""The ledger: what is known of every generation, and the only way it may change.

Each transition is one Lua script, so it happens wholly or not at all, whichever process dies.
The braces make one Redis Cluster slot of a fleet.

=============================================  ======  ==================================================
``mulequeue:{fleet}:due``                      zset    task id, ``transfer:<task id>`` or ``gate:<profile>``
``mulequeue:{fleet}:record:<task id>``         hash    state, epoch, remote id, deadline, …
``mulequeue:{fleet}:parked:<task id>``         string  the signature that wakes the task (:mod:`.serialization`)
``mulequeue:{fleet}:outcome:<task id>``        string  JSON of what the API answered at the end
``mulequeue:{fleet}:files:<task id>``          string  JSON of what ``download`` stored
``mulequeue:{fleet}:remote:<remote id>``       string  remote id -> task id, for webhooks
``mulequeue:{fleet}:batch:<batch id>``         hash    size, and how many members are in which bucket
``mulequeue:{fleet}:counts``                   hash    the same over the whole fleet
``mulequeue:{fleet}:metrics``                  hash    what the exporter shows (:mod:`.metrics`)
``mulequeue:{fleet}:pauses``                   hash    until when which gate was paused last
``mulequeue:{fleet}:gate:<profile>``           hash    pause, probe and ramp of submissions; slots taken
``mulequeue:{fleet}:groups:<profile>``         zset    where somebody waits: '' or a model with own limits
``mulequeue:{fleet}:ring:<profile>:<group>``   zset    batches that wait there, by the turn they last had
``mulequeue:{fleet}:lane:<profile>:…``         zset    of group and batch: task ids by when they came
``mulequeue:{fleet}:rate:<profile>:…``         zset    of window and model: submissions by when they count no more
``mulequeue:{fleet}:day:<profile>:<day>``      hash    submissions of a UTC day: total, and by model
``mulequeue:{fleet}:pollgate:<profile>``       hash    pause and probe of status checks
``mulequeue:{fleet}:poll``, ``…:sweep``        hash    the valid poll message; the sweep that runs
``mulequeue:{fleet}:transfer:<task id>``       hash    lease of a download or notification
``mulequeue:{fleet}:transfers``                hash    by task: which messages have overtaken others
``mulequeue:{fleet}:done:<task id>``           string  what a download or notification came to
``mulequeue:{fleet}:event:<event id>``         string  a webhook that was seen
``mulequeue:{fleet}:early:<remote id>``        string  JSON of a webhook that came before the id
``mulequeue:{fleet}:lives:<path>``             list    how long its latest generations lived
``mulequeue:{fleet}:webhooks``                 hash    how many webhooks came
``mulequeue:{fleet}:webhooks:<profile>``       string  when the last one came; gone when one missed
=============================================  ======  ==================================================
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mulequeue.ledger.cancellation import CancellationStore
from mulequeue.ledger.connection import connect
from mulequeue.ledger.leases import LeaseStore
from mulequeue.ledger.limits import SubmissionLimits, SubmissionStatus, limits_of
from mulequeue.ledger.metrics import MetricsStore
from mulequeue.ledger.poll_message import PollMessageStore
from mulequeue.ledger.queries import Queries
from mulequeue.ledger.records import SCHEMA_VERSION, Record, outcome_of
from mulequeue.ledger.serialization import pack, unpack
from mulequeue.ledger.types import (
    Action,
    Batch,
    Claim,
    Due,
    DurationSample,
    Intent,
    PollMessage,
    Recorded,
    Verdict,
    Wake,
    due_of,
    new_token,
    recorded_of,
    verdict_of,
    wake_of,
)
from mulequeue.ledger.webhook_events import WebhookEventStore
from mulequeue.settings import Profile

__all__ = [
    "Action",
    "Batch",
    "Claim",
    "Due",
    "DurationSample",
    "Intent",
    "Ledger",
    "PollMessage",
    "Record",
    "Recorded",
    "SubmissionStatus",
    "Verdict",
    "Wake",
    "connect",
    "new_token",
    "outcome_of",
    "pack",
    "unpack",
]

CLAIM_LEASE_SECONDS = 5.0
SUBMIT_MARGIN_SECONDS = 15.0
MAX_CLAIMED = 250
MAX_WAKES = 200


class Ledger(
    PollMessageStore,
    LeaseStore,
    WebhookEventStore,
    SubmissionLimits,
    CancellationStore,
    Queries,
    MetricsStore,
):
    """One fleet's ledger on one Redis.

    :param redis: a client that answers bytes (``decode_responses`` off).
    :param fleet: the ledger's name.
    :param clock: unix seconds; None takes Redis' own clock, which all processes share.
    """

    # -- a delivery of generate ------------------------------------------------------------

    def begin_delivery(self, intent: Intent, *, submit_seconds: float) -> Verdict:
        """Ask what a delivery of ``generate`` is to do; writes the intent.

        :param submit_seconds: total deadline of the POST; the lease is a little longer.
        """
        answer = self._run(
            "begin_delivery",
            intent.task_id,
            intent.marker,
            intent.run,
            intent.epoch,
            intent.digest,
            submit_seconds + SUBMIT_MARGIN_SECONDS,
            json.dumps(limits_of(intent.profile)),
            pack(dict(intent.signature)),
            intent.batch_id or "",
            intent.batch_size or 0,
            json.dumps(intent.refusal) if intent.refusal else "",
            intent.profile.name,
            *intent.fields(),
        )
        return verdict_of(intent.task_id, answer)

    def extend_lease(self, intent: Intent, *, submit_seconds: float) -> bool:
        """Begin the lease of a submission anew, before its POST; False: it has lost it."""
        lease = submit_seconds + SUBMIT_MARGIN_SECONDS
        return bool(self._run("extend_lease", intent.task_id, intent.run, lease))

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
        """Record a paid id. Never refused for a reason of state.

        :param parked: the signature without the input.
        :param poll_by_seconds: until somebody has to look at the ledger; None: the first poll.
        :param claim_token: a claim token, when the answer is already terminal and is settled next.
        """
        answer = self._run(
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
        return recorded_of(intent.task_id, answer)

    def requeue(
        self, intent: Intent, *, retry_after_seconds: float | None, first: float, ceiling: float
    ) -> tuple[float | None, Wake | None]:
        """A create was not made: back to waiting, and the profile's submissions pause.

        :returns: when it is looked at again, or the wake of one that was cancelled meanwhile.
        """
        seconds = "" if retry_after_seconds is None else retry_after_seconds
        group = intent.path if intent.path in intent.profile.models else ""
        answer = self._run("requeue", intent.task_id, intent.run, seconds, first, ceiling, group)
        if not answer:
            return None, None
        if answer[0] == b"waiting":
            return float(answer[1]), None
        return None, wake_of(intent.task_id, answer[1:])

    def settle_submit(
        self, intent: Intent, status: str, answer: Mapping[str, Any] | None
    ) -> Wake | None:
        """The create came to an end without an id: refused, or nobody knows."""
        return self._settle(intent.task_id, status, answer, "run", intent.run)

    def end_delivery(self, task_id: str, epoch: str, *, ttl_seconds: int) -> bool:
        """Celery dispatched what follows; from here on the record is history."""
        return bool(self._run("end_delivery", task_id, epoch, ttl_seconds))

    # -- the poll loop ---------------------------------------------------------------------

    def claim(
        self,
        profiles: Iterable[Profile],
        *,
        token: str | None = None,
        former_fingerprints: Sequence[str] = (),
        limit: int = MAX_CLAIMED,
        wake_limit: int = MAX_WAKES,
        chance: float | None = None,
    ) -> Claim:
        """Take what is due, at most ``limit`` records; the claim lapses by itself."""
        token = token or new_token()
        profiles = list(profiles)
        limits = {profile.name: limits_of(profile) for profile in profiles}
        now, unknown, polls, wakes, looked_at, reopening = self._run(
            "claim",
            token,
            limit,
            wake_limit,
            CLAIM_LEASE_SECONDS,
            SCHEMA_VERSION,
            json.dumps(limits),
            random.random() if chance is None else chance,
            *(p.fingerprint for p in profiles),
            *former_fingerprints,
        )
        return Claim(
            token=token,
            now=float(now),
            unknown_fingerprint=unknown.decode(),
            polls=[due_of(row) for row in json.loads(polls)],
            wakes=[Wake(row[0].decode().removeprefix("transfer:"), row[1]) for row in wakes],
            examined=looked_at,
            reopening=[name.decode() for name in reopening],
        )

    def reschedule(self, token: str, rows: Iterable[tuple[str, float, int, int]]) -> int:
        """Put checked records back: (task id, due, checks to add, errors in a row)."""
        rows = list(rows)
        return int(self._run("reschedule", token, json.dumps(rows))) if rows else 0

    def renew(self, token: str, task_ids: Sequence[str]) -> None:
        """Keep the claims of checks that are still under way."""
        if task_ids:
            self._run("renew", token, CLAIM_LEASE_SECONDS, *task_ids)

    def settle(
        self,
        task_id: str,
        token: str | None,
        status: str,
        answer: Mapping[str, Any] | None,
        *,
        duration_seconds: float | None = None,
        polls: int = 0,
    ) -> Wake | None:
        """Write an outcome once. None when somebody else did, or the claim lapsed.

        :param token: of the claim; None for a verified webhook, which needs none.
        :param duration_seconds: by the API's own times, if it states them.
        :param polls: status checks to add to the record.
        """
        who = "any" if token is None else "claim"
        return self._settle(task_id, status, answer, who, token or "", polls, duration_seconds)

    def _settle(
        self,
        task_id: str,
        status: str,
        answer: Mapping[str, Any] | None,
        by: str,
        token: str,
        polls: int = 0,
        duration: float | None = None,
    ) -> Wake | None:
        text = json.dumps(answer, ensure_ascii=False) if answer else ""
        found = self._run("settle", task_id, status, text, by, token, polls, duration)
        return wake_of(task_id, found)

    def trip(self, profile: str, *, seconds: float | None, first: float, ceiling: float) -> float:
        """Pause the status checks of a profile; answers until when."""
        given = "" if seconds is None else seconds
        return float(self._run("circuit_breaker", "trip", profile, given, first, ceiling))

    def recover(self, profile: str) -> None:
        """Status checks of a profile work again."""
        self._run("circuit_breaker", "recover", profile, "", 0, 0)

"""The ledger: what is known of every generation, and the only way it may change.

Each transition is one Lua script, so it happens wholly or not at all, whichever process dies.
The braces make one Redis Cluster slot of a fleet.

=============================================  ======  ==================================================
``mulequeue:{fleet}:due``                      zset    task id, or ``transfer:<task id>``, by due time
``mulequeue:{fleet}:record:<task id>``         hash    state, epoch, remote id, deadline, …
``mulequeue:{fleet}:parked:<task id>``         string  the signature that wakes the task (:mod:`.packing`)
``mulequeue:{fleet}:outcome:<task id>``        string  JSON of what the API answered at the end
``mulequeue:{fleet}:files:<task id>``          string  JSON of what ``download`` stored
``mulequeue:{fleet}:remote:<remote id>``       string  remote id -> task id, for webhooks
``mulequeue:{fleet}:batch:<batch id>``         hash    size, and how many members are in which bucket
``mulequeue:{fleet}:counts``                   hash    the same over the whole fleet
``mulequeue:{fleet}:gate:<profile>``           hash    pause, probe and ramp of submissions; slots taken
``mulequeue:{fleet}:pollgate:<profile>``       hash    pause and probe of status checks
``mulequeue:{fleet}:poll``, ``…:sweep``        hash    the valid poll message; the sweep that runs
``mulequeue:{fleet}:transfer:<task id>``       hash    lease of a download or notification
``mulequeue:{fleet}:done:<task id>``           string  what a download or notification came to
=============================================  ======  ==================================================
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from mulequeue.ledger.answers import (
    Batch,
    Due,
    Intent,
    Message,
    Sweep,
    Verdict,
    Wake,
    counts_of,
    due_of,
    message_of,
    new_token,
    texts,
    verdict_of,
)
from mulequeue.ledger.packing import pack, unpack
from mulequeue.ledger.records import SCHEMA_VERSION, Record, outcome_of, read_record
from mulequeue.ledger.scripts import Scripts
from mulequeue.outcome import File
from mulequeue.settings import Profile, Settings

__all__ = [
    "Batch",
    "Due",
    "Intent",
    "Ledger",
    "Message",
    "Record",
    "Sweep",
    "Verdict",
    "Wake",
    "connect",
    "new_token",
    "outcome_of",
    "pack",
    "unpack",
]

SWEEP_LEASE_SECONDS = 5.0
CLAIM_LEASE_SECONDS = 5.0
TRANSFER_LEASE_SECONDS = 20.0
SUBMIT_MARGIN_SECONDS = 15.0
MOST_CLAIMED = 1000
MOST_WAKES = 200


def connect(url: str) -> Redis:
    """A client whose commands may be repeated once the connection is back.

    Every script may be run twice with the same tokens, so a lost answer does no harm.
    """
    return Redis.from_url(
        url,
        socket_connect_timeout=3,
        socket_timeout=10,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 2),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )


class Ledger:
    """One fleet's ledger on one Redis.

    :param redis: a client that answers bytes (``decode_responses`` off).
    :param fleet: the ledger's name.
    :param clock: unix seconds; None takes Redis' own clock, which all processes share.
    """

    def __init__(
        self, redis: Redis, fleet: str, *, clock: Callable[[], float] | None = None
    ) -> None:
        self.redis = redis
        self.prefix = f"mulequeue:{{{fleet}}}:"
        self._scripts = Scripts(redis, self.prefix, clock)
        self._run = self._scripts.run

    @classmethod
    def of(cls, settings: Settings) -> Ledger:
        """The ledger that the settings name."""
        return cls(connect(settings.redis_url), settings.fleet)

    # -- a delivery of generate ------------------------------------------------------------

    def intend(self, intent: Intent, *, submit_seconds: float) -> Verdict:
        """Ask what a delivery of ``generate`` is to do; writes the intent.

        :param submit_seconds: total deadline of the POST; the lease is a little longer.
        """
        limit = intent.profile.max_in_flight
        answer = self._run(
            "intend",
            intent.task_id,
            intent.marker,
            intent.run,
            intent.epoch,
            intent.digest,
            submit_seconds + SUBMIT_MARGIN_SECONDS,
            "" if limit is None else limit,
            pack(dict(intent.signature)),
            intent.batch_id or "",
            intent.batch_size or 0,
            json.dumps(intent.refusal) if intent.refusal else "",
            intent.profile.name,
            *intent.fields(),
        )
        return verdict_of(intent.task_id, answer)

    def record_id(
        self,
        intent: Intent,
        remote_id: str,
        *,
        parked: Mapping[str, Any],
        first_poll_seconds: float,
        max_wait_seconds: float,
        hold: str = "",
    ) -> tuple[str, Wake | None]:
        """Record a paid id. Never refused for a reason of state.

        :param parked: the signature without the input.
        :param hold: a claim token, when the answer is already terminal and is settled next.
        :returns: ``generating``, ``cancelled`` (with the wake) or ``attached``.
        """
        answer = self._run(
            "record_id",
            intent.task_id,
            intent.epoch if not intent.marker else intent.marker,
            remote_id,
            pack(dict(parked)),
            first_poll_seconds,
            max_wait_seconds,
            hold,
            intent.profile.name,
            *intent.fields(),
        )
        what = answer[0].decode()
        return what, Wake(intent.task_id, answer[1]) if len(answer) > 1 and answer[1] else None

    def retract(
        self, intent: Intent, *, retry_after_seconds: float | None, first: float, ceiling: float
    ) -> tuple[float | None, Wake | None]:
        """A create was not made: back to waiting, and the profile's submissions pause.

        :returns: when it is looked at again, or the wake of one that was cancelled meanwhile.
        """
        seconds = "" if retry_after_seconds is None else retry_after_seconds
        answer = self._run("retract", intent.task_id, intent.run, seconds, first, ceiling)
        if not answer:
            return None, None
        if answer[0] == b"waiting":
            return float(answer[1]), None
        return None, Wake(intent.task_id, answer[1]) if answer[1] else None

    def settle_submit(
        self, intent: Intent, status: str, answer: Mapping[str, Any] | None
    ) -> Wake | None:
        """The create came to an end without an id: refused, or nobody knows."""
        return self._settle(intent.task_id, status, answer, "run", intent.run, 0)

    def delivered(self, task_id: str, epoch: str, *, ttl_seconds: int) -> bool:
        """Celery dispatched what follows; from here on the record is history."""
        return bool(self._run("delivered", task_id, epoch, ttl_seconds))

    # -- the poll loop ---------------------------------------------------------------------

    def claim(
        self,
        profiles: Iterable[Profile],
        *,
        token: str | None = None,
        former_fingerprints: Sequence[str] = (),
        most: int = MOST_CLAIMED,
        most_wakes: int = MOST_WAKES,
        chance: float | None = None,
    ) -> Sweep:
        """Take what is due, at most ``most`` records; the claim lapses by itself."""
        token = token or new_token()
        profiles = list(profiles)
        limits = {p.name: p.max_in_flight for p in profiles if p.max_in_flight is not None}
        now, unknown, polls, wakes, looked_at = self._run(
            "claim",
            token,
            most,
            most_wakes,
            CLAIM_LEASE_SECONDS,
            SCHEMA_VERSION,
            json.dumps(limits),
            random.random() if chance is None else chance,
            *(p.fingerprint for p in profiles),
            *former_fingerprints,
        )
        return Sweep(
            token=token,
            now=float(now),
            unknown_fingerprint=unknown.decode(),
            polls=[due_of(row) for row in polls],
            wakes=[Wake(row[0].decode().removeprefix("transfer:"), row[1]) for row in wakes],
            looked_at=looked_at,
        )

    def reschedule(self, token: str, rows: Iterable[tuple[str, float, int, int]]) -> int:
        """Put checked records back: (task id, due, checks to add, errors in a row)."""
        flat: list[Any] = [part for row in rows for part in row]
        return int(self._run("reschedule", token, *flat)) if flat else 0

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
        polls: int = 0,
    ) -> Wake | None:
        """Write an outcome once. None when somebody else did, or the claim lapsed.

        :param token: of the claim; None for a verified webhook, which needs none.
        """
        who = "any" if token is None else "claim"
        return self._settle(task_id, status, answer, who, token or "", polls)

    def _settle(
        self,
        task_id: str,
        status: str,
        answer: Mapping[str, Any] | None,
        who: str,
        token: str,
        polls: int,
    ) -> Wake | None:
        text = json.dumps(answer, ensure_ascii=False) if answer else ""
        found = self._run("settle", task_id, status, text, who, token, polls)
        return Wake(task_id, found[0]) if found and found[0] else None

    def trip(self, profile: str, *, seconds: float | None, first: float, ceiling: float) -> float:
        """Pause the status checks of a profile; answers until when."""
        given = "" if seconds is None else seconds
        return float(self._run("pollgate", "trip", profile, given, first, ceiling))

    def recover(self, profile: str) -> None:
        """Status checks of a profile work again."""
        self._run("pollgate", "recover", profile, "", 0, 0)

    # -- the poll message ------------------------------------------------------------------

    def schedule_poll(self, due: float) -> Message | None:
        """Something was parked that is due then: the message to publish, if none comes in time."""
        return message_of(self._run("poll", "schedule", new_token(), due))

    def begin_sweep(self, token: str) -> bool:
        """Whether the message with this token is the valid one and no sweep runs."""
        return bool(self._run("poll", "begin", token, SWEEP_LEASE_SECONDS))

    def renew_sweep(self, token: str) -> bool:
        return bool(self._run("poll", "renew", token, SWEEP_LEASE_SECONDS))

    def end_sweep(self, token: str, *, gap_seconds: float) -> Message | None:
        """The sweep is over: the next message, if anything is due some day."""
        return message_of(self._run("poll", "end", token, new_token(), gap_seconds))

    def watch(self) -> Message | None:
        """A fresh message when something is overdue and nobody looks at it."""
        return message_of(self._run("poll", "watch", new_token()))

    # -- downloads and notifications -------------------------------------------------------

    def begin_transfer(
        self, task_id: str, run: str, signature: Mapping[str, Any]
    ) -> tuple[str, int, float]:
        """``run``, ``done`` or ``busy``; the attempt's number from 1; seconds since the first."""
        answer = self._run(
            "transfer", "begin", task_id, run, pack(dict(signature)), TRANSFER_LEASE_SECONDS
        )
        if answer[0] != b"run":
            return answer[0].decode(), 0, 0.0
        return "run", int(answer[1]), float(answer[2])

    def keep_transfer(self, task_id: str, run: str) -> bool:
        """Heartbeat; False when somebody else has it."""
        return bool(
            self._run("transfer", "keep", task_id, run, TRANSFER_LEASE_SECONDS)[0] == b"kept"
        )

    def retry_transfer(self, task_id: str, run: str, seconds: float) -> float | None:
        """The attempt failed: try again after that many seconds. Answers when."""
        answer = self._run("transfer", "again", task_id, run, seconds)
        return float(answer[1]) if answer[0] == b"again" else None

    def end_transfer(
        self, task_id: str, run: str, result: Mapping[str, Any], *, ttl_seconds: int
    ) -> bool:
        """It is done, or given up; repeated messages are ignored from now on."""
        answer = self._run("transfer", "end", task_id, run, json.dumps(result), ttl_seconds)
        return bool(answer[0] == b"ended")

    def record_files(self, task_id: str, files: Sequence[File]) -> None:
        """What ``download`` stored of a generation."""
        text = json.dumps([asdict(item) for item in files], ensure_ascii=False)
        self._run("files", task_id, text, len(files))

    def transfer_result(self, task_id: str) -> dict[str, Any] | None:
        """What a download or notification came to, if it ended."""
        text = self.redis.get(f"{self.prefix}done:{task_id}")
        return None if text is None else json.loads(text)

    # -- people ----------------------------------------------------------------------------

    def cancel(self, task_id: str, *, ttl_seconds: int) -> tuple[str, Wake | None]:
        """Cancel on our side. Answers the state it was in, ``unknown`` for a tombstone."""
        state, signature = self._run("cancel", task_id, ttl_seconds)
        return state.decode(), Wake(task_id, signature) if signature else None

    def cancel_batch(self, batch_id: str) -> None:
        """Members that were not started yet never will be."""
        key = f"{self.prefix}batch:{batch_id}"
        self.redis.hset(key, "stopped", 1)

    def record(self, task_id: str) -> Record | None:
        """The record of a generation, or None."""
        return self.records([task_id])[0]

    def records(self, task_ids: Sequence[str]) -> list[Record | None]:
        """The records of those generations, in that order; None where there is none."""
        pipe = self.redis.pipeline(transaction=False)
        for task_id in task_ids:
            pipe.hgetall(f"{self.prefix}record:{task_id}")
            pipe.get(f"{self.prefix}outcome:{task_id}")
            pipe.get(f"{self.prefix}files:{task_id}")
        answers = pipe.execute()
        found: list[Record | None] = []
        for index, task_id in enumerate(task_ids):
            fields, answer, files = answers[3 * index : 3 * index + 3]
            found.append(read_record(task_id, texts(fields), answer, files) if fields else None)
        return found

    def task_of(self, remote_id: str) -> str | None:
        """The task id of a remote id."""
        found = self.redis.get(f"{self.prefix}remote:{remote_id}")
        return None if found is None else bytes(found).decode()  # type: ignore[arg-type]

    def batch(self, batch_id: str) -> Batch | None:
        """Where a batch stands, or None for one that nobody started."""
        fields = texts(self.redis.hgetall(f"{self.prefix}batch:{batch_id}"))
        if "size" not in fields:
            return None
        return Batch(
            batch_id=batch_id,
            size=int(fields["size"]),
            counts=counts_of(fields),
            files=int(fields.get("files", 0)),
            downloaded=int(fields.get("downloaded", 0)),
            is_cancelled="stopped" in fields,
            created=float(fields["created"]),
        )

    def counts(self) -> dict[str, int]:
        """Over the whole fleet: what is under way, and what ended since the ledger began."""
        return dict(counts_of(texts(self.redis.hgetall(f"{self.prefix}counts"))))

    def overdue(self) -> tuple[int, float | None]:
        """How many entries the due index holds, and the due time of the first (unix seconds)."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.zcard(f"{self.prefix}due")
        pipe.zrange(f"{self.prefix}due", 0, 0, withscores=True)
        size, head = pipe.execute()
        return int(size), float(head[0][1]) if head else None

    def now(self) -> float:
        """Redis' clock, unix seconds."""
        seconds, micros = self.redis.time()
        return float(seconds) + float(micros) / 1e6

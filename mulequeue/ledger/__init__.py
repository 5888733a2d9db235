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

from collections.abc import Callable
from typing import Self

from redis import Redis

from mulequeue.ledger.connection import connect
from mulequeue.ledger.generations import Generations
from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.leases import Leases
from mulequeue.ledger.limits import SubmissionLimits, SubmissionStatus
from mulequeue.ledger.metrics import MetricsStore
from mulequeue.ledger.polling import MAX_CLAIMED, Polling
from mulequeue.ledger.queries import Queries
from mulequeue.ledger.records import Record, outcome_of
from mulequeue.ledger.serialization import pack, unpack
from mulequeue.ledger.types import (
    Action,
    Batch,
    Begun,
    Claim,
    Due,
    DurationSample,
    Effects,
    EventResult,
    Intent,
    LeaseResult,
    PollMessage,
    Recorded,
    RecordIdResult,
    Verdict,
    Wake,
    new_token,
)
from mulequeue.ledger.webhooks import Webhooks
from mulequeue.settings import Settings

__all__ = [
    "MAX_CLAIMED",
    "Action",
    "Batch",
    "Begun",
    "Claim",
    "Due",
    "DurationSample",
    "Effects",
    "EventResult",
    "Intent",
    "LeaseResult",
    "Ledger",
    "PollMessage",
    "Record",
    "RecordIdResult",
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


class Ledger:
    """One fleet's ledger on one Redis.

    :param redis: a client that returns bytes (``decode_responses`` off).
    :param fleet: the ledger's name.
    :param clock: unix seconds; None uses Redis' own clock, which all processes share.
    """

    def __init__(
        self, redis: Redis, fleet: str, *, clock: Callable[[], float] | None = None
    ) -> None:
        keys = Keyspace(redis, fleet, clock=clock)
        self.redis, self.prefix = keys.redis, keys.prefix
        self.generations = Generations(keys)
        self.polling = Polling(keys)
        self.limits = SubmissionLimits(keys)
        self.leases = Leases(keys)
        self.webhooks = Webhooks(keys)
        self.queries = Queries(keys)
        self.metrics = MetricsStore(keys)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the ledger that the settings name."""
        return cls(connect(settings.redis_url), settings.fleet)

"""The ledger: the record of every generation, and its transitions.

Each transition is one Lua script, so it is atomic also if a process crashes. The braces put all keys of
a fleet into one Redis Cluster slot.

=============================================  ======  ==================================================
``mulequeue:{fleet}:due``                      zset    task id, ``transfer:<task id>`` or ``gate:<profile>``
``mulequeue:{fleet}:record:<task id>``         hash    state, epoch, remote id, deadline, …
``mulequeue:{fleet}:parked:<task id>``         string  the signature that wakes the task (:mod:`.serialization`)
``mulequeue:{fleet}:call:<task id>``           string  the signature with the input, kept for a retry
``mulequeue:{fleet}:again:<task id>``          string  the signature of a member's ``each`` that was given up
``mulequeue:{fleet}:continuations:<task id>``  hash    further canvases of a task id: digest of the following tasks -> epoch
``mulequeue:{fleet}:outcome:<task id>``        string  JSON of the API's final answer
``mulequeue:{fleet}:files:<task id>``          string  JSON of the files that ``download`` stored
``mulequeue:{fleet}:remote:<remote id>``       string  remote id -> task id, for webhooks
``mulequeue:{fleet}:batch:<batch id>``         hash    size, digest, and the number of members per bucket
``mulequeue:{fleet}:counts``                   hash    number of generations per bucket, fleet-wide
``mulequeue:{fleet}:metrics``                  hash    counters of the exporter (:mod:`.metrics`)
``mulequeue:{fleet}:pauses``                   hash    when each pause ends; for a pause by hand, when it began
``mulequeue:{fleet}:gate:<profile>``           hash    pause, probe and ramp of submissions; slots taken
``mulequeue:{fleet}:gate:<profile>:<scope>``   hash    the same of one model, key or worker
``mulequeue:{fleet}:scopes``                   zset    profile and scope by the time the pause ends
``mulequeue:{fleet}:groups:<profile>``         zset    groups that are not empty: '' or a model with own limits
``mulequeue:{fleet}:ring:<profile>:<group>``   zset    batches and fair keys that wait there, by their last turn
``mulequeue:{fleet}:ring:<profile>:…``         zset    of group and fair key: its batches, by their last turn
``mulequeue:{fleet}:full:<profile>:<group>``   zset    fair keys at their limit in flight, by their last turn
``mulequeue:{fleet}:keys:<profile>``           hash    fair key -> its generations in flight
``mulequeue:{fleet}:lane:<profile>:…``         zset    of group, fair key and batch: task ids by time of arrival
``mulequeue:{fleet}:rate:<profile>:…``         zset    of window and model: submissions by when their place is free
``mulequeue:{fleet}:day:<profile>:<day>``      hash    submissions of a UTC day: total, and by model
``mulequeue:{fleet}:pollgate:<profile>``       hash    pause and probe of status checks
``mulequeue:{fleet}:answered:<profile>``       zset    processes by the time of the API's last answer
``mulequeue:{fleet}:poll``, ``…:sweep``        hash    the valid poll message; the running sweep
``mulequeue:{fleet}:transfer:<task id>``       hash    lease of a download, a notification or a batch's task
``mulequeue:{fleet}:transfer:<epoch>:…``       hash    of a task id: a further canvas, and the lease of its delivery
``mulequeue:{fleet}:transfers``                hash    by task: the latest message that has begun
``mulequeue:{fleet}:done:<task id>``           string  result of a download or notification
``mulequeue:{fleet}:event:<event id>``         string  a webhook that has arrived
``mulequeue:{fleet}:enqueued:<id>``            string  a task or batch that was enqueued
``mulequeue:{fleet}:early:<remote id>``        string  JSON of a webhook that arrived before the id
``mulequeue:{fleet}:lives:<path>``             list    durations of the model's latest generations
``mulequeue:{fleet}:webhooks``                 hash    number of webhooks
``mulequeue:{fleet}:webhooks:<profile>``       string  when the last webhook arrived; deleted if one is missing
=============================================  ======  ==================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from redis import Redis

from mulequeue.ledger.batches import Batch, Batches, BatchState
from mulequeue.ledger.connection import connect
from mulequeue.ledger.enqueued import Enqueued
from mulequeue.ledger.generations import Generations
from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.leases import Begun, LeaseResult, Leases, RetryReason
from mulequeue.ledger.limits import SubmissionLimits, SubmissionStatus
from mulequeue.ledger.metrics import MetricsStore
from mulequeue.ledger.polling import MAX_CLAIMED, Claim, Due, Polling, PollMessage, Reschedule
from mulequeue.ledger.queries import DurationSample, Queries
from mulequeue.ledger.records import Problem, Record, outcome_of
from mulequeue.ledger.retries import Retries, Retry
from mulequeue.ledger.serialization import pack, unpack
from mulequeue.ledger.types import (
    Action,
    CancelScope,
    Effects,
    Intent,
    Pause,
    Recorded,
    RecordIdResult,
    Scope,
    Verdict,
    Wake,
    new_token,
)
from mulequeue.ledger.webhooks import EventResult, Webhooks
from mulequeue.settings import Settings

__all__ = [
    "MAX_CLAIMED",
    "Action",
    "Batch",
    "BatchState",
    "CancelScope",
    "Begun",
    "Claim",
    "Due",
    "DurationSample",
    "Effects",
    "EventResult",
    "Intent",
    "LeaseResult",
    "Ledger",
    "Pause",
    "PollMessage",
    "Problem",
    "Record",
    "RecordIdResult",
    "Recorded",
    "Reschedule",
    "Retry",
    "RetryReason",
    "Scope",
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
        self.retries = Retries(keys)
        self.polling = Polling(keys)
        self.limits = SubmissionLimits(keys)
        self.leases = Leases(keys)
        self.batches = Batches(keys)
        self.webhooks = Webhooks(keys)
        self.queries = Queries(keys)
        self.enqueued = Enqueued(keys)
        self.metrics = MetricsStore(keys)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the ledger that the settings name."""
        return cls(connect(settings.redis_url), settings.fleet)

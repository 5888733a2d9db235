"""Reads of records, batches and counts, for people and pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mulequeue.catalog.usd import usd_of_micros
from mulequeue.ledger.batches import BUCKETS, Batch
from mulequeue.ledger.keyspace import Keyspace, texts
from mulequeue.ledger.packed import unpack_record
from mulequeue.ledger.records import Record, read_record

_SLICE = 200
"""Records per round trip."""


class DurationSample(NamedTuple):
    """The duration of a generation, in seconds: at least ``low``, at most ``high``."""

    low: float
    high: float
    """Equal to ``low`` if the duration is known exactly."""
    weight: float = 1
    """Number of generations that the sample represents."""


class Queries:
    """Plain Redis reads; nothing here writes."""

    def __init__(self, keys: Keyspace) -> None:
        self._keys = keys
        self._redis, self._prefix = keys.redis, keys.prefix

    def record(self, task_id: str) -> Record | None:
        """Return the record of a generation, or None."""
        return self.records([task_id])[0]

    def records(self, task_ids: Sequence[str]) -> list[Record | None]:
        """Return the records of those generations, in that order; None where there is none."""
        slices = range(0, len(task_ids), _SLICE)
        return [item for at in slices for item in self._slice(task_ids[at : at + _SLICE])]

    def _slice(self, task_ids: Sequence[str]) -> list[Record | None]:
        pipe = self._redis.pipeline(transaction=False)
        for task_id in task_ids:
            pipe.hgetall(f"{self._prefix}record:{task_id}")
            pipe.get(f"{self._prefix}outcome:{task_id}")
            pipe.get(f"{self._prefix}files:{task_id}")
        answers = pipe.execute()
        found: list[Record | None] = []
        for index, task_id in enumerate(task_ids):
            fields, answer, files = answers[3 * index : 3 * index + 3]
            whole = unpack_record(fields, answer, files)
            found.append(read_record(task_id, *whole) if fields else None)
        return found

    def task_ids(self, start: str = "") -> Iterator[str]:
        """Iterate over the task ids of all records with that start, in no order; one may occur twice."""
        return self._names("record:", start)

    def batch_ids(self, start: str = "") -> Iterator[str]:
        """Iterate over the ids of all batches with that start, in no order; one may occur twice."""
        return self._names("batch:", start)

    def remote_ids(self, start: str) -> Iterator[str]:
        """Iterate over the remote ids with that start, in no order; one may occur twice."""
        return self._names("remote:", start)

    def _names(self, kind: str, start: str) -> Iterator[str]:
        before = f"{self._prefix}{kind}"
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", before + start) + "*"
        for key in self._redis.scan_iter(pattern, count=1000):
            yield bytes(key).decode().removeprefix(before)

    def task_of(self, remote_id: str) -> str | None:
        """Return the task id of a remote id."""
        found = self._redis.get(f"{self._prefix}remote:{remote_id}")
        return None if found is None else bytes(found).decode()  # type: ignore[arg-type]

    def durations(self, path: str) -> list[DurationSample]:
        """Return the durations of the latest generations of an api_path, newest first.

        :param path: without ``/vendors/``.
        """
        found: list[bytes] = self._redis.lrange(f"{self._prefix}lives:{path}", 0, -1)  # type: ignore[assignment]
        return [sample for text in found if (sample := _sample(text)) is not None]

    def batch(self, batch_id: str) -> Batch | None:
        """Return the progress of a batch, or None if there is no such batch."""
        fields = texts(self._redis.hgetall(f"{self._prefix}batch:{batch_id}"))
        if "size" not in fields:
            return None
        size, counts = int(fields["size"]), _counts_of(fields)
        if "stopped" in fields:  # members that have not reached a worker are never submitted
            missing = size - sum(counts.get(name, 0) for name in BUCKETS)
            counts["cancelled"] = counts.get("cancelled", 0) + max(missing, 0)
        return Batch(
            batch_id=batch_id,
            size=size,
            counts=counts,
            files=int(fields.get("files", 0)),
            usd=usd_of_micros(int(fields.get("usd", 0))),
            downloaded=int(fields.get("downloaded", 0)),
            downloads="downloads" in fields,
            digest=fields.get("digest"),
            expires=float(fields["expires"]) if "expires" in fields else None,
            sent=_sent_of(fields),
            is_cancelled="stopped" in fields,
            created=float(fields["created"]),
        )

    def counts(self) -> dict[str, int]:
        """Return the fleet's totals: generations in progress, and outcomes since the first one."""
        return _counts_of(texts(self._redis.hgetall(f"{self._prefix}counts")))

    def overdue(self) -> tuple[int, float | None]:
        """Return the size of the due index, and the due time of its first entry (unix seconds)."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zcard(f"{self._prefix}due")
        pipe.zrange(f"{self._prefix}due", 0, 0, withscores=True)
        size, head = pipe.execute()
        return int(size), float(head[0][1]) if head else None

    def now(self) -> float:
        """Return Redis' clock, in unix seconds."""
        return self._keys.now()


def _sent_of(fields: Mapping[str, str]) -> int | None:
    if "sent" in fields:
        return int(fields["sent"])
    return 0 if "digest" in fields and "published" not in fields else None


def _counts_of(fields: Mapping[str, str]) -> dict[str, int]:
    names = (*BUCKETS, "files", "downloaded")
    return {name: int(fields.get(name, 0)) for name in names if name in fields}


def _sample(text: bytes) -> DurationSample | None:
    """Return None for an entry in the format of another version."""
    try:
        low, high, weight = map(float, text.split()[:3])
    except ValueError:
        return None
    return DurationSample(low, high, weight)

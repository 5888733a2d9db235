"""Read records, batches and counts, without changing them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from mulequeue.catalog.usd import usd_of_micros
from mulequeue.ledger.batches import BUCKETS, Batch
from mulequeue.ledger.keyspace import Part, texts
from mulequeue.ledger.packed import unpack_record
from mulequeue.ledger.records import Record, RecordSummary, field_values, read_record

_SUMMARY_FIELDS = (
    *("state", "v", "key", "profile", "deliveries", "abandoned", "poisoned", "remote_id"),
    *("late_remote_id", "file_error", "notify_error", "each_error", "errors", "problem"),
)


class DurationSample(NamedTuple):
    """The duration of a generation, in seconds: at least ``low``, at most ``high``."""

    low: float
    high: float
    """Equal to ``low`` if the duration is known exactly."""
    weight: float = 1
    """Number of generations that the sample represents."""


class Queries(Part):
    """Plain Redis reads; nothing here writes."""

    def record(self, task_id: str) -> Record | None:
        """Return the record of a generation, or None."""
        return self.records([task_id])[0]

    def records(self, task_ids: Sequence[str]) -> list[Record | None]:
        """Return the records of generations, in the order of the ids; None for a generation without a record."""

        def send(pipe: Any, task_id: str) -> None:
            pipe.hgetall(f"{self._prefix}record:{task_id}")
            pipe.get(f"{self._prefix}outcome:{task_id}")
            pipe.get(f"{self._prefix}files:{task_id}")

        return [
            read_record(task_id, *unpack_record(*answers)) if answers[0] else None
            for task_id, answers in self._keys.send_for_each(task_ids, send)
        ]

    def fields(self, task_ids: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """Iterate over the generations that have a record: task id and fields."""
        start = f"{self._prefix}record:"
        for task_id, (fields,) in self._keys.send_for_each(
            task_ids, lambda pipe, task_id: pipe.hgetall(f"{start}{task_id}")
        ):
            if fields:
                yield task_id, unpack_record(fields, None, None)[0]

    def summaries(self, most: int) -> Iterator[RecordSummary]:
        """Iterate over at most ``most`` records: first the due ones, from the most overdue, then the others."""
        first: list[bytes] = self._redis.zrange(f"{self._prefix}due", 0, most - 1)  # type: ignore[assignment]
        due = dict.fromkeys(name.decode() for name in first)
        records = (name for name in due if not name.startswith(("transfer:", "gate:")))
        others = (name for name in self.task_ids() if name not in due)

        def send(pipe: Any, task_id: str) -> None:
            pipe.hmget(f"{self._prefix}record:{task_id}", _SUMMARY_FIELDS)
            pipe.zscore(f"{self._prefix}due", task_id)

        names = islice(chain(records, others), most)
        for task_id, (values, due_at) in self._keys.send_for_each(names, send):
            found = zip(_SUMMARY_FIELDS, values, strict=True)
            fields = {name: value.decode() for name, value in found if value is not None}
            if "state" in fields:
                version = int(fields.get("v", 0))
                known = field_values(Record, fields)
                yield RecordSummary(**known, task_id=task_id, version=version, due=due_at)

    def task_ids(self, start: str = "") -> Iterator[str]:
        """Iterate over the task ids that begin with ``start`` and have a record, in no particular order."""
        return self._names("record:", start)

    def batch_ids(self, start: str = "") -> Iterator[str]:
        """Iterate over the batch ids that begin with ``start``, in no particular order."""
        return self._names("batch:", start)

    def remote_ids(self, start: str) -> Iterator[str]:
        """Iterate over the remote ids that begin with ``start``, in no particular order."""
        return self._names("remote:", start)

    def _names(self, kind: str, start: str) -> Iterator[str]:
        before = f"{self._prefix}{kind}"
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", before + start) + "*"
        seen = set()  # a scan may return a key twice
        for key in self._redis.scan_iter(pattern, count=1000):
            name = bytes(key).decode().removeprefix(before)
            if name not in seen:
                seen.add(name)
                yield name

    def task_of(self, remote_id: str) -> str | None:
        """Return the task id of a remote id."""
        found = self._redis.get(f"{self._prefix}remote:{remote_id}")
        return None if found is None else bytes(found).decode()  # type: ignore[arg-type]

    def durations(self, path: str) -> list[DurationSample]:
        """Return the durations of the latest generations of an api_path without ``/vendors/``, newest first."""
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
        known = field_values(Batch, fields) | {
            "counts": counts,
            "usd": usd_of_micros(int(fields.get("usd", 0))),
            "sent": _sent_of(fields),
            "is_cancelled": "stopped" in fields,
        }
        return Batch(batch_id=batch_id, **known)

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

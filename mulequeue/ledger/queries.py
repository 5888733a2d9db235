"""What people and pages read from the ledger; nothing here changes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.records import Record, read_record
from mulequeue.ledger.types import COUNTED, Batch, DurationSample, counts_of, texts


class Queries(Keyspace):
    """Records, batches and counts, as plain Redis reads."""

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

    def task_ids(self) -> Iterator[str]:
        """Of every record there is, in no order; some may come twice."""
        return self._names("record:")

    def batch_ids(self) -> Iterator[str]:
        """Of every batch there is, in no order; some may come twice."""
        return self._names("batch:")

    def _names(self, kind: str) -> Iterator[str]:
        start = f"{self.prefix}{kind}"
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", start) + "*"
        for key in self.redis.scan_iter(pattern, count=1000):
            yield bytes(key).decode().removeprefix(start)

    def task_of(self, remote_id: str) -> str | None:
        """The task id of a remote id."""
        found = self.redis.get(f"{self.prefix}remote:{remote_id}")
        return None if found is None else bytes(found).decode()  # type: ignore[arg-type]

    def durations(self, path: str) -> list[DurationSample]:
        """How long the latest generations of an api_path (without ``/vendors/``) lived, newest first."""
        found: list[bytes] = self.redis.lrange(f"{self.prefix}lives:{path}", 0, -1)  # type: ignore[assignment]
        return [life for text in found if (life := _sample(text)) is not None]

    def batch(self, batch_id: str) -> Batch | None:
        """Where a batch stands, or None for one that nobody started."""
        fields = texts(self.redis.hgetall(f"{self.prefix}batch:{batch_id}"))
        if "size" not in fields:
            return None
        size, counts = int(fields["size"]), counts_of(fields)
        if "stopped" in fields:  # who has not come to a worker yet never submits
            missing = size - sum(counts.get(name, 0) for name in COUNTED)
            counts["cancelled"] = counts.get("cancelled", 0) + max(missing, 0)
        return Batch(
            batch_id=batch_id,
            size=size,
            counts=counts,
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


def _sample(text: bytes) -> DurationSample | None:
    """None: written by a version that has another way to say it."""
    try:
        low, high, weight = map(float, text.split()[:3])
    except ValueError:
        return None
    return DurationSample(low, high, weight)

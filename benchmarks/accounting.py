"""CPU time and memory of processes, as measured by the operating system."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import psutil

MEBI = 1024**2


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    return []


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return user and system time of these process trees, including children that have ended."""
    total = 0.0
    for pid in pids:
        for process in tree(pid):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
                total += getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
    return total


def rss_mib(pids: Sequence[int]) -> float:
    """Return the resident memory of these process trees; shared pages count in each process."""
    total = 0
    for pid in pids:
        for process in tree(pid):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
    return total / MEBI


@dataclass(slots=True)
class Meter:
    """Measures the CPU time of contenders and of their Redis over a period.

    ``meter = Meter.start(pids, redis_pid)``, later ``meter.stop()``.
    """

    pids: Sequence[int]
    redis_pids: Sequence[int]
    cpu: float = 0.0
    redis_cpu: float = 0.0
    seconds: float = 0.0

    @classmethod
    def start(cls, pids: Sequence[int], redis_pids: Sequence[int] = ()) -> Self:
        return cls(
            pids, redis_pids, -cpu_seconds(pids), -cpu_seconds(redis_pids), -time.monotonic()
        )

    def stop(self) -> Self:
        """End the period; the three figures are then differences."""
        self.cpu += cpu_seconds(self.pids)
        self.redis_cpu += cpu_seconds(self.redis_pids)
        self.seconds += time.monotonic()
        return self

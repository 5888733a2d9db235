"""The plot of each benchmark that has one."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import svg
from benchmarks.report import Report

_NAMES = {
    "floor": "bare loop, aiohttp (floor)",
    "floor on uvloop": "bare loop, aiohttp on uvloop",
    "floor on mulequeue's connections": "bare loop, our connections",
    "celery retry": "Celery, self.retry(countdown=5)",
    "celery sleep": "Celery, time.sleep(5)",
    "arq": "arq, a coroutine each",
    "arq, full": "arq, all slots taken",
}


def _polls(report: Report) -> str:
    rows = [
        (_NAMES.get(row["contender"], row["contender"]), row["cpu_ms_per_poll"])
        for row in report.rows
    ]
    count = max(row["in_flight"] for row in report.rows)
    title = "CPU of one status check, all worker processes"
    note = f"{count:,} generations in flight, each checked every 5 s; {_where(report)}; logarithmic"
    return svg.bars(title, note, rows, unit="ms", ours="mulequeue", log=True)


def _capacity(report: Report) -> str:
    series = [
        ("lateness p99, s", [row["lateness_p99_seconds"] for row in report.rows]),
        ("cores, poller", [row["cpu_percent"] / 100 for row in report.rows]),
        ("cores, Redis", [row["redis_cpu_percent"] / 100 for row in report.rows]),
    ]
    return svg.lines(
        "Generations in flight on one poller process",
        f"each generation checked every 5 s; {_where(report)}; dashed: 1",
        [row["in_flight"] for row in report.rows],
        series,
        x_unit="generations in flight",
        limit=1.0,
    )


def _lag(report: Report) -> str:
    rows = [
        (f"{row['told']} ({row['polls_per_generation']:.1f} polls)", row["lag_mean_seconds"])
        for row in report.rows
    ]
    title = "From finished to the next task of the chain, on average"
    note = f"generations of 5 to 30 s; {_where(report)}; shorter is better"
    return svg.bars(title, note, rows, unit="s", ours="our", log=False)


def _where(report: Report) -> str:
    return f"{report.cores} cores, {report.date}"


PLOTS: dict[str, Callable[[Report], str]] = {
    "polls": _polls,
    "capacity": _capacity,
    "lag": _lag,
}

"""The ledger's numbers as Prometheus reads them; needs ``mulequeue[metrics]``.

A scrape is two round trips to Redis and never looks at a single record, so it costs the same
whether a hundred generations are in flight or a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from mulequeue import catalog
from mulequeue.engine.counters import DOWNLOAD_SECONDS, GENERATION_SECONDS
from mulequeue.ledger import Ledger
from mulequeue.ledger.metrics import LATE_SECONDS, Series, Snapshot
from mulequeue.outcome import OUTCOME_STATUSES

RECOVERIES = {
    "wake": "an outcome whose task did not take it in time, woken again",
    "claim": "a status check whose worker died or slept",
    "submission": "a create request whose worker died: submit_unknown",
    "delivery": "a second delivery whose worker died",
    "transfer": "a download or notification whose worker died",
    "message": "a message of what follows that the broker lost",
    "poll message": "the message of the poll loop, lost or not taken",
}
"""What ``mulequeue_recoveries_total`` counts by ``what``."""
_WATCHED_ANSWERS = (
    ("accepted", "2xx"),
    ("refused", "401"),
    ("refused", "402"),
    ("refused", "403"),
    ("not_created", "429"),
    ("unknown", ""),
)
_GATES = {"gate": "submissions", "pollgate": "status_checks"}
_COUNTERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "outcomes": (
        "mulequeue_outcomes",
        "What generations came to, by outcome status.",
        ("model", "status"),
    ),
    "submit_answers": (
        "mulequeue_submit_answers",
        "Create requests by what became of them and by HTTP status (empty: no answer).",
        ("profile", "answer", "code"),
    ),
    "poll_answers": (
        "mulequeue_poll_answers",
        "Status checks by HTTP status (empty: no answer).",
        ("profile", "code"),
    ),
    "download_files": ("mulequeue_download_files", "Files that download stored.", ()),
    "download_bytes": ("mulequeue_download_bytes", "Bytes of the files that download stored.", ()),
    "transfers": (
        "mulequeue_transfer_attempts",
        "Attempts of download and notify: done, retried (later again) or given_up.",
        ("task", "result"),
    ),
    "recoveries": (
        "mulequeue_recoveries",
        "What somebody left lying and another one took up again.",
        ("what",),
    ),
}
"""Name in the ledger -> name of the metric (``_total`` is added), its meaning, its labels."""


def _zeros(name: str, counted: Mapping[str, Series]) -> Series:
    """What has not happened yet, as 0: Prometheus sees no increase from nothing to one."""
    if name == "outcomes":
        seen = {labels[0] for known in ("in_flight", name) for labels in counted.get(known, {})}
        return {(path, status): 0.0 for path in seen for status in OUTCOME_STATUSES}
    if name == "submit_answers":
        seen = {labels[0] for known in ("poll_answers", name) for labels in counted.get(known, {})}
        return {(profile, *answer): 0.0 for profile in seen for answer in _WATCHED_ANSWERS}
    if name == "transfers":
        results = ("done", "retried", "given_up")
        return {(task, result): 0.0 for task in ("download", "notify") for result in results}
    if name == "recoveries":
        return {(what,): 0.0 for what in RECOVERIES}
    return {} if _COUNTERS[name][2] else {(): 0.0}


class LedgerCollector(Collector):
    """Reads the ledger at every scrape.

    :param queue_depths: queue -> messages in it, asked at every scrape.
    """

    def __init__(self, ledger: Ledger, queue_depths: Callable[[], dict[str, int]] = dict) -> None:
        self._ledger, self._queue_depths = ledger, queue_depths

    def collect(self) -> Iterator[Metric]:
        """Every metric; only ``mulequeue_ledger_up`` (0) while Redis does not answer."""
        try:
            found = self._ledger.metrics.snapshot()
        except (RedisError, OSError):
            yield _gauge("mulequeue_ledger_up", "Whether the ledger's Redis answers.", 0)
            return
        yield _gauge("mulequeue_ledger_up", "Whether the ledger's Redis answers.", 1)
        yield from _gauges(found)
        for name, (metric, text, labels) in _COUNTERS.items():
            series = _zeros(name, found.counted) | found.counted.get(name, {})
            yield _counter(metric, text, labels, series)
        webhooks: Series = {(what,): float(count) for what, count in found.webhooks.items()}
        text = "Webhooks by what they told of: known, early, other, repeated."
        yield _counter("mulequeue_webhooks", text, ("what",), webhooks)
        yield _histogram(
            "mulequeue_generation_seconds",
            "From the accepted create request to success or failure, as mulequeue learned of it.",
            found,
            GENERATION_SECONDS,
            labels=("model",),
        )
        yield _histogram(
            "mulequeue_download_seconds",
            "Storing all files of one generation, attempts that worked.",
            found,
            DOWNLOAD_SECONDS,
        )
        depths: Series = {(queue,): float(count) for queue, count in self._queue_depths().items()}
        yield _labelled("mulequeue_queue_messages", "Messages in a queue.", ("queue",), depths)


def _gauges(found: Snapshot) -> Iterator[Metric]:
    yield _labelled(
        "mulequeue_generations_in_flight",
        "Generations that are not delivered yet, by state.",
        ("model", "state"),
        _by_model(found.counted.get("in_flight", {})),
    )
    yield _gauge("mulequeue_due_entries", "Entries of the due index.", found.due)
    yield _gauge(
        "mulequeue_due_lateness_seconds",
        "How late the most overdue entry of the due index is.",
        found.lateness_seconds,
    )
    late: Series = {(str(seconds),): float(found.late[seconds]) for seconds in LATE_SECONDS}
    text = "Entries of the due index that are later than that many seconds."
    yield _labelled("mulequeue_due_late_entries", text, ("seconds",), late)
    pauses: Series = {}
    for gate, seconds in found.pauses.items():
        kind, _, profile = gate.partition(":")
        pauses[profile, _GATES[kind]] = round(seconds, 3)
    text = "Seconds until a paused profile is tried again; 0: not paused."
    yield _labelled("mulequeue_profile_pause_seconds", text, ("profile", "what"), pauses)
    profiles = {profile for profile, _ in pauses} | found.held
    held: Series = {(profile,): float(profile in found.held) for profile in profiles}
    text = "1: submissions of the profile are paused by hand (mulequeue pause)."
    yield _labelled("mulequeue_profile_held", text, ("profile",), held)


def _by_model(series: Series) -> Series:
    """With the model's name instead of the path that the ledger counts by."""
    found: Series = {}
    for (path, *rest), value in series.items():
        labels = (_model_of(path), *rest)
        found[labels] = found.get(labels, 0) + value
    return found


def _model_of(path: str) -> str:
    if not path:
        return ""  # refused before it was known what it is
    model = catalog.find(f"/vendors/{path}")
    return model.name if model.is_known else path


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(name: str, text: str, labels: Sequence[str], series: Series) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in sorted(series.items()):
        family.add_metric(values, value)
    return family


def _counter(name: str, text: str, labels: Sequence[str], series: Series) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    series = _by_model(series) if "model" in labels else series
    for values, value in sorted(series.items()):
        family.add_metric(values, value)
    return family


def _histogram(
    name: str, text: str, found: Snapshot, bounds: Sequence[float], labels: Sequence[str] = ()
) -> HistogramMetricFamily:
    """The ledger holds each bucket's own count; Prometheus wants the sum up to each bound."""
    short = name.removeprefix("mulequeue_")
    counted, sums = found.counted.get(short, {}), found.counted.get(f"{short}_sum", {})
    if labels:
        counted, sums = _by_model(counted), _by_model(sums)
    family = HistogramMetricFamily(name, text, labels=labels)
    for values in sorted({key[:-1] for key in counted}):
        total, buckets = 0.0, []
        for le in (*(f"{bound:g}" for bound in bounds), "+Inf"):
            total += counted.get((*values, le), 0)
            buckets.append((le, total))
        family.add_metric(values, buckets=buckets, sum_value=sums.get(values, 0.0))
    return family

"""Prometheus metrics of the ledger and of the broker's queues. Needs ``mulequeue[metrics]``.

A scrape makes two round trips to the ledger's Redis and reads no record, so its cost does not depend on the
number of generations in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product

from prometheus_client import CollectorRegistry, start_http_server
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
from mulequeue.ledger.limits import scope_kind
from mulequeue.ledger.metrics import LATE_SECONDS, Series, Snapshot
from mulequeue.outcome import OUTCOME_STATUSES

RECOVERIES = {
    "wake": "a wake message that no worker processed in time, sent again",
    "claim": "a status check whose worker crashed or was suspended",
    "submission": "a create request whose worker crashed: submit_unknown",
    "delivery": "a second delivery whose worker crashed",
    "transfer": "a download or notification whose worker crashed",
    "message": "a message of a following task that the broker lost",
    "poll message": "a poll message that was lost or that no worker processed in time",
}
"""The meaning of each value of the label ``what`` of ``mulequeue_recoveries_total``."""
_WATCHED_ANSWERS = (
    ("accepted", "2xx"),
    ("refused", "403"),
    ("not_created", "401"),
    ("not_created", "402"),
    ("not_created", "429"),
    ("unknown", ""),
)
_GATES = {"gate": "submissions", "pollgate": "status_checks"}
_COUNTERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "outcomes": (
        "mulequeue_outcomes",
        "Outcomes of generations, by status.",
        ("model", "status"),
    ),
    "spend": (
        "mulequeue_estimated_spend_usd",
        "Estimated cost in US dollars of generations that were, or may have been, created, by status.",
        ("model", "status"),
    ),
    "submit_answers": (
        "mulequeue_submit_answers",
        "Create requests by result and by HTTP status (empty: no response).",
        ("profile", "answer", "code"),
    ),
    "poll_answers": (
        "mulequeue_poll_answers",
        "Status checks by HTTP status (empty: no response).",
        ("profile", "code"),
    ),
    "download_files": ("mulequeue_download_files", "Files that download stored.", ()),
    "download_bytes": ("mulequeue_download_bytes", "Bytes of the files that download stored.", ()),
    "transfers": (
        "mulequeue_transfer_attempts",
        "Attempts of download and notify: done, retried or given_up (no further attempt).",
        ("task", "result"),
    ),
    "webhooks": (
        "mulequeue_webhooks",
        "Webhooks by kind: known, early (its generation has no recorded id yet), other (not about a "
        "generation), repeated.",
        ("what",),
    ),
    "recoveries": (
        "mulequeue_recoveries",
        "Work that was taken over from a process that stopped, and messages that were replaced.",
        ("what",),
    ),
}
"""Name of the counter in the ledger -> name of the metric without ``_total``, help text, labels."""


def _zeros(counted: Mapping[str, Series]) -> dict[str, Iterable[tuple[str, ...]]]:
    """Return, by the name of the counter, the labels of the series that start at 0.

    Prometheus counts no increase from an absent series to 1, so these exist before their first event.
    """

    def seen(*names: str) -> set[str]:
        return {labels[0] for name in names for labels in counted.get(name, {})}

    profiles = seen("poll_answers", "submit_answers")
    return {
        "outcomes": product(seen("in_flight", "outcomes"), OUTCOME_STATUSES),
        "spend": product(seen("spend"), OUTCOME_STATUSES),
        "submit_answers": (
            (profile, *answer) for profile in profiles for answer in _WATCHED_ANSWERS
        ),
        "transfers": product(("download", "notify"), ("done", "retried", "given_up")),
        "recoveries": ((what,) for what in RECOVERIES),
        "download_files": [()],
        "download_bytes": [()],
    }


class LedgerCollector(Collector):
    """Collect the metrics of the ledger at every scrape.

    :param queue_depths: returns the number of messages in each queue; called at every scrape.
    """

    def __init__(self, ledger: Ledger, queue_depths: Callable[[], dict[str, int]] = dict) -> None:
        self._ledger, self._queue_depths = ledger, queue_depths

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, or only ``mulequeue_ledger_up`` with the value 0 if Redis does not answer."""
        try:
            found = self._ledger.metrics.snapshot()
        except (RedisError, OSError):
            yield _gauge("mulequeue_ledger_up", "Whether the ledger's Redis answers.", 0)
            return
        yield _gauge("mulequeue_ledger_up", "Whether the ledger's Redis answers.", 1)
        yield from _gauges(found)
        webhooks: Series = {(what,): float(count) for what, count in found.webhooks.items()}
        counted, zeros = {**found.counted, "webhooks": webhooks}, _zeros(found.counted)
        for name, (metric, text, labels) in _COUNTERS.items():
            series = dict.fromkeys(zeros.get(name, ()), 0.0) | counted.get(name, {})
            if name == "spend":  # the ledger counts millionths
                series = {labels: micros / 1e6 for labels, micros in series.items()}
            yield _family(CounterMetricFamily, metric, text, labels, series)
        yield _histogram(
            "mulequeue_generation_seconds",
            "From the accepted create request until mulequeue learned of success or failure.",
            found,
            GENERATION_SECONDS,
            labels=("model",),
        )
        yield _histogram(
            "mulequeue_download_seconds",
            "Time to store all files of one generation, successful attempts only.",
            found,
            DOWNLOAD_SECONDS,
        )
        depths: Series = {(queue,): float(count) for queue, count in self._queue_depths().items()}
        yield _gauges_of("mulequeue_queue_messages", "Messages in a queue.", ("queue",), depths)


def serve_metrics(
    ledger: Ledger, host: str, port: int, depths: Callable[[], dict[str, int]] = dict
) -> tuple[int, Callable[[], None]]:
    """Serve ``/metrics`` in a thread.

    :param port: 0: a free port.
    :param depths: returns the number of messages in each queue; called at every scrape.
    :returns: the port, and a function that stops the server.
    :raises OSError: the port is in use.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(ledger, depths))
    server, thread = start_http_server(port, host, registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return int(server.server_port), stop


def _gauges(found: Snapshot) -> Iterator[Metric]:
    yield _gauges_of(
        "mulequeue_generations_in_flight",
        "Generations that are not yet delivered, by state.",
        ("model", "state"),
        found.counted.get("in_flight", {}),
    )
    yield _gauge("mulequeue_due_entries", "Entries of the due index.", found.due)
    yield _gauge(
        "mulequeue_due_lateness_seconds",
        "Lateness of the most overdue entry of the due index.",
        found.lateness_seconds,
    )
    late: Series = {(str(seconds),): float(found.late[seconds]) for seconds in LATE_SECONDS}
    text = "Entries of the due index that are overdue by more than this number of seconds."
    yield _gauges_of("mulequeue_due_late_entries", text, ("seconds",), late)
    pauses: Series = {}
    for gate, seconds in found.pauses.items():
        kind, _, profile = gate.partition(":")
        pauses[profile, _GATES[kind]] = round(seconds, 3)
    for (profile, scope), seconds in found.scopes.items():
        labels = profile, scope_kind(scope)
        pauses[labels] = max(pauses.get(labels, 0.0), round(seconds, 3))
    text = (
        "Seconds until the next attempt: of all submissions of a profile, of those of a model, of a key "
        "or of a worker, or of its status checks; 0: not paused."
    )
    yield _gauges_of("mulequeue_profile_pause_seconds", text, ("profile", "what"), pauses)
    profiles = {profile for profile, _ in pauses} | found.held
    held: Series = {(profile,): float(profile in found.held) for profile in profiles}
    text = "1: an operator paused the submissions of the profile (mulequeue pause)."
    yield _gauges_of("mulequeue_profile_held", text, ("profile",), held)


def _by_model(series: Series) -> Series:
    """Replace the api_path in the first label, as the ledger has it, by the name of the model."""
    found: Series = {}
    for (path, *rest), value in series.items():
        labels = (_model_of(path), *rest)
        found[labels] = found.get(labels, 0) + value
    return found


def _model_of(path: str) -> str:
    if not path:
        return ""  # rejected before its model was known
    model = catalog.find(f"/vendors/{path}")
    return model.name if model.is_known else path


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges_of(name: str, text: str, labels: Sequence[str], series: Series) -> Metric:
    return _family(GaugeMetricFamily, name, text, labels, series)


def _family(
    kind: type[GaugeMetricFamily | CounterMetricFamily],
    name: str,
    text: str,
    labels: Sequence[str],
    series: Series,
) -> Metric:
    family = kind(name, text, labels=labels)
    series = _by_model(series) if "model" in labels else series
    for values, value in sorted(series.items()):
        family.add_metric(values, value)
    return family


def _histogram(
    name: str, text: str, found: Snapshot, bounds: Sequence[float], labels: Sequence[str] = ()
) -> HistogramMetricFamily:
    """Sum the ledger's counts per bucket into the cumulative buckets of Prometheus."""
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

"""What the cadence of the fleet's models was learned from, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mulequeue import catalog
from mulequeue.engine.poll.poll_plan import fit
from mulequeue.ledger import DurationSample, Ledger
from mulequeue.settings import Settings


def duration_summaries(ledger: Ledger, settings: Settings) -> list[dict[str, Any]]:
    """Every model whose generations taught when to check the next ones, JSON-ready."""
    if not settings.learn_cadence:
        return []
    ended = {
        path
        for path, status in ledger.metrics.counters().get("outcomes", {})
        if status == "succeeded"
    }
    return list(_summaries(ledger, sorted(ended)))


def duration_line(shown: Mapping[str, Any]) -> str:
    """``alibaba/wan2.6-t2i: 14 s (median of the last 200), first check after 9 s``."""
    return (
        f"{shown['model']}: {shown['median_seconds']:.3g} s (median of the last "
        f"{shown['generations']}), first check after {shown['first_check_seconds']:.3g} s"
    )


def _summaries(ledger: Ledger, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    for path in paths:
        model, samples = catalog.find(f"/vendors/{path}"), ledger.queries.durations(path)
        poll_plan = fit(samples, model.schedule)
        first = None if poll_plan is None else poll_plan.seconds(0.0)
        if first is not None:
            yield {
                "model": model.name,
                "generations": round(sum(sample.weight for sample in samples)),
                "median_seconds": round(_median(samples), 1),
                "first_check_seconds": round(first, 1),
            }


def _median(samples: Sequence[DurationSample]) -> float:
    """Of the middles, each as often as it stands for a generation."""
    half = sum(sample.weight for sample in samples) / 2
    counted = 0.0
    for sample in sorted(samples, key=lambda sample: sample.low + sample.high):
        counted += sample.weight
        if counted >= half:
            return (sample.low + sample.high) / 2
    return 0.0

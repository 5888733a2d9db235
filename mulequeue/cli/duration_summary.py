"""What the cadence of the fleet's models was learned from, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mulequeue import catalog
from mulequeue.engine.poll.poll_plan import learned
from mulequeue.ledger import DurationSample, Ledger
from mulequeue.settings import Settings


def learned_of(ledger: Ledger, settings: Settings) -> list[dict[str, Any]]:
    """Every model whose generations taught when to check the next ones, JSON-ready."""
    if not settings.learn_cadence:
        return []
    ended = {path for path, status in ledger.counted().get("outcomes", {}) if status == "succeeded"}
    return list(_learned(ledger, sorted(ended)))


def learned_line(shown: Mapping[str, Any]) -> str:
    """``alibaba/wan2.6-t2i: 14 s (median of the last 200), first check after 9 s``."""
    return (
        f"{shown['model']}: {shown['median_seconds']:.3g} s (median of the last "
        f"{shown['generations']}), first check after {shown['first_check_seconds']:.3g} s"
    )


def _learned(ledger: Ledger, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    for path in paths:
        model, lives = catalog.find(f"/vendors/{path}"), ledger.lives(path)
        cadence = learned(lives, model.schedule)
        first = None if cadence is None else cadence.seconds(0.0)
        if first is not None:
            yield {
                "model": model.name,
                "generations": round(sum(life.weight for life in lives)),
                "median_seconds": round(_median(lives), 1),
                "first_check_seconds": round(first, 1),
            }


def _median(lives: Sequence[DurationSample]) -> float:
    """Of the middles, each as often as it stands for a generation."""
    half = sum(life.weight for life in lives) / 2
    counted = 0.0
    for life in sorted(lives, key=lambda life: life.low + life.high):
        counted += life.weight
        if counted >= half:
            return (life.low + life.high) / 2
    return 0.0

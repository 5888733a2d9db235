"""Emulators that the fleets of one test process use in turn: each start costs half a second of CPU."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from mulequeue.emulator.process import EmulatorProcess


class FleetEmulator(EmulatorProcess):
    """An emulator that knows whether another fleet can have it after this one.

    Faults hold and delay requests, and endpoints retry webhooks: their rest would reach a later test.
    """

    def __init__(self, **options: Any) -> None:
        self.options = frozenset(options.items())
        self.is_reusable = True
        super().__init__(**options)

    def faults(self, **faults: Any) -> dict[str, Any]:
        self.is_reusable = False
        return super().faults(**faults)

    def webhook(self, url: str, **endpoint: Any) -> dict[str, Any]:
        self.is_reusable = False
        return super().webhook(url, **endpoint)


_idle: dict[frozenset[tuple[str, Any]], list[FleetEmulator]] = defaultdict(list)
"""By what they were started with. They end with this process, whose pipe is their standard input."""


def borrow(*, faults: dict[str, Any] | None = None, **options: Any) -> FleetEmulator:
    """Return an emulator with nothing in its memory, started if none is idle."""
    idle = _idle[frozenset(options.items())]
    emulator = idle.pop() if idle else FleetEmulator(**options)
    emulator.reset()  # once more: a killed worker's last request may have arrived after its fleet
    if faults:
        emulator.faults(**faults)
    return emulator


def give_back(emulator: FleetEmulator) -> None:
    """Keep an emulator for the next fleet, or stop it."""
    if not emulator.is_reusable:
        emulator.stop()
        return
    emulator.reset()
    _idle[emulator.options].append(emulator)

"""A faithful emulator of the MuleRouter API over real HTTP, for trying things out and for tests.

It is never kinder than the API: it validates before it authenticates, knows no idempotency key,
answers a failed generation with HTTP 200, lets asset URLs expire and refuses a key that reaches
the asset host. ``python -m mulequeue.emulator`` starts it, :class:`EmulatorProcess` does so from
Python, and :mod:`mulequeue.emulator.faults` lists everything that can be made to go wrong.
"""

from mulequeue.emulator.process import EmulatorProcess

__all__ = ["EmulatorProcess"]

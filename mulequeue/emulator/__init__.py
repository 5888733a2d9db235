"""A faithful emulator of the MuleRouter API over real HTTP, for trials and for tests.

It is never kinder than the API: it validates before it authenticates, has no idempotency key,
answers a failed generation with HTTP 200, expires asset URLs, and rejects requests to the asset
host that carry an API key. ``python -m mulequeue.emulator`` starts it from a shell,
:class:`EmulatorProcess` from Python. :mod:`mulequeue.emulator.faults` lists the faults it can inject.
"""

from mulequeue.emulator.process import EmulatorProcess

__all__ = ["EmulatorProcess"]

"""Caps on money that are known before anything is enqueued."""

from __future__ import annotations

from mulequeue import catalog
from mulequeue.errors import BudgetExceeded, InputError
from mulequeue.settings import Settings


def check_batch(settings: Settings, model: str, size: int, profile: str | None = None) -> None:
    """Refuse a batch that is larger than its profile, or its model, allows.

    A process that does not know the profile leaves it to the workers, which look again.

    :param size: generations in the batch.
    :raises BudgetExceeded: it is too large.
    :raises ConfigurationError: a limit that makes no sense.
    """
    name = profile or "default"
    if name != "default" and name not in settings.profiles:
        return
    for limits in settings.profile(name, needs_key=False).limits_of(_path(model)):
        if limits.max_per_batch is not None and size > limits.max_per_batch:
            raise BudgetExceeded(
                f"A batch of {size} is larger than max_per_batch of profile {name!r} or of its "
                f"model allows: {limits.max_per_batch}. Nothing was sent. Make smaller batches, or "
                "raise max_per_batch."
            )


def _path(model: str) -> str:
    try:
        return catalog.find(model).api_path.removeprefix("/vendors/")
    except InputError:  # said by the generations themselves
        return ""

"""The limit of generations per batch, checked before anything is enqueued."""

from __future__ import annotations

from mulequeue import catalog
from mulequeue.errors import BudgetExceeded, InputError
from mulequeue.settings import Settings


def check_batch(settings: Settings, model: str, size: int, profile: str | None = None) -> None:
    """Raise for a batch that exceeds ``max_per_batch`` of its profile or its model.

    A process without the profile's settings skips the check; the workers check again.

    :param size: number of generations in the batch.
    :raises BudgetExceeded: the batch is too large.
    :raises ConfigurationError: a limit is invalid.
    """
    name = profile or "default"
    if name != "default" and name not in settings.profiles:
        return
    for limits in settings.profile(name, needs_key=False).limits_of(_path(model)):
        if limits.max_per_batch is not None and size > limits.max_per_batch:
            raise BudgetExceeded(
                f"A batch of {size} is larger than max_per_batch of profile {name!r} or of its "
                f"model: {limits.max_per_batch}. Nothing was sent. Make smaller batches, or raise "
                "max_per_batch."
            )


def _path(model: str) -> str:
    try:
        return catalog.find(model).api_path.removeprefix("/vendors/")
    except InputError:  # the generation raises it
        return ""

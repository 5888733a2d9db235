"""End waits that nothing would end: for the unsent rest of a batch, and for an id that is lost."""

from __future__ import annotations

import time
from collections.abc import Callable

from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Batch, Ledger
from mulequeue.tasks.batch_ids import batch_task_ids

GONE_SECONDS = 10.0
"""A batch without a task for so long is not sent any further."""
UNRECEIVED_SECONDS = 30.0


def is_sent(ledger: Ledger, batch: Batch) -> bool:
    """Return whether all members of a batch were sent, or a task sends the rest, or none is to be sent."""
    if batch.sent is None or batch.sent >= batch.size or batch.is_cancelled:
        return True
    return ledger.batches.has_task(batch.batch_id, batch_task_ids(batch))


class UnsentRest:
    """Ends a wait for members that no task sends. Call it repeatedly.

    :param batch: returns the batch as it was read last.
    :param clock: steady seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        batch: Callable[[], Batch],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger, self._batch, self._clock = ledger, batch, clock
        self._since: float | None = None

    def __call__(self) -> None:
        """Check it once.

        :raises MuleQueueError: the task of the batch was revoked or given up, and members are left.
        """
        batch = self._batch()
        if is_sent(self._ledger, batch):
            self._since = None
            return
        self._since = self._clock() if self._since is None else self._since
        if self._clock() - self._since >= GONE_SECONDS:
            raise MuleQueueError(
                f"{batch.size - (batch.sent or 0):,} of {batch.size:,} members of batch {batch.batch_id} "
                "were not sent, and no task sends them: it was revoked or given up. The same `mulequeue "
                f"batch` with --batch-id {batch.batch_id} sends the rest; what was sent is not billed again."
            )


def lost_error(name: str) -> MuleQueueError:
    """Return the error for an id that the ledger knew and does not know any more."""
    return MuleQueueError(
        f"The ledger does not know {name} any more: its Redis was emptied or replaced. What had been "
        "submitted is billed, and a new call is billed again. `mulequeue adopt API_PATH REMOTE_ID` stores "
        "a generation that the API still has."
    )


class Unreceived:
    """Reports that no worker has received a message for a while. Call it repeatedly.

    :param note: prints a message, once.
    """

    def __init__(self, name: str, note: Callable[[str], None]) -> None:
        self._name, self._note, self._started = name, note, time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._started >= UNRECEIVED_SECONDS:
            self._note(
                f"No worker has received {self._name} for {UNRECEIVED_SECONDS:.0f} s. If its message was "
                "purged or revoked, send it again under the same id: it is billed once."
            )

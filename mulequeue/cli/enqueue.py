"""Enqueueing a batch, with a count of how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celery import signals

from mulequeue.cli.error_line import Interrupted
from mulequeue.errors import ConfigurationError
from mulequeue.tasks.canvases import generate_many

if TYPE_CHECKING:
    from mulequeue.cli.batch import Job


def enqueue(app: Any, job: Job, batch_id: str, progress: Callable[[int, int], None]) -> None:
    """Publish the chord of a batch.

    :param progress: called with how many members were published, and of how many.
    :raises Stopped: Ctrl-C; a part of it is enqueued.
    :raises ConfigurationError: the app has no result backend, which a chord needs.
    """
    size, published = len(job.inputs), 0

    def count(sender: Any = None, **_: Any) -> None:
        nonlocal published
        published += 1
        progress(published, size)

    chord = generate_many(
        job.model.name,
        job.inputs,
        storage=job.storage,
        notify=job.notify,
        batch_id=batch_id,
        validate=job.validate,
    )
    progress(0, size)
    signals.after_task_publish.connect(count, sender="mulequeue.generate", weak=False)
    try:
        with app.producer_or_acquire() as producer:
            chord.apply_async(producer=producer)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped with {published} of {size} enqueued; those are made. For the rest, repeat the "
            f"command with --batch-id {batch_id} (nothing is paid twice), or end it: "
            f"mulequeue cancel {batch_id}"
        ) from None
    except NotImplementedError as exc:
        raise ConfigurationError(
            "A batch is a chord, and this app's result backend cannot do chords; "
            "set result_backend, for example to a Redis URL."
        ) from exc
    finally:
        signals.after_task_publish.disconnect(count, sender="mulequeue.generate")

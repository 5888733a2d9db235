"""AI images and videos by the thousand: MuleRouter generations as ordinary Celery tasks."""

from mulequeue.catalog.inputs import file
from mulequeue.errors import (
    BudgetExceeded,
    ConfigurationError,
    DownloadError,
    GenerationCancelled,
    GenerationError,
    GenerationFailed,
    GenerationTimedOut,
    InputError,
    MuleQueueError,
    NotificationError,
    SubmitUnknown,
)
from mulequeue.ops import worker_start as _checks  # noqa: F401  (connects a signal)
from mulequeue.outcome import Asset, ErrorInfo, File, Outcome
from mulequeue.settings.costs import Estimate, estimate
from mulequeue.tasks import worker_steps as _worker  # noqa: F401  (connects the worker's signals)
from mulequeue.tasks.canvases import generate_many, resume
from mulequeue.tasks.control import cancel, pause, status, unpause
from mulequeue.tasks.definitions import adopt, download, generate, generate_from, notify
from mulequeue.tasks.retry import Retried, retry

__version__ = "0.1.0"

__all__ = [
    "Asset",
    "BudgetExceeded",
    "ConfigurationError",
    "DownloadError",
    "ErrorInfo",
    "Estimate",
    "File",
    "GenerationCancelled",
    "GenerationError",
    "GenerationFailed",
    "GenerationTimedOut",
    "InputError",
    "MuleQueueError",
    "NotificationError",
    "Outcome",
    "Retried",
    "SubmitUnknown",
    "adopt",
    "cancel",
    "download",
    "estimate",
    "file",
    "generate",
    "generate_from",
    "generate_many",
    "notify",
    "pause",
    "resume",
    "retry",
    "status",
    "unpause",
]

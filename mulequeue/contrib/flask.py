"""mulequeue in a Flask app::

    mule = MuleQueue()

    def create_app():
        app = Flask(__name__)
        app.config.from_prefixed_env()
        mule.init_app(app)
        return app

    @mule.may_see
    def may_see(name):                  # a batch id, or the task id of a generation without one
        return name in session.get("started", [])

``app.extensions["celery"]`` then is the Celery app, as in Flask's documentation: it reads its settings
from ``app.config["CELERY"]``, and its tasks run in the app's context. mulequeue reads its settings from
``app.config["MULEQUEUE_…"]``, then from the environment.

=================================  ==========================================================
``/mulequeue/generations/<id>``    a generation as JSON, with the URLs of its files
``/mulequeue/files/<id>/<n>``      its n-th file, read from the storage
``/mulequeue/batches/<id>``        the progress of a batch as JSON
``/mulequeue/batches/<id>/events`` the same as server-sent events, until the batch is finished
``/mulequeue/webhook/``            receives MuleRouter's webhooks
=================================  ==========================================================

A request that is not permitted gets 404. Without :meth:`MuleQueue.may_see`, no request is permitted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery, Task
from flask import Blueprint, Flask, Response, abort, current_app, request, send_file, url_for

from mulequeue.contrib import progress
from mulequeue.engine import webhook_handler
from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.ledger import Record
from mulequeue.outcome import File
from mulequeue.settings import Settings

MaySee = Callable[[str], bool]
BLUEPRINT = "mulequeue"
_PREFIX = "MULEQUEUE_"


class MuleQueue:
    """The Flask extension.

    :param app: as for :meth:`init_app`; None: call :meth:`init_app` later.
    :param may_see: see :meth:`may_see`.
    """

    def __init__(self, app: Flask | None = None, *, may_see: MaySee | None = None) -> None:
        self._may_see: MaySee = may_see or _deny
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, *, url_prefix: str = "/mulequeue") -> Celery:
        """Add the Celery app and the blueprint to the Flask app.

        :param url_prefix: the URL prefix of the blueprint.
        :returns: the Celery app in ``app.extensions``, or a new one if there is none.
        :raises ConfigurationError: a ``MULEQUEUE_…`` key is unknown or its value is invalid.
        """
        celery = app.extensions.get("celery") or make_celery(app)
        celery.conf.update({key.lower(): app.config[key] for key in _setting_keys(app)})
        Settings.load(celery)
        app.extensions["mulequeue"] = self
        app.register_blueprint(_blueprint, url_prefix=url_prefix)
        return celery

    def may_see(self, allowed: MaySee) -> MaySee:
        """Register the function that decides whether the current request may see a generation.

        It receives the batch id, or the task id of a generation without a batch. Usable as a
        decorator.
        """
        self._may_see = allowed
        return allowed

    def check(self, name: str) -> None:
        """Abort with 404 unless the current request may see this batch or generation."""
        if not self._may_see(name):
            abort(404)


def make_celery(app: Flask) -> Celery:
    """Make the Celery app of a Flask app, as in Flask's documentation.

    If ``app.config["CELERY"]`` names no broker, broker and result backend are ``MULEQUEUE_REDIS_URL``.
    """

    class FlaskTask(Task):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery = Celery(app.import_name, task_cls=FlaskTask)
    given = {key.lower(): value for key, value in app.config.get("CELERY", {}).items()}
    if "broker_url" not in given:
        url = app.config.get("MULEQUEUE_REDIS_URL") or Settings.load().redis_url
        given = {"broker_url": url, "result_backend": url, **given}
    celery.conf.update(given)
    celery.set_default()
    app.extensions["celery"] = celery
    return celery


def _deny(_: str) -> bool:
    return False


def _setting_keys(app: Flask) -> list[str]:
    return [key for key in app.config if key.startswith(_PREFIX)]


_blueprint = Blueprint(BLUEPRINT, __name__)


def _context() -> WorkerContext:
    return worker_context(current_app.extensions["celery"])


def _check(name: str) -> None:
    current_app.extensions["mulequeue"].check(name)


def _record(task_id: str) -> Record | None:
    """Return the record of a generation, or abort with 404 if the request may not see it."""
    record = _context().ledger.queries.record(task_id)
    _check(record.batch if record and record.batch else task_id)
    return record


def file_url(task_id: str, number: int) -> str:
    """Return the URL at which the app serves a file of a generation."""
    return url_for(f"{BLUEPRINT}.file", task_id=task_id, number=number)


@_blueprint.get("/generations/<task_id>")
def generation(task_id: str) -> dict[str, Any]:
    """Return a generation as JSON; ``state`` is ``queued`` until a worker has received it."""
    record = _record(task_id)
    if record is None:
        return {"task_id": task_id, "state": "queued", "is_over": False, "error": None, "files": []}
    return progress.generation_json(record, file_url)


@_blueprint.get("/files/<task_id>/<int:number>")
def file(task_id: str, number: int) -> Response:
    """Return a file, read from the storage."""
    record = _record(task_id)
    if record is None or number >= len(record.files):
        abort(404)
    return serve(record.files[number], _context().settings)


def serve(file: File, settings: Settings) -> Response:
    """Make the response for a stored file. It supports range requests, which videos need."""
    try:
        opened = progress.open_file(file, settings)
    except OSError:
        abort(404)
    response = send_file(opened, mimetype=file.media_type, conditional=False)
    response.content_length = file.bytes
    response.headers.update(progress.FILE_HEADERS)
    response.make_conditional(request, accept_ranges=True, complete_length=file.bytes)
    return response


@_blueprint.get("/batches/<batch_id>")
def batch(batch_id: str) -> dict[str, Any]:
    """Return the progress of a batch as JSON."""
    _check(batch_id)
    return progress.batch_json(_context().ledger, batch_id)


@_blueprint.get("/batches/<batch_id>/events")
def batch_events(batch_id: str) -> Response:
    """Stream the progress of a batch."""
    _check(batch_id)
    ledger = _context().ledger
    return event_stream(lambda: progress.batch_json(ledger, batch_id))


def event_stream(read: Callable[[], dict[str, Any]]) -> Response:
    """Make the response that streams the progress, see :func:`mulequeue.contrib.progress.events`.

    :param read: returns the progress, a JSON object with ``is_over``.
    """
    stream = progress.events(read)
    return Response(stream, mimetype="text/event-stream", headers=progress.EVENT_HEADERS)


@_blueprint.post("/webhook/")
def webhook() -> tuple[str, int, dict[str, str]]:
    """Receive a signed event. A request without a valid signature changes nothing."""
    body = request.stream.read(webhook_handler.MAX_BODY_BYTES + 1)
    reply = webhook_handler.handle(
        dict(request.headers), body, app=current_app.extensions["celery"]
    )
    return reply.text, reply.status_code, {"Content-Type": "text/plain; charset=utf-8"}

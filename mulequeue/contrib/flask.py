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

``app.extensions["celery"]`` is then the Celery app, in Flask's documented pattern: its settings are
``app.config["CELERY"]``, its tasks run inside of the app's context. Settings of mulequeue are read
from ``app.config["MULEQUEUE_…"]``, then from the environment.

=================================  ==========================================================
``/mulequeue/generations/<id>``    a generation as JSON, with the URLs of its files
``/mulequeue/files/<id>/<n>``      its n-th file, out of the storage
``/mulequeue/batches/<id>``        where a batch stands, as JSON
``/mulequeue/batches/<id>/events`` the same as server-sent events, until it is over
``/mulequeue/webhook/``            takes MuleRouter's webhooks
=================================  ==========================================================

Whoever may not see something is told that it does not exist. Nobody may see anything until
:meth:`MuleQueue.may_see` says so.
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
    """The extension.

    :param app: as for :meth:`init_app`; None: call that later.
    :param may_see: see :meth:`may_see`.
    """

    def __init__(self, app: Flask | None = None, *, may_see: MaySee | None = None) -> None:
        self._may_see: MaySee = may_see or _nobody
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, *, url_prefix: str = "/mulequeue") -> Celery:
        """Give the app its Celery app and the blueprint.

        :param url_prefix: of the blueprint.
        :returns: the Celery app: the one that is in ``app.extensions`` already, or a new one.
        :raises ConfigurationError: an unknown ``MULEQUEUE_…`` key, or a value it cannot have.
        """
        celery = app.extensions.get("celery") or make_celery(app)
        celery.conf.update({key.lower(): app.config[key] for key in _ours(app)})
        Settings.load(celery)
        app.extensions["mulequeue"] = self
        app.register_blueprint(_blueprint, url_prefix=url_prefix)
        return celery

    def may_see(self, allowed: MaySee) -> MaySee:
        """Decorates the function that says whether the current request may see something.

        It gets the batch id, or the task id of a generation that is in no batch.
        """
        self._may_see = allowed
        return allowed

    def check(self, name: str) -> None:
        """Answer 404 unless the current request may see it."""
        if not self._may_see(name):
            abort(404)


def make_celery(app: Flask) -> Celery:
    """The Celery app of a Flask app, as Flask's documentation makes it.

    Without a broker in ``app.config["CELERY"]`` it is ``MULEQUEUE_REDIS_URL``, for results as well.
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


def _nobody(_: str) -> bool:
    return False


def _ours(app: Flask) -> list[str]:
    return [key for key in app.config if key.startswith(_PREFIX)]


_blueprint = Blueprint(BLUEPRINT, __name__)


def _context() -> WorkerContext:
    return worker_context(current_app.extensions["celery"])


def _check(name: str) -> None:
    current_app.extensions["mulequeue"].check(name)


def _record(task_id: str) -> Record | None:
    """What the ledger knows of a generation that the request may see."""
    record = _context().ledger.queries.record(task_id)
    _check(record.batch if record and record.batch else task_id)
    return record


def file_url(task_id: str, number: int) -> str:
    """Where the app serves a file of a generation."""
    return url_for(f"{BLUEPRINT}.file", task_id=task_id, number=number)


@_blueprint.get("/generations/<task_id>")
def generation(task_id: str) -> dict[str, Any]:
    """A generation as JSON; ``state`` is ``queued`` before any worker has taken it."""
    record = _record(task_id)
    if record is None:
        return {"task_id": task_id, "state": "queued", "is_over": False, "error": None, "files": []}
    return progress.generation_json(record, file_url)


@_blueprint.get("/files/<task_id>/<int:number>")
def file(task_id: str, number: int) -> Response:
    """A file, out of the storage."""
    record = _record(task_id)
    if record is None or number >= len(record.files):
        abort(404)
    return serve(record.files[number], _context().settings)


def serve(file: File, settings: Settings) -> Response:
    """The response that is a stored file; a browser may ask for parts of it (videos)."""
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
    """Where a batch stands."""
    _check(batch_id)
    return progress.batch_json(_context().ledger, batch_id)


@_blueprint.get("/batches/<batch_id>/events")
def batch_events(batch_id: str) -> Response:
    """The same as it changes."""
    _check(batch_id)
    ledger = _context().ledger
    return event_stream(lambda: progress.batch_json(ledger, batch_id))


def event_stream(look: Callable[[], dict[str, Any]]) -> Response:
    """The response that follows what ``look`` gives, see :func:`mulequeue.contrib.progress.events`."""
    stream = progress.events(look)
    return Response(stream, mimetype="text/event-stream", headers=progress.EVENT_HEADERS)


@_blueprint.post("/webhook/")
def webhook() -> tuple[str, int, dict[str, str]]:
    """Takes signed events; what is not signed changes nothing."""
    body = request.stream.read(webhook_handler.MAX_BODY_BYTES + 1)
    reply = webhook_handler.handle(
        dict(request.headers), body, app=current_app.extensions["celery"]
    )
    return reply.text, reply.status_code, {"Content-Type": "text/plain; charset=utf-8"}

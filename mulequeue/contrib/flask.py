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

``app.extensions["celery"]`` is then the Celery app, as in Flask's documentation: it reads its settings
from ``app.config["CELERY"]``, and its tasks run in the context of the Flask app. mulequeue reads its settings
from ``app.config["MULEQUEUE_…"]``, else from the environment.

The routes are those of :mod:`mulequeue.contrib.routes`, under ``/mulequeue``. Without :meth:`MuleQueue.may_see`,
no request is permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

from celery import Celery, Task
from flask import Blueprint, Flask, Response, abort, current_app, request, send_file, url_for
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter

from mulequeue.contrib import progress
from mulequeue.contrib.files import FILE_HEADERS, open_file
from mulequeue.contrib.flask_context import follow_context
from mulequeue.contrib.routes import Routes
from mulequeue.contrib.zip_stream import Entry, zip_blocks, zip_headers
from mulequeue.engine import webhook_handler
from mulequeue.engine.worker_context import worker_context
from mulequeue.outcome import File
from mulequeue.settings import Settings

MaySee = Callable[[str], bool]
BLUEPRINT = "mulequeue"


class MuleQueue:
    """The Flask extension.

    :param app: as for :meth:`init_app`; None: call :meth:`init_app` later.
    :param may_see: see :meth:`may_see`.
    """

    def __init__(self, app: Flask | None = None, *, may_see: MaySee | None = None) -> None:
        self._may_see: MaySee = may_see or (lambda name: False)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, *, url_prefix: str = "/mulequeue") -> Celery:
        """Add the Celery app and the blueprint to the Flask app.

        :param url_prefix: the URL prefix of the blueprint.
        :returns: the Celery app in ``app.extensions``, or a new one if there is none.
        :raises ConfigurationError: a ``MULEQUEUE_…`` key or variable is unknown, or its value is invalid.
        """
        celery = app.extensions.get("celery") or make_celery(app)
        celery.conf.update(app.config.get_namespace("MULEQUEUE_", trim_namespace=False))
        Settings.load(celery)
        app.extensions["mulequeue"] = self
        app.url_map.converters["mulequeue_id"] = IdConverter
        app.register_blueprint(_blueprint, url_prefix=url_prefix)
        follow_context(app)
        return celery

    def may_see(self, allowed: MaySee) -> MaySee:
        """Register the function that decides whether the current request may see a generation.

        The function receives the batch id, or the task id of a generation without a batch. This method can be
        used as a decorator.
        """
        self._may_see = allowed
        return allowed

    def check(self, name: str) -> None:
        """Abort with 404 unless the current request may see this batch or generation.

        :param name: the batch id, or the task id of a generation without a batch.
        """
        if not self._may_see(name):
            abort(404)


def make_celery(app: Flask) -> Celery:
    """Make the Celery app of a Flask app, as in Flask's documentation.

    If ``app.config["CELERY"]`` has no ``broker_url``, the broker is the Redis of ``MULEQUEUE_REDIS_URL``, and so is
    the result backend unless ``app.config["CELERY"]`` has one.
    """

    class FlaskTask(Task):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    # It becomes Celery's default app, not the current one, which the contexts of several Flask apps set.
    celery = Celery(app.import_name, task_cls=FlaskTask, set_as_current=False)
    given = {key.lower(): value for key, value in app.config.get("CELERY", {}).items()}
    if "broker_url" not in given:
        url = app.config.get("MULEQUEUE_REDIS_URL") or Settings.load().redis_url
        given = {"broker_url": url, "result_backend": url, **given}
    celery.conf.update(given)
    celery.set_default()
    app.extensions["celery"] = celery
    return celery


class IdConverter(BaseConverter):
    """A task id or batch id as one segment of a path.

    Servers decode a path once, so ``/`` and ``%`` in an id are encoded twice. An id that was encoded only
    once is accepted as well.
    """

    regex = ".+?"
    part_isolating = False

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: Any) -> str:
        return quote(quote(str(value), safe=""), safe="")


_blueprint = Blueprint(BLUEPRINT, __name__)


def _routes() -> Routes:
    extensions = current_app.extensions
    return Routes(worker_context(extensions["celery"]), extensions["mulequeue"].check, NotFound())


def file_url(task_id: str, number: int) -> str:
    """Return the URL at which the Flask app serves a file of a generation."""
    return url_for(f"{BLUEPRINT}.file", task_id=task_id, number=number)


@_blueprint.get("/generations/<mulequeue_id:task_id>")
def generation(task_id: str) -> tuple[dict[str, Any], int]:
    return _routes().generation(task_id, file_url)


@_blueprint.get("/files/<mulequeue_id:task_id>/<int:number>")
def file(task_id: str, number: int) -> Response:
    routes = _routes()
    return serve(routes.file(task_id, number), routes.ctx.settings)


def serve(file: File, settings: Settings) -> Response:
    """Return a response with a stored file. Range requests are supported, because videos need them."""
    try:
        opened = open_file(file, settings)
    except OSError:
        abort(404)
    response = send_file(opened, mimetype=file.media_type, conditional=False)
    response.content_length = file.bytes
    response.headers.update(FILE_HEADERS)
    response.make_conditional(request, accept_ranges=True, complete_length=file.bytes)
    return response


@_blueprint.get("/batches/<mulequeue_id:batch_id>")
def batch(batch_id: str) -> tuple[dict[str, Any], int]:
    return _routes().batch(batch_id)


@_blueprint.get("/batches/<mulequeue_id:batch_id>/events")
def batch_events(batch_id: str) -> Response | tuple[dict[str, Any], int]:
    routes = _routes()
    found, status = routes.batch(batch_id)
    if status != 200:
        return found, status
    return event_stream(partial(progress.batch_json, routes.ctx.ledger, batch_id))


@_blueprint.get("/batches/<mulequeue_id:batch_id>/zip")
def batch_zip(batch_id: str) -> Response:
    routes = _routes()
    entries = routes.entries(batch_id)
    return zip_response(entries, routes.ctx.settings, name=f"{batch_id}.zip")


def zip_response(entries: Iterable[Entry], settings: Settings, *, name: str) -> Response:
    """Return a response with a zip archive of this file name, see :func:`mulequeue.contrib.zip_stream.zip_blocks`."""
    blocks = zip_blocks(entries, partial(open_file, settings=settings))
    return Response(blocks, mimetype="application/zip", headers=zip_headers(name))


def event_stream(read: Callable[[], dict[str, Any]]) -> Response:
    """Return a response that streams progress, see :func:`mulequeue.contrib.progress.events`."""
    stream = progress.events(read)
    return Response(stream, mimetype="text/event-stream", headers=progress.EVENT_HEADERS)


@_blueprint.post("/webhook/")
def webhook() -> tuple[str, int, dict[str, str]]:
    """Receive a webhook of MuleRouter. A request without a valid signature changes nothing."""
    # After a hook has read the body, the stream is empty, and the request's cache has the body.
    body = request.stream.read(webhook_handler.MAX_BODY_BYTES + 1) or request.get_data()
    reply = webhook_handler.handle(
        dict(request.headers), body, app=current_app.extensions["celery"]
    )
    return reply.text, reply.status_code, {"Content-Type": "text/plain; charset=utf-8"}

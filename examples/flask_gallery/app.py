"""The Flask app: settings, the extension, protection."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Flask, Response
from gallery.album import album_of
from gallery.fields import MOST_BYTES
from gallery.fleet import EXAMPLES
from gallery.keys import kept_secret
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from flask_gallery import csrf, views
from flask_gallery.albums import Albums
from mulequeue import recommended
from mulequeue.contrib.flask import BLUEPRINT, MuleQueue

DATA = Path(__file__).parent / "data"
mule = MuleQueue()


@mule.may_see
def may_see(name: str) -> bool:
    """Permit a batch to the session that started it."""
    return views.albums().find(album_of(name), views.owner()) is not None


def create_app(data: Path | None = None) -> Flask:
    """Make the Flask app.

    :param data: the folder for all data; None: ``GALLERY_DATA``, or ``data`` beside this file.
    """
    data = (data or Path(os.environ.get("GALLERY_DATA", DATA))).resolve()
    data.mkdir(parents=True, exist_ok=True)
    shared = EXAMPLES / "gallery"
    app = Flask(__name__, template_folder=shared / "templates", static_folder=shared / "static")
    app.config.from_mapping(
        SECRET_KEY=os.environ.get("SECRET_KEY") or kept_secret(data / "secret_key"),
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=MOST_BYTES,
        MAX_FORM_MEMORY_SIZE=MOST_BYTES,
        MULEQUEUE_STORAGE=str(data / "files"),
        CELERY=_recommended(),
    )
    app.config.from_prefixed_env()
    app.extensions["albums"] = Albums(data / "gallery.sqlite3")
    mule.init_app(app)
    csrf.protect(app, exempt=f"{BLUEPRINT}.webhook")
    app.register_blueprint(views.blueprint)
    app.register_error_handler(413, views.too_large)
    for away in (RedisError, OperationalError):
        app.register_error_handler(away, views.no_redis)
    app.after_request(_protect)
    return app


def _recommended() -> dict[str, Any]:
    """Return mulequeue's recommended settings without the broker, which the extension sets."""
    given = {name: value for name, value in vars(recommended).items() if not name.startswith("_")}
    return {
        name: given[name] for name in given if name not in ("os", "broker_url", "result_backend")
    }


def _protect(response: Response) -> Response:
    response.headers.setdefault(
        "Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'"
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response

"""A form is taken only from a page of ours: it carries a secret of the session."""

from __future__ import annotations

import hmac
import secrets

from flask import Flask, abort, request, session

FIELD = "csrfmiddlewaretoken"  # Django's name, because the templates are shared
_SAFE = ("GET", "HEAD", "OPTIONS")


def protect(app: Flask, *, exempt: str) -> None:
    """Check every form of the app.

    :param exempt: the blueprint whose requests are authorised otherwise (signed webhooks).
    """

    @app.before_request
    def check() -> None:
        if request.method in _SAFE or request.blueprint == exempt:
            return
        if not hmac.compare_digest(request.form.get(FIELD, "").encode(), token().encode()):
            abort(
                403,
                "This form is too old, or not of this site. Go back, reload the page, try again.",
            )

    app.context_processor(lambda: {"csrf_token": token()})


def token() -> str:
    """The session's."""
    return str(session.setdefault("csrf", secrets.token_urlsafe(24)))

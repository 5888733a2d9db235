"""CSRF protection: accept a form only with the session's token, which only this site's pages have."""

from __future__ import annotations

import hmac
import secrets

from flask import Flask, abort, request, session

FIELD = "csrfmiddlewaretoken"  # Django's name, because the templates are shared
_SAFE = ("GET", "HEAD", "OPTIONS")


def protect(app: Flask, *, exempt: str) -> None:
    """Check the token of every form of the app.

    :param exempt: the endpoint whose requests have another authorization (signed webhooks).
    """

    @app.before_request
    def check() -> None:
        if request.method in _SAFE or request.endpoint == exempt:
            return
        if not hmac.compare_digest(request.form.get(FIELD, "").encode(), token().encode()):
            abort(
                403,
                "This form has expired or is from another site. Go back, reload the page and try again.",
            )

    app.context_processor(lambda: {"csrf_token": token()})


def token() -> str:
    """Return the session's token."""
    return str(session.setdefault("csrf", secrets.token_urlsafe(24)))

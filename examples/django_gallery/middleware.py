"""The content security policy, and the answer while Redis does not answer."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from gallery.fields import NO_REDIS
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError


def content_policy(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Allow only files of this site, and no inline scripts."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = answer(request)
        response.headers.setdefault(
            "Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'"
        )
        return response

    return middleware


class NoRedis:
    """Answers 503 with an explanation if Redis does not answer."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._answer(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, (RedisError, OperationalError)):
            return HttpResponse(NO_REDIS, status=503, content_type="text/plain")
        return None

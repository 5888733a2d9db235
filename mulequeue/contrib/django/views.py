"""The view for MuleRouter's webhooks."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from mulequeue.engine import webhook_handler


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Receive a webhook of MuleRouter. A request without a valid signature changes nothing."""
    try:
        # If middleware has read the stream, the request may have the body in its cache.
        body = request.read(webhook_handler.MAX_BODY_BYTES + 1) or request.body
    except RawPostDataException:
        body = b""
    except UnreadablePostError:
        return HttpResponse("incomplete request body", status=400, content_type="text/plain")
    reply = webhook_handler.handle(request.headers, body)
    return HttpResponse(reply.text, status=reply.status_code, content_type="text/plain")

"""Read the bytes of one asset: from a URL, or from inline data in the URL."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from urllib.parse import quote, unquote_to_bytes, urljoin

import requests
import urllib3

from mulequeue.errors import AssetGone, DownloadError
from mulequeue.net.address_guard import redact_url
from mulequeue.net.environment import CONNECT_TIMEOUT_SECONDS
from mulequeue.net.guarded_session import TransferSession
from mulequeue.net.session_pool import session_pool
from mulequeue.settings import Settings
from mulequeue.transfer.control import TransferControl, guard_for, translate_errors

CHUNK_BYTES = 512 * 1024  # a third less CPU time than with 1 MiB, for files of 2 MiB
_MAX_REDIRECTS = 20
_READ_TIMEOUT_SECONDS = 60.0
_REDIRECTS = (301, 302, 303, 307, 308)
_ASCII = bytes(range(0x21, 0x7F))
_STANDARD = bytes.maketrans(b"-_", b"+/")  # of base64, from the alphabet for URLs
_LATER = (408, 425, 429)


@contextmanager
def asset_chunks(
    url: str, *, settings: Settings, control: TransferControl
) -> Iterator[Iterator[bytes]]:
    """Stream the asset's content in chunks.

    A URL is fetched without the API key; the address guard checks every redirect. ``hex:…`` and
    ``data:…`` are decoded.

    :param settings: have the total time, the largest size and the allowed addresses.
    :raises DownloadError: on entry or during the iteration. Not retryable: a forbidden address, more than
        ``download_max_bytes``, malformed inline data. All other errors are retryable.
        :class:`~mulequeue.errors.AssetGone`: the URL answers with a status other than 200, 408, 425, 429 and 5xx.
    :raises ConfigurationError: this process cannot make the request; another one may.
    """
    if url[:5].lower().startswith(("hex:", "data:")):
        yield _limit_size(iter([_decode_inline(url)]), settings.download_max_bytes)
        return
    deadline = time.monotonic() + settings.download_timeout_seconds
    for _ in range(_MAX_REDIRECTS + 1):
        with _open(url, settings, control, deadline) as (session, response):
            target = _redirect_target(response, url)
            if target is None:
                _check_head(response, url, settings.download_max_bytes)
                chunks = _stream(response, url, session, settings, control)
                yield _limit_size(chunks, settings.download_max_bytes)
                return
            if response.headers.get("Content-Length") == "0":  # the session can then be used again
                session.was_read = not response.raw.read()
        url = target
    raise DownloadError(f"{redact_url(url)}: more than {_MAX_REDIRECTS} redirects.")


@contextmanager
def _open(
    url: str, settings: Settings, control: TransferControl, deadline: float
) -> Iterator[tuple[TransferSession, requests.Response]]:
    """Send one GET and provide the response; its body is not read yet."""
    timeout = (CONNECT_TIMEOUT_SECONDS, _READ_TIMEOUT_SECONDS)
    headers = {"Accept-Encoding": "identity"}
    with ExitStack() as stack:
        with _translate_errors(url, None, settings):
            session = stack.enter_context(session_pool.borrow(url, guard_for(settings)))
        stack.enter_context(control.attach(session))
        stack.enter_context(session.total_deadline(deadline - time.monotonic()))
        with _translate_errors(url, session, settings):
            response = session.get(url, headers=headers, timeout=timeout)
        yield session, stack.enter_context(response)


def _redirect_target(response: requests.Response, url: str) -> str | None:
    """Return the URL that a response redirects to, parsed as browsers do, or None."""
    locations: list[str] = response.raw.headers.getlist("Location")
    if response.status_code not in _REDIRECTS or not (locations and locations[0].strip()):
        return None
    raw = locations[0].strip().encode("latin-1")  # http.client decoded the header as latin-1
    try:
        location = raw.decode()
    except UnicodeDecodeError:
        location = quote(raw, safe=_ASCII)
    path, mark, query = location.partition("?")
    return urljoin(url, path.replace("\\", "/") + mark + query)


def _check_head(response: requests.Response, url: str, max_bytes: int) -> None:
    status = response.status_code
    if status != 200:
        is_passing = status >= 500 or status in _LATER
        kind = DownloadError if is_passing else AssetGone
        raise kind(f"{redact_url(url)} returned {status}.")
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > max_bytes:
        raise _size_error(max_bytes)


def _stream(
    response: requests.Response,
    url: str,
    session: TransferSession,
    settings: Settings,
    control: TransferControl,
) -> Iterator[bytes]:
    with _translate_errors(url, session, settings):
        # urllib3 raises if the connection ends before the last chunk, and from 2.0 on also if it
        # ends before the announced length. Decoding copies every byte, even with no encoding.
        is_packed = "Content-Encoding" in response.headers
        while chunk := response.raw.read(CHUNK_BYTES, decode_content=is_packed):
            control.count(len(chunk))
            yield chunk
        # Without an announced length, a body that was aborted looks complete.
        if session.was_aborted or response.raw.length_remaining:
            raise urllib3.exceptions.ProtocolError("the connection ended early")
        session.was_read = True


def _translate_errors(
    url: str, session: TransferSession | None, settings: Settings
) -> AbstractContextManager[None]:
    late = (
        f"{redact_url(url)} was not complete within {settings.download_timeout_seconds:g} s. "
        "Raise mulequeue_download_timeout_seconds if the file is that large."
    )
    return translate_errors(DownloadError, redact_url(url), session, late=late)


def _limit_size(chunks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise _size_error(max_bytes)
        yield chunk


def _size_error(max_bytes: int) -> DownloadError:
    return DownloadError(
        f"The asset is larger than {max_bytes} bytes. Raise mulequeue_download_max_bytes to store it.",
        retryable=False,
    )


def _decode_inline(url: str) -> bytes:
    """Decode ``hex:…``, or ``data:…`` as browsers do.

    Base64 may contain white space, lack its padding, or use the alphabet for URLs. Other text is percent-encoded.
    """
    scheme, _, rest = url.partition(":")
    try:
        if scheme.lower() == "hex":
            return bytes.fromhex(rest)
        head, comma, text = rest.partition(",")
        if not comma:
            raise ValueError("no comma")
        data = unquote_to_bytes(text)
        if head.rpartition(";")[2].strip().lower() != "base64":
            return data
        digits = b"".join(data.partition(b"#")[0].split()).rstrip(b"=").translate(_STANDARD)
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except ValueError as exc:
        raise DownloadError(
            f"The API's inline {scheme.lower()} data is malformed: {exc}.", retryable=False
        ) from None

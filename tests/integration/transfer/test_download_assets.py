"""Downloads from faulty servers into three kinds of storage."""

from __future__ import annotations

import base64
import gc
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import fsspec
import pytest
from fsspec.registry import _registry
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from support.raw_server import (  # noqa: F401
    drip,
    flood,
    hang_up,
    http,
    plain_network,
    raw_server,
    say_nothing,
)
from support.waiting import wait_until

from mulequeue.errors import AssetGone, ConfigurationError, DownloadError, StorageError
from mulequeue.outcome import Asset, Outcome
from mulequeue.settings import Settings
from mulequeue.transfer.download_assets import download_assets

pytestmark = pytest.mark.usefixtures("plain_network")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 50
MP4 = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0" * 5000
IMAGE = http("200 OK", PNG, Content_Type="image/png")


def outcome_of(*urls, kind="image", remote_id="r1"):
    return Outcome(
        task_id="order-1",
        status="succeeded",
        remote_id=remote_id,
        model="alibaba/wan2.6-t2i",
        submitted_at="2026-03-01T10:00:00+00:00",
        assets=tuple(Asset(url=url, kind=kind) for url in urls),
    )


def settings(**fields):
    return Settings(**({"base_url": "http://127.0.0.1:1"} | fields))


def download(outcome, storage, *, refresh=None, **fields):
    return download_assets(
        outcome,
        settings=settings(**fields),
        storage=str(storage),
        path=None,
        refresh=refresh,
    )


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# What arrives


def test_assets_are_stored_under_their_path(tmp_path):
    """Every asset is stored in a file named by its content, and no other file remains."""

    def answer(connection, request, state):
        video = request.line.startswith("GET /b")
        connection.sendall(http("200 OK", MP4 if video else PNG, Set_Cookie="a=b"))

    with raw_server(answer) as server:
        files = download(outcome_of(f"{server.url}/a.bin", f"{server.url}/b?sig=1"), tmp_path)

    folder = tmp_path / "alibaba/wan2.6-t2i/2026-03-01/r1"
    assert ["0.png", "1.mp4"] == files_in(folder)
    assert PNG == (folder / "0.png").read_bytes()
    assert [(folder / "0.png").as_uri(), (folder / "1.mp4").as_uri()] == [f.url for f in files]
    assert [("image/png", len(PNG)), ("video/mp4", len(MP4))] == [
        (f.media_type, f.bytes) for f in files
    ]
    for request in server.requests:
        assert not {"authorization", "cookie"} & set(request.headers)


@pytest.mark.parametrize("form", ["{0}", "file://{0}", "{0}/"])
def test_a_folder_can_be_named_in_every_form(form, tmp_path):
    """A plain folder and its file:// URL are the same storage."""
    with raw_server(IMAGE) as server:
        (file,) = download(outcome_of(server.url), form.format(tmp_path / "out"))

    expected = tmp_path / "out" / "alibaba/wan2.6-t2i/2026-03-01/r1/0.png"
    assert expected.as_uri() == file.url
    assert PNG == expected.read_bytes()


def test_a_folder_with_odd_characters_works(tmp_path):
    """Blanks, brackets and stars in the storage's name have no special meaning."""
    with raw_server(IMAGE) as server:
        (file,) = download(outcome_of(server.url), tmp_path / "my [files] 50% *")

    assert "/my%20%5Bfiles%5D%2050%25%20%2A/" in file.url


def test_memory_is_a_storage_too():
    """A storage that is not a folder gets the same files, under its own URLs."""
    storage = f"memory://test-{uuid.uuid4().hex}"
    with raw_server(IMAGE) as server:
        (file,) = download(outcome_of(server.url), storage)

    assert PNG == fsspec.open(file.url).open().read()
    fs = fsspec.filesystem("memory")
    assert 1 == len(fs.find(storage))
    fs.rm(storage, recursive=True)


def test_the_same_download_again_replaces_the_file(tmp_path):
    """A second download overwrites the same file."""
    with raw_server(IMAGE) as server:
        (first,) = download(outcome_of(server.url), tmp_path)
        Path(first.url.removeprefix("file://")).write_bytes(b"something else")
        (second,) = download(outcome_of(server.url), tmp_path)

    assert first == second
    assert PNG == Path(first.url.removeprefix("file://")).read_bytes()
    assert 1 == len(files_in(tmp_path))


def test_an_outcome_without_assets_has_no_files(tmp_path):
    """An outcome without assets is no error and opens no connection."""
    assert () == download(outcome_of(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


SOUND = b"ID3\x04" + bytes(range(256)) + b"\xfb\xff\xfe~"  # + and / in base64
BASE64 = base64.b64encode(SOUND).decode()
INLINE = {
    "hex": f"hex:{SOUND.hex()}",
    "hex in capitals": f"hex:{SOUND.hex().upper()}",
    "base64": f"data:audio/mpeg;base64,{BASE64}",
    "no padding": f"data:audio/mpeg;base64,{BASE64.rstrip('=')}",
    "too much padding": f"data:audio/mpeg;base64,{BASE64}==",
    "for URLs": f"data:audio/mpeg;base64,{base64.urlsafe_b64encode(SOUND).decode()}",
    "lines": f"data:audio/mpeg;base64,{textwrap.fill(BASE64, 76)}\r\n",
    "encoded base64": f"data:audio/mpeg;base64,{quote(BASE64, safe='')}",
    "encoded white space": f"data:audio/mpeg;base64,{BASE64[:8]}%0A%20{BASE64[8:]}",
    "capitals": f"DATA:Audio/MPEG;BASE64,{BASE64}",
    "parameters": f"data:audio/mpeg;charset=utf-8;name=a;base64,{BASE64}",
    "a space before base64": f"data:audio/mpeg; base64 ,{BASE64}",
    "no media type": f"data:;base64,{BASE64}",
    "nothing but the data": f"data:,{quote(SOUND)}",
    "a fragment": f"data:audio/mpeg;base64,{BASE64}#t=1",
    "percent": f"data:audio/mpeg,{quote(SOUND)}",
    "every byte as percent": "data:audio/mpeg," + "".join(f"%{byte:02x}" for byte in SOUND),
}


@pytest.mark.parametrize("url", INLINE.values(), ids=INLINE.keys())
def test_inline_data_is_read_in_every_usual_spelling(url, tmp_path):
    """Data inside the API's JSON becomes a file like any other."""
    (file,) = download(outcome_of(url, kind="audio"), tmp_path)

    assert ("audio/mpeg", len(SOUND)) == (file.media_type, file.bytes)
    assert SOUND == Path(file.url.removeprefix("file://")).read_bytes()


def test_a_minute_of_speech_in_hex_is_stored(tmp_path):
    """Inline data may be as large as any other asset."""
    sound = b"ID3\x04" + bytes(6 * 1024**2)
    (file,) = download(outcome_of(f"hex:{sound.hex()}", kind="audio"), tmp_path)

    assert len(sound) == file.bytes


def test_chunked_answers_and_ends_by_closing_are_read(tmp_path):
    """A body without Content-Length ends with its last chunk, or with the connection."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"

    def closing(connection, request, state):
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + PNG)
        connection.shutdown(2)

    for answer in (chunked % (len(PNG), PNG), closing):
        with raw_server(answer) as server:
            (file,) = download(outcome_of(server.url), tmp_path)
        assert len(PNG) == file.bytes


REDIRECTS = {
    "absolute": (b"{url}/b.png", "/b.png"),
    "with a path": (b"/b.png", "/b.png"),
    "relative": (b"b.png", "/dir/b.png"),
    "dots": (b"../b.png?c=d", "/b.png?c=d"),
    "query alone": (b"?c=d", "/dir/a?c=d"),
    "without scheme": (b"//{host}/b.png", "/b.png"),
    "UTF-8": ("/mémé 猫.png?q=é".encode(), "/m%C3%A9m%C3%A9%20%E7%8C%AB.png?q=%C3%A9"),
    "Latin-1": ("/mémé.png".encode("latin-1"), "/m%E9m%E9.png"),
    "encoded": (b"/m%C3%A9%2Fx.png?a=b%26c", "/m%C3%A9%2Fx.png?a=b%26c"),
    "spaces around": (b"  /b c.png  ", "/b%20c.png"),
    "fragment": (b"/b.png#page=1", "/b.png"),
    "two slashes": (b"{url}//b//c.png", "//b//c.png"),
    "backslashes": (rb"\b\c.png?d=\e", "/b/c.png?d=%5Ce"),
    "scheme in capitals": (b"HTTP://{host}/b.png", "/b.png"),
}


@pytest.mark.parametrize(("location", "expected"), REDIRECTS.values(), ids=REDIRECTS.keys())
def test_a_redirect_is_read_as_browsers_read_it(location, expected, tmp_path):
    """A Location leads to the address that a browser would ask for."""

    def answer(connection, request, state):
        if request.line.startswith("GET /dir/a "):
            host = state.url.removeprefix("http://").encode()
            to = location.replace(b"{url}", state.url.encode()).replace(b"{host}", host)
            connection.sendall(
                b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % to
            )
        else:
            connection.sendall(IMAGE)

    with raw_server(answer) as server:
        (file,) = download(outcome_of(f"{server.url}/dir/a"), tmp_path)

    assert len(PNG) == file.bytes
    assert [f"GET {expected} HTTP/1.1"] == [request.line for request in server.requests[1:]]


def test_twenty_redirects_are_followed(tmp_path):
    """As many redirects as browsers allow lead to the file, without cookies or credentials."""

    def answer(connection, request, state):
        hop = int(request.line.split()[1].strip("/") or 0)
        to = http("302 Found", Location=f"/{hop + 1}", Set_Cookie="a=b")
        connection.sendall(IMAGE if hop == 20 else to)

    with raw_server(answer) as server:
        (file,) = download(outcome_of(f"{server.url}/"), tmp_path)

    assert len(PNG) == file.bytes
    assert 21 == len(server.requests)
    for request in server.requests:
        assert not {"authorization", "cookie"} & set(request.headers)


# What does not


def loop(connection, request, state):
    connection.sendall(http("302 Found", Location=state.url))


def cut_short(connection, request, state):
    connection.sendall(http("200 OK", PNG, Content_Length=str(len(PNG) + 1)))
    raise ConnectionAbortedError


def cut_late(connection, request, state):
    body = PNG + bytes(3 * 1024**2)
    connection.sendall(http("200 OK", body, Content_Length=str(len(body) + 1)))
    raise ConnectionAbortedError


def cut_chunks(connection, request, state):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + PNG)
    raise ConnectionAbortedError


FAILURES = {
    "HTML": (http("200 OK", "<html>expired</html>", Content_Type="video/mp4"), True),
    "JSON": (http("200 OK", '{"error":1}'), True),
    "empty": (http("200 OK"), True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    "206": (http("206 Partial Content", PNG), True),
    "cut short": (cut_short, True),
    "cut after megabytes": (cut_late, True),
    "cut between chunks": (cut_chunks, True),
    "hangs up": (hang_up, True),
    "not HTTP": (b"hello\r\n\r\n", True),
    "429": (http("429 Too Many Requests"), True),
    "500": (http("500 Internal Server Error"), True),
    "503": (http("503 Service Unavailable"), True),
    "400": (http("400 Bad Request"), True),
    "404": (http("404 Not Found"), True),
    "302 without address": (http("302 Found"), True),
    "redirects without end": (loop, True),
    "redirect to a private address": (http("302 Found", Location="https://10.0.0.1/x"), False),
    "redirect to metadata": (http("302 Found", Location="http://169.254.169.254/"), False),
    "redirect to another scheme": (http("302 Found", Location="file:///etc/passwd"), False),
    "too large, announced": (http("200 OK", PNG, Content_Length="99999999"), False),
    "too large, not announced": (flood(b"HTTP/1.1 200 OK\r\n\r\n" + PNG), False),
    "silent": (say_nothing, True),
    "dripping": (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + PNG), True),
    "dripping without length": (drip(b"HTTP/1.1 200 OK\r\n\r\n" + PNG), True),
}


@pytest.mark.parametrize(("answer", "retryable"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failed_download_leaves_nothing(answer, retryable, tmp_path):
    """Every failure is a DownloadError that is retryable or not, and leaves no file."""
    limits = {"download_max_bytes": 10**7, "download_timeout_seconds": 0.5}
    with raw_server(answer) as server, pytest.raises(DownloadError) as failed:
        download(outcome_of(f"{server.url}/?Signature=abc"), tmp_path, **limits)

    assert retryable is failed.value.retryable, failed.value
    assert [] == files_in(tmp_path)
    assert "Signature" not in str(failed.value)


@pytest.mark.parametrize(
    "url",
    [
        "hex:00zz",
        "data:audio/mpeg;base64,%%%",
        "data:;base64,SUQzB",
        "data:audio/mpeg",
        "http://[::1",
        "nonsense",
    ],
)
def test_damaged_urls_are_final(url, tmp_path):
    """Inline data that cannot be decoded, and an invalid URL, are final errors."""
    with pytest.raises(DownloadError) as failed:
        download(outcome_of(url, kind="audio"), tmp_path)

    assert not failed.value.retryable


def test_without_permission_no_private_address_is_asked(tmp_path):
    """By default http and this machine are rejected, and the error names the setting."""
    with raw_server(IMAGE) as server, pytest.raises(DownloadError) as failed:
        download(outcome_of(server.url), tmp_path, base_url=None)

    assert not failed.value.retryable
    assert "mulequeue_allow_private_addresses" in str(failed.value)
    assert 0 == server.connections


def test_an_existing_file_survives_a_failed_attempt(tmp_path):
    """A download that fails does not change the complete file of an earlier one."""
    with raw_server(IMAGE) as good:
        (file,) = download(outcome_of(good.url), tmp_path)
    with raw_server(cut_late) as bad, pytest.raises(DownloadError):
        download(outcome_of(bad.url), tmp_path)

    assert PNG == Path(file.url.removeprefix("file://")).read_bytes()
    assert 1 == len(files_in(tmp_path))


def test_one_bad_asset_leaves_the_good_ones(tmp_path):
    """Stored assets remain, and a final error takes precedence over a retryable one."""

    def answer(connection, request, state):
        forbidden = http("302 Found", Location="https://10.0.0.1/x")
        answers = {"GET /0": IMAGE, "GET /1": http("500 Oops"), "GET /2": forbidden}
        connection.sendall(answers[request.line[:6]])

    with raw_server(answer) as server, pytest.raises(DownloadError) as failed:
        download(outcome_of(*(f"{server.url}/{n}" for n in range(3))), tmp_path)

    assert not failed.value.retryable
    assert ["0.png"] == [Path(name).name for name in files_in(tmp_path)]


def test_a_storage_that_takes_no_file_may_take_it_later(tmp_path):
    """A folder that cannot be made is a retryable error that names it."""
    (tmp_path / "alibaba").write_text("a file where a folder should be")
    with raw_server(IMAGE) as server, pytest.raises(DownloadError, match="cannot be written") as no:
        download(outcome_of(server.url), tmp_path)

    assert no.value.retryable


# URLs without the file

PASSING = {
    "401": http("401 No"),
    "403": http("403 Forbidden"),
    "404": http("404 Not Found"),
    "410": http("410 Gone"),
    "400": http("400 Bad Request"),
    "page": http("200 OK", "<html>expired</html>", Content_Type="image/png"),
    "nothing": http("200 OK"),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
}
OLD, YOUNG = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


def expiring(outcome, at):
    return replace(outcome, assets=tuple(replace(item, expires_at=at) for item in outcome.assets))


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING.keys())
def test_the_api_is_asked_once_for_other_urls(answer, tmp_path):
    """URLs without the file are read from the API once per attempt, and the new ones are used."""
    asked = []

    def serve(connection, request, state):
        connection.sendall(IMAGE if request.line.startswith("GET /new") else answer)

    with raw_server(serve) as server:

        def refresh():
            asked.append(1)
            return outcome_of(f"{server.url}/new/0", f"{server.url}/new/1")

        old = outcome_of(f"{server.url}/old/0", f"{server.url}/old/1")
        files = download(old, tmp_path, refresh=refresh)

    assert 2 == len(files)
    assert [1] == asked


def answers_of_the_api(old):
    """What the API may say that is no other URL."""
    return [None, outcome_of(), old]


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING.keys())
def test_a_young_url_without_its_file_is_tried_again(answer, tmp_path):
    """While the URL lives, an answer without the file is retryable."""
    with raw_server(answer) as server:
        old = expiring(outcome_of(server.url), YOUNG)
        for fresh in answers_of_the_api(old):
            with pytest.raises(AssetGone) as no:
                download(old, tmp_path, refresh=lambda fresh=fresh: fresh)
            assert no.value.retryable


@pytest.mark.parametrize("at", [None, "2020-01-01", "soon"])
def test_a_url_of_unknown_age_is_taken_for_young(at, tmp_path):
    """Without a time in UTC that has passed, nothing has expired."""
    with raw_server(http("404 Not Found")) as server:
        old = expiring(outcome_of(server.url), at)
        with pytest.raises(AssetGone) as no:
            download(old, tmp_path)

    assert no.value.retryable


@pytest.mark.parametrize("answer", [*PASSING.values(), http("503 Away"), hang_up])
def test_an_expired_url_is_final(answer, tmp_path):
    """When its time is over and the API gives no other URL, the error is final, with the reason."""
    with raw_server(answer) as server:
        old = expiring(outcome_of(server.url), OLD)
        for fresh in answers_of_the_api(old):
            with pytest.raises(DownloadError, match="expired at 2020") as no:
                download(old, tmp_path, refresh=lambda fresh=fresh: fresh)
            assert not no.value.retryable


@pytest.mark.parametrize("at", [OLD, YOUNG])
def test_a_new_url_that_does_not_work_yet_is_tried_again(at, tmp_path):
    """A URL that was just made is young, however old the generation is."""
    with raw_server(http("403 Forbidden")) as server:
        old, new = expiring(outcome_of(f"{server.url}/old"), at), outcome_of(f"{server.url}/new")
        with pytest.raises(AssetGone) as no:
            download(old, tmp_path, refresh=lambda: new)

    assert no.value.retryable
    assert 2 == len(server.requests)


@pytest.mark.parametrize("at", [OLD, YOUNG])
@pytest.mark.parametrize("is_final", [True, False])
def test_the_word_of_the_api_decides(is_final, at, tmp_path):
    """What the API says of its asset is final; if it says nothing, the error is retryable."""

    def refresh():
        if is_final:
            raise DownloadError("it is gone", retryable=False)
        raise RuntimeError("the API is away")

    with raw_server(http("403 Forbidden")) as server, pytest.raises(DownloadError) as no:
        download(expiring(outcome_of(server.url), at), tmp_path, refresh=refresh)

    assert is_final is not no.value.retryable


@pytest.mark.parametrize("answer", [http("503 Away"), hang_up, http("429 Slow down")])
def test_a_host_that_is_away_costs_the_api_nothing(answer, tmp_path):
    """While the URL lives, the API is not asked because of its host."""
    with raw_server(answer) as server, pytest.raises(DownloadError) as no:
        download(expiring(outcome_of(server.url), YOUNG), tmp_path, refresh=pytest.fail)

    assert no.value.retryable


def test_a_storage_that_fails_costs_the_api_nothing(tmp_path):
    """A disk that is full says nothing about an URL, also about one that has expired meanwhile."""
    (tmp_path / "alibaba").write_text("a file where a folder should be")
    with raw_server(IMAGE) as server, pytest.raises(StorageError) as no:
        download(expiring(outcome_of(server.url), OLD), tmp_path, refresh=pytest.fail)

    assert no.value.retryable


# What this process cannot do


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_missing_ca_bundle_is_a_fault_of_this_process(variable, tmp_path, monkeypatch):
    """A CA bundle that does not exist is an error of the configuration, not of the asset."""
    monkeypatch.setenv(variable, "/not/there.pem")
    with raw_server(IMAGE) as server, pytest.raises(ConfigurationError, match=variable):
        download(outcome_of(server.url), tmp_path)


def test_a_profile_without_key_is_a_fault_of_this_process(tmp_path):
    """An attempt that cannot ask the API for lack of a key is left to other processes."""

    def refresh():
        raise ConfigurationError("No API key")

    with raw_server(http("404 Not Found")) as server, pytest.raises(ConfigurationError):
        download(outcome_of(server.url), tmp_path, refresh=refresh)


def test_a_name_that_leads_into_a_private_network_is_a_fault_of_this_process(tmp_path, monkeypatch):
    """Another machine may resolve a name to another address; nothing is sent to this one."""
    with raw_server(IMAGE) as server:
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", server.port))]
        )
        with pytest.raises(ConfigurationError, match=r"assets\.example"):
            download(outcome_of("https://assets.example/a.png"), tmp_path, base_url=None)

    assert [] == server.requests


# Around it


@pytest.mark.parametrize("assets", [1, 3])
def test_a_time_limit_stops_the_transfers(assets, tmp_path):
    """An exception of a signal handler ends all transfers at once and leaves no file."""

    class Over(Exception):
        pass

    def over(number, frame):
        raise Over

    def answer(connection, request, state):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + PNG)
        arrived.release()
        connection.settimeout(10)
        ends.append(connection.recv(1))

    def limit():
        for _ in range(assets):
            assert arrived.acquire(timeout=10)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    arrived, timer, ends = threading.Semaphore(0), threading.Thread(target=limit), []
    before = signal.signal(signal.SIGUSR1, over)
    try:
        with raw_server(answer) as server:
            timer.start()
            with pytest.raises(Over):
                download(outcome_of(*(f"{server.url}/{n}" for n in range(assets))), tmp_path)
            timer.join()
            wait_until(lambda: [b""] * assets == ends, what="the end of every connection")
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert [] == files_in(tmp_path)


def test_assets_come_in_parallel(tmp_path):
    """Assets of one outcome are downloaded in parallel, up to the setting's limit."""
    meeting = threading.Barrier(2, timeout=10)

    def answer(connection, request, state):
        meeting.wait()  # passes only when two requests are here at once
        connection.sendall(IMAGE)

    with raw_server(answer) as server:
        urls = [f"{server.url}/{n}" for n in range(4)]
        files = download(outcome_of(*urls), tmp_path, downloads_at_once=2)

    assert 4 == len(files)


def test_it_works_in_greenlets(tmp_path):
    """Downloads work in a process patched by gevent: in parallel, repeated, and at the deadline."""
    pytest.importorskip("gevent", reason="gevent is not installed: pip install gevent")
    program = textwrap.dedent(
        """
        from gevent import monkey; monkey.patch_all()
        import sys
        from mulequeue.errors import DownloadError
        from mulequeue.outcome import Asset, Outcome
        from mulequeue.settings import Settings
        from mulequeue.transfer.download_assets import download_assets

        def download(*names, seconds=30):
            assets = tuple(Asset(url=f"{sys.argv[1]}/{name}", kind="image") for name in names)
            outcome = Outcome(task_id="t", status="succeeded", remote_id="r", assets=assets)
            settings = Settings(base_url=sys.argv[1], download_timeout_seconds=seconds)
            return download_assets(outcome, settings=settings, storage=sys.argv[2])

        print(len(download(*range(4)) + download(*range(4))))
        try:
            download("drip", seconds=0.3)
        except DownloadError as exc:
            print(exc)
        """
    )

    def answer(connection, request, state):
        if "/drip" in request.line:
            drip(b"HTTP/1.1 200 OK\r\n\r\n" + PNG)(connection, request, state)
        connection.sendall(IMAGE)

    with raw_server(answer) as server:
        command = [sys.executable, "-c", program, server.url, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    count, _, cut = done.stdout.partition("\n")
    assert "8" == count, done.stderr
    assert "was not complete within 0.3 s" in cut
    assert 9 == len(server.requests)
    assert 4 >= server.connections


# Object stores


class Bucket(AbstractFileSystem):
    """An object store, in which an object appears when its upload is complete."""

    protocol = "oci"
    cachable = False
    objects: dict[str, bytes] = {}  # noqa: RUF012 - the one bucket of the test

    def _open(self, path, mode="rb", block_size=None, **kwargs):
        return Upload(self, path, mode, block_size=block_size)

    def makedirs(self, path, exist_ok=False):
        raise AssertionError("an object store has no folders, and a bucket is not ours to make")


class Upload(AbstractBufferedFile):
    def _initiate_upload(self):
        self.parts = []

    def _upload_chunk(self, final=False):
        self.parts.append(self.buffer.getvalue())
        if final:
            self.fs.objects[self.path] = b"".join(self.parts)
        return True


@pytest.fixture
def bucket():
    fsspec.register_implementation("oci", Bucket, clobber=True)
    Bucket.objects.clear()
    yield Bucket.objects
    _registry.pop("oci")


def test_an_object_is_written_under_its_final_name(bucket):
    """An object is written under its final name and appears when it is complete."""
    with raw_server(IMAGE) as server:
        (file,) = download(outcome_of(server.url), "oci://bucket/prefix")

    path = "bucket/prefix/alibaba/wan2.6-t2i/2026-03-01/r1/0.png"
    assert {path: PNG} == bucket
    assert f"oci://{path}" == file.url


def test_a_broken_transfer_leaves_no_object(bucket):
    """An incomplete upload is discarded, also by the garbage collector."""
    with raw_server(cut_late) as server, pytest.raises(DownloadError):
        download(outcome_of(server.url), "oci://bucket")
    gc.collect()  # a file that is thrown away open would complete its upload now

    assert {} == bucket

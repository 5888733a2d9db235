"""The FastAPI router, with a worker, a Redis and the emulated API."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

fastapi = pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")

from support.ports import free_port  # noqa: E402
from support.waiting import wait_until  # noqa: E402
from support.webhook import WEBHOOK_SECRET, ended, event, signed  # noqa: E402

from mulequeue import download, generate, generate_many  # noqa: E402
from mulequeue.contrib.fastapi import make_router  # noqa: E402

MODEL = "alibaba/wan2.6-t2i"


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Run the app on a real server; its URL."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, what="the server")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


def make_app(fleet: Any, **options: Any) -> Any:
    app = fastapi.FastAPI()
    app.include_router(make_router(fleet.app, **options), prefix="/mule")
    return app


@pytest.fixture
def site(fleet: Any) -> Iterator[str]:
    """A site whose visitor may see everything; a worker generates."""
    fleet.app.conf.mulequeue_webhook_secret = WEBHOOK_SECRET
    fleet.worker()
    with served(make_app(fleet, may_see=lambda request, name: True)) as url:
        yield f"{url}/mule"


def test_a_batch_is_followed_to_its_pictures(site: str) -> None:
    """The stream ends with the batch; its members are JSON, and their files are served."""
    inputs = [{"prompt": "a mule"}, {"prompt": "a fox"}]
    generate_many(MODEL, inputs, batch_id="b1", poll_interval=0.2).delay()

    stream = requests.get(f"{site}/batches/b1/events", timeout=60)

    *_, last = stream.text.strip().split("\n\n")
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert last.startswith("event: end\n")
    status = requests.get(f"{site}/batches/b1", timeout=20).json()
    assert status == json.loads(last.partition("data: ")[2])
    assert (2, 2, 2, True) == tuple(status[key] for key in ("size", "done", "files", "is_over"))
    told = requests.get(f"{site}/generations/b1-000001", timeout=20).json()
    assert ("succeeded", "a fox", None) == (told["state"], told["label"], told["error"])
    picture = requests.get(site.removesuffix("/mule") + told["files"][0]["url"], timeout=20)
    assert (200, "image/png") == (picture.status_code, picture.headers["Content-Type"])
    assert picture.content.startswith(b"\x89PNG")
    assert "nosniff" == picture.headers["X-Content-Type-Options"]


def test_a_batch_is_downloaded_as_one_archive(site: str) -> None:
    """Its files are named by place and prompt; an unknown batch is not found."""
    inputs = [{"prompt": "a mule"}, {"prompt": "a fox"}]
    generate_many(MODEL, inputs, batch_id="z/1", poll_interval=0.2).delay().get(timeout=60)

    answer = requests.get(f"{site}/batches/z%2F1/zip", timeout=20)

    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert ["0001 a mule.png", "0002 a fox.png"] == archive.namelist()
    assert archive.testzip() is None
    assert "chunked" == answer.headers["Transfer-Encoding"]
    assert 404 == requests.get(f"{site}/batches/none/zip", timeout=20).status_code


def test_a_part_of_a_file_is_served(site: str) -> None:
    """As players of videos ask for it; a part beyond its end is refused."""
    signature = generate.s(MODEL, {"prompt": "a mule"}, poll_interval=0.2).set(task_id="alone")
    (signature | download.s()).delay().get(timeout=30)
    url = f"{site}/files/alone/0"

    part = requests.get(url, headers={"Range": "bytes=1-3"}, timeout=20)
    beyond = requests.get(url, headers={"Range": "bytes=99999999-"}, timeout=20)

    assert (206, b"PNG") == (part.status_code, part.content)
    assert part.headers["Content-Range"].startswith("bytes 1-3/")
    assert 416 == beyond.status_code
    assert 404 == requests.get(f"{site}/files/alone/1", timeout=20).status_code


def test_ids_may_hold_slashes_and_other_characters(site: str) -> None:
    """The URLs of the files lead to them."""
    task_id = "orders/2026?a=1 #%2F"
    signature = generate.s(MODEL, {"prompt": "a mule"}, poll_interval=0.2).set(task_id=task_id)
    (signature | download.s()).delay().get(timeout=30)

    quoted = requests.utils.quote(task_id, safe="")
    told = requests.get(f"{site}/generations/{quoted}", timeout=20).json()

    assert (task_id, "succeeded") == (told["task_id"], told["state"])
    url = site.removesuffix("/mule") + told["files"][0]["url"]
    assert 200 == requests.get(url, timeout=20).status_code


def test_unknown_ids_are_not_found(site: str) -> None:
    """What was enqueued and not received is queued; what was never enqueued is unknown."""
    for path in ("generations/x", "batches/x", "batches/x/events"):
        answer = requests.get(f"{site}/{path}", timeout=20)
        assert (404, "unknown") == (answer.status_code, answer.json()["state"])


def test_a_webhook_is_verified(site: str) -> None:
    """A signed event is accepted, also one that is sent in pieces; others change nothing."""
    body = event(ended("nobody"))

    accepted = requests.post(f"{site}/webhook", data=body, headers=signed(body), timeout=20)
    other = event(ended("another"))
    in_pieces = requests.post(
        f"{site}/webhook", data=iter([other[:10], other[10:]]), headers=signed(other), timeout=20
    )
    unsigned = requests.post(f"{site}/webhook", data=body, timeout=20)
    large = requests.post(f"{site}/webhook", data=b"x" * 2_000_000, timeout=20)

    answers = [accepted, in_pieces, unsigned, large]
    assert [200, 200, 401, 413] == [answer.status_code for answer in answers]


@pytest.mark.parametrize("options", [{}, {"may_see": lambda request, name: name == "mine"}])
def test_what_a_visitor_may_not_see_is_not_found(fleet: Any, options: dict[str, Any]) -> None:
    """Without ``may_see`` nothing is shown; a member is asked for by its batch."""
    with served(make_app(fleet, **options)) as url:
        paths = (
            "generations/t",
            "files/t/0",
            "batches/b",
            "batches/b/events",
            "generations/b-000000",
        )
        answers = [requests.get(f"{url}/mule/{path}", timeout=20) for path in paths]

    assert [(404, {"detail": "Not Found"})] * 5 == [(a.status_code, a.json()) for a in answers]


def test_the_permission_may_depend_on_the_request(fleet: Any) -> None:
    """An application's own refusal reaches the visitor."""

    def may_see(request: Any, name: str) -> bool:
        if "X-User" not in request.headers:
            raise fastapi.HTTPException(401)
        return name == request.headers["X-User"]

    with served(make_app(fleet, may_see=may_see)) as url:
        path = f"{url}/mule/batches/ann"
        codes = [
            requests.get(path, headers=headers, timeout=20).json().get("state")
            or requests.get(path, headers=headers, timeout=20).status_code
            for headers in ({}, {"X-User": "bob"}, {"X-User": "ann"})
        ]

    assert [401, 404, "unknown"] == codes

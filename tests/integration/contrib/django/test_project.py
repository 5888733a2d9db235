"""What a Django developer expects of an app."""

from __future__ import annotations

import pytest
import requests
from support.django_project import DjangoProject, row_when, start, stored
from support.generations import new_id
from support.webhook import WEBHOOK_SECRET, ended, event, signed

ON_COMMIT = """
from django.db import transaction
try:
    with transaction.atomic():
        mulequeue.generate.apply_async_on_commit(
            ("alibaba/wan2.6-t2i", {{"prompt": "a mule"}}), task_id={task_id!r}
        )
        if {fails}:
            raise RuntimeError
except RuntimeError:
    pass
answer = None
"""


def test_on_commit_sends_after_the_transaction(project: DjangoProject) -> None:
    """A task of ours is sent when the transaction commits, and not when it rolls back."""
    committed, rolled_back = new_id("yes"), new_id("no")

    project.shell(ON_COMMIT.format(task_id=rolled_back, fails=True))
    project.shell(ON_COMMIT.format(task_id=committed, fails=False))

    project.fleet.wait_for_state(committed, "generating", "settled", "delivering", "delivered")
    assert project.fleet.ledger.queries.record(rolled_back) is None


REFUSED = """
from django.contrib.auth.models import User

def refusal(call):
    try:
        with transaction.atomic():
            User.objects.create(username="customer")
            try:
                call()
            except Exception as exc:
                where = type(exc).__name__
                raise
            where = "at the commit"
    except Exception as exc:
        return where, User.objects.filter(username="customer").exists()

model, wrong, right = "alibaba/wan2.6-t2v", {"prompt": "a", "resolution": "720P"}, {"prompt": "a"}
previous = {"task_id": "t", "status": "succeeded"}
answer = [
    refusal(call)
    for call in (
        lambda: mulequeue.generate.delay_on_commit(model, wrong),
        lambda: mulequeue.generate.delay_on_commit(model=model, input=wrong),
        lambda: mulequeue.generate.apply_async_on_commit((model, wrong), task_id="t"),
        lambda: mulequeue.generate.delay_on_commit("no/model", right),
        lambda: mulequeue.generate_from.delay_on_commit(previous, model, wrong),
        lambda: mulequeue.generate.delay_on_commit(model),
        lambda: mulequeue.generate.delay_on_commit(model, {"prompt": object()}, validate="off"),
        lambda: mulequeue.generate.apply_async_on_commit((model, right), task_id="gate:1"),
        lambda: mulequeue.adopt.delay_on_commit("/vendors/a/b", "a b"),
        lambda: mulequeue.download.delay_on_commit({"status": object()}),
        lambda: transaction.on_commit((mulequeue.generate.s(model, wrong) | mulequeue.download.s()).delay),
        lambda: transaction.on_commit(mulequeue.generate_many(model, [right, wrong]).delay),
    )
]
"""


def test_a_refused_call_rolls_the_transaction_back(still_project: DjangoProject) -> None:
    """A call that cannot be sent raises where it is made, and no row of its transaction is saved."""
    done = still_project.manage("migrate", "-v", "0")
    assert 0 == done.returncode, done.stderr

    found = still_project.shell(REFUSED)

    kinds = ["InputError"] * 5 + ["TypeError", "EncodeError"] + ["InputError"] * 2
    kinds += ["EncodeError"] + ["InputError"] * 2
    assert [[kind, False] for kind in kinds] == found


def test_files_go_to_the_default_storage(project: DjangoProject) -> None:
    """A downloaded picture is served under MEDIA_URL, and written again it keeps its name."""
    row = stored(project, start(project))
    name = row["files"][0]["url"].removeprefix("django://")

    urls = project.shell(f"answer = Generation.objects.get(pk={row['task_id']!r}).urls")
    again = project.shell(
        "from mulequeue.transfer.download_assets import download_assets\n"
        "from mulequeue.engine.worker_context import worker_context\n"
        "from mulequeue.ledger import outcome_of\n"
        f"outcome = outcome_of(worker_context().ledger.queries.record({row['task_id']!r}))\n"
        "answer = download_assets(outcome, settings=worker_context().settings)[0].url\n"
    )

    assert [f"/media/{name}"] == urls
    assert f"django://{name}" == again
    picture = requests.get(project.url + urls[0], timeout=10).content
    assert picture.startswith(b"\x89PNG")
    folder = (project.folder / "media" / name).parent
    assert [folder / "0.png"] == list(folder.iterdir())


@pytest.mark.parametrize("location", ["file", "memory"])
def test_any_storage_takes_a_file_whole_or_not_at_all(
    project: DjangoProject, location: str
) -> None:
    """A transfer that breaks off leaves nothing, and one that is repeated replaces the file."""
    found = project.shell(
        "from mulequeue.contrib.django import filesystem as storage\n"
        "from django.core.files.storage import FileSystemStorage, InMemoryStorage\n"
        "from mulequeue.transfer.storage import Storage\n"
        "place = Storage('django://somewhere', {})\n"
        f"place.fs.storage = InMemoryStorage() if {location == 'memory'} else FileSystemStorage('other')\n"
        "def broken():\n"
        "    yield b'half'\n"
        "    raise ConnectionError\n"
        "def write(chunks):\n"
        "    try:\n"
        "        return place.write('a/b.png', chunks)\n"
        "    except Exception as exc:\n"
        "        return type(exc).__name__\n"
        "def there():\n"
        "    return place.fs.storage.listdir('somewhere/a')[1] if place.fs.exists('somewhere/a') else []\n"
        "answer = [write(broken()), there(), write(iter([b'one'])), write(iter([b'three'])), write(broken()), there()]\n"
        "answer.append(place.fs.open('somewhere/a/b.png').read().decode())\n"
    )

    assert ["StorageError", [], 3, 5, "StorageError", ["b.png"], "three"] == found


def test_webhooks_reach_the_view(project: DjangoProject) -> None:
    """A signed webhook ends a generation through the URLconf, without a CSRF token."""
    project.fleet.emulator.faults(lives=[{"end": "never"}])
    task_id = start(project, interval=3000)
    record = project.fleet.wait_for_state(task_id, "generating")
    url, failed = f"{project.url}/mulequeue/webhook/", ended(record.remote_id, "failed")
    body, large = event(failed, kind="task.failed"), b" " * (1024**2 + 1)

    refused = requests.post(url, body, timeout=10)
    oversized = requests.post(url, large, headers=signed(large), timeout=10)
    asked = requests.get(url, timeout=10)
    taken = requests.post(url, body, headers=signed(body), timeout=10)

    assert [401, 413, 405] == [refused.status_code, oversized.status_code, asked.status_code]
    assert (200, "settled") == (taken.status_code, taken.text)
    row_when(project, task_id, state="failed")


READ_BEFORE = """
from django.test import RequestFactory
from mulequeue.contrib.django.views import webhook

def answer_after(read):
    request = RequestFactory().post("/", {body!r}, "application/json", headers={headers!r})
    read(request)
    return webhook(request).status_code

answer = [
    answer_after(read)
    for read in (
        lambda request: request.body,
        lambda request: request.POST,
        lambda request: (request.body, request.read()),
        lambda request: request.read(),
        lambda request: request.read(10),
    )
]
"""


def test_middleware_may_read_the_body_of_a_webhook(project: DjangoProject) -> None:
    """What Django keeps is still verified; a consumed stream is an error of the project."""
    body = event(ended("a-generation"))

    codes = project.shell(READ_BEFORE.format(body=body, headers=signed(body)))

    assert [200, 200, 200, 500, 500] == codes


@pytest.mark.parametrize(("encoding", "key"), [("hex", "as_given"), ("base64", "decoded")])
def test_generations_end_by_webhooks_alone(project: DjangoProject, encoding: str, key: str) -> None:
    """The API tells twice and in the wrong order; no status check is ever made."""
    project.fleet.emulator.webhook(
        f"{project.url}/mulequeue/webhook/",
        secret=WEBHOOK_SECRET,
        encoding=encoding,
        key=key,
        copies=2,
        reorder=True,
    )

    rows = [stored(project, start(project, interval=3000)) for _ in range(3)]

    assert ["succeeded"] * 3 == [row["state"] for row in rows]
    assert [0] * 3 == [row["polls"] for row in rows]
    answers = [status for told in project.fleet.emulator.webhooks() for status in told["answers"]]
    assert {200} == set(answers)


def test_progress_streams_under_wsgi_and_asgi(still_project: DjangoProject) -> None:
    """The view's one line gives each kind of server the stream that it does not collect."""
    kinds = still_project.shell(
        "from django.test import AsyncRequestFactory, RequestFactory\n"
        "from mulequeue.contrib.django.responses import event_stream\n"
        "look = lambda: {'is_over': True}\n"
        "made = [event_stream(kind().get('/'), look) for kind in (RequestFactory, AsyncRequestFactory)]\n"
        "answer = [response.is_async for response in made] + [b''.join(made[0]).decode()]"
    )

    assert [False, True] == kinds[:2]
    assert "event: end" in kinds[2]


def test_an_archive_streams_under_wsgi_and_asgi(still_project: DjangoProject) -> None:
    """Each kind of server gets an iterator that it does not collect, with the same bytes."""
    answer = still_project.shell(
        "import asyncio\n"
        "from django.test import AsyncRequestFactory, RequestFactory\n"
        "from mulequeue.contrib.django.responses import zip_response\n"
        "from mulequeue.contrib.zip_stream import Entry\n"
        "from mulequeue.settings import Settings\n"
        "made = [zip_response(kind().get('/'), [Entry('fox', missing='not here')], Settings(), name='a.zip')\n"
        "    for kind in (RequestFactory, AsyncRequestFactory)]\n"
        "async def read(): return b''.join([block async for block in made[1]])\n"
        "bodies = [b''.join(made[0]), asyncio.run(read())]\n"
        "answer = [*(response.is_async for response in made), *(b'missing.txt' in body for body in bodies)]"
    )

    assert [False, True, True, True] == answer

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

    assert ["DownloadError", [], 3, 5, "DownloadError", ["b.png"], "three"] == found


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

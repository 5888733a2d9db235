"""mulequeue's tasks behind Django's interface of background tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.django_project import DjangoProject
from support.fleet import Fleet
from support.pages import blocks
from support.waiting import wait_until

pytest.importorskip("django.tasks", reason="needs Django 6, which needs Python 3.12")

MORE = """
TASKS = {
    "default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"},
    "pictures": {
        "BACKEND": "mulequeue.contrib.django.task_backend.MuleQueueBackend", "QUEUES": ["default", "celery"]
    },
}
"""
IMPORTS = """
from django.tasks import default_task_backend, task, task_backends
from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist, TaskResultMismatch
from mulequeue.contrib.django.background_tasks import adopt, generate, generate_files, generate_many
INPUT = {"prompt": "a mule", "n": 1}
MODEL = "alibaba/wan2.6-t2i"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjangoProject]:
    """A project with a backend for its own tasks and one for mulequeue's, and a worker."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "fleet").mkdir()
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}
    with Fleet(folder / "fleet", min_seconds=0.1, max_seconds=0.2) as fleet:
        project = DjangoProject(folder, database, fleet, MORE)
        project.start()
        yield project
        project.stop()
        print(project.logs[-20_000:])


def run(project: DjangoProject, code: str) -> Any:
    return project.shell(IMPORTS + code)


def ended(project: DjangoProject, name: str, result_id: str) -> dict[str, Any]:
    """Wait for a result, as another process reads it; its parts."""
    code = f"""
result = {name}.get_result({result_id!r})
answer = result.is_finished and {{
    "status": str(result.status), "value": result._return_value, "id": result.id,
    "errors": [[error.exception_class_path, error.traceback] for error in result.errors],
    "ordered": result.enqueued_at <= result.started_at <= (result.finished_at or result.started_at),
}}
"""
    return wait_until(lambda: run(project, code), what=f"the result of {name}")


def test_a_picture_is_enqueued_and_its_result_read(project: DjangoProject) -> None:
    """Ready at first; then successful, with the outcome and its stored files."""
    sent = run(
        project,
        "r = generate_files.enqueue(MODEL, INPUT, poll_interval=0.1)\n"
        "answer = [r.id, str(r.status), r.args, r.kwargs, r.enqueued_at is not None]",
    )

    result = ended(project, "generate_files", sent[0])

    arguments = ["alibaba/wan2.6-t2i", {"prompt": "a mule", "n": 1}], {"poll_interval": 0.1}
    assert ["READY", *arguments, True] == sent[1:]
    assert ("SUCCESSFUL", True) == (result["status"], result["ordered"])
    assert sent[0] == result["id"] == result["value"]["task_id"]
    assert result["value"]["files"][0]["url"].startswith("django://generated/")


def test_a_task_of_the_project_enqueues_pictures(project: DjangoProject) -> None:
    """The piece of the page, run by the backend of the project's own tasks."""
    pieces = [block.text for block in blocks("howto/django.md") if "import task" in block.text]
    (project.folder / "shop" / "jobs.py").write_text("".join(pieces))

    code = "from shop.jobs import make_pictures\nanswer = make_pictures.enqueue(['a mule']).return_value"
    (result_id,) = run(project, code)

    assert "SUCCESSFUL" == ended(project, "generate_files", result_id)["status"]


def test_a_result_is_refreshed_and_belongs_to_its_task(project: DjangoProject) -> None:
    """As Django's interface defines it."""
    code = """
import time
r = generate.enqueue(MODEL, INPUT, poll_interval=0.1)
while not r.is_finished:
    time.sleep(0.05)
    r.refresh()
try:
    adopt.get_result(r.id)
except TaskResultMismatch:
    answer = [str(r.status), r.return_value["status"]]
"""
    assert ["SUCCESSFUL", "succeeded"] == run(project, code)


def test_a_failed_generation_is_a_failed_task(project: DjangoProject) -> None:
    """Its error names the class and the reason."""
    project.fleet.emulator.faults(
        lives=[{"contains": "bad", "end": "failed", "detail": "a bad mule"}]
    )
    sent = run(
        project, "answer = generate.enqueue(MODEL, {'prompt': 'bad', 'n': 1}, poll_interval=0.1).id"
    )

    result = ended(project, "generate", sent)

    ((path, text),) = result["errors"]
    assert ("FAILED", "mulequeue.errors.GenerationFailed") == (result["status"], path)
    assert "a bad mule" in text
    project.fleet.emulator.faults(lives=[])


def test_a_batch_and_an_existing_generation(project: DjangoProject) -> None:
    """A batch ends with the list of its members; what exists is adopted and not paid again."""
    batch = run(
        project, "answer = generate_many.enqueue(MODEL, [INPUT, INPUT], poll_interval=0.1).id"
    )
    members = ended(project, "generate_many", batch)["value"]
    creates = project.fleet.emulator.stats()["creates"]
    (remote_id, *_) = (item["remote_id"] for item in project.fleet.emulator.generations())
    adopted = run(project, f"answer = adopt.enqueue(MODEL, {remote_id!r}, poll_interval=0.1).id")

    assert [("succeeded", 1)] * 2 == [(item["status"], len(item["files"])) for item in members]
    assert remote_id == ended(project, "adopt", adopted)["value"]["remote_id"]
    assert creates == project.fleet.emulator.stats()["creates"]


def test_the_row_has_the_result_once_the_record_has_expired(project: DjangoProject) -> None:
    """The ledger forgets after a week; the database does not."""
    sent = run(project, "answer = generate_files.enqueue(MODEL, INPUT, poll_interval=0.1).id")
    before = ended(project, "generate_files", sent)
    wait_until(
        lambda: run(
            project,
            f"answer = Generation.objects.filter(pk={sent!r}, state='succeeded').exclude(files=[]).exists()",
        ),
        what="the row",
    )
    redis = project.fleet.redis.client
    for key in redis.scan_iter(f"*{sent}*"):
        redis.delete(key)

    after = ended(project, "generate_files", sent)

    assert "SUCCESSFUL" == after["status"]
    assert before["value"]["files"] == after["value"]["files"]


@pytest.mark.parametrize("result_id", ["generate-0", "nothing-1", "_task-1", ""])
def test_an_unknown_result_does_not_exist(project: DjangoProject, result_id: str) -> None:
    """Neither the ledger nor the database has it."""
    code = f"""
try:
    task_backends["pictures"].get_result({result_id!r})
except TaskResultDoesNotExist:
    answer = "no"
"""
    assert "no" == run(project, code)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("task(json.dumps, backend='pictures')", "runs the tasks of"),
        ("generate.using(run_after=__import__('datetime').datetime.now())", "run_after"),
        ("generate.using(queue_name='elsewhere')", "not valid"),
        ("generate.using(backend='default').using(priority=1000)", "priority"),
        ("generate.enqueue(MODEL, {'prompt': 7, 'n': 1})", "prompt"),
        ("generate.enqueue(MODEL, INPUT, no_such=1)", "no_such"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    project: DjangoProject, statement: str, text: str
) -> None:
    """Where the task is defined or called; nothing is sent."""
    creates = project.fleet.emulator.stats()["creates"]
    code = f"""
try:
    {statement}
except Exception as exc:
    answer = [type(exc).__name__, str(exc)]
"""
    name, told = run(project, code)

    assert text in told
    assert name in ("InvalidTask", "InputError", "TypeError")
    assert creates == project.fleet.emulator.stats()["creates"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            MORE.replace('MuleQueueBackend"', 'MuleQueueBackend", "OPTIONS": {"queue": "x"}'),
            "takes no OPTIONS",
        ),
        ("", "No backend in TASKS"),
    ],
    ids=["options", "no backend"],
)
def test_wrong_settings_are_named(project: DjangoProject, more: str, text: str) -> None:
    """With what to change."""
    code = "import mulequeue.contrib.django.background_tasks"
    done = project.manage("shell", "-c", code, more=more or "pass")

    assert text in done.stderr


def test_priority_and_queue_reach_the_message(project: DjangoProject) -> None:
    """On Redis a low number is a high priority."""
    code = """
from celery import signals
sent = []
def note(sender=None, properties=None, routing_key=None, **_):
    sent.append([routing_key, properties.get("priority")])
signals.before_task_publish.connect(note)
for priority in (-100, 0, 100):
    generate.using(priority=priority, queue_name="celery").enqueue(MODEL, INPUT, poll_interval=0.1)
signals.before_task_publish.disconnect(note)
answer = sent
"""
    assert [["celery", 9], ["celery", None], ["celery", 0]] == [
        [queue, priority] for queue, priority in run(project, code)
    ]

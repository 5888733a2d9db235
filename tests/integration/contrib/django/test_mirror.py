"""Rows agree with the ledger."""

from __future__ import annotations

import json

from support.django_project import (
    ROW,
    START,
    DjangoProject,
    on_all_databases,
    row_when,
    start,
    stored,
)
from support.generations import MODEL, new_id
from support.waiting import wait_until


@on_all_databases
def test_a_generation_becomes_a_row(project: DjangoProject) -> None:
    """A row contains the complete input, the state, the outcome and the stored files."""
    prompt = "a mule on a very long way " * 8

    task_id = start(project, prompt)

    row = stored(project, task_id)
    assert ("succeeded", "image", "alibaba/wan2.6-t2i") == (row["state"], row["kind"], row["model"])
    assert {"prompt": prompt} == row["input"]
    assert prompt == row["prompt"]
    assert row["files"][0]["url"].startswith("django://generated/alibaba/wan2.6-t2i/")
    assert row["created_at"] <= row["submitted_at"] < row["finished_at"] <= row["mirrored_at"]
    assert row["error"] is None


def test_a_generation_under_way_is_a_row(project: DjangoProject) -> None:
    """While the API generates, the row has the state generating and the remote id."""
    project.fleet.emulator.faults(lives=[{"end": "never"}])

    task_id = start(project)

    row = row_when(project, task_id, state="generating")
    assert row["remote_id"] == project.fleet.ledger.queries.record(task_id).remote_id


def test_a_failure_is_a_row_with_its_reason(project: DjangoProject) -> None:
    """The row of a failed generation contains the API's reason."""
    project.fleet.emulator.faults(lives=[{"end": "failed", "code": 3001}])

    task_id = start(project)

    row = row_when(project, task_id, state="failed")
    assert 3001 == row["error"]["code"]
    assert [] == row["files"]


@on_all_databases
def test_metadata_finds_the_row(project: DjangoProject) -> None:
    """The caller's own data is in the row, and a filter finds it."""
    task_id, sku = new_id(), new_id("sku")
    project.shell(
        f"call = mulequeue.generate.s('{MODEL}', {{'prompt': 'a'}}, metadata={{'sku': {sku!r}}})\n"
        f"answer = call.apply_async(task_id={task_id!r}).id"
    )

    row_when(project, task_id, state="succeeded")

    found = f"answer = [row.pk for row in Generation.objects.filter(metadata__sku={sku!r})]"
    assert [task_id] == project.shell(found)


@on_all_databases
def test_a_batch_is_a_row_with_members(project: DjangoProject) -> None:
    """The members of generate_many are joined to their batch."""
    batch_id = new_id("batch")
    inputs = [{"prompt": f"mule {number}"} for number in range(5)]

    project.shell(
        f"answer = mulequeue.generate_many('alibaba/wan2.6-t2i', {inputs!r}, "
        f"batch_id={batch_id!r}, poll_interval=0.1).delay().id"
    )

    counted = f"batch = Batch.objects.filter(pk={batch_id!r}).first()\nanswer = batch and [batch.size, batch.counts()]"
    wait_until(lambda: project.shell(counted) == [5, {"succeeded": 5}], what="five members")
    found = project.shell(
        f"answer = sorted(Generation.objects.filter(batch={batch_id!r}).values_list('prompt', flat=True))"
    )
    assert [item["prompt"] for item in inputs] == found


@on_all_databases
def test_reconcile_mends_the_rows(project: DjangoProject) -> None:
    """Rows that were deleted, changed, or have no record any more agree with the ledger afterwards."""
    gone, changed, ghost = start(project), start(project), new_id("ghost")
    stored(project, gone)
    stored(project, changed)
    project.shell(
        f"Generation.objects.filter(pk={gone!r}).delete()\n"
        f"Generation.objects.filter(pk={changed!r}).update(state='generating', files=[])\n"
        "from datetime import timedelta\nfrom django.utils import timezone\n"
        "past = timezone.now() - timedelta(days=1)\n"
        f"Generation.objects.create(pk={ghost!r}, state='generating', mirrored_at=past)\n"
        "answer = None"
    )

    done = project.manage("mulequeue", "reconcile")

    assert 0 == done.returncode, done.stderr
    assert done.stdout.endswith(" generations mirrored, 1 lost.\n")
    found = {name: project.shell(ROW.format(name)) for name in (gone, changed, ghost)}
    assert ["succeeded", "succeeded", "lost"] == [row["state"] for row in found.values()]
    assert found[gone]["files"]
    assert found[changed]["files"]
    assert found[changed]["input"] == {"prompt": "a mule"}


def test_reconcile_leaves_history_alone(project: DjangoProject) -> None:
    """A row whose record has expired in the ledger stays as it was."""
    old = new_id("old")
    project.shell(f"Generation.objects.create(pk={old!r}, state='succeeded')\nanswer = None")

    project.manage("mulequeue", "reconcile")

    assert "succeeded" == project.shell(ROW.format(old))["state"]


def test_reconcile_says_when_redis_is_away(project: DjangoProject) -> None:
    """Without the ledger's Redis the command ends with 1 and names the setting."""
    done = project.manage(
        "mulequeue", "reconcile", more="CELERY_MULEQUEUE_REDIS_URL = 'redis://127.0.0.1:1/0'"
    )

    assert 1 == done.returncode
    assert "CELERY_MULEQUEUE_REDIS_URL" in done.stderr


@on_all_databases
def test_a_late_writer_knows_no_less(project: DjangoProject) -> None:
    """However often and from how many sides a row is written, it ends as the ledger ends."""
    ids = [start(project, f"mule {number}") for number in range(4)]
    for task_id in ids:
        stored(project, task_id)

    answers = project.shell(
        "from concurrent.futures import ThreadPoolExecutor\n"
        f"ids = {ids!r}\n"
        "def write(number):\n"
        "    try:\n"
        "        return mirror(ids if number % 2 else reversed(ids))\n"
        "    finally:\n"
        "        connection.close()\n"
        "with ThreadPoolExecutor(6) as pool:\n"
        "    answer = list(pool.map(write, range(30)))\n"
    )

    assert [4] * 30 == answers
    assert {"succeeded"} == {project.shell(ROW.format(task_id))["state"] for task_id in ids}


def test_any_text_finds_a_row(project: DjangoProject) -> None:
    """A character that PostgreSQL refuses is left out; the rest of the prompt is kept."""
    row = stored(project, start(project, "a mule\0 at dawn"))

    assert "a mule at dawn" == row["prompt"]
    assert {"prompt": row["prompt"]} == row["input"]


@on_all_databases
def test_a_batch_may_go_before_its_members(project: DjangoProject) -> None:
    """Members of a batch that has expired in the ledger are still rows of it."""
    project.fleet.emulator.faults(lives=[{"end": "never"}])
    batch_id = new_id("batch")
    project.shell(
        f"answer = mulequeue.generate_many('alibaba/wan2.6-t2i', [{{'prompt': 'x'}}], "
        f"batch_id={batch_id!r}).delay().id"
    )
    member = f"{batch_id}-000000"
    row_when(project, member, state="generating")
    project.fleet.redis.client.delete(f"{project.fleet.ledger.prefix}batch:{batch_id}")
    project.shell(f"answer = Batch.objects.filter(pk={batch_id!r}).delete()")

    done = project.manage("mulequeue", "reconcile")

    assert 0 == done.returncode, done.stderr
    assert batch_id == project.shell(ROW.format(member))["batch_id"]


def test_a_broken_database_costs_no_generation(project: DjangoProject) -> None:
    """While rows cannot be written, generations go on; reconcile adds them later."""
    task_id = new_id()
    table = "ALTER TABLE mulequeue_generation RENAME TO {}"
    project.shell(f"connection.cursor().execute({table.format('hidden')!r})\nanswer = None")
    back = table.format("mulequeue_generation").replace("mulequeue_generation", "hidden", 1)
    try:
        code = START.format(input={"prompt": "a mule"}, interval=0.1, task_id=task_id)
        project.shell(code)
        project.fleet.wait_for_state(task_id, "delivered")
    finally:
        project.shell(f"connection.cursor().execute({back!r})\nanswer = None")

    project.manage("mulequeue", "reconcile")

    assert "succeeded" == project.shell(ROW.format(task_id))["state"]
    assert json.dumps(None) == json.dumps(project.shell(ROW.format(task_id))["input"])

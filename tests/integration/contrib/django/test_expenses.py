"""What mirrored generations cost: in the admin, and in ``mulequeue spend`` beyond the ledger."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from support.django_project import ROW, Browser, DjangoProject, on_all_databases, row_when
from support.generations import new_id
from support.program import runs_in

MODEL = "alibaba/qwen-image-max"
GENERATE = (
    f"call = mulequeue.generate.s({MODEL!r}, {{{{'prompt': {{prompt!r}}}}}}, poll_interval=0.1,\n"
    "    on_failure='return', metadata={{'customer': {customer!r}}})\n"
    "answer = call.apply_async(task_id={task_id!r}).id"
)


@pytest.fixture
def customer(project: DjangoProject) -> tuple[str, list[str]]:
    """A customer with one generation that succeeded and one that failed; its task ids."""
    project.fleet.emulator.faults(lives=[{"contains": "bad", "end": "failed"}])
    name, ids = f"customer{uuid4().hex[:8]}", [new_id(), new_id()]
    for task_id, word in zip(ids, ("good", "bad"), strict=True):
        given = {"prompt": f"{word} {name}", "customer": name, "task_id": task_id}
        project.shell(GENERATE.format(**given))
    row_when(project, ids[0], state="succeeded")
    row_when(project, ids[1], state="failed")
    return name, ids


@on_all_databases
def test_the_admin_sums_up_what_it_lists(
    project: DjangoProject, browser: Browser, customer: tuple[str, list[str]]
) -> None:
    """Rows have their estimate; the sum is that of the filtered rows, with failed ones apart."""
    name, ids = customer

    both = browser.get(f"mulequeue/generation/?q={name}")
    failed = browser.get(f"mulequeue/generation/?q={name}&state__exact=failed")
    none = browser.get(f"mulequeue/generation/?q={name}&created_at__lt=2020-01-01")

    assert "0.075000" == project.shell(ROW.format(ids[0]))["estimated_usd"]
    assert "generations: 0.075 USD (estimate); 0.075 USD charging unknown" in both
    assert "generations: 0.075 USD charging unknown" in failed
    assert "Cost of these" not in none
    assert "0.075 USD" in browser.get(f"mulequeue/generation/{ids[0]}/change/")


@on_all_databases
def test_spend_reads_the_rows_of_expired_records(
    project: DjangoProject, customer: tuple[str, list[str]]
) -> None:
    """A generation counts once, whether the ledger, the database or both have it."""
    name, ids = customer
    cli = runs_in(project.folder, project.env, "celery", "-A", "shop", "mulequeue")

    def found(*more: str) -> dict[str, object]:
        done = cli("spend", "--by", "metadata:customer", "--json", *more)
        assert 0 == done.returncode, done.stderr
        rows = json.loads(done.stdout)["rows"]
        return next((row for row in rows if row["name"] == name), {})

    before = found()
    project.fleet.redis.client.delete(f"{project.fleet.ledger.prefix}record:{ids[1]}")

    assert 2 == before["generations"]
    assert (0.075, 0.075) == (before["estimated_usd"], before["charging_unknown_usd"])
    assert before == found() == found("--since", "1h")
    assert {} == found("--since", "2099-01-01")


def test_a_batch_has_the_sum_of_its_members(project: DjangoProject, browser: Browser) -> None:
    """Its page and the list of batches show it."""
    batch_id = new_id("batch")
    project.shell(
        f"answer = mulequeue.generate_many({MODEL!r}, [{{'prompt': 'a'}}, {{'prompt': 'b'}}], "
        f"batch_id={batch_id!r}, download=False, poll_interval=0.1).delay().id"
    )
    for index in range(2):
        row_when(project, f"{batch_id}-{index:06}", state="succeeded")

    assert "0.15 USD (estimate)" in browser.get(f"mulequeue/batch/?q={batch_id}")

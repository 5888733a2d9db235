"""The admin pages."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
from support.django_project import (
    ROW,
    Browser,
    DjangoProject,
    on_all_databases,
    row_when,
    start,
    stored,
)
from support.generations import new_id
from support.waiting import wait_until

LIST = "mulequeue/generation/"


@on_all_databases
def test_the_list_shows_thumbnails_and_finds_prompts(
    project: DjangoProject, browser: Browser
) -> None:
    """The list has the stored picture, finds words of a prompt, and filters by state."""
    row = stored(project, start(project, "a zebra in the rain"))
    picture = row["files"][0]["url"].replace("django://", "/media/")

    found = browser.get("mulequeue/generation/?q=zebra+rain")
    filtered = browser.get("mulequeue/generation/?q=zebra&state__exact=failed")

    assert f'<img src="{picture}"' in found
    assert "a zebra in the rain" in found
    assert "a zebra in the rain" not in filtered
    change = browser.get(f"mulequeue/generation/{row['task_id']}/change/")
    assert picture in change
    assert all(f">{name}</text>" in change for name in ("submitting", "generating", "downloading"))


@on_all_databases
def test_a_link_that_has_ended_is_not_shown(project: DjangoProject) -> None:
    """What was not stored is shown at the API's URL as long as that lasts."""
    task_id = new_id()
    ends = "(datetime.now(UTC) + timedelta(hours={hours})).isoformat()"
    made = (
        "from datetime import UTC, datetime, timedelta\n"
        f"row = Generation(pk={task_id!r}, kind='image', state='succeeded')\n"
        f"row.assets = [{{'url': 'https://a.example/old', 'expires_at': {ends.format(hours=-1)}}}, "
        f"{{'url': 'https://a.example/new', 'expires_at': {ends.format(hours=1)}}}]\n"
        "answer = row.urls"
    )

    assert ["https://a.example/new"] == project.shell(made)


STORED_ELSEWHERE = """
import fsspec, html, re
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
with fsspec.open("memory://shelf/a.png", "wb") as written:
    written.write(b"picture")
file = {{"url": "memory://shelf/a.png", "kind": "image", "media_type": "image/png", "bytes": 7}}
Generation.objects.create(pk={task_id!r}, kind="image", state="succeeded", files=[file])
client = Client(SERVER_NAME="127.0.0.1")
client.force_login(User.objects.get(username="root"))
change = reverse("admin:mulequeue_generation_change", args=[quote({task_id!r})])
(url,) = re.findall('<img src="(/admin/mulequeue/[^"]*)"', client.get(change).content.decode())
answer = b"".join(client.get(html.unescape(url))).decode()
"""


@pytest.mark.parametrize("name", ["order/7", "100%", "a%2Fb", "a//b/files/0/", "騾 mule?"])
def test_a_file_without_a_public_url_is_served(project: DjangoProject, name: str) -> None:
    """The admin has a URL for the file of any task id."""
    assert "picture" == project.shell(STORED_ELSEWHERE.format(task_id=f"{name}{new_id()}"))


def test_rows_cannot_be_edited(project: DjangoProject, browser: Browser) -> None:
    """The admin permits no adding, changing or deleting of rows."""
    task_id = stored(project, start(project))["task_id"]

    page = browser.get(f"mulequeue/generation/{task_id}/change/")

    assert 'name="_save"' not in page
    browser.get("mulequeue/generation/add/", status=403)
    browser.get(f"mulequeue/generation/{task_id}/delete/", status=403)


def test_who_may_only_look_cannot_spend(project: DjangoProject) -> None:
    """Without the permission to operate, there are no actions to choose from."""
    task_id = stored(project, start(project))["task_id"]
    project.shell(
        "from django.contrib.auth.models import Permission, User\n"
        "user, _ = User.objects.get_or_create(username='guest', is_staff=True)\n"
        "user.set_password('secret')\n"
        "user.save()\n"
        "user.user_permissions.set(Permission.objects.filter(codename__startswith='view_'))\n"
        "answer = None"
    )
    creates = project.fleet.emulator.stats()["creates"]
    guest = Browser(project, "guest")

    page = guest.get("mulequeue/generation/")
    guest.act("generate_again", task_id)

    assert task_id in page
    assert "generate_again" not in page
    assert creates == project.fleet.emulator.stats()["creates"]


def test_cancel_from_the_list(project: DjangoProject, browser: Browser) -> None:
    """The action ends what is under way and leaves what is over."""
    over = stored(project, start(project))["task_id"]
    project.fleet.emulator.faults(lives=[{"end": "never"}])
    task_id = start(project)
    row_when(project, task_id, state="generating")

    said = browser.act("cancel", task_id, over)

    assert "1 cancelled, 1 unchanged." in said
    row_when(project, task_id, state="cancelled")
    assert "succeeded" == project.shell(ROW.format(over))["state"]


def test_resume_from_the_list(project: DjangoProject, browser: Browser) -> None:
    """A cancelled generation is resumed under a new id, and its files are stored."""
    project.fleet.emulator.faults(lives=[{"end": "never"}])
    task_id = start(project)
    remote_id = row_when(project, task_id, state="generating")["remote_id"]
    browser.act("cancel", task_id)
    row_when(project, task_id, state="cancelled")
    project.fleet.emulator.finish(remote_id)
    creates = project.fleet.emulator.stats()["creates"]

    said = browser.act("resume", task_id)

    assert "1 resumed" in said
    look = f"answer = Generation.objects.filter(remote_id={remote_id!r}).exclude(files=[]).count()"
    wait_until(lambda: project.shell(look) == 1, what="the files of the new task")
    assert creates == project.fleet.emulator.stats()["creates"]


def test_generate_again_asks_and_links_both(project: DjangoProject, browser: Browser) -> None:
    """The page names the cost and lets the prompt be edited; a row without a known input is left."""
    task_id, bare = stored(project, start(project, "again, please"))["task_id"], new_id("bare")
    project.shell(f"Generation.objects.create(pk={bare!r}, state='succeeded')\nanswer = None")
    creates = project.fleet.emulator.stats()["creates"]

    asked = browser.post(LIST, action="generate_again", _selected_action=[task_id, bare])
    assert creates == project.fleet.emulator.stats()["creates"]
    call = {"action": "generate_again", "_selected_action": [task_id, bare], "confirmed": "Yes"}
    said = browser.post(LIST, **call, prompt="again, with a hat")

    assert (
        "1 generation will be made again and charged again. Cost: 1 without a known price" in asked
    )
    assert re.search(r"<textarea[^>]*>\s*again, please</textarea>", asked)
    assert "1 started again, 1 unchanged." in said
    look = "answer = list(Generation.objects.filter(prompt='again, with a hat').exclude(files=[]).values())"
    [again] = wait_until(lambda: project.shell(look), what="the second one")
    assert task_id == again["again_of_id"]
    assert again["task_id"] in browser.get(f"mulequeue/generation/{task_id}/change/")
    assert task_id in browser.get(f"mulequeue/generation/{again['task_id']}/change/")


def test_generate_again_keeps_what_follows(project: DjangoProject, browser: Browser) -> None:
    """The picture of the second generation replaces that of the first one in its row."""
    task_id = new_id()
    product = project.shell(
        "from shop.models import Product\n"
        "from mulequeue.contrib.django import attach\n"
        "product = Product.objects.create(name='kept')\n"
        "picture = mulequeue.generate.s('alibaba/wan2.6-t2i', {'prompt': 'kept', 'n': 1}, poll_interval=0.1)\n"
        f"(picture.set(task_id={task_id!r}) | attach(product, 'image')).delay()\n"
        "answer = product.pk"
    )
    image = (
        f"from shop.models import Product\nanswer = Product.objects.get(pk={product}).image.name"
    )
    first = wait_until(lambda: project.shell(image), what="the first picture")
    stored(project, task_id)

    browser.post(LIST, action="generate_again", _selected_action=task_id, confirmed="Yes")

    wait_until(lambda: project.shell(image) != first, what="the second picture")


def test_what_was_refused_unpaid_runs_again_at_once(
    project: DjangoProject, browser: Browser
) -> None:
    """Without a charge nothing is asked; the tasks behind it run, and the row is the same."""
    project.fleet.emulator.faults(creates=[{"do": "status", "status": 400, "count": 1}])
    task_id = start(project)
    row_when(project, task_id, state="failed")
    project.fleet.wait_for_state(task_id, "delivered")

    said = browser.act("retry", task_id)

    assert "1 run again, 0 unchanged." in said
    assert "succeeded" == stored(project, task_id)["state"]


def test_what_was_paid_and_failed_is_asked_for(project: DjangoProject, browser: Browser) -> None:
    """The number and the cost are shown first, and nothing is sent before the answer."""
    project.fleet.emulator.faults(lives=[{"end": "failed"}])
    task_id = start(project)
    row_when(project, task_id, state="failed")
    project.fleet.wait_for_state(task_id, "delivered")
    project.fleet.emulator.reset_faults()
    creates = project.fleet.emulator.stats()["creates"]

    asked = browser.post(LIST, action="retry", _selected_action=task_id)
    assert creates == project.fleet.emulator.stats()["creates"]
    said = browser.post(LIST, action="retry", _selected_action=task_id, confirmed="Yes")

    assert "1 will run again; 1 of them the API had accepted" in asked
    assert "1 run again, 0 unchanged." in said
    assert "succeeded" == stored(project, task_id)["state"]


def test_all_files_are_one_archive(project: DjangoProject, browser: Browser) -> None:
    """The zip archive has a picture per generation, by task id and prompt, and a list of what is missing."""
    task_ids = [start(project, "a mule: at dawn") for _ in range(2)]
    for task_id in task_ids:
        stored(project, task_id)
    project.fleet.emulator.faults(lives=[{"end": "failed", "code": 3001, "detail": "Not here."}])
    failed = start(project, "a fox")
    row_when(project, failed, state="failed")

    data = browser.download(LIST, action="download_files", _selected_action=[*task_ids, failed])

    archive = zipfile.ZipFile(io.BytesIO(data))
    *pictures, missing = archive.namelist()
    assert {f"{task_id} a mule at dawn.png" for task_id in task_ids} == set(pictures)
    assert all(archive.read(name).startswith(b"\x89PNG") for name in pictures)
    assert f"{failed} a fox: failed: Not here.\n" == archive.read(missing).decode()


def test_pages_show_text(project: DjangoProject, browser: Browser) -> None:
    """Input, metadata, error and files are text and links, times have seconds; nothing is JSON."""
    project.fleet.emulator.faults(lives=[{"end": "failed", "code": 3001, "detail": "Not here."}])
    task_id = new_id()
    project.shell(
        "call = mulequeue.generate.s('alibaba/wan2.6-t2i', {'prompt': 'x', 'n': 1}, "
        f"metadata={{'sku': 'A-1'}}, poll_interval=0.1)\nanswer = call.apply_async(task_id={task_id!r}).id"
    )
    row_when(project, task_id, state="failed")

    page = browser.get(f"mulequeue/generation/{task_id}/change/")

    assert "<b>sku</b> A-1" in page
    assert "<b>n</b> 1" in page
    assert "Not here." in page
    assert "code 3001" in page
    assert re.search(r"\d\d:\d\d:\d\d \(after \d+\.\d s\)", page)
    assert "{&quot;" not in page


def test_an_adopted_row_shows_what_it_is(project: DjangoProject, browser: Browser) -> None:
    """A resumed generation has the prompt of the first one, another one its remote id."""
    first = stored(project, start(project, "a mule that is resumed"))

    browser.act("resume", first["task_id"])
    look = f"answer = Generation.objects.filter(remote_id={first['remote_id']!r}).exclude(pk={first['task_id']!r}).values().first()"
    resumed = wait_until(lambda: project.shell(look), what="the resumed row")

    wait_until(lambda: "a mule that is resumed" == project.shell(look)["prompt"], what="the prompt")
    project.shell(
        f"Generation.objects.filter(pk={resumed['task_id']!r}).update(prompt='')\nanswer = None"
    )
    assert f"adopted: {first['remote_id']}" in browser.get(LIST)


def test_rows_are_filtered_by_what_can_be_tried_again(
    project: DjangoProject, browser: Browser
) -> None:
    """One click shows all that did not succeed, in whatever way."""
    project.fleet.emulator.faults(lives=[{"end": "failed"}])
    failed = start(project)
    row_when(project, failed, state="failed")
    project.fleet.emulator.reset_faults()
    ready = stored(project, start(project))["task_id"]

    page = browser.get(f"{LIST}?outcome=failed")

    assert f'value="{failed}"' in page
    assert f'value="{ready}"' not in page


def test_cancelling_a_finished_batch_changes_nothing(
    project: DjangoProject, browser: Browser
) -> None:
    """A batch whose members are over stays as it is, in the admin and in the ledger."""
    batch_id = new_id("batch")
    project.shell(
        f"answer = mulequeue.generate_many('alibaba/wan2.6-t2i', [{{'prompt': 'x'}}], "
        f"batch_id={batch_id!r}, poll_interval=0.1).delay().id"
    )
    stored(project, f"{batch_id}-000000")

    said = browser.act("cancel", batch_id, model="batch")
    project.shell(f"answer = mulequeue.cancel({batch_id!r})")

    assert "0 cancelled, 1 unchanged." in said
    assert not project.fleet.ledger.queries.batch(batch_id).is_cancelled


def test_a_batch_is_cancelled_from_its_list(project: DjangoProject, browser: Browser) -> None:
    """The action cancels every unfinished member, and the list shows the counts."""
    project.fleet.emulator.faults(lives=[{"end": "never"}])
    batch_id = new_id("batch")
    project.shell(
        f"answer = mulequeue.generate_many('alibaba/wan2.6-t2i', [{{'prompt': 'x'}}] * 3, "
        f"batch_id={batch_id!r}, download=False).delay().id"
    )
    for index in range(3):
        row_when(project, f"{batch_id}-{index:06d}", state="generating")

    browser.act("cancel", batch_id, model="batch")

    for index in range(3):
        row_when(project, f"{batch_id}-{index:06d}", state="cancelled")
    assert "3 cancelled" in browser.get("mulequeue/batch/")

"""The admin pages."""

from __future__ import annotations

from support.django_project import ROW, Browser, DjangoProject, row_when, start, stored
from support.generations import new_id
from support.waiting import wait_until


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
    assert picture in browser.get(f"mulequeue/generation/{row['task_id']}/change/")


def test_a_link_that_has_ended_is_not_shown(project: DjangoProject) -> None:
    """What was not stored is shown at the API's URL as long as that lasts."""
    task_id = new_id()
    ends = "(timezone.now() + timedelta(hours={hours})).isoformat()"
    made = (
        "from datetime import timedelta\nfrom django.utils import timezone\n"
        f"row = Generation(pk={task_id!r}, kind='image', state='succeeded')\n"
        f"row.assets = [{{'url': 'https://a.example/old', 'expires_at': {ends.format(hours=-1)}}}, "
        f"{{'url': 'https://a.example/new', 'expires_at': {ends.format(hours=1)}}}]\n"
        "answer = row.urls"
    )

    assert ["https://a.example/new"] == project.shell(made)


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


def test_generate_again_from_the_list(project: DjangoProject, browser: Browser) -> None:
    """The same input is sent once more; a row whose input is not known is left."""
    task_id, bare = stored(project, start(project, "again, please"))["task_id"], new_id("bare")
    project.shell(f"Generation.objects.create(pk={bare!r}, state='succeeded')\nanswer = None")

    said = browser.act("generate_again", task_id, bare)

    assert "1 started again, 1 unchanged." in said
    look = "answer = Generation.objects.filter(prompt='again, please').exclude(files=[]).count()"
    wait_until(lambda: project.shell(look) == 2, what="the second one")


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

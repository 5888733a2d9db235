"""Where a call is refused for its input: at once where the user makes it, never in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery

import mulequeue
from mulequeue.engine.submit.park import EPOCH
from mulequeue.errors import ConfigurationError, InputError

T2I, I2V = "alibaba/wan2.6-t2i", "alibaba/wan2.6-i2v"
GOOD = {"prompt": "a mule", "n": 1}
WRONG = {"prompt": "a mule", "n": 9}
BEFORE = {"task_id": "t", "status": "succeeded", "assets": []}


@pytest.fixture
def tasks() -> Iterator[Any]:
    """The tasks of an app whose broker is this process."""
    app = Celery("checked", broker="memory://", set_as_current=False)
    app.finalize()
    yield app.tasks
    app.close()


CALLS: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("generate", lambda task, given: task.s(T2I, given)),
    ("generate", lambda task, given: task.s(model=T2I, input=given)),
    ("generate", lambda task, given: task.si(T2I, input=given)),
    ("generate", lambda task, given: task.signature((T2I, given))),
    ("generate", lambda task, given: task.delay(T2I, given)),
    ("generate", lambda task, given: task.apply_async((T2I, given), task_id="order-1")),
    ("generate", lambda task, given: task.apply_async(kwargs={"model": T2I, "input": given})),
    ("generate_from", lambda task, given: task.s(I2V, {**given, "n": None} | _odd(given))),
    ("generate_from", lambda task, given: task.s(BEFORE, I2V, _odd(given))),
    ("generate_from", lambda task, given: task.delay(BEFORE, model=I2V, input=_odd(given))),
]


def _odd(given: dict[str, Any]) -> dict[str, Any]:
    """The same for a model without ``n``."""
    return {"prompt": "it walks"} if given is GOOD else {"prompt": "it walks", "durations": 5}


@pytest.mark.parametrize(("name", "call"), CALLS)
def test_a_call_is_refused_where_it_is_made(tasks: Any, name: str, call: Any) -> None:
    """However it is spelt; and the same call with an input that the model takes goes through."""
    task = tasks[f"mulequeue.{name}"]

    with pytest.raises(InputError):
        call(task, WRONG)
    assert call(task, GOOD) is not None


PATH, REMOTE = "/vendors/alibaba/v1/wan2.6-t2i/generation", "5d0a1c4e"
ADOPTIONS = [
    (PATH, ""),
    (PATH, f"{PATH}/{REMOTE}"),
    (f"{PATH}/", REMOTE),
    ("/vendors/a b", REMOTE),
    ("alibaba/wan2.6-t2j", REMOTE),
    (7, REMOTE),
]


@pytest.mark.parametrize("args", ADOPTIONS)
def test_an_adoption_that_cannot_be_asked_for_is_refused(tasks: Any, args: Any) -> None:
    """A path or an id that no status check can name raises where it is called."""
    adopt = tasks["mulequeue.adopt"]
    named = dict(zip(("api_path", "remote_id"), args, strict=True))

    for call in (
        lambda: adopt.s(*args),
        lambda: adopt.delay(**named),
        lambda: adopt.apply_async(args, task_id="order-1"),
    ):
        with pytest.raises(InputError):
            call()
    assert adopt.s(PATH, REMOTE) is not None
    assert adopt.s("alibaba/wan2.6-t2i", remote_id=REMOTE) is not None


@pytest.mark.parametrize("path", ["{nope}.{ext}", "{task_id", "{index}.{ext}", 7])
def test_a_path_template_that_no_worker_could_fill_in_is_refused(tasks: Any, path: Any) -> None:
    """Where the download is called or its signature is made, so before a generation is paid."""
    download = tasks["mulequeue.download"]

    for call in (
        lambda path: download.s(path=path),
        lambda path: download.si(BEFORE, path=path),
        lambda path: download.signature(kwargs={"path": path}),
        lambda path: download.delay(BEFORE, path=path),
        lambda path: download.apply_async((BEFORE,), {"path": path}, task_id="order-1-files"),
    ):
        with pytest.raises(ConfigurationError, match="The path template"):
            call(path)
        assert call("{task_id}.{ext}") is not None


@pytest.mark.parametrize("task_id", ["transfer:1", "gate:default"])
def test_an_id_of_the_ledger_is_refused(tasks: Any, task_id: str) -> None:
    """For each generating task and for batches, alone and in a canvas, before anything is sent."""
    generate, adopt, download = (
        tasks[f"mulequeue.{name}"] for name in ("generate", "adopt", "download")
    )
    for call in (
        lambda: generate.apply_async((T2I, GOOD), task_id=task_id),
        lambda: adopt.apply_async((PATH, REMOTE), task_id=task_id),
        lambda: (generate.s(T2I, GOOD).set(task_id=task_id) | download.s()).apply_async(),
        lambda: generate.s(T2I, GOOD, batch_id=task_id),
        lambda: mulequeue.generate_many(T2I, [GOOD], batch_id=task_id),
    ):
        with pytest.raises(InputError, match="must not start with"):
            call()


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("images", "there is no 'images'; did you mean image"),
        ("duration", "'duration' takes a whole number"),
        ("resolution", "'resolution' cannot be 'https://example.com/asset'"),
    ],
)
def test_the_field_that_gets_an_asset_is_checked_early(tasks: Any, use: str, words: str) -> None:
    """A field that there is not, or that takes no file, is refused when the signature is made."""
    with pytest.raises(InputError) as caught:
        tasks["mulequeue.generate_from"].s(I2V, {"prompt": "it walks"}, use=use)

    assert words in str(caught.value)


def test_one_asset_more_is_counted(tasks: Any) -> None:
    """An asset that is appended to a list counts for how long the list may be."""
    step, two = tasks["mulequeue.generate_from"], ["https://example.com/1.png"] * 2

    with pytest.raises(InputError, match="1 to 2 items, not 3"):
        step.s("alibaba/wan2.6-image", {"prompt": "hats", "images": two}, use="images")
    step.s("alibaba/wan2.6-image", {"prompt": "hats", "images": two[:1]}, use="images")


@pytest.mark.parametrize(
    "options",
    [
        {"kwargs": {EPOCH: "epoch"}},
        {"add_to_parent": False},
        {"group_id": "a-group"},
        {"chain": [{}]},
        {"chord": {"task": "x"}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_is_sent_on_is_never_stopped(tasks: Any, options: dict[str, Any]) -> None:
    """A wake, a message sent again and a part of a canvas go out; their worker looks at them."""
    result = tasks["mulequeue.generate"].apply_async((T2I, WRONG), task_id="t", **options)

    assert "t" == result.id


@pytest.mark.parametrize(
    "call",
    [
        lambda task: task.s(),
        lambda task: task.s(T2I),
        lambda task: task.s(WRONG),
        lambda task: task.s(T2I, WRONG, validate="off"),
        lambda task: task.s(T2I, WRONG, validate="warn"),
        lambda task: task.map([]),
    ],
)
def test_what_cannot_be_judged_yet_is_let_through(tasks: Any, call: Any) -> None:
    """Half a call may be completed by the step before it."""
    assert call(tasks["mulequeue.generate"]) is not None


def test_a_running_task_is_told_as_well(tasks: Any) -> None:
    """A task of the user's own gets the error of the signature it makes, and of the call."""
    generate = tasks["mulequeue.generate"]

    @generate.app.task(name="order")
    def order(call: str) -> None:
        getattr(generate, call)(T2I, WRONG)

    for call in ("s", "delay"):
        assert isinstance(order.apply((call,)).result, InputError)


def test_a_batch_names_its_rows() -> None:
    """One wrong input refuses all, by its index."""
    with pytest.raises(InputError, match=r"inputs\[1\]: 'n' cannot be 9"):
        mulequeue.generate_many(T2I, [GOOD, WRONG])
    assert mulequeue.generate_many(T2I, [GOOD, WRONG], validate="off") is not None


def test_the_modes_of_a_batch_travel_with_it() -> None:
    """The workers check as the call says; what was not given is not in the message."""
    batch = mulequeue.generate_many(T2I, [GOOD], validate="warn", download=False)
    silent = mulequeue.generate_many(T2I, [GOOD], max_wait=None, download=False)

    assert "warn" == batch.kwargs["validate"]
    assert {"download"} == set(silent.kwargs)

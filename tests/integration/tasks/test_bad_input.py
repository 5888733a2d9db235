"""Calls that cannot be sent: the outcome says why, and the API sees nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import chord
from support.fleet import Fleet
from support.generations import MODEL, QUICK, new_id, one
from support.queues import creates_of

from mulequeue import download, generate, generate_from, generate_many
from mulequeue.catalog.inputs import file
from mulequeue.errors import GenerationFailed, InputError

PROMPT = {"prompt": "a mule"}


@pytest.mark.parametrize(
    ("args", "kwargs", "kind", "text"),
    [
        (("alibaba/wan2.6-t2x", PROMPT), {}, "InputError", "Did you mean"),
        (("/vendors/../x", PROMPT), {}, "InputError", "remove the '.' and '..'"),
        ((7, PROMPT), {}, "InputError", "must be text like"),
        ((MODEL, ["a", "list"]), {}, "InputError", "must be a dictionary"),
        ((MODEL, "text"), {}, "InputError", "must be a dictionary"),
        ((MODEL, {"image": {"$file": "/etc/hosts"}}), {}, "InputError", "mulequeue_input_roots"),
        ((MODEL, {"image": {"$file": 7}}), {}, "InputError", "mulequeue.file"),
        ((MODEL, {"promt": "a mule"}), {}, "InputError", "did you mean prompt"),
        ((MODEL, {**PROMPT, "n": 9}), {}, "InputError", "'n' cannot be 9"),
        ((MODEL, PROMPT), {"validate": "strct"}, "InputError", "Did you mean 'strict'"),
        ((MODEL, PROMPT), {"max_wait": -1}, "InputError", "max_wait"),
        ((MODEL, PROMPT), {"poll_interval": 0}, "InputError", "poll_interval is"),
        ((MODEL, PROMPT), {"on_failure": "explode"}, "InputError", "on_failure"),
        ((MODEL, PROMPT), {"profile": "nobody"}, "ConfigurationError", "Unknown profile"),
    ],
)
def test_call_that_cannot_be_sent(
    shared: Fleet, args: tuple[Any, ...], kwargs: dict[str, Any], kind: str, text: str
) -> None:
    """A call that cannot be sent, and that came by its name, unchecked, fails in the worker with a
    text that says what to change; nothing was sent."""
    task_id = new_id()

    result = shared.app.send_task("mulequeue.generate", args, kwargs, task_id=task_id)

    with pytest.raises(GenerationFailed, match=text) as caught:
        result.get(timeout=30)
    assert kind == caught.value.reason
    assert "failed" == shared.wait_for_state(task_id, "delivered").status
    assert 0 == shared.emulator.stats()["creates"]


def test_call_that_cannot_be_sent_as_a_value(shared: Fleet) -> None:
    """With on_failure="return" a chord goes on with what cannot be sent as one of its outcomes."""
    bad = shared.task("mulequeue.generate", "nobody/nothing", PROMPT, on_failure="return")

    outcomes = shared.chord([one(shared), bad], shared.task("user.collect")).delay().get(timeout=30)

    assert ["succeeded", "failed"] == [outcome["status"] for outcome in outcomes]


@pytest.mark.parametrize("name", ["mulequeue.generate", "mulequeue.generate_from"])
def test_unlisted_or_unchecked_input_is_sent_as_it_is(shared: Fleet, name: str) -> None:
    """With validate="off" what the catalog does not know reaches the API, byte for byte."""
    odd = {"zebra": [None, 1.50, "ü\u2028"], "prompt": " a mule\n", "n": 1}
    call = {"validate": "off", "poll_interval": 0.1}
    step = shared.task("mulequeue.generate", MODEL, odd, **call)
    if name.endswith("from"):
        step = one(shared) | shared.task(name, MODEL, odd, use="image", **call)

    step.delay().get(timeout=30)

    sent = shared.emulator.creates()[-1]["body"]
    assert odd == {key: item for key, item in sent.items() if key != "image"}
    assert ["zebra", "prompt", "n"] == list(sent)[:3]


def test_a_bad_step_of_a_chain_is_refused_when_its_turn_comes(shared: Fleet) -> None:
    """A later step that came unchecked fails in the worker; the step before it is not lost."""
    wrong = shared.task("mulequeue.generate_from", "alibaba/wan2.6-i2v", {"promt": "it walks"})

    result = (one(shared) | wrong).delay()

    with pytest.raises(GenerationFailed, match="did you mean prompt"):
        result.get(timeout=30)
    assert "succeeded" == result.parent.get()["status"]
    assert 1 == shared.emulator.stats()["creates"]


@pytest.mark.parametrize(
    "refused",
    [
        lambda: generate.delay(MODEL, {"promt": "a mule"}),
        lambda: generate.apply_async((MODEL, {"promt": "a mule"}), task_id=new_id()),
        lambda: generate.delay(model=MODEL, input={**PROMPT, "n": 9}),
        lambda: generate.s(MODEL, "text"),
        lambda: chord([generate.s(MODEL, {**PROMPT, "n": n}) for n in (1, 2, 9)], download.s()),
        lambda: generate.s(MODEL, PROMPT) | generate_from.s(MODEL, PROMPT, use="images"),
        lambda: generate.si("alibaba/wan2.6-t2x", PROMPT),
        lambda: generate_many(MODEL, [PROMPT, {**PROMPT, "n": 9}]).delay(),
        lambda: generate(MODEL, {**PROMPT, "n": 9}),
    ],
)
def test_a_wrong_input_is_refused_where_it_is_called(
    shared: Fleet, refused: Callable[[], Any]
) -> None:
    """An input that its model does not take raises in the caller; nothing is enqueued or sent."""
    with pytest.raises(InputError):
        refused()

    client = shared.redis.client
    assert 0 == client.llen("celery") + client.llen(creates_of("celery"))
    assert {"creates": 0, "created": 0}.items() <= shared.emulator.stats().items()


def test_missing_argument_is_pythons_own_error(shared: Fleet) -> None:
    """A call without an input is a TypeError, as for any function."""
    with pytest.raises(TypeError, match="input"):
        shared.app.tasks["mulequeue.generate"].apply_async((MODEL,))


@pytest.mark.parametrize("name", ["mulequeue.download", "mulequeue.generate_from"])
def test_no_outcome(shared: Fleet, name: str) -> None:
    """A step that needs an outcome says so when it gets something else."""
    more = ("alibaba/wan2.6-i2v", PROMPT) if name.endswith("from") else ()

    with pytest.raises(Exception, match="needs the outcome of a generation"):
        shared.task(name, "no outcome", *more).delay().get(timeout=30)


def test_file_is_read_under_the_roots_only(
    make_fleet: Callable[..., Fleet], tmp_path: Path
) -> None:
    """A file under mulequeue_input_roots is sent as a data URI; one beside it is refused."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "mule.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 64)
    fleet = make_fleet(env={"MULEQUEUE_INPUT_ROOTS": str(inside)})
    fleet.worker(*QUICK)

    def walk(folder: Path) -> Any:
        given = {"prompt": "it walks", "image": file(folder / "mule.png")}
        call = {"poll_interval": 0.1, "on_failure": "return"}
        return fleet.task("mulequeue.generate", "alibaba/wan2.6-i2v", given, **call).delay()

    assert "succeeded" == walk(inside).get(timeout=30)["status"]
    refused = walk(outside).get(timeout=30)

    assert "outside of mulequeue_input_roots" in refused["error"]["title"]
    [create] = fleet.emulator.creates()
    assert create["body"]["image"].startswith("data:image/png;base64,")

"""The lines that stand for a call in Flower and in logs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from flower.options import default_options

from mulequeue.engine.display import format_args, format_kwargs, format_result, is_ours
from mulequeue.ops import flower

MODEL = "alibaba/wan2.6-t2i"
OUTCOME = {"task_id": "t1", "status": "succeeded", "assets": [{"url": "https://a.example/secret"}]}
URL = "https://user:word@hooks.example/secret?token=secret"


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "line"),
    [
        ("generate", (MODEL, {"prompt": "a\n mule"}), {}, f"{MODEL}: a mule"),
        ("generate", (), {"model": MODEL, "input": {"prompt": "a mule"}}, f"{MODEL}: a mule"),
        ("generate", (MODEL, {"prompt": "x" * 99}), {}, f"{MODEL}: {'x' * 59}…"),
        ("generate", (MODEL, {"prompt": "data:image/png;base64,secret"}), {}, MODEL),
        ("generate", (MODEL, {"prompt": {"$file": "secret"}}), {}, MODEL),
        ("generate", (MODEL, {"prompt": "cut \ud83d"}), {}, f"{MODEL}: cut \ufffd"),
        ("generate", ("no/such-model", {"prompt": "a mule"}), {}, "no/such-model: a mule"),
        (
            "generate_from",
            (OUTCOME, MODEL, {"prompt": "it walks"}),
            {},
            f"{MODEL}: it walks ← t1 succeeded",
        ),
        ("adopt", ("/vendors/a/v1/b", "r1"), {}, "/vendors/a/v1/b r1"),
        ("download", (OUTCOME,), {}, "t1 succeeded"),
        ("notify", (OUTCOME, URL), {}, "t1 succeeded → hooks.example"),
        ("notify", ([OUTCOME, OUTCOME], URL), {}, "2 generations → hooks.example"),
        ("notify", ("t1",), {"target": URL}, "t1 → hooks.example"),
        ("gather", ([OUTCOME],), {}, "1 generations"),
        ("poll", ("token",), {}, "one for all that is due"),
    ],
)
def test_a_call_is_one_line(name, args, kwargs, line):
    """Model and prompt, or whose outcome; nothing else of what was given."""
    assert line == format_args(f"mulequeue.{name}", args, kwargs)
    assert is_ours(line)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (None, None),
        ("text", 3),
        (((1,), [2]), {}),
        ((None, None, None), {"target": 3}),
        (([], "(secret)"), {}),
        (("(x", {"prompt": 1}), {"results": {}}),
    ],
)
@pytest.mark.parametrize(
    "name", ["generate", "generate_from", "adopt", "download", "notify", "gather", "poll", "other"]
)
def test_any_message_has_a_line(name, args, kwargs):
    """A call that makes no sense is shown too, in a form that is told from Celery's."""
    assert is_ours(format_args(f"mulequeue.{name}", args, kwargs))
    assert "{" not in format_kwargs(kwargs)


def test_options_are_shown_and_nothing_else():
    """What is said of keyword arguments are known options, a storage without its password."""
    given = {"on_failure": "return", "storage": "ftp://u:word@host/x?word", "input": {"a": "word"}}

    assert "on_failure=return, storage='host/x'" == format_kwargs({**given, "more": "word"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (repr(OUTCOME), "succeeded"),
        (repr(OUTCOME)[:50], "succeeded"),
        (repr([OUTCOME]), "…"),
        ("'https://a.example/secret'", "…"),
        ("None", "None"),
    ],
)
def test_a_result_is_how_it_ended(text, shown):
    """Of an outcome its status, of anything else nothing."""
    assert shown == format_result(text)


def flower_task(**fields):
    return SimpleNamespace(
        **{"name": "mulequeue.generate", "args": None, "kwargs": None, "result": None} | fields
    )


def test_flower_keeps_what_celery_wrote_to_itself():
    """A task sent by name is shown without its arguments until a worker has it."""
    sent = flower_task(args="('m', {'image': 'secret'})", kwargs="{'a': 1}", result=repr(OUTCOME))

    shown = flower.format_task(sent)

    assert ("…", "…", "succeeded") == (shown.args, shown.kwargs, shown.result)


def test_flower_shows_lines_and_other_tasks_as_they_are():
    """Readable lines, and whatever the user's own tasks show, are left alone."""
    ours = flower_task(args=f"{MODEL}: a mule", kwargs="on_failure=return", result="succeeded")
    theirs = flower_task(name="proj.add", args="(1, 2)", kwargs="{}", result="a b")

    assert f"{MODEL}: a mule" == flower.format_task(ours).args
    assert ("(1, 2)", "a b") == (flower.format_task(theirs).args, theirs.result)


def test_the_file_itself_is_a_configuration_of_flower():
    """``--conf`` may name the module's own file: it sets Flower's two options and no other."""
    known = {name.replace("-", "_") for name in default_options}
    names = {name for name in vars(flower) if not name.startswith("__")}

    assert set(flower.__all__) == names & known

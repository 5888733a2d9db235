"""The moments of a record, as steps and as phases."""

from __future__ import annotations

import pytest

from mulequeue.cli.status import timeline_lines
from mulequeue.contrib.timeline_svg import timeline_svg
from mulequeue.ledger import Intent
from mulequeue.ledger.records import Record
from mulequeue.ledger.timeline import phases_of, steps_of, timeline_json
from mulequeue.settings import Profile

NOW = 2000.0
DONE = Record(
    task_id="t",
    state="delivered",
    status="succeeded",
    created=1000.0,
    submitted=1003.0,
    started=1003.5,
    finished=1033.5,
    requeues=1,
    times="q3e8w0Lw1f4Rk82dcv8340z8402ob000tb3e8",
)


def test_all_steps_of_a_generation_in_order() -> None:
    """Those that have fields of their own are among the packed ones."""
    names = [(step.name, round(step.at - DONE.created, 3)) for step in steps_of(DONE)]

    assert [
        ("enqueued", -1.0),
        ("received", 0.0),
        ("waiting", 0.0),
        ("waiting", 0.5),
        ("submitted", 3.0),
        ("accepted", 3.5),
        ("settled", 33.5),
        ("woken", 33.6),
        ("handed on", 33.794),
        ("downloaded", 45.056),
        ("notified", 46.056),
    ] == names


def test_the_steps_name_reasons_and_attempts() -> None:
    """Why it waited, how often it was sent, and what reported its end."""
    details = {step.detail for step in steps_of(DONE)} - {""}

    assert {
        "the limits of its profile or model were reached",
        "the API refused the create request for now, or it was not sent",
        "attempt 2",
        "by a status check",
    } == details


def test_phases_are_the_time_between_steps() -> None:
    """A download begins when its generation hands on, whichever is recorded first."""
    phases = {phase.name: round(phase.seconds, 3) for phase in phases_of(DONE, NOW)}

    assert {
        "queued": 1.0,
        "waiting": 2.5,
        "submitting": 0.5,
        "generating": 30.0,
        "waking": 0.1,
        "handing on": 0.194,
        "downloading": 11.456,
        "notifying": 1.0,
    } == phases


@pytest.mark.parametrize(
    ("fields", "last"),
    [
        ({"state": "waiting", "times": "w0P"}, "waiting"),
        ({"state": "submitting", "submitted": 1001.0}, "submitting"),
        ({"state": "generating", "submitted": 1001.0, "started": 1002.0}, "generating"),
        ({"state": "settled", "started": 1002.0, "finished": 1003.0, "times": "hbb8"}, "waking"),
    ],
)
def test_what_goes_on_lasts_until_now(fields: dict, last: str) -> None:
    """The last phase of a generation that is under way has no end yet."""
    phase = phases_of(Record(task_id="t", created=1000.0, **fields), NOW)[-1]

    assert (last, NOW) == (phase.name, phase.ended)


def test_a_record_of_an_earlier_version_has_the_steps_of_its_fields() -> None:
    """It has no packed moments."""
    record = Record(
        task_id="t", state="delivered", created=1000.0, submitted=1000.5, finished=1009.0
    )

    assert ["received", "submitted", "settled"] == [step.name for step in steps_of(record)]


def test_unknown_moments_of_a_later_version_are_skipped() -> None:
    """A worker may read what a newer one wrote."""
    record = Record(task_id="t", state="generating", created=1000.0, times="q5y7bv9c4")

    assert ["enqueued", "received", "woken"] == [step.name for step in steps_of(record)]


@pytest.mark.parametrize(("seconds", "times"), [(-0.3, "q0"), (1.5, "q5dc"), (None, None)])
def test_a_sender_with_a_fast_clock_was_not_in_the_future(seconds: float, times: str) -> None:
    """The clocks of two machines differ; a sender in another language gives no time."""
    profile = Profile(name="default", base_url="https://api.example", api_key="key")
    intent = Intent(
        task_id="t",
        run="r",
        profile=profile,
        path="p",
        signature={},
        digest="d",
        queued_seconds=seconds,
    )
    fields = intent.fields()

    assert times == dict(zip(fields[::2], fields[1::2], strict=True)).get("times")


def test_the_terminal_shows_where_the_time_went() -> None:
    """One line per phase; the bars are as long as the phases and stand where they were."""
    lines = list(timeline_lines(phases_of(DONE, NOW)))

    assert lines[0].startswith("timeline   queued      █")
    assert "30.00 s" in lines[4]
    bars = [line[23:47] for line in lines]
    assert [len(bar) for bar in bars] == [24] * len(bars)
    assert 15 == bars[4].count("█")
    assert bars[4].index("█") > bars[0].index("█")
    assert lines[1].endswith("the limits of its profile or model were reached")
    assert [True, False] == ["ended by a status check" in line for line in lines[4:6]]


def test_a_reason_that_does_not_fit_is_below() -> None:
    """No line is wider than the terminal, and nothing of a reason is missing."""
    wide, narrow = (list(timeline_lines(phases_of(DONE, NOW), width)) for width in (None, 80))

    assert max(map(len, wide)) > 80 >= max(map(len, narrow))
    assert "".join("".join(wide).split()) == "".join("".join(narrow).split())


def test_json_has_the_steps_with_seconds_since_the_first() -> None:
    """Without a bar, and with the time of each step."""
    data = timeline_json(DONE)

    assert {
        "step": "enqueued",
        "at": "1970-01-01T00:16:39.000Z",
        "seconds": 0.0,
        "detail": None,
    } == data[0]
    assert (47.056, "notified") == (data[-1]["seconds"], data[-1]["step"])


def test_a_page_shows_the_same_bars() -> None:
    """As a drawing with the reasons as titles, and with nothing that a content policy blocks."""
    drawing = timeline_svg(phases_of(DONE, NOW))

    assert 9 == drawing.count("<rect")
    assert "<title>the limits of its profile or model were reached</title>" in drawing
    assert "style=" not in drawing
    assert "" == timeline_svg([])

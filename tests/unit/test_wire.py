"""The API's answers, in every form that its pages and its live captures show.

The API's documentation and its real answers disagree in seventeen places. Each has a test here, named
``test_row_NN_…``, as far as it concerns the reading of an answer, a host or a path.
"""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulequeue import errors
from mulequeue.catalog import all_models, find
from mulequeue.errors import ConfigurationError
from mulequeue.outcome import ErrorInfo, Kind
from mulequeue.settings import Settings
from mulequeue.wire import (
    TaskReply,
    WireError,
    is_gone,
    is_known_status,
    read_error,
    read_task,
    retry_after_seconds,
)

ID = "0f8f9c1e-5f0e-4a3b-9d59-0f6f0b6a7c11"
URL = "https://mulerouter.muleusercontent.com/public/4a1d/video.mp4"
NOW = 1_790_000_000.0


def envelope(status: str | None = "completed", **fields: Any) -> dict[str, Any]:
    """An answer with that status word; ``task_*`` go into ``task_info``, the rest beside it."""
    info = {"id": ID, "status": status, "created_at": "2026-09-21T08:23:12Z"}
    if status is None:
        del info["status"]
    return {"task_info": info, **fields}


def problem(status_code: int, body: Any, **headers: str) -> ErrorInfo:
    return read_error(status_code, headers, json.dumps(body).encode())


# Row 1: status words


@pytest.mark.parametrize("word", ["pending", "queued", "running", "processing", "retrying"])
def test_row_01_waiting_and_working_words_are_active(word: str) -> None:
    """Both vocabularies, and ``retrying``, mean that it goes on."""
    reply = read_task(envelope(word))

    assert ("active", word, None) == (reply.state, reply.status, reply.error)
    assert is_known_status(word)


@pytest.mark.parametrize("word", ["succeeded", "completed", "success", "COMPLETED", " completed "])
def test_row_01_good_words_are_a_success(word: str) -> None:
    """Both vocabularies' words for the good end are read, in any case."""
    assert "succeeded" == read_task(envelope(word, videos=[URL])).state


@pytest.mark.parametrize("word", ["failed", "canceled", "cancelled", "error", "Failed"])
def test_row_01_bad_words_are_a_failure(word: str) -> None:
    """Every word for a bad end is a failure, even beside assets."""
    assert "failed" == read_task(envelope(word, videos=[URL])).state


@pytest.mark.parametrize("word", ["moderating", "", "done", None])
def test_row_01_unknown_or_missing_words_are_never_final(word: str | None) -> None:
    """A word nobody knows, or none, leaves the generation active and can be told for the log."""
    reply = read_task(envelope(word, videos=[URL]))

    assert ("active", word) == (reply.state, reply.status)
    assert not is_known_status(word)


# Row 2: the error of a failed task


@pytest.mark.parametrize(
    "body",
    [
        {"task_info": {"id": ID, "status": "failed"}, "error": {"title": "T", "error_code": 3005}},
        {"task_info": {"id": ID, "status": "failed", "error": {"title": "T", "code": 3005}}},
        {
            "task_info": {
                "id": ID,
                "status": "failed",
                "error": {"title": "T", "error_code": "3005"},
            }
        },
        {
            "task_info": {"id": ID, "status": "failed", "error": {"code": 3005}},
            "error": {"title": "T", "code": 1},
        },
    ],
    ids=["top level", "task_info", "number as text", "both"],
)
def test_row_02_the_error_is_read_in_both_places(body: dict[str, Any]) -> None:
    """Beside or inside ``task_info``, as ``code`` or ``error_code``: the error is the same."""
    expected = ErrorInfo(type="GenerationFailed", code=3005, title="T")

    assert expected == read_task(body).error
    assert {} == read_task(body).extra


@pytest.mark.parametrize("error", [None, {}, "", [], 7, {"title": None, "detail": "None (x)"}])
def test_row_02_a_failure_without_a_reason_says_so(error: Any) -> None:
    """A failure whose error is missing or unreadable still has a text."""
    found = read_task(envelope("failed", error=error)).error

    assert found is not None
    assert "The generation failed, and the API gives no reason" == found.title


def test_row_02_an_error_as_text_is_its_title() -> None:
    """An error that is plain text is understood."""
    found = read_task(envelope("failed", error="Prompt was refused")).error

    assert ErrorInfo(type="GenerationFailed", title="Prompt was refused") == found


# Row 3: the error of a rejected create request

INVALID = "Parameter validation failed"


@pytest.mark.parametrize(
    "body",
    [
        {"status": 400, "title": INVALID, "detail": "d", "instance": "/x", "error_code": 2001},
        {
            "task_info": {
                "status": "failed",
                "error": {"code": 2001, "title": INVALID, "detail": "d"},
            }
        },
        {"code": 2001, "title": INVALID, "detail": "d"},
        {"error": {"code": 2001, "message": INVALID, "detail": "d"}},
    ],
    ids=["problem", "envelope", "code at the root", "error object"],
)
def test_row_03_a_rejected_request_is_read_in_every_shape(body: dict[str, Any]) -> None:
    """A problem object, a failed envelope, and an error object say the same."""
    expected = ErrorInfo(
        type="InvalidRequestError", code=2001, title=INVALID, detail="d", status_code=400
    )

    assert expected == problem(400, body)


def test_row_03_an_unknown_route_has_no_number() -> None:
    """The bare answer of an unknown route is read, and is not an id that is gone."""
    error = problem(404, {"status": 404, "title": "Not Found"})

    assert ("Not Found", None) == (error.title, error.code)
    assert not is_gone(404, error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "Model is off"}', "Model is off"),
        (b'{"message": "Model is off"}', "Model is off"),
        (b"Model is off", "Model is off"),
        (b'"Model is off"', "Model is off"),
        (b"<html><style>p{}</style><h1>502</h1>\n<p>Bad <b>gateway</b></html>", "502 Bad gateway"),
        (b'{"detail": [{"loc": ["size"], "msg": "wrong"}]}', '"msg": "wrong"'),
        (b"", "The API answered 502 without a reason"),
        (b"{}", "The API answered 502 without a reason"),
        (b"\xff\xfe", "\ufffd"),
    ],
)
def test_row_03_any_other_body_is_quoted(body: bytes, said: str) -> None:
    """Texts, lists, HTML, rubbish and nothing end up as words a human can read."""
    error = read_error(502, {}, body)

    assert said in " ".join(f"{error.title or ''} {error.detail or ''}".split())
    assert "ServerError" == error.type


# Rows 4 to 6: the answer to a create request


@pytest.mark.parametrize(
    ("info", "remote_id"),
    [
        ({"id": ID}, ID),
        ({"task_id": ID}, ID),
        ({"id": None, "task_id": ID}, ID),
        ({"id": 12345}, "12345"),
        ({}, None),
        ({"id": ""}, None),
        ({"id": None, "task_id": ""}, None),
        ({"id": ["x"]}, None),
    ],
)
def test_row_04_the_id_has_two_names(info: dict[str, Any], remote_id: str | None) -> None:
    """``id`` and ``task_id`` are the id; an answer without one is told from one that has it."""
    assert remote_id == read_task({"task_info": info}).remote_id


@pytest.mark.parametrize(
    ("body", "state", "urls"),
    [
        (envelope(None), "active", ()),
        (envelope("pending"), "active", ()),
        (envelope("queued"), "active", ()),
        (envelope("succeeded", images=[URL]), "succeeded", (URL,)),
        (envelope("completed", videos=[URL]), "succeeded", (URL,)),
    ],
    ids=["no status", "pending", "queued", "old midjourney", "old kling"],
)
def test_row_05_a_create_answer_may_already_be_final(
    body: dict[str, Any], state: str, urls: tuple[str, ...]
) -> None:
    """The answer to a create request is read like any other, final or not."""
    assert (state, urls) == (read_task(body).state, read_task(body).urls)


def test_row_06_the_http_code_of_a_good_answer_plays_no_part() -> None:
    """An envelope is read without its HTTP code, so 200, 201 and 202 mean the same."""
    assert ID == read_task(envelope("pending")).remote_id


# Rows 7 and 8: assets


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"images": [URL]}, "image"),
        ({"videos": [URL]}, "video"),
        ({"audios": [URL]}, "audio"),
        ({"image": URL}, "image"),
        ({"video": [URL]}, "video"),
        ({"audio": {"url": URL}}, "audio"),
        ({"video_url": URL}, "video"),
        ({"videos": [{"url": URL}]}, "video"),
        ({"output": {"url": URL}}, "video"),
        ({"output": {"videos": [URL]}}, "video"),
        ({"output": {"video_url": URL}}, "video"),
        ({"output": [URL]}, "video"),
        ({"output": URL}, "video"),
        ({"videos": [], "images": [URL]}, "image"),
        ({"videos": None, "images": [None, {}, 3, "", f" {URL} "]}, "image"),
    ],
)
@pytest.mark.parametrize("declared", [None, "video"])
def test_row_07_assets_are_found_under_every_key(
    fields: dict[str, Any], kind: Kind, declared: Kind | None
) -> None:
    """A result under an unexpected key, singular, or nested is found, with its kind."""
    reply = read_task(envelope(**fields), kind=declared)

    assert ("succeeded", (URL,), kind) == (reply.state, reply.urls, reply.kind)


def test_row_07_the_declared_key_comes_first() -> None:
    """Where an answer has results of several kinds, the model's own kind is the result."""
    body = envelope(images=["https://a.example/cover.png"], videos=[URL], description="d")

    reply = read_task(body, kind="video")

    assert (URL,) == reply.urls
    assert {"images": ["https://a.example/cover.png"], "description": "d"} == reply.extra


def test_row_07_assets_keep_their_order() -> None:
    """Four images come out as the four they are, in the API's order."""
    urls = [f"https://a.example/{index}.png" for index in (3, 1, 2, 0)]

    assert tuple(urls) == read_task(envelope(images=urls), kind="image").urls


@pytest.mark.parametrize("fields", [{}, {"videos": []}, {"videos": None}, {"videos": ["oops"]}])
def test_row_07_completed_without_assets_is_a_failure_of_its_own(fields: dict[str, Any]) -> None:
    """A generation that completed without a file failed, and its error says that it was billed."""
    reply = read_task(envelope("completed", **fields), kind="video")

    assert "failed" == reply.state
    assert reply.error is not None
    assert "NoAssets" == reply.error.type
    assert "billed" in str(reply.error.title)


@pytest.mark.parametrize(
    ("item", "url"),
    [
        ("https://a.example/x.mp3", "https://a.example/x.mp3"),
        ("fffb90C4", "hex:fffb90C4"),
        ("data:audio/mpeg;base64,//uQ", "data:audio/mpeg;base64,//uQ"),
    ],
)
def test_row_08_audio_is_a_url_or_hex_digits(item: str, url: str) -> None:
    """Audio that comes as hex digits is marked as such; a URL stays a URL."""
    assert (url,) == read_task(envelope(audios=[item]), kind="audio").urls


@pytest.mark.parametrize("item", ["fff", "xyz0", "", "fe ff"])
def test_row_08_broken_hex_is_no_audio(item: str) -> None:
    """Digits that are no whole bytes are not taken for a file."""
    assert "failed" == read_task(envelope(audios=[item]), kind="audio").state


def test_row_08_hex_digits_are_audio_only() -> None:
    """Something like hex under an image key is no asset."""
    assert "failed" == read_task(envelope(images=["fffb90c4"]), kind="image").state


# Rows 9 and 10: the catalog


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("alibaba/qwen-image-edit-max", 24 * 3600),
        ("google/veo-3.1", 48 * 3600),
        ("openai/sora-2", 3600),
        ("openai/sora-2-pro", 3600),
        ("klingai/kling-v3/text-to-video", 3600),
    ],
)
def test_row_09_retention_differs_by_model(name: str, seconds: int) -> None:
    """Assets live as long as the model's page says, and an hour where none does."""
    assert seconds == find(name).retention_seconds


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("alibaba/qwen-image-max", 2, 3),
        ("google/veo-3.1-fast", 5, 10),
        ("google/veo-3.0", 10, 15),
        ("openai/sora-2-pro", 15, 30),
    ],
)
def test_row_10_cadence_differs_by_model(name: str, low: float, high: float) -> None:
    """Polls come as often as the model's page asks for."""
    schedule = find(name).schedule

    assert low <= schedule.seconds(0, 0.0) < schedule.seconds(99, 0.999) <= high


# Rows 11, 12 and 14 are about the official command line and the balance: nothing to read here.


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)
def test_row_11_patience_is_the_models_own(model: Any) -> None:
    """How long to wait comes from the catalog for every model, not from another client's default."""
    assert model.max_wait_seconds in {300, 600, 3600}


# Row 13: hosts and keys


def test_row_13_host_and_key_form_one_profile() -> None:
    """Each profile joins one host with one key; a record of one is not taken for the other's."""
    configured = Settings(
        api_key="sk-mr-1", profiles={"mulerun": {"api_key": "muk-1", "site": "mulerun"}}
    )
    router, run = configured.profile(), configured.profile("mulerun")

    assert ("https://api.mulerouter.ai", "sk-mr-1") == (router.base_url, router.api_key)
    assert ("https://api.mulerun.com", "muk-1") == (run.base_url, run.api_key)
    assert router.fingerprint != run.fingerprint


def test_row_13_a_slash_at_the_end_of_the_host_does_no_harm() -> None:
    """The host is kept without a trailing slash, so that paths can be joined to it."""
    profile = Settings(api_key="k", base_url="https://api.mulerun.com/").profile()

    assert "https://api.mulerun.com" == profile.base_url


def test_row_13_an_unknown_site_is_refused() -> None:
    """A misspelt site is an error that names the right one, before any key travels anywhere."""
    with pytest.raises(ConfigurationError, match="mulerun"):
        Settings(api_key="k", site="mulerum").profile()


# Rows 15 and 16: what is accepted where


def test_row_15_unknown_fields_of_an_answer_are_kept() -> None:
    """Fields nobody expects change nothing and are handed on."""
    reply = read_task(envelope(videos=[URL], description="d", usage_characters=12))

    assert {"description": "d", "usage_characters": 12} == reply.extra


def test_row_16_no_model_is_tied_to_a_site() -> None:
    """Which site has which model changes; the catalog says nothing about it."""
    sites = ("mulerun.com", "mulerouter.ai")

    assert not [model for model in all_models() if any(site in repr(model) for site in sites)]
    assert all(not hasattr(model, "site") for model in all_models())


# Row 17: 404 on a status check


@pytest.mark.parametrize(
    ("status_code", "body", "gone"),
    [
        (404, {"error_code": 2005, "title": "Not found"}, True),
        (404, {"code": "2005"}, True),
        (404, {"title": "x", "detail": f"Task with ID {ID} does not exist"}, True),
        (404, {"status": 404, "title": "Not Found"}, False),
        (404, {"title": "x", "error_code": 2001}, False),
        (400, {"error_code": 2005}, False),
        (500, {"detail": "Task does not exist"}, False),
    ],
)
def test_row_17_only_one_kind_of_404_means_gone(
    status_code: int, body: dict[str, Any], gone: bool
) -> None:
    """An id is gone when a 404 says so by number or by text, and never otherwise."""
    assert gone is is_gone(status_code, problem(status_code, body))


def test_row_17_a_404_that_is_html_is_not_gone() -> None:
    """A page of some proxy says nothing about an id."""
    assert not is_gone(404, read_error(404, {}, b"<html>Not Found</html>"))


# More about tasks


def test_the_status_decides_and_not_the_error_beside_it() -> None:
    """A completed generation with an error object beside it succeeded."""
    body = envelope("completed", videos=[URL], error={"code": 0, "title": ""})
    body["task_info"]["error"] = {"code": 0}

    reply = read_task(body)

    assert ("succeeded", None, {}) == (reply.state, reply.error, reply.extra)


@pytest.mark.parametrize("stamp", ["2026-09-21T08:23:12Z", "2026-09-21T08:23:12.657134+00:00"])
def test_times_are_handed_on_as_written(stamp: str) -> None:
    """The server's times are not rewritten, whichever form they have."""
    info = {"id": ID, "status": "processing", "created_at": stamp, "updated_at": stamp}
    reply = read_task({"task_info": info})

    assert (stamp, stamp) == (reply.created_at, reply.updated_at)


@pytest.mark.parametrize("body", [None, [], "x", 3, {}, {"task_info": None}, {"task_info": []}])
def test_no_envelope_is_an_error(body: Any) -> None:
    """What is no task is refused with what was found instead."""
    with pytest.raises(WireError, match="no task_info"):
        read_task(body)


def test_a_deletion_receipt_is_no_task() -> None:
    """The answer to a deletion is not taken for a generation."""
    with pytest.raises(WireError, match="deleted_at"):
        read_task({"task_id": ID, "deleted_at": "2026-09-21T08:23:12Z"})


# More about refusals


@pytest.mark.parametrize(
    ("status_code", "type_"),
    [
        (400, "InvalidRequestError"),
        (401, "AuthenticationError"),
        (402, "InsufficientBalance"),
        (403, "AuthenticationError"),
        (404, "InvalidRequestError"),
        (409, "InvalidRequestError"),
        (423, "InvalidRequestError"),
        (429, "RateLimited"),
        (451, "InvalidRequestError"),
        (500, "ServerError"),
        (503, "ServerError"),
        (302, "APIError"),
    ],
)
def test_the_http_status_decides_the_type(status_code: int, type_: str) -> None:
    """The type of a refusal is a class of the error tree, chosen by the HTTP status."""
    assert type_ == problem(status_code, {"title": "x"}).type
    assert issubclass(getattr(errors, type_), errors.APIError)


def test_unavailable_with_a_time_is_a_rate_limit() -> None:
    """A 503 that says when to come back did not create anything, like a 429."""
    assert "RateLimited" == read_error(503, {"Retry-After": "5"}, b"").type


@pytest.mark.parametrize("body", [b"error code: 1010", b"1010", b"<html>no</html>", b""])
def test_a_403_that_is_no_json_object_is_the_edge(body: bytes) -> None:
    """A block by the edge is no verdict on the key, and says so."""
    error = read_error(403, {}, body)

    assert "EdgeBlocked" == error.type
    assert "no verdict on the key" in str(error.title)


def test_a_detail_of_none_gives_way_to_the_title() -> None:
    """The literal ``None (request_id: …)`` is no detail."""
    body = {
        "status": 401,
        "title": "Invalid API Key format",
        "detail": "None (request_id: 8a7f)",
        "instance": "/vendors/x",
        "error_code": 0,
    }
    expected = ErrorInfo(
        type="AuthenticationError", code=0, title="Invalid API Key format", status_code=401
    )

    assert expected == problem(401, body)


@pytest.mark.parametrize("name", ["Traceparent", "traceparent", "TRACEPARENT"])
def test_the_trace_id_is_kept(name: str) -> None:
    """What the support asks for is kept, however the header is spelled."""
    assert "00-ab-cd-01" == read_error(500, {name: "00-ab-cd-01"}, b"{}").trace_id


@pytest.mark.parametrize("body", [b"x" * 5_000_000, b'{"title": "' + b"x" * 2_000_000 + b'"}'])
def test_a_huge_body_is_cut(body: bytes) -> None:
    """An error text has at most 500 characters, whatever was sent."""
    error = read_error(500, {}, body)

    assert 500 == len(error.detail or "")


def test_texts_are_one_printable_line() -> None:
    """Line breaks, control characters and lone surrogates do not get into logs and stores."""
    error = read_error(400, {}, b'{"title": "a\\u0000b\\r\\nc\\ud800", "detail": "  d  "}')

    assert ("a b c?", "d") == (error.title, error.detail)


def test_a_quoted_key_is_masked() -> None:
    """An answer that quotes the refused key does not carry it into a log."""
    key = "sk-mr-" + "0123456789abcdef" * 4
    error = problem(401, {"title": f"Invalid key {key}", "detail": "muk-abcdefghijkl is unknown"})

    assert ("Invalid key sk-mr-…", "muk-… is unknown") == (error.title, error.detail)


# Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("3600", 3600.0),
        ("86400", 3600.0),
        ("9" * 400, 3600.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW + 86400, usegmt=True), 3600.0),
        (formatdate(NOW - 90, usegmt=True), None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Mon, 99 Foo 2026 08:00:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds and dates are read; the absurd is passed over, the very long capped at an hour."""
    assert seconds == retry_after_seconds(value, NOW)


# Anything at all

# A slow machine is no failure.
unhurried = settings(deadline=None)

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    LEAVES, lambda child: st.lists(child) | st.dictionaries(st.text(), child), max_leaves=12
)
WORDS = st.sampled_from(["completed", "failed", "pending", "success", "error", "?"])
INFO = st.fixed_dictionaries(
    {}, optional={"id": JSON, "task_id": JSON, "status": WORDS | JSON, "error": JSON}
)
RESULT_KEYS = ("images", "videos", "audios", "image", "video_url", "output", "error", "detail")
ENVELOPES = st.fixed_dictionaries(
    {"task_info": INFO | JSON},
    optional={key: JSON | st.just([URL]) for key in RESULT_KEYS},
)
KINDS = st.sampled_from([None, "image", "video", "audio"])


@unhurried
@given(body=JSON | ENVELOPES, kind=KINDS)
def test_any_json_is_a_task_or_an_error(body: Any, kind: Kind | None) -> None:
    """Whatever JSON comes, it is read as a consistent reply or refused as no task."""
    try:
        reply = read_task(body, kind=kind)
    except WireError:
        return
    assert isinstance(reply, TaskReply)
    assert (reply.state == "failed") is (reply.error is not None)
    assert (reply.state == "succeeded") is bool(reply.urls)
    assert reply.remote_id is None or isinstance(reply.remote_id, str)
    assert not {"task_info", "error"} & set(reply.extra)


@unhurried
@given(
    status_code=st.integers(100, 999),
    headers=st.dictionaries(st.text(), st.text()),
    body=st.binary() | (JSON | ENVELOPES).map(lambda value: json.dumps(value).encode()),
)
def test_any_refusal_is_read(status_code: int, headers: dict[str, str], body: bytes) -> None:
    """Whatever is refused with, there is an error with a type, a text, and no huge part."""
    error = read_error(status_code, headers, body)

    assert issubclass(getattr(errors, error.type), errors.APIError)
    assert error.title or error.detail
    assert max(len(error.title or ""), len(error.detail or "")) <= 500
    assert isinstance(is_gone(status_code, error), bool)


def test_deeply_nested_json_is_survived() -> None:
    """A body made to exhaust the parser is an error like any other."""
    assert "ServerError" == read_error(500, {}, b"[" * 500_000).type


@unhurried
@given(value=st.text(), now=st.floats(0, 4e9))
def test_any_retry_after_is_none_or_up_to_an_hour(value: str, now: float) -> None:
    """No header makes a wait that is negative or longer than an hour."""
    seconds = retry_after_seconds(value, now)

    assert seconds is None or 0 <= seconds <= 3600

"""Answers of the emulator that are slow, endless, huge, compressed, or send the client elsewhere."""

from __future__ import annotations

import pytest
import requests
from support.emulator_client import AT_ONCE, IMAGE, KEY, asset, create, created, poll


def test_a_body_can_come_slowly(emulator):
    """It comes in many parts and is whole in the end; the create was stored before."""
    emulator.faults(creates=[{"do": "slow_body", "seconds": 0.2, "count": 1}])

    url = emulator.url + IMAGE
    with requests.post(url, json={"prompt": "a"}, headers=KEY, stream=True, timeout=20) as answer:
        assert 1 == emulator.stats()["created"]
        parts = list(iter(answer.raw.read1, b""))

    assert 1 < len(parts)
    assert int(answer.headers["Content-Length"]) == len(b"".join(parts))
    assert b'"pending"' in b"".join(parts)


@pytest.mark.parametrize("kind", ["creates", "polls", "downloads"])
def test_a_body_can_be_endless(emulator, kind):
    """More than a megabyte behind the answer, and no end of it; the emulator goes on serving."""
    url = asset(emulator)
    remote_id = created(emulator, prompt="a")
    emulator.faults(**{kind: [{"do": "endless", "count": 1}]})
    ask = {
        "creates": ("POST", emulator.url + IMAGE, KEY),
        "polls": ("GET", f"{emulator.url}{IMAGE}/{remote_id}", KEY),
        "downloads": ("GET", url, {}),
    }
    method, where, headers = ask[kind]

    body = {"prompt": "b"} if kind == "creates" else None
    with requests.request(
        method, where, json=body, headers=headers, stream=True, timeout=20
    ) as answer:
        read = sum(len(answer.raw.read(65_536)) for _ in range(24))

    assert read > 1_000_000
    assert 200 == poll(emulator, remote_id).status_code


def test_an_error_can_have_a_huge_body(emulator):
    """Ten megabytes of JSON with a status of 500."""
    emulator.faults(polls=[{"do": "status", "status": 500, "bytes": 10_000_000, "count": 1}])

    answer = poll(emulator, "x")

    assert 500 == answer.status_code
    assert 10_000_000 == len(answer.content)
    assert answer.json()["detail"].endswith("x")


def test_answers_can_be_compressed(emulator):
    """For clients that accept it, or for all; the content is the same."""
    remote_id = created(emulator, prompt="a")
    accepts, not_at_all = {**KEY, "Accept-Encoding": "gzip"}, {**KEY, "Accept-Encoding": "identity"}

    def encoding(headers):
        answer = poll(emulator, remote_id, headers=headers)
        assert "pending" == answer.json()["task_info"]["status"]
        return answer.headers.get("Content-Encoding")

    assert encoding(accepts) is None
    emulator.faults(gzip="accepted")
    assert ("gzip", None) == (encoding(accepts), encoding(not_at_all))
    emulator.faults(gzip="always")
    assert "gzip" == encoding(not_at_all)


def test_a_compressed_huge_body_is_a_bomb(emulator):
    """Ten megabytes that are some kilobytes on the wire."""
    emulator.faults(
        gzip="always", polls=[{"do": "status", "status": 500, "bytes": 10_000_000, "count": 1}]
    )

    answer = poll(emulator, "x")

    assert int(answer.headers["Content-Length"]) < 100_000
    assert 10_000_000 == len(answer.content)


def test_a_client_that_follows_a_redirected_create_pays_twice_as_often(emulator):
    """307 to the same address again, or to another; nothing is stored by the redirect itself."""
    emulator.faults(creates=[{"do": "redirect", "count": 1}])

    url, body = emulator.url + IMAGE, {"prompt": "a"}
    answer = requests.post(url, json=body, headers=KEY, allow_redirects=False, timeout=20)
    stored_by_it = emulator.stats()["created"]
    emulator.faults(creates=[{"do": "redirect", "count": 1}])
    followed = create(emulator, prompt="a")

    assert (307, url) == (answer.status_code, answer.headers["Location"])
    assert (0, 1) == (stored_by_it, emulator.stats()["created"])
    assert (202, [307]) == (followed.status_code, [item.status_code for item in followed.history])


def test_downloads_and_polls_can_be_sent_elsewhere(emulator):
    """The location is the one that was asked for."""
    url, elsewhere = asset(emulator), "http://169.254.169.254/latest"
    emulator.faults(
        polls=[{"do": "redirect", "location": elsewhere}],
        downloads=[{"do": "redirect", "location": elsewhere}],
    )

    for where, headers in ((url, {}), (f"{emulator.url}{IMAGE}/x", KEY)):
        answer = requests.get(where, headers=headers, allow_redirects=False, timeout=20)
        assert (307, elsewhere) == (answer.status_code, answer.headers["Location"])


@pytest.mark.parametrize(
    ("site", "key", "status", "code"),
    [
        ("mulerouter", "sk-mr-1", 202, None),
        ("mulerouter", "muk-1", 401, 1001),
        ("mulerun", "muk-1", 202, None),
        ("mulerun", "sk-mr-1", 401, 0),
    ],
)
def test_each_site_takes_its_own_keys(emulator, site, key, status, code):
    """A key of the other site is 401, on mulerun without a reason, as captured."""
    emulator.faults(site=site)

    answer = create(emulator, prompt="a", headers={"Authorization": f"Bearer {key}"})

    assert (status, code) == (answer.status_code, answer.json().get("error_code"))
    assert site != "mulerun" or code is None or answer.json()["detail"].startswith("None (request")


def test_unknown_fields_are_refused_on_demand(emulator):
    """Silently ignored by most models, 400 with code 2001 when the emulator is told so."""
    ignored = create(emulator, prompt="a", resolution="4k")
    emulator.faults(unknown_fields="rejected")
    refused = create(emulator, prompt="a", resolution="4k")

    assert (202, 400) == (ignored.status_code, refused.status_code)
    assert 2001 == refused.json()["error_code"]
    assert "'resolution' Extra inputs are not permitted" in refused.json()["detail"]


def test_a_completed_generation_can_have_no_result_key_at_all(emulator):
    """Completed, and neither images nor videos nor audios."""
    emulator.faults(lives=[{"end": "missing", **AT_ONCE[0]}])

    answer = poll(emulator, created(emulator, prompt="a")).json()

    assert ("completed", {"task_info"}) == (answer["task_info"]["status"], set(answer))

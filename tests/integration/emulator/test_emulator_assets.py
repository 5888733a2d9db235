"""The emulator's asset host."""

from __future__ import annotations

import io

import pytest
import requests
from support.emulator_client import IMAGE, KEY, asset, finished, poll


def test_an_asset_is_the_same_every_time(emulator):
    """A picture that opens, byte for byte equal on each fetch, and counted."""
    from PIL import Image

    url = asset(emulator, size="1280*720")

    first, second = requests.get(url, timeout=20), requests.get(url, timeout=20)

    assert (200, "image/png") == (first.status_code, first.headers["Content-Type"])
    assert first.content == second.content
    assert (448, 252) == Image.open(io.BytesIO(first.content)).size
    assert 2 == emulator.wait(downloads=2)["downloads"]


def test_the_asset_host_is_another_port(emulator):
    """Nothing of the API is there, and nothing of it at the API."""
    url = asset(emulator)
    origin, path = url.split("/public/")

    assert origin != emulator.url
    assert 404 == requests.get(origin + IMAGE, headers={}, timeout=20).status_code
    assert 404 == requests.get(f"{emulator.url}/public/{path}", timeout=20).status_code


def test_a_key_at_the_asset_host_is_refused_and_counted(emulator):
    """400, and the leak is in the stats."""
    response = requests.get(asset(emulator), headers=KEY, timeout=20)

    stats = emulator.stats()
    assert (400, 1, 0) == (response.status_code, stats["auth_leaks"], stats["downloads"])


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-9", 0, 10), ("bytes=10-", 10, None), ("bytes=-5", -5, None)],
)
def test_a_part_of_an_asset_can_be_fetched(emulator, asked, start, stop):
    """206 with the part and its place in the whole."""
    url = asset(emulator)
    whole = requests.get(url, timeout=20).content

    part = requests.get(url, headers={"Range": asked}, timeout=20)

    assert (206, whole[start:stop]) == (part.status_code, part.content)
    assert part.headers["Content-Range"].endswith(f"/{len(whole)}")


def test_a_part_beyond_the_end_is_refused(emulator):
    """416, and no download."""
    response = requests.get(asset(emulator), headers={"Range": "bytes=99999999-"}, timeout=20)

    assert (416, 0) == (response.status_code, emulator.stats()["downloads"])


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_expired_url_is_refused_and_renewed(emulator, status):
    """The old URL answers the status chosen; the next poll gives URLs that work."""
    emulator.faults(asset_seconds=0, asset_renewal=False, asset_expired_status=status)
    answer = finished(emulator, prompt="a")
    old = answer["images"][0]

    assert status == requests.get(old, timeout=20).status_code
    emulator.faults(asset_seconds=60, asset_renewal=True)
    fresh = poll(emulator, answer["task_info"]["id"]).json()["images"][0]

    assert fresh != old
    assert (status, 200) == (
        requests.get(old, timeout=20).status_code,
        requests.get(fresh, timeout=20).status_code,
    )


def test_downloads_can_go_wrong(emulator):
    """Refused, cut short, without a type, an HTML page; then all is well again."""
    url = asset(emulator)
    emulator.faults(
        downloads=[
            {"do": "status", "status": 500, "count": 1},
            {"do": "truncate", "count": 1},
            {"do": "no_content_type", "count": 1},
            {"do": "html", "count": 1},
        ]
    )

    assert 500 == requests.get(url, timeout=20).status_code
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(url, timeout=20)
    untyped = requests.get(url, timeout=20)
    assert (200, None) == (untyped.status_code, untyped.headers.get("Content-Type"))
    assert "html" in requests.get(url, timeout=20).headers["Content-Type"]
    assert untyped.content == requests.get(url, timeout=20).content
    assert 2 == emulator.wait(downloads=2)["downloads"]

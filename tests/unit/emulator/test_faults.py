"""Faults come from one JSON object, checked before anything happens."""

from __future__ import annotations

import pytest

from mulequeue.emulator.faults import Burst, Faults, Life


def test_an_empty_object_is_the_api_on_a_good_day():
    """No faults are the defaults."""
    assert Faults() == Faults.parse({})


def test_bursts_and_lives_are_read_from_json():
    """Nested objects become bursts and lives."""
    faults = Faults.parse(
        {
            "vocabulary": "A",
            "creates": [{"do": "status", "status": 429, "retry_after": "2", "count": 3}],
            "lives": [{"contains": "bad", "end": "failed", "code": 3005, "seconds": 1}],
        }
    )

    assert "A" == faults.vocabulary
    assert [Burst(do="status", status=429, retry_after="2", count=3)] == faults.creates
    assert [Life(contains="bad", end="failed", code=3005, seconds=1)] == faults.lives


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "faults must be a JSON object"),
        ({"vocabularies": "A"}, "no key 'vocabularies'. Known: vocabulary, "),
        ({"vocabulary": "C"}, "faults.vocabulary must be one of A, B, mixed, not 'C'."),
        ({"creates": {}}, "faults.creates must be a list"),
        ({"creates": [{"count": 1}]}, r"faults.creates\[0\] needs 'do'"),
        (
            {"creates": [{"do": "explode"}]},
            r"faults.creates\[0\].do must be one of .*, not 'explode'",
        ),
        (
            {"polls": [{"do": "drop_after"}]},
            "do must be one of drop, edge_block, .*, not 'drop_after'",
        ),
        ({"creates": [{"do": "hold", "times": 1}]}, r"faults.creates\[0\] has no key 'times'"),
        ({"polls": [{"do": "drop", "count": "3"}]}, "count must be a whole number, not '3'"),
        ({"polls": [{"do": "drop", "count": -1}]}, "count must not be negative"),
        ({"lives": [{"retrying": 1}]}, "retrying must be true or false"),
        ({"asset_seconds": True}, "asset_seconds must be a number"),
        ({"create_http_status": 418}, "must be one of 200, 201, 202, not 418"),
        (
            {"polls": [{"do": "truncate"}]},
            "do must be one of drop, edge_block, end.*, not 'truncate'",
        ),
        ({"webhooks": [{}]}, r"faults.webhooks\[0\] needs 'url'"),
        ({"webhooks": [{"url": "me"}]}, r"webhooks\[0\].url must start with http:// or https://"),
        (
            {"webhooks": [{"url": "http://x", "events": ["done"]}]},
            "must be one of task.*, not 'done'",
        ),
        (
            {"webhooks": [{"url": "http://x", "key": "decoded", "secret": "whsec_?"}]},
            "secret must be whsec_ and base64",
        ),
        ({"webhooks": [{"url": "http://x"}] * 6}, "can hold 5"),
    ],
)
def test_a_wrong_fault_is_refused_with_what_is_known(data, words):
    """Every mistake is a ValueError that names the place and the choices."""
    with pytest.raises(ValueError, match=words):
        Faults.parse(data)


def test_an_update_replaces_the_given_keys_only():
    """Keys that an update does not name stay as they were."""
    faults = Faults.parse({"vocabulary": "A", "polls": [{"do": "drop"}]})

    updated = faults.updated({"polls": []})

    assert ("A", []) == (updated.vocabulary, updated.polls)


def test_a_wrong_update_changes_nothing():
    """A refused update leaves the faults in force."""
    faults = Faults.parse({"vocabulary": "A"})

    with pytest.raises(ValueError, match="no key 'polling'"):
        faults.updated({"vocabulary": "B", "polling": []})

    assert "A" == faults.vocabulary


def test_a_burst_is_used_up_by_its_count():
    """A burst of two serves two requests, the next burst follows."""
    faults = Faults.parse({"polls": [{"do": "hold", "count": 2}, {"do": "slow", "count": 1}]})

    taken = [faults.take("polls", "", edge=False) for _ in range(4)]

    assert ["hold", "hold", "slow", None] == [burst and burst.do for burst in taken]


def test_a_burst_passes_over_other_prompts():
    """A burst for a text is not used up by prompts without it."""
    faults = Faults.parse({"creates": [{"do": "hold", "count": 1, "contains": "fox"}]})

    assert faults.take("creates", "a mule", edge=False) is None
    assert faults.take("creates", "a fox", edge=False) is not None


def test_what_happens_at_the_edge_is_not_taken_inside():
    """A dropped connection is decided before the API looks at the request, and only there."""
    faults = Faults.parse({"creates": [{"do": "drop", "count": 1}]})

    assert faults.take("creates", "", edge=False) is None
    assert "drop" == faults.take("creates", "", edge=True).do
    assert faults.take("creates", "", edge=True) is None


def test_the_first_life_that_matches_counts():
    """Lives are tried in order; without a match life is uneventful."""
    faults = Faults.parse({"lives": [{"contains": "fox", "end": "empty"}, {"contains": "f"}]})

    assert "empty" == faults.life_of("a fox").end
    assert "f" == faults.life_of("a fish").contains
    assert Life() == faults.life_of("a mule")

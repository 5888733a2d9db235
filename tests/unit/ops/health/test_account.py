"""The doctor's findings about keys, without requests."""

from __future__ import annotations

import pytest
from celery import Celery

from mulequeue.api.results import KeyCheck
from mulequeue.ops.health.account import examine_account, former_fingerprints, key, wrong_site
from mulequeue.settings import Profile, Settings

APP = Celery("proj", set_as_current=False)
ROUTER, RUN = "https://api.mulerouter.ai", "https://api.mulerun.com"


def profile(api_key: str, base_url: str = ROUTER) -> Profile:
    return Profile(name="default", base_url=base_url, api_key=api_key)


@pytest.mark.parametrize(
    ("api_key", "base_url", "fix"),
    [
        ("sk-mr-secret", ROUTER, None),
        ("muk-secret", RUN, None),
        ("muk-secret", "http://127.0.0.1:8787", None),
        ("other-secret", RUN, None),
        ("sk-mr-secret", RUN, "mulequeue_site = 'mulerouter'"),
        ("muk-secret", ROUTER, "mulequeue_site = 'mulerun'"),
    ],
)
def test_a_key_of_the_other_site_is_an_error(api_key: str, base_url: str, fix: str | None) -> None:
    """The prefix of a key names its site; any other host accepts every key."""
    finding = wrong_site(APP, profile(api_key, base_url))

    assert (fix is None) == (finding is None)
    if finding is not None:
        assert f"  {fix}\n" in finding.fix
        assert "secret" not in finding.text + finding.fix


def test_a_key_of_the_other_site_is_not_sent_there() -> None:
    """There is one finding, and no request."""
    findings = examine_account(APP, Settings(api_key="muk-secret"))

    assert [("site", "error")] == [(finding.id, finding.level) for finding in findings]


def test_no_key_is_an_error() -> None:
    """The fix is the line that sets one."""
    (finding,) = examine_account(APP, Settings())

    assert ("key", "error") == (finding.id, finding.level)
    assert "export MULEROUTER_API_KEY=" in finding.fix


def test_a_profile_that_cannot_be_used_here_is_an_error_of_its_own() -> None:
    """The other profiles are examined as well."""
    settings = Settings(api_key="muk-secret", profiles={"other": {}, "typo": {"hots": "h"}})

    findings = examine_account(APP, settings)

    assert ["key", "key", "site"] == [finding.id for finding in findings]
    assert ["'other'", "'typo'"] == [
        name for name in ("'other'", "'typo'") if name in findings[0].text + findings[1].text
    ]
    assert "left to workers" in findings[0].fix


@pytest.mark.parametrize(("works", "level"), [(True, "ok"), (False, "error"), (None, "warning")])
def test_a_check_of_a_key(works: bool | None, level: str) -> None:
    """A rejected key is an error, an unchecked key a warning. The key is never shown."""
    finding = key(APP, profile("sk-mr-secret"), KeyCheck(works=works, reason="sk-mr-secret: no"))

    assert ("key", level) == (finding.id, finding.level)
    assert "secret" not in finding.text + finding.fix


def test_a_key_in_the_place_of_a_fingerprint_is_not_shown() -> None:
    """An invalid fingerprint is an error and is not shown."""
    (wrong,) = former_fingerprints(APP, ["0a1b2c3d", "sk-mr-secret"])
    (right,) = former_fingerprints(APP, ["0a1b2c3d"])

    assert ("error", "ok") == (wrong.level, right.level)
    assert "secret" not in wrong.text + wrong.fix
    assert "0a1b2c3d" in right.text

"""Tests never reach the real API."""

from __future__ import annotations

import pytest

from mulequeue.errors import ConfigurationError
from mulequeue.testing import refuse_real_api


@pytest.mark.parametrize("name", ["MULEROUTER_BASE_URL", "MULEQUEUE_BASE_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "https://api.mulerouter.ai",
        "https://api.mulerun.com/",
        "https://API.MuleRun.com:443",
        "api.mulerouter.ai",
    ],
)
def test_an_environment_that_points_at_the_real_api_is_refused(name, url):
    """In any spelling, and the text names the variable."""
    with pytest.raises(ConfigurationError, match=f"unset {name}"):
        refuse_real_api({name: url})


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:8787", "https://mulerouter.example"])
def test_any_other_environment_will_do(url):
    """An emulator of the user's own, or nothing at all."""
    assert refuse_real_api({"MULEROUTER_BASE_URL": url}) is None
    assert refuse_real_api({}) is None

"""The settings decide which addresses transfers may connect to."""

from __future__ import annotations

import pytest

from mulequeue.net.address_guard import AddressGuard, AddressRefused
from mulequeue.settings import Settings
from mulequeue.transfer.control import guard_for


def test_an_emulators_profile_allows_this_machine_only():
    """A profile whose own host is loopback allows loopback over http, and nothing else private."""
    for settings in (
        Settings(base_url="http://127.0.0.1:8123"),
        Settings(base_url="http://localhost:8123"),
        Settings(profiles={"dev": {"base_url": "http://[::1]:8123"}}),
    ):
        guard = guard_for(settings)

        guard.check_url("http://127.0.0.1:9/x")
        guard.check_address("::1")
        with pytest.raises(AddressRefused):
            guard.check_url("http://example.com/x")
        with pytest.raises(AddressRefused):
            guard.check_address("10.0.0.1")


def test_the_setting_allows_everything():
    """mulequeue_allow_private_addresses allows every address, also over http."""
    guard = guard_for(Settings(allow_private_addresses=True))

    guard.check_url("http://10.0.0.1/x")
    guard.check_address("169.254.169.254")


def test_the_default_is_strict():
    """Without settings only public addresses over https are allowed."""
    assert AddressGuard() == guard_for(Settings(site="mulerun"))

"""Ports for the servers of the tests."""

from __future__ import annotations

import os
import random
import socket

# Below the ports that Linux gives outgoing connections (32768 and up): between the look and the server's start
# none of them takes the port. Each process of pytest-xdist has a thousand of its own.
_FIRST, _PER_PROCESS = 12000, 1000


def free_port() -> int:
    """Return a loopback port that was free a moment ago, and that no parallel test asks for."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
    first = _FIRST + number * _PER_PROCESS
    for port in random.sample(range(first, first + _PER_PROCESS), _PER_PROCESS):
        with socket.socket() as sock:
            if not sock.connect_ex(("127.0.0.1", port)):
                continue
        try:
            with socket.socket() as sock:
                sock.bind(("", port))
                return port
        except OSError:
            continue
    raise AssertionError(f"no free port from {first} on")

"""Ports for the servers of the tests."""

from __future__ import annotations

import os
import random
import socket
from collections import deque

# Below the ports that Linux gives outgoing connections (32768 and up): between the look and the server's start
# none of them takes the port. Each process of pytest-xdist has a thousand of its own.
_FIRST, _PER_PROCESS = 12000, 1000
_latest: deque[int] = deque(maxlen=_PER_PROCESS // 2)  # their servers may not listen yet


def free_port() -> int:
    """Return a loopback port that was free a moment ago, and that no other server of a test was given."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
    first = _FIRST + number * _PER_PROCESS
    for port in random.sample(range(first, first + _PER_PROCESS), _PER_PROCESS):
        if port in _latest:
            continue
        with socket.socket() as sock:
            if not sock.connect_ex(("127.0.0.1", port)):
                continue
        try:
            with socket.socket() as sock:
                sock.bind(("", port))
        except OSError:
            continue
        _latest.append(port)
        return port
    raise AssertionError(f"no free port from {first} on")

"""An interrupted test run leaves no processes behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.waiting import wait_until

TESTS = Path(__file__).parents[1]
RUN = """
import subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from support.leftovers import kill_at_exit
kill_at_exit()
print(subprocess.Popen(["sleep", "600"], start_new_session=True).pid, flush=True)
time.sleep(600)
"""


def _is_running(pid: int) -> bool:
    """Whether a process exists that is not only waiting for its parent to read its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux shows the environment")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_server_of_another_session_ends_with_its_test_run(number: signal.Signals) -> None:
    """What a run has started in a session of its own ends soon after a kill or Ctrl-C."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(TESTS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        assert run.stdout is not None
        server = int(run.stdout.readline())
        assert _is_running(server)
        run.send_signal(number)
        run.wait(30)
        wait_until(lambda: not _is_running(server), what="the end of the server")

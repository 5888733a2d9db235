"""The emulator as a program: its words, its signals, its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys

import pytest
import requests
from support.emulator_client import create

from mulequeue.emulator import EmulatorProcess

pytest.importorskip("PIL", reason='needs pip install "mulequeue[demo]"')
pytest.importorskip("av", reason='needs pip install "mulequeue[demo]"')


def test_the_program_says_where_it_is_and_ends_quietly():
    """One line on standard output, then exit 0 without a word on SIGTERM and on Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):
        program = subprocess.Popen(
            [sys.executable, "-m", "mulequeue.emulator", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            line = program.stdout.readline()
            assert re.fullmatch(r"mulequeue emulator on http://127\.0\.0\.1:\d+\n", line)
            assert 404 == requests.get(line.split()[-1], timeout=20).status_code
            program.send_signal(number)
            out, err = program.communicate(timeout=20)
        finally:
            program.kill()
            program.wait()
        assert (0, "", "") == (program.returncode, out, err)


def test_a_used_port_is_said_so():
    """Exit 1 with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = subprocess.run(
            [sys.executable, "-m", "mulequeue.emulator", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert 1 == program.returncode
    assert f"Cannot listen on 127.0.0.1 port {port}" in program.stderr
    assert "--port" in program.stderr
    assert "Traceback" not in program.stderr


def test_a_scenario_is_in_force_from_the_start_and_after_a_reset(tmp_path):
    """The file's faults come back with a reset."""
    file = tmp_path / "scenario.json"
    file.write_text('{"creates": [{"do": "status", "status": 402, "count": 1}]}')

    with EmulatorProcess(scenario=str(file), require_key="k") as emulator:
        headers = {"Authorization": "Bearer k"}
        said = [create(emulator, prompt="a", headers=headers).status_code for _ in range(2)]
        emulator.reset()
        said.append(create(emulator, prompt="a", headers=headers).status_code)
        said.append(create(emulator, prompt="a").status_code)

    assert [402, 202, 402, 401] == said


def test_it_ends_with_its_parent():
    """A parent killed outright takes the emulator with it."""
    code = (
        "import time\n"
        "from mulequeue.emulator import EmulatorProcess\n"
        "print(EmulatorProcess().url, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        host, port = parent.stdout.readline().strip().removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            os.kill(parent.pid, signal.SIGKILL)
            # The connection is idle: it ends when the emulator does.
            assert b"" == connection.recv(1)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=60)

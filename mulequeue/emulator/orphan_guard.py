"""Run one command, and stop it when standard input is closed, because the starting process ended.

This script is started by its path with ``python -I`` and imports nothing of the package, to start quickly.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

GRACE_SECONDS = 6.0
"""Time from SIGTERM to SIGKILL."""


def main() -> int:
    # The command leads a process group, so that a worker's pool is killed with it.
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def stop(_number: int = 0, _frame: FrameType | None = None) -> None:
        if child.poll() is None:
            child.terminate()
            threading.Timer(GRACE_SECONDS, kill).start()

    def kill() -> None:
        with contextlib.suppress(OSError):  # the group has ended
            os.killpg(child.pid, signal.SIGKILL)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    kill()
    # Not sys.exit, which waits for the timer of a SIGKILL that is no longer needed.
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()

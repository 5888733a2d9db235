"""Runs one command and ends it when standard input ends, however the starter died.

Started by path with ``python -I``, so it imports nothing of the package and is up in an instant.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

GRACE_SECONDS = 6.0


def main() -> int:
    # A group of its own, so that a worker's pool goes with it.
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def stop(_number: int = 0, _frame: FrameType | None = None) -> None:
        if child.poll() is None:
            child.terminate()
            threading.Timer(GRACE_SECONDS, kill).start()

    def kill() -> None:
        with contextlib.suppress(OSError):  # it is gone
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
    # Not sys.exit: a timer that still runs would be waited for.
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()

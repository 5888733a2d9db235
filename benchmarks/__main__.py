"""Run one benchmark and print its table: ``python -m benchmarks NAME [--json]``.

polls      CPU per status check, compared with other ways to wait
capacity   lateness, CPU and memory of one poller process by number of generations
fanout     a chord of two thousand, compared with as many messages that do nothing
lag        time from "finished" to the next task of the chain, and the number of status checks
recovery   time from the SIGKILL of a worker to the next status check
download   MB/s and memory, compared with curl
scale      the limit of one poller process, and of two
starve     time from a finished generation to its stored file, while a thousand others are submitted
in_flight  ten thousand real submissions: lateness, memory, Redis commands of an idle worker
"""

from __future__ import annotations

import argparse
import inspect
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from benchmarks.plots import PLOTS

NAMES = (
    "polls",
    "capacity",
    "fanout",
    "lag",
    "recovery",
    "download",
    "scale",
    "starve",
    "in_flight",
)


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=NAMES, metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--plot", type=Path, help="the folder for the plot")
    parser.add_argument("--only", help="polls: run only these contenders, separated by commas")
    parser.add_argument("--peers-python", help="polls: the Python of an environment with arq")
    options = parser.parse_args()
    run = import_module(f"benchmarks.{options.name}").run
    known = inspect.signature(run).parameters
    given = {name: value for name, value in vars(options).items() if name in known and value}
    started = time.monotonic()
    report = run(**given)
    report = replace(report, seconds=round(time.monotonic() - started, 1))
    print(report.to_json() if options.json else report.to_text())
    if options.plot and options.name in PLOTS:
        (options.plot / f"bench-{options.name}.svg").write_text(PLOTS[options.name](report))


if __name__ == "__main__":
    main()

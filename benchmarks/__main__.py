"""``python -m benchmarks NAME [--json]``: one measurement and its table.

polls      CPU of one status check, beside other ways to wait
capacity   how many generations one poller process waits for, how late, and what they weigh
fanout     a chord of two thousand, beside as many messages that do nothing
lag        from "finished" to the next task of the chain, and how many status checks it took
recovery   from the SIGKILL of a worker to the next status check
download   MB/s and memory, beside curl
scale      one, two and four worker processes
in_flight  ten thousand real submissions: lateness, memory, and what an idle worker asks Redis
"""

from __future__ import annotations

import argparse
import inspect
from importlib import import_module
from pathlib import Path

from benchmarks.plots import PLOTS

NAMES = ("polls", "capacity", "fanout", "lag", "recovery", "download", "scale", "in_flight")


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=NAMES, metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--plot", type=Path, help="the folder that gets the plot")
    parser.add_argument("--only", help="polls: these contenders, by comma")
    parser.add_argument("--peers-python", help="polls: the Python of an environment with arq")
    options = parser.parse_args()
    run = import_module(f"benchmarks.{options.name}").run
    known = inspect.signature(run).parameters
    given = {name: value for name, value in vars(options).items() if name in known and value}
    report = run(**given)
    print(report.to_json() if options.json else report.to_text())
    if options.plot and options.name in PLOTS:
        (options.plot / f"bench-{options.name}.svg").write_text(PLOTS[options.name](report))


if __name__ == "__main__":
    main()

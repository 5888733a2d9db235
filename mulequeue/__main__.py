"""Run the command line with ``python -m mulequeue``."""

from mulequeue.cli import main

main()

"""``python -m mulequeue``."""

from mulequeue.cli import main

main()

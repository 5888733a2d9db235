"""``manage.py mulequeue …``: the commands of ``mulequeue`` for the project's Celery app, and ``reconcile``."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from redis.exceptions import RedisError

from celery_mulequeue import mulequeue
from mulequeue.contrib.django.mirror import reconcile
from mulequeue.engine.current_app import current_app


class Command(BaseCommand):
    help = (
        "Run a command of mulequeue for this project: doctor, status, list, run, batch, retry, cancel, "
        "… (without a command: all of them); or reconcile: write a row for every record in the ledger."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="COMMAND …")

    def handle(self, *args: Any, **options: Any) -> None:
        given: list[str] = options["arguments"]
        if given == ["reconcile"]:
            return self._reconcile()
        context = SimpleNamespace(app=current_app())  # as `celery -A proj mulequeue` has it
        mulequeue.main(given, prog_name="python manage.py mulequeue", obj=context)

    def _reconcile(self) -> None:
        try:
            mirrored, lost = reconcile()
        except RedisError as exc:
            raise CommandError(
                f"The ledger's Redis does not answer ({exc}). Check CELERY_MULEQUEUE_REDIS_URL, "
                "or the broker's URL if that is Redis."
            ) from None
        self.stdout.write(f"{mirrored} generations mirrored, {lost} lost.")

"""``manage.py mulequeue reconcile``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from redis.exceptions import RedisError

from mulequeue.contrib.django.mirror import reconcile


class Command(BaseCommand):
    help = "Make the tables say what the ledger says."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        commands.add_parser("reconcile", help="Write a row for every record of the ledger.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = reconcile()
        except RedisError as exc:
            raise CommandError(
                f"The ledger's Redis does not answer ({exc}). Check CELERY_MULEQUEUE_REDIS_URL, "
                "or the broker's URL if that is Redis."
            ) from None
        self.stdout.write(f"{done.mirrored} generations mirrored, {done.lost} lost.")

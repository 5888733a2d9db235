"""``manage.py mulequeue reconcile`` and ``manage.py mulequeue doctor``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from redis.exceptions import RedisError

from mulequeue.contrib.django.mirror import reconcile


class Command(BaseCommand):
    help = "Copy the ledger into the tables, or check the fleet."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        commands.add_parser("reconcile", help="Write a row for every record in the ledger.")
        doctor = commands.add_parser(
            "doctor",
            help="Check the fleet and print how to fix problems. Exit code 1 if there is an error; "
            "0 if there are warnings only, or nothing is wrong.",
        )
        doctor.add_argument("--json", action="store_true", help="Print one JSON object on stdout.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["command"] == "doctor":
            self._doctor(as_json=options["json"])
        else:
            self._reconcile()

    def _doctor(self, *, as_json: bool) -> None:
        from celery import current_app

        from mulequeue.ops.health.report import print_report

        code = print_report(current_app._get_current_object(), as_json=as_json)
        if code:
            raise SystemExit(code)

    def _reconcile(self) -> None:
        try:
            done = reconcile()
        except RedisError as exc:
            raise CommandError(
                f"The ledger's Redis does not answer ({exc}). Check CELERY_MULEQUEUE_REDIS_URL, "
                "or the broker's URL if that is Redis."
            ) from None
        self.stdout.write(f"{done.mirrored} generations mirrored, {done.lost} lost.")

"""The commands for generations that did not succeed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mulequeue.cli.output import print_message
from mulequeue.cli.render import plural
from mulequeue.cli.results import read_records
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.tasks.batch_ids import member_ids
from mulequeue.tasks.retry import Standing, standing_of

_TEXTS = {
    Standing.UNPAID: ("refused, and not billed. To run again", "retry {name}"),
    Standing.FAILED: (
        "failed at the API. To run again, and be billed again",
        "retry {name} --failed",
    ),
    Standing.UNKNOWN: (
        "may exist. To run again, and perhaps be billed twice",
        "retry {name} --unknown",
    ),
    Standing.RESUMABLE: ("may still succeed. To wait again, not billed again", "resume {first}"),
}


def next_commands(records: Sequence[Record], name: str) -> list[str]:
    """Return what can be done about generations that did not succeed, with the command in each text.

    :param records: those that did not succeed are counted.
    :param name: the task or batch that the user has asked for.
    """
    failed = [record for record in records if record.is_over and record.status != "succeeded"]
    standings = [standing_of(record) for record in failed]
    counts = Counter(standings)
    found = []
    for standing, (text, command) in _TEXTS.items():
        if counts[standing]:
            first = failed[standings.index(standing)].task_id
            line = command.format(name=name, first=first)
            found.append(f"{plural(counts[standing], 'generation')} {text}:\n  mulequeue {line}")
    return found


def print_next_commands(ledger: Ledger, batch: Batch) -> None:
    """Print what can be done about the members of a batch that did not succeed."""
    if batch.counts.get("succeeded", 0) < batch.over:
        for text in next_commands(read_records(ledger, member_ids(batch)), batch.batch_id):
            print_message(text)

"""The manifest of a batch: a CSV or TSV file with the result of each row."""

from __future__ import annotations

import csv
import io
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mulequeue.cli.exits import Interrupted
from mulequeue.cli.preflight import Call
from mulequeue.cli.prompts import PromptFile
from mulequeue.cli.render import reason_of, state_of
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.settings.costs import amounts_of
from mulequeue.tasks.batch_ids import member_ids

_OWN = ("row", "prompt", "task_id", "status", "reason", "file", "seconds", "cost")


def member_records(ledger: Ledger, batch: Batch) -> list[Record]:
    """Return the records of a batch's members, in the order of the inputs.

    A member that no worker has received gets a record in the state ``queued``, or ``cancelled`` in a
    cancelled batch.
    """
    ids = member_ids(batch)
    unseen = "cancelled" if batch.is_cancelled else "queued"
    return [
        record
        if record is not None and record.state != "tombstone"
        else Record(task_id=task_id, state=unseen)
        for task_id, record in zip(ids, ledger.queries.records(ids), strict=True)
    ]


def is_sent(record: Record) -> bool:
    """Return whether a generation was created or may have been created, so that it may have a cost."""
    has_id = record.remote_id or record.late_remote_id
    return bool(has_id) or record.status == "submit_unknown"


def problem_of(record: Record) -> str:
    """Return why a generation did not succeed or its files were not stored, else an empty text."""
    is_good = record.status in (None, "succeeded") and not record.file_error
    return "" if is_good else reason_of(record)


@contextmanager
def written_at_end(
    manifest: Manifest | None, records: Callable[[], Sequence[Record]]
) -> Iterator[None]:
    """Write the manifest, if there is one, when the block ends or Ctrl-C interrupts it."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        if manifest is not None:
            manifest.write(records())
        raise
    if manifest is not None:
        manifest.write(records())


class Manifest:
    """The file of ``--manifest``.

    :raises ConfigurationError: the file cannot be written.
    :raises InputError: the file is the one with the prompts.
    """

    def __init__(self, path: str, prompts: PromptFile, source: str, call: Call) -> None:
        self._path = Path(os.path.realpath(Path(path).expanduser()))
        self._prompts, self._call = prompts, call
        if source != "-" and self._path == Path(os.path.realpath(source)):
            raise InputError(f"--manifest {path} is the file of the prompts. Name another file.")
        if path == "-" or (self._path.exists() and not self._path.is_file()):
            raise ConfigurationError(
                f"--manifest {path} is not a file. Name a file, such as out.csv."
            )
        if self._path.exists() and not os.access(self._path, os.W_OK):
            raise ConfigurationError(f"--manifest {path} cannot be written. Name another file.")
        self._write_file("", keep=False)

    def write(self, records: Sequence[Record]) -> None:
        """Write one line per row with its result. The file is replaced atomically.

        :raises ConfigurationError: the file cannot be written.
        """
        text = io.StringIO(newline="")
        delimiter = "\t" if self._path.suffix.lower() in (".tsv", ".tab") else ","
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(self._lines(records))
        self._write_file(text.getvalue(), keep=True)

    def _lines(self, records: Sequence[Record]) -> Iterable[Sequence[object]]:
        prompts, model = self._prompts, self._call.model
        kept = [i for i in range(len(prompts.header)) if i != prompts.prompt_column]
        names = [_column_name(prompts.header[i].strip()) for i in kept]
        yield ("row", "prompt", *names, *_OWN[2:])
        costs = amounts_of(self._call.settings, model, self._call.inputs)
        rows = zip(prompts.rows, self._call.inputs, records, costs, strict=True)
        for number, (row, given, record, cost) in enumerate(rows, 1):
            yield (
                number,
                given.get(model.prompt_field, ""),
                *(row.cells[i] for i in kept),
                record.task_id,
                state_of(record),
                problem_of(record),
                "\n".join(file.url for file in record.files),
                "" if record.seconds is None else f"{record.seconds:.1f}",
                f"{cost:f}" if cost is not None and is_sent(record) else "",
            )

    def _write_file(self, text: str, *, keep: bool) -> None:
        """Write a temporary file beside the manifest. Replace the manifest with it, or delete it.

        :param keep: True: replace the manifest; False: only check that a file can be written.
        """
        part = self._path.with_name(f".{self._path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            part.write_text(text, encoding="utf-8", newline="")
            if keep:
                os.replace(part, self._path)
        except OSError as exc:
            raise ConfigurationError(
                f"--manifest {self._path} cannot be written: {exc.strerror}. Name another file."
            ) from None
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _column_name(name: str) -> str:
    """Return the name of a table's column, marked if the manifest has its own column of that name."""
    return f"{name} (table)" if name.casefold() in _OWN else name

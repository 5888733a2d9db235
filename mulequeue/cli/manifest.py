"""The manifest of a batch: a CSV file with what became of each row."""

from __future__ import annotations

import csv
import io
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mulequeue.cli.exits import Interrupted
from mulequeue.cli.preflight import Call
from mulequeue.cli.prompts import PromptFile
from mulequeue.cli.render import reason_of, state_of
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.settings.costs import amounts_of
from mulequeue.tasks.batch_ids import member_ids

_OWN = ("row", "prompt", "task_id", "status", "reason", "file", "seconds", "cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowState:
    """The state of a row so far."""

    task_id: str = ""
    status: str = "queued"
    reason: str = ""
    files: Sequence[str] = ()
    seconds: float | None = None
    is_sent: bool = False
    """A generation was created, or may have been, so it has a cost."""

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """Return the state of a row from its record."""
        has_id = bool(record.remote_id or record.late_remote_id)
        is_good = record.status in (None, "succeeded") and not record.file_error
        return cls(
            task_id=record.task_id,
            status=state_of(record),
            reason="" if is_good else reason_of(record),
            files=[item.url for item in record.files],
            seconds=record.seconds,
            is_sent=has_id or record.status == "submit_unknown",
        )


def ledger_states(ledger: Ledger, batch: Batch) -> list[RowState]:
    """Return the states of a batch's members, in the order of the inputs."""
    ids = member_ids(batch)
    unseen = "cancelled" if batch.is_cancelled else "queued"
    return [
        RowState(task_id=task_id, status=unseen)
        if record is None or record.state == "tombstone"
        else RowState.of_record(record)
        for task_id, record in zip(ids, ledger.queries.records(ids), strict=True)
    ]


@contextmanager
def written_at_end(
    manifest: Manifest | None, states: Callable[[], Sequence[RowState]]
) -> Iterator[None]:
    """Write the manifest, if there is one, when the block ends or Ctrl-C interrupts it."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        if manifest is not None:
            manifest.write(states())
        raise
    if manifest is not None:
        manifest.write(states())


class Manifest:
    """The file of ``--manifest``.

    :raises ConfigurationError: it cannot be written.
    :raises InputError: it is the file of the prompts.
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

    def write(self, states: Sequence[RowState]) -> None:
        """Write the states of all rows; the file is replaced at once.

        :raises ConfigurationError: it cannot be written.
        """
        text = io.StringIO(newline="")
        delimiter = "\t" if self._path.suffix.lower() in (".tsv", ".tab") else ","
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(self._lines(states))
        self._write_file(text.getvalue(), keep=True)

    def _lines(self, states: Sequence[RowState]) -> Iterable[Sequence[object]]:
        prompts, model = self._prompts, self._call.model
        kept = [i for i in range(len(prompts.header)) if i != prompts.prompt_column]
        names = [_column_name(prompts.header[i].strip()) for i in kept]
        yield ("row", "prompt", *names, *_OWN[2:])
        costs = amounts_of(self._call.settings, model, self._call.inputs)
        rows = zip(prompts.rows, self._call.inputs, states, costs, strict=True)
        for number, (row, given, state, cost) in enumerate(rows, 1):
            yield (
                number,
                given.get(model.prompt_field, ""),
                *(row.cells[i] for i in kept),
                state.task_id,
                state.status,
                state.reason,
                "\n".join(state.files),
                "" if state.seconds is None else f"{state.seconds:.1f}",
                f"{cost:f}" if cost is not None and state.is_sent else "",
            )

    def _write_file(self, text: str, *, keep: bool) -> None:
        """Write a file beside the manifest, and give it its name if it is to be kept."""
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
    """Return the name of a table's column, different from the manifest's own."""
    return f"{name} (table)" if name.casefold() in _OWN else name

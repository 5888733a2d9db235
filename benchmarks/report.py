"""The report of a benchmark: rows of figures and ratios, as a table or as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from benchmarks.fleet import cores, cpu_model

_WIDEST = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one run of one benchmark."""

    name: str
    rows: list[dict[str, Any]]
    """One row per contender or size, all with the same columns."""
    ratios: dict[str, float] = field(default_factory=dict)
    """Comparisons within this run."""
    notes: list[str] = field(default_factory=list)
    cores: int = field(default_factory=cores)
    cpu: str = field(default_factory=cpu_model)
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    """Load of the machine in the minute before the end, with the benchmark itself."""
    seconds: float = 0.0
    """Duration of the benchmark."""
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    def to_text(self) -> str:
        """Return the report as a table."""
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        cells = [[_words(column) for column in columns]]
        cells += [[_cell(row.get(column)) for column in columns] for row in self.rows]
        if len(columns) > _WIDEST:  # one figure per line
            cells = [list(line) for line in zip(*cells, strict=True)]
        widths = [max(len(line[at]) for line in cells) for at in range(len(cells[0]))]
        machine = ", ".join(filter(None, [f"{self.cores} cores", self.cpu, self.date]))
        lines = [f"{self.name}  ({machine}; {self.seconds:.0f} s, load {self.load:.1f})", ""]
        for first, *rest in cells:
            parts = (part.rjust(width) for part, width in zip(rest, widths[1:], strict=True))
            lines.append("  ".join([first.ljust(widths[0]), *parts]))
        lines += ["", *(f"{name}: {value:.2f}" for name, value in self.ratios.items()), *self.notes]
        return "\n".join(lines)


def _words(column: str) -> str:
    return column.replace("_", " ")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)

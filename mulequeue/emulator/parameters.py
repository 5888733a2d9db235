"""The body fields that each model declares, and which of them a body needs or may not mix."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any, Literal

from mulequeue.catalog import Model

UnknownFields = Literal["by_model", "ignored", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What one model takes."""

    fields: frozenset[str] | None = None
    """The declared fields; None: nobody knows them, so none can be unknown."""
    one_of: tuple[tuple[str, ...], ...] = ()
    """Alternatives: a body needs all fields of one of them."""
    apart: tuple[tuple[str, ...], ...] = ()
    """Groups of fields: a body takes from one of them."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Field -> the other field that it is nothing without."""
    unknown: Literal["ignored", "rejected"] = "ignored"
    """What the model does with a field that it does not declare."""

    def complaints(self, body: Mapping[str, Any], unknown_fields: UnknownFields) -> list[str]:
        """What the gateway says against the body, as far as fields exclude or need each other.

        :param unknown_fields: ``by_model``: as the model does; else the same for all.
        """
        given = {name for name, value in body.items() if value not in (None, "", [], False)}
        texts = [self._missing(given), self._mixed(given)]
        texts += [
            f"'{name}' expected '{other}' to be provided as well"
            for name, other in self.needs.items()
            if name in given and other not in given
        ]
        rule = self.unknown if unknown_fields == "by_model" else unknown_fields
        if rule == "rejected" and self.fields is not None:
            texts += [
                f"'{name}' Extra inputs are not permitted"
                for name in body
                if name not in self.fields
            ]
        return [text for text in texts if text]

    def _missing(self, given: set[str]) -> str | None:
        if not self.one_of or any(given.issuperset(group) for group in self.one_of):
            return None
        ways = " or ".join(" and ".join(f"'{name}'" for name in group) for group in self.one_of)
        return f"{ways} expected to be provided, got none"

    def _mixed(self, given: set[str]) -> str | None:
        used = [next((name for name in group if name in given), None) for group in self.apart]
        names = [name for name in used if name]
        if len(names) < 2:
            return None
        return " and ".join(f"'{name}'" for name in names) + " cannot be used together"


@cache
def parameters_of(model: Model) -> Parameters:
    """The parameters of a model; the last entry of the table that matches its path holds."""
    path = model.api_path.removeprefix("/vendors/")
    found: Mapping[str, Any] = {}
    for entry in _entries():
        if any(fnmatchcase(path, pattern) for pattern in entry["paths"]):
            found = entry
    return Parameters(
        fields=frozenset(found["fields"]) if found else None,
        one_of=tuple(tuple(group) for group in found.get("one_of", ())),
        apart=tuple(tuple(group) for group in found.get("apart", ())),
        needs=found.get("needs", {}),
        unknown=found.get("unknown", "ignored"),
    )


@cache
def _entries() -> list[Mapping[str, Any]]:
    text = resources.files("mulequeue.emulator").joinpath("parameters.toml").read_text("utf-8")
    return list(tomllib.loads(text)["models"])

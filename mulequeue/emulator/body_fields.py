"""Checks of a body's field names: unknown fields, missing fields, fields that exclude each other.

Names and rules come from the catalog. How the API reacts to a violation, and the wording of its
answer, are defined here. Values are not checked, because the API often accepts any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mulequeue.catalog import Model, Rules

UnknownFields = Literal["by_model", "ignored", "rejected"]

# The only models that were observed to reject undeclared fields.
_REJECTING = (
    "/vendors/klingai/v1/kling-v3-omni/reference-video-to-video/generation",
    "/vendors/klingai/v1/kling-v3-omni/video-to-video/edit",
)
_TAKES_ANYTHING = "/vendors/dummy/v1/videos/generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters that one model accepts."""

    fields: frozenset[str] | None
    """The declared fields. None: they are not known, so no field counts as unknown."""
    rules: Rules
    """Alternatives, groups that exclude each other, fields that require another field."""
    unknown: Literal["ignored", "rejected"]
    """How the model treats an undeclared field."""

    def violations(self, body: Mapping[str, Any], unknown_fields: UnknownFields) -> list[str]:
        """Return the gateway's error text for each violation in the body.

        :param unknown_fields: ``by_model`` applies the model's own rule, the attribute ``unknown``;
            ``ignored`` and ``rejected`` replace it.
        """
        given = {name for name, value in body.items() if value not in (None, "", [], False)}
        texts = [*(_missing(choice, given) for choice in self.rules.any_of), self._mixed(given)]
        texts += [
            f"'{name}' expected '{other}' to be provided as well"
            for name, other in self.rules.needs.items()
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

    def _mixed(self, given: set[str]) -> str | None:
        used = [next((name for name in group if name in given), None) for group in self.rules.apart]
        names = [name for name in used if name]
        if len(names) < 2:
            return None
        return " and ".join(f"'{name}'" for name in names) + " cannot be used together"


def _missing(choice: tuple[tuple[str, ...], ...], given: set[str]) -> str | None:
    if any(given.issuperset(group) for group in choice):
        return None
    ways = " or ".join(" and ".join(f"'{name}'" for name in group) for group in choice)
    return f"{ways} expected to be provided, got none"


def parameters_of(model: Model) -> Parameters:
    """Return the parameters of a model."""
    return Parameters(
        fields=None if model.api_path == _TAKES_ANYTHING else frozenset(model.parameters),
        rules=model.rules,
        unknown="rejected" if model.api_path in _REJECTING else "ignored",
    )

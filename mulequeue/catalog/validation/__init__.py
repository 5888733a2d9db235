"""Validation of an input against the parameters of its model, before anything is sent.

The API ignores most unknown parameters but charges the full price, and rejects the others one per request. A
finding is *certain* if all sources (the API's documentation and clients) agree, and a warning if they differ or
do not cover the case. Pure: the input is not changed, and nothing is raised;
:mod:`mulequeue.catalog.validation.calls` raises errors and reports warnings.
"""

from __future__ import annotations

from typing import Any

from mulequeue.catalog import Model
from mulequeue.catalog.validation.finding import Finding
from mulequeue.catalog.validation.rules import broken_rules
from mulequeue.catalog.validation.values import wrong_fields

__all__ = ["Finding", "check"]


def check(model: Model, input: Any) -> list[Finding]:
    """Return the findings about an input.

    :param model: the model; an unlisted path has no parameters, so it gives no findings.
    :param input: the input as the user gave it. A value of ``None`` counts as not given, as for the
        API; ``{"$file": path}`` counts as the data URI that replaces it.
    :returns: certain findings and warnings; an empty list if every source allows the input.
    """
    if not model.parameters:
        return []
    if not isinstance(input, dict):
        text = f"the input is a {type(input).__name__}; it must be a dictionary of parameters"
        return [Finding("input", text, is_certain=True)]
    rules = model.rules
    found = wrong_fields(model.parameters, rules.ignored, input, is_open=rules.is_open)
    return [*found, *broken_rules(model, input)]

"""Validation of the form, with an error message for each field."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mulequeue import catalog
from mulequeue.catalog.validation import check

MOST_PROMPTS = 10_000
MOST_CHARACTERS = 20_000
MOST_BYTES = 8 * 1024**2
"""Maximum size of the encoded form."""
FIRST_MODEL = "alibaba/wan2.6-t2i"
TOO_LARGE = "All prompts together are larger than 8 MB. Send them in several parts."
NOT_STARTED = "Redis does not answer, so nothing was started. Try again when it is back."
NO_REDIS = (
    "Redis does not answer. Started generations continue when it is back. Reload this page then."
)
_LABELS = {"image": "Pictures", "video": "Videos"}


@dataclass(frozen=True)
class Order:
    """A valid form."""

    model: str
    prompts: list[str]

    def batch_id(self, owner: str, form: str) -> str:
        """Return the same id if a form is sent twice (double click, reload), so it is charged once."""
        parts = "\0".join([owner, form, self.model, *self.prompts])
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def read_order(form: Mapping[str, str]) -> tuple[Order | None, dict[str, str]]:
    """Return the order, or None and the errors by the name of the field."""
    errors = {}
    prompts = lines_of(form.get("prompts", ""))
    if wrong := _wrong(prompts):
        errors["prompts"] = wrong
    model = form.get("model", "")
    if model not in model_names():
        errors["model"] = "Pick one of the models in the list."
    if not errors and (wrong := _not_taken(model, prompts)):
        errors["prompts"] = wrong
    order = Order(model, [line for line in prompts if line])
    return (None, errors) if errors else (order, {})


def read_prompt(model: str, text: str) -> tuple[str, str | None]:
    """Return one prompt of a form as one line, and why it is not accepted."""
    prompt = " ".join(text.split())
    wrong = _wrong([prompt]) or _not_taken(model, [prompt])
    return prompt, wrong and wrong.replace("Line 1 has", "The prompt has").removeprefix("Line 1: ")


def lines_of(text: str) -> list[str]:
    """Split a text into one prompt per line. Empty lines stay, so that line numbers are correct."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line.strip(" \t") for line in lines]


def _wrong(lines: list[str]) -> str | None:
    count = sum(1 for line in lines if line)
    if not count:
        return "Type at least one prompt."
    if count > MOST_PROMPTS:
        return f"{count:,} prompts are too many; {MOST_PROMPTS:,} can be sent at once."
    for number, line in enumerate(lines, 1):
        if len(line) > MOST_CHARACTERS:
            return f"Line {number} has {len(line):,} characters; a prompt may have {MOST_CHARACTERS:,}."
        if character := next((c for c in line if _is_control(c)), None):
            return (
                f"Line {number} has a control character (U+{ord(character):04X}), which no model "
                "accepts. Delete it, or type the line again."
            )
    return None


def _not_taken(name: str, lines: list[str]) -> str | None:
    """Return the first error that the API would report for a line, such as its length."""
    model = catalog.find(name)
    for number, line in enumerate(lines, 1):
        for finding in check(model, {model.prompt_field: line}) if line else ():
            if finding.is_certain:
                return f"Line {number}: {finding.text}."
    return None


def _is_control(character: str) -> bool:
    return character != "\t" and unicodedata.category(character) in ("Cc", "Cs")


def model_names() -> list[str]:
    """Return the models that require only a prompt."""
    return [model.name for _, models in _by_kind() for model in models]


def choices(chosen: str = "") -> list[dict[str, Any]]:
    """Return the options of the list: ``[{label, options: [{name, is_chosen}]}]``."""
    chosen = chosen if chosen in model_names() else FIRST_MODEL
    return [
        {
            "label": _LABELS[kind],
            "options": [
                {"name": model.name, "is_chosen": model.name == chosen} for model in models
            ],
        }
        for kind, models in _by_kind()
    ]


def _by_kind() -> list[tuple[str, list[catalog.Model]]]:
    return [
        (
            kind,
            [
                model
                for model in catalog.all_models()
                if model.kind == kind
                and model.required == (model.prompt_field,)
                and not model.name.startswith("dummy/")
            ],
        )
        for kind in _LABELS
    ]

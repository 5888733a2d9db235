"""Validate values of type ``file``: a URL, a data URI, base64, or ``{"$file": …}`` from ``mulequeue.file``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mulequeue.catalog.parameters import FILE_KEY, Parameter
from mulequeue.catalog.validation.finding import Finding, quote_value

_MIN_BASE64 = 40
# Only the first 64 characters are matched, because the value may have megabytes; they rule out most paths.
_BASE64 = re.compile(r"[A-Za-z0-9+/=_\s-]*")
_SNIFFED_BYTES = 64
_WORDS = {
    "url": "a URL (https://…)",
    "https": "a URL (https://…)",
    "data": "a data URI",
    "base64": "base64",
}


def wrong_file(parameter: Parameter, value: Any, where: str) -> Iterator[Finding]:
    """Yield a finding if the value is not a file in a form that the parameter accepts."""
    if isinstance(value, Mapping) and isinstance(value.get(FILE_KEY), str):
        value = value[FILE_KEY]
        form = "url" if _scheme(value) in ("http", "https") else "data"
    elif isinstance(value, str):
        form = _form(value)
    else:
        given = "an object" if isinstance(value, Mapping) else quote_value(value)
        text = f"'{where}' takes one file, not {given}: {_forms(parameter)}"
        yield Finding(where, text, is_certain=True)
        return
    if form == "url" and "https" in parameter.forms:
        if _scheme(value) != "https":
            yield Finding(where, f"'{where}' takes https URLs only")
    elif form == "":
        text = (
            f"'{where}' cannot be {quote_value(value)}: it takes {_forms(parameter)}; "
            "for a local file use mulequeue.file(path), or @path on the command line"
        )
        yield Finding(where, text, is_certain=True)
    elif form not in parameter.forms:
        text = f"'{where}' takes {_forms(parameter)}, not {_given(form)}"
        yield Finding(where, text, is_certain=True)


def _form(value: str) -> str:
    scheme = _scheme(value)
    if scheme in ("http", "https"):
        return "url"
    if scheme == "data":
        return "data"
    is_base64 = len(value) >= _MIN_BASE64 and _BASE64.fullmatch(value[:_SNIFFED_BYTES])
    return "base64" if is_base64 else ""


def _scheme(value: str) -> str:
    return value[:8].partition(":")[0].lower()


def _given(form: str) -> str:
    return "the content of a file" if form == "data" else _WORDS[form]


def _forms(parameter: Parameter) -> str:
    return " or ".join(_WORDS[form] for form in parameter.forms)

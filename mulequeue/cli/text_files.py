"""Text of files in the encodings that spreadsheets and shells write."""

from __future__ import annotations

import codecs
import json
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path

from mulequeue.errors import InputError

_MARKED = ("utf-8-sig", "utf-16", "utf-32")
"""The encodings that :func:`json.detect_encoding` returns only for a byte order mark."""
_ONE_BYTE = ("cp125", "iso8859")
_NO_TEXT = {"Cc", "Cn", "Co", "Cs"}
_QUOTED = 40


def display_name(name: str) -> str:
    """Return the name of a file for a message; ``-`` is standard input."""
    return "standard input" if name == "-" else name


def read_bytes(name: str) -> bytes:
    """Return the content of a file, or of standard input (``-``).

    :raises InputError: the file cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as exc:
        raise InputError(f"{name} cannot be read: {exc.strerror}.") from None


def decode(data: bytes, name: str, encoding: str | None = None) -> tuple[str, str]:
    """Return the text without a byte order mark, and its encoding.

    A byte order mark decides. Without one it is ``encoding``; without both UTF-16 if the bytes are text in one byte
    order alone, else UTF-8.

    :raises InputError: ``encoding`` is unknown or contradicts the bytes, the bytes are not valid in the encoding, or
        the text contains NUL. For the last two the text names the line and the option to add.
    """
    found = json.detect_encoding(data)
    marked = found.removesuffix("-sig") if found in _MARKED else None
    if encoding is not None:
        _check_choice(data, name, encoding, marked)
    codec = marked or encoding or _unmarked_utf16(data) or "utf-8"
    try:
        text = data.decode("utf-8-sig" if codec == "utf-8" else codec)
    except UnicodeDecodeError as exc:
        line = data[: exc.start].decode(codec, "replace").count("\n") + 1
        advice = _advice(data, codec, exc.start)
        raise InputError(
            f"{name}, line {line}, is not {codec.upper()} (byte {data[exc.start]:#04x}). {advice}"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(
            f"{name}, line {line}, holds a NUL character, so it is not {codec} text. "
            "If it is UTF-16, add --encoding utf-16-le."
        )
    return text.removeprefix("\ufeff"), codec


def _unmarked_utf16(data: bytes) -> str | None:
    """Return the only byte order of UTF-16 in which the bytes are text, or None.

    :mod:`json` decides by the first character alone, which it takes for ASCII.
    """
    if b"\0" not in data or len(data) % 2:
        return None
    fitting = [codec for codec in ("utf-16-le", "utf-16-be") if _is_text(data, codec)]
    return fitting[0] if len(fitting) == 1 else None


def _is_text(data: bytes, codec: str) -> bool:
    try:
        characters = set(data.decode(codec)) - set("\t\r\n")
    except UnicodeDecodeError:
        return False
    # A line feed in the wrong byte order is U+0A00, which is not assigned.
    return not any(unicodedata.category(char) in _NO_TEXT for char in characters)


def _check_choice(data: bytes, name: str, encoding: str, marked: str | None) -> None:
    """Raise InputError for an encoding that is unknown, or contradicts a byte order mark or valid UTF-8."""
    try:
        codec = codecs.lookup(encoding).name
        "".encode(encoding)
    except LookupError:
        raise InputError(
            f"There is no text encoding {encoding!r}. Common ones: utf-8, utf-16, cp1252, mac_roman."
        ) from None
    if marked is not None and not codec.startswith(marked):
        raise InputError(
            f"{name} begins with the mark of {marked}, so it is not {encoding}. Omit --encoding."
        )
    if codec.startswith(_ONE_BYTE) and not data.isascii():
        with suppress(UnicodeDecodeError):
            data.decode()
            raise InputError(
                f"{name} is UTF-8; as {encoding} it would be garbled. Omit --encoding."
            )


def _advice(data: bytes, codec: str, start: int) -> str:
    if codec != "utf-8":
        return "Give another --encoding, or save the file as UTF-8."
    begin = data.rfind(b"\n", 0, start) + 1
    try:
        line = data[begin:].split(b"\n", 1)[0].decode("cp1252")
    except UnicodeDecodeError:
        return "Name its encoding with --encoding, or save the file as UTF-8."
    at = start - begin
    part = " ".join(line[max(0, at - _QUOTED // 2) : at + _QUOTED // 2].split())
    return (
        f"If that line reads {part!r}, add --encoding cp1252 (Excel on Windows); "
        "otherwise name its encoding, or save the file as UTF-8."
    )

"""Inputs of a generation: JSON values, and local files that are read into them.

Inputs come from users of web applications, so a string is never used as a path. Only the path in
``{"$file": path}``, which :func:`file` returns, is read, and only under ``mulequeue_input_roots``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import mimetypes
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import filetype

from mulequeue.catalog.parameters import FILE_KEY, LIST_FIELDS
from mulequeue.catalog.valid_text import valid_text
from mulequeue.errors import InputError

_MAX_DEPTH = 100


def file(path_or_url: str | os.PathLike[str]) -> dict[str, str]:
    """Return a reference to a file, for use as a value of an input.

    The worker that submits the generation reads the file and sends it as a data URI, so messages
    stay small. An http(s) URL is sent unchanged; the API fetches it.

    :param path_or_url: a path on the worker, under one of ``mulequeue_input_roots``, or a URL.
    :returns: ``{"$file": path_or_url}``.

    >>> file("photos/mule.png")
    {'$file': 'photos/mule.png'}
    """
    return {FILE_KEY: os.fspath(path_or_url)}


def check_input(
    input: Mapping[str, Any], roots: Sequence[str], *, max_bytes: int | None = None
) -> None:
    """Check an input without reading any file.

    :param roots: folders that ``$file`` may read from (``mulequeue_input_roots``).
    :param max_bytes: largest file in bytes (``mulequeue_input_max_bytes``); None: no limit.
    :raises InputError: the input is not a dictionary of JSON values or is nested too deeply, or a file is
        missing, outside of every root, not a regular file, empty or too large.
    """

    def check(path: str, where: str) -> str:
        _, found = _allowed(path, roots, where)
        _check_stat(found, path, where, max_bytes)
        return path

    _walk_input(input, check)


def resolve_input(
    input: Mapping[str, Any], *, roots: Sequence[str], max_bytes: int
) -> dict[str, Any]:
    """Return the input with every ``$file`` read and encoded as ``data:<mime>;base64,…``.

    :raises InputError: in the cases of :func:`check_input`, or if a file cannot be read.
    """

    def read(path: str, where: str) -> str:
        data = _read(path, roots, max_bytes, where)
        return f"data:{_media_type(data, path)};base64,{base64.b64encode(data).decode()}"

    return _walk_input(input, read)


def has_files(input: Mapping[str, Any]) -> bool:
    """Return whether the input refers to a local file, which :func:`resolve_input` would read."""
    paths: list[str] = []

    def note(path: str, where: str) -> str:
        paths.append(path)
        return path

    _walk_input(input, note)
    return bool(paths)


def input_digest(model: str, input: Mapping[str, Any]) -> str:
    """Return a short hash of a model and its input, to detect one task id used for two inputs.

    The hash is independent of the order of keys; it covers the path of a file, not its content.
    """
    text = json.dumps([model, input], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def batch_digest(model: str, inputs: Iterable[Mapping[str, Any]]) -> str:
    """Return a short hash of a model and the inputs of a batch, in their order."""
    digests = [input_digest(model, item) for item in inputs]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def insert_asset(input: Mapping[str, Any], use: str, url: str) -> dict[str, Any]:
    """Return the input with a URL in the field ``use``.

    The URL is appended to a list. If the field has no value and takes a list, it becomes a list of the URL. Any
    other value is replaced.
    """
    given = input.get(use)
    if isinstance(given, list):
        return {**input, use: [*given, url]}
    if given is None and use in LIST_FIELDS:
        return {**input, use: [url]}
    return {**input, use: url}


def _walk_input(input: Any, on_file: Callable[[str, str], str]) -> dict[str, Any]:
    """Return a copy of the input with the result of ``on_file(path, where)`` in place of every local file."""
    if not isinstance(input, dict):
        raise InputError(
            f"The input must be a dictionary of the model's parameters, such as "
            f'{{"prompt": "…"}}, not {_named(input)}.'
        )
    copy: dict[str, Any] = _walk(input, "input", on_file)
    return copy


def _walk(value: Any, where: str, on_file: Callable[[str, str], str], depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise InputError(
            f"{where[:80]}… is nested deeper than {_MAX_DEPTH} levels. Make the input flatter."
        )
    if isinstance(value, dict):
        if FILE_KEY in value:
            return _file_reference(value, where, on_file)
        copy = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise InputError(f"{where} has the key {key!r}. Keys must be strings.")
            copy[valid_text(key)] = _walk(item, f"{where}[{key!r}]", on_file, depth + 1)
        return copy
    if isinstance(value, (list, tuple)):
        items = enumerate(value)
        return [_walk(item, f"{where}[{i}]", on_file, depth + 1) for i, item in items]
    if isinstance(value, str):
        return valid_text(value)
    _check_scalar(value, where)
    return value


def _file_reference(value: dict[Any, Any], where: str, on_file: Callable[[str, str], str]) -> str:
    path = value[FILE_KEY]
    if len(value) != 1 or not isinstance(path, str):
        raise InputError(
            f"{where} must be exactly {{{FILE_KEY!r}: path or URL}}; use mulequeue.file(path)."
        )
    if valid_text(path) != path:
        raise InputError(
            f"{where}: the path contains a lone surrogate, which is not valid text. Remove it."
        )
    if path.lower().startswith(("http://", "https://")):
        return path
    return on_file(path, where)


def _check_scalar(value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} is {value}, which JSON cannot express. Use a finite number.")
    elif value is not None and not isinstance(value, (bool, int, float)):
        raise InputError(
            f"{where} is {_named(value)}, which is not a JSON value. Use text, numbers, booleans, lists "
            "or dictionaries, and mulequeue.file(path) for a file."
        )


def _named(value: Any) -> str:
    return f"a {type(value).__name__}"


# Files


def _allowed(path: str, roots: Sequence[str], where: str) -> tuple[str, os.stat_result]:
    """Return the real path of a file and its ``os.stat`` result.

    :raises InputError: there is no root, there is no such file, or the file is outside of every root.
    """
    if not roots:
        raise InputError(
            f"{where} names the file {path!r}, but mulequeue_input_roots is empty. "
            "Set it to the folders that files may be read from."
        )
    try:
        real = os.path.realpath(path, strict=True)
        found = os.stat(real)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise InputError(
            f"{where}: {path!r} cannot be read on this machine: {reason}. "
            "Put the file there, or pass a URL."
        ) from None
    if not _is_under(real, roots):
        raise InputError(
            f"{where}: {path!r} is outside of mulequeue_input_roots ({', '.join(roots)}). "
            "Move the file there, or add its folder."
        )
    return real, found


def _is_under(real: str, roots: Sequence[str]) -> bool:
    return bool(real) and any(Path(real).is_relative_to(os.path.realpath(root)) for root in roots)


def _check_stat(found: os.stat_result, path: str, where: str, max_bytes: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{where}: {path!r} is not a regular file. Name a file.")
    if found.st_size == 0:
        raise InputError(f"{where}: {path!r} is empty. Name a file with content.")
    if max_bytes is not None and found.st_size > max_bytes:
        raise InputError(
            f"{where}: {path!r} has {found.st_size} bytes, more than {max_bytes}. "
            "Make it smaller, pass a URL, or raise mulequeue_input_max_bytes."
        )


def _read(path: str, roots: Sequence[str], max_bytes: int, where: str) -> bytes:
    real, _ = _allowed(path, roots, where)
    try:
        with open(real, "rb", opener=_open_checked) as opened:
            found = os.fstat(opened.fileno())
            _check_stat(found, path, where, max_bytes)
            if not _is_under(_real_path_of(opened.fileno(), found, real), roots):
                raise InputError(
                    f"{where}: {path!r} was moved out of mulequeue_input_roots. Move it back."
                )
            data = opened.read(max_bytes + 1)
    except OSError as exc:
        raise InputError(
            f"{where}: {path!r} cannot be read: {exc.strerror or exc}. Nothing was sent. "
            "Make it readable for the worker's user."
        ) from None
    if len(data) > max_bytes:
        raise InputError(
            f"{where}: {path!r} grew beyond {max_bytes} bytes while it was read. Send it when it is complete."
        )
    return data


def _open_checked(path: str, flags: int) -> int:
    """Open a file whose path was checked. If it was replaced since, do not follow a link or block on a FIFO."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _real_path_of(handle: int, found: os.stat_result, real: str) -> str:
    """Return the real path of an open file, or "" if it is unknown.

    Since the path was checked, one of its folders may have been replaced by a link.
    """
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:  # without /proc, check that the path still leads to the open file
        pass
    try:
        again = os.path.realpath(real)
        return again if os.path.samestat(os.stat(again), found) else ""
    except OSError:
        return ""


def _media_type(data: bytes, path: str) -> str:
    guessed = filetype.guess_mime(data[:8192]) or mimetypes.guess_type(path)[0]
    return guessed or "application/octet-stream"

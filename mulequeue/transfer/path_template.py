"""Build the path of an asset's file from a template. The path never leads out of the storage.

The path depends only on the outcome and on the asset, so a repeated download overwrites its file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from string import Formatter

from mulequeue.errors import ConfigurationError
from mulequeue.outcome import Outcome

NAMES = ("model", "date", "remote_id", "task_id", "index", "kind", "ext")
_MAX_BYTES = 120
# Adds an empty text, so that check_template finds an id. The templates of a batch are compared with each other.
_UNIQUE = "{task_id:.0}"
_KEPT = frozenset(" ._-+=@,()~")


def file_path(template: str, outcome: Outcome, index: int, extension: str) -> str:
    """Return the path of one asset's file under the storage, with ``/`` between its folders.

    :param template: a template that :func:`check_template` has accepted.
    :param index: the asset's index in the outcome, from 0. It is added to the name if the template
        does not contain ``{index}`` and there is more than one asset.
    """
    model = (outcome.model or outcome.api_path or "unknown").strip("/")
    values: dict[str, str | int] = {
        "model": "/".join(map(path_part, model.split("/"))),
        "date": _date(outcome),
        "remote_id": path_part(outcome.remote_id or "none"),
        "task_id": path_part(outcome.task_id),
        "kind": path_part(outcome.assets[index].kind),
        "index": index,
        "ext": path_part(extension),
    }
    *folders, name = template.format(**values).strip("/").split("/")
    if len(outcome.assets) > 1 and "index" not in _fields(template):
        stem, dot, suffix = name.rpartition(".")
        name = f"{stem}-{index}.{suffix}" if dot else f"{name}-{index}"
    return "/".join([*(path_part(folder) for folder in folders if folder), path_part(name)])


def check_template(template: str) -> str:
    """Return the template if it gives different paths to different generations.

    :raises ConfigurationError: the template has an unknown name or wrong braces, or it has neither
        ``{remote_id}`` nor ``{task_id}``.
    """
    try:
        used = _fields(template)
        template.format(**dict.fromkeys(NAMES, "1") | {"index": 1})
    except (ValueError, KeyError, IndexError, AttributeError, TypeError):
        raise ConfigurationError(
            f"The path template {template!r} cannot be filled in. It may contain "
            f"{', '.join(f'{{{name}}}' for name in NAMES)} and no other braces."
        ) from None
    if not {"remote_id", "task_id"} & set(used):
        raise ConfigurationError(
            f"The path template {template!r} gives two generations one path. "
            "Put {remote_id} or {task_id} into it."
        )
    return template


def member_templates(path: str | Sequence[str] | None, count: int) -> list[str]:
    """Return the template of each member of a batch, as :func:`check_template` accepts it.

    :param path: one template for all members, or one per member; None: the result is an empty list.
    :raises ConfigurationError: a template is invalid, there are not as many as members, or two are the same,
        except for upper and lower case.
    """
    if not path:
        return []
    if isinstance(path, str):
        return [check_template(path)] * count
    if len(path) != count:
        raise ConfigurationError(
            f"There are {len(path)} paths for {count} inputs. Give one template, or one per input."
        )
    known: dict[str, int] = {}
    for index, template in enumerate(path):
        first = known.setdefault(template.casefold(), index)  # some file systems ignore the case
        if first != index:
            raise ConfigurationError(
                f"path[{first}] and path[{index}] are both {template!r}, so one file would replace "
                "the other. Make them different."
            )
    return [check_template(template + _UNIQUE) for template in path]


def _fields(template: str) -> list[str]:
    """Return the names in a template; only plain names are allowed in braces."""
    fields = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    if not set(fields) <= set(NAMES):
        raise KeyError
    return fields


def _date(outcome: Outcome) -> str:
    """Return the day (UTC) of the submission, or ``undated``."""
    try:
        moment = datetime.fromisoformat(outcome.submitted_at or outcome.created_at or "")
    except ValueError:
        return "undated"
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date().isoformat()


def path_part(text: str) -> str:
    """Return text as a safe name of a file or folder, of limited length, which can also be part of a template.

    The name contains no separators, control characters, wildcards, braces or leading dots. A changed name gets
    a hash, so that different names stay different.
    """
    name = "".join(c if c.isalnum() or c in _KEPT else "_" for c in text).strip()
    if not name or name.startswith("."):
        name = f"_{name[1:]}"
    if name == text and len(name.encode()) <= _MAX_BYTES:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix.encode()) > 10:
        stem, dot, suffix = name, "", ""
    short = stem.encode()[: _MAX_BYTES - 24].decode(errors="ignore")
    return f"{short}-{digest}{dot}{suffix}"

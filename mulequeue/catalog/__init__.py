"""What mulequeue knows of the API's models: one TOML file per vendor, read once.

A path cannot be derived from a name by rules (modes, actions and prefixes differ by vendor), so the
files list every path; a name is the path without its scaffolding (see :func:`name_of`). A file says
only what differs from the defaults of the media kind below.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from mulequeue.catalog.lookup import check_path, unknown_model
from mulequeue.catalog.parameters import Parameter, Rules, parameters_in, rules_in
from mulequeue.catalog.poll_schedule import PollSchedule
from mulequeue.errors import InputError
from mulequeue.outcome import Kind

__all__ = ["Model", "Parameter", "Rules", "all_models", "find", "name_of"]

# Few finish earlier. For lives of 5 to 60 s this finds out a second sooner than waits that grow faster,
# with about as many checks (simulated for uniform and lognormal ones).
_IMAGE = {"first": 5.0, "factor": 1.1, "ceiling": 8.0}
_VIDEO = {"first": 10.0, "factor": 1.5, "ceiling": 30.0}
_SCHEDULES: Mapping[Kind | None, Mapping[str, float]] = {
    "image": _IMAGE,
    "audio": _IMAGE,
    "video": _VIDEO,
    None: _VIDEO,
}
_MAX_WAIT_SECONDS: Mapping[Kind | None, float] = {
    "image": 600.0,
    "audio": 600.0,
    "video": 3600.0,
    None: 3600.0,
}
# The shortest retention that any page states; most pages state none.
_RETENTION_SECONDS = 3600
_INPUT_KEYS = frozenset(
    {"groups_of_file", "groups", "parameters", "note", "is_open", "ignored"}
    | {"any_of", "apart", "needs", "when", "together", "sums"}
)

LIST_FIELDS = frozenset(
    {"images", "videos", "audios", "video_urls", "obj_or_bg", "ref_images_url"}
    | {f"reference_{media}" for media in ("images", "videos", "audios")}
)
"""Input fields that take a list of URLs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One create path of the API, and how to wait for what it makes."""

    name: str
    """``vendor/model[/mode][/action]``; the path itself when the catalog does not know it."""
    api_path: str
    """Where to POST; ``{api_path}/{remote_id}`` is where to poll."""
    kind: Kind | None
    """``image``, ``video`` or ``audio``; None for an unknown path: the answer's result key tells."""
    schedule: PollSchedule
    """When to poll, inside what the model's own page asks for."""
    max_wait_seconds: float
    """How long a generation may stay active."""
    retention_seconds: int
    """How long the assets can be fetched after success; one hour where no page says it."""
    required: tuple[str, ...]
    """Input fields without which the API refuses; empty where alternatives exist."""
    prompt_field: str = "prompt"
    """The input field that one line of text goes into."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict, compare=False, repr=False)
    """By name, the required ones first; empty for an unknown path."""
    rules: Rules = field(default_factory=Rules, compare=False, repr=False)
    """What the parameters have to do with each other."""
    note: str = ""
    """What else to know about it."""

    @property
    def is_known(self) -> bool:
        """Whether the catalog lists this path."""
        return self.kind is not None


def find(name: str) -> Model:
    """The model of that name.

    :param name: ``vendor/model[/mode][/action]`` (an explicit ``/generation`` at the end is fine),
        an alias, or a whole ``/vendors/…`` path, which the catalog need not know.
    :raises InputError: an unknown name (the text gives the nearest), or a malformed path.
    """
    if not isinstance(name, str):
        raise InputError(f"A model is named by text like 'alibaba/wan2.6-t2i', not by {name!r}.")
    models = _index()
    found = models.get(name)
    if found is None and name.endswith("/generation"):
        found = models.get(name.removesuffix("/generation"))
        if found is not None and not found.api_path.endswith("/generation"):
            found = None
    if found is not None:
        return found
    if name.startswith(("/", "vendors/")) or "://" in name:
        return _model(check_path(name), {"name": name, "required": ()})
    raise unknown_model(name, models)


@cache
def all_models() -> tuple[Model, ...]:
    """Every model of the catalog, sorted by name."""
    entries = (_model(path, entry) for entry in _entries() for path in entry["api_paths"])
    return tuple(sorted(entries, key=lambda model: model.name))


def name_of(api_path: str) -> str:
    """``vendor/model[/mode][/action]`` of a path: without version, ``tob`` and ``/generation``."""
    parts = api_path.removeprefix("/vendors/").removesuffix("/generation").split("/")
    return "/".join(part for part in parts if part not in ("v1", "tob"))


@cache
def _index() -> dict[str, Model]:
    """Every name, alias and path."""
    models = {model.api_path: model for model in all_models()}
    aliases = {
        alias: models[path]
        for entry in _entries()
        for alias, path in entry.get("aliases", {}).items()
    }
    return aliases | models | {model.name: model for model in all_models()}


@cache
def _entries() -> tuple[Mapping[str, Any], ...]:
    """The entries of all files, each with the groups of its file and what it is like."""
    entries: list[dict[str, Any]] = []
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".toml"):
            vendor = tomllib.loads(file.read_text("utf-8"))
            groups = vendor.get("groups", {})
            entries += ({"groups_of_file": groups, **entry} for entry in vendor["models"])
    by_path = {path: entry for entry in entries for path in entry["api_paths"]}
    return tuple({**e, **_taken(by_path[e["like"]])} if "like" in e else e for e in entries)


def _taken(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What a model takes over from the one it is like: what goes in, not how it is waited for."""
    return {key: value for key, value in entry.items() if key in _INPUT_KEYS}


def _model(api_path: str, entry: Mapping[str, Any]) -> Model:
    kind: Kind | None = entry.get("kind")
    required = tuple(entry.get("required", ("prompt",)))
    prompt_field = entry.get("prompt_field", "prompt")
    return Model(
        name=entry.get("name") or name_of(api_path),
        api_path=api_path,
        kind=kind,
        schedule=PollSchedule(**{**_SCHEDULES[kind], **entry.get("schedule", {})}),
        max_wait_seconds=float(entry.get("max_wait_seconds", _MAX_WAIT_SECONDS[kind])),
        retention_seconds=entry.get("retention_seconds", _RETENTION_SECONDS),
        required=required,
        prompt_field=prompt_field,
        parameters=parameters_in(entry, entry.get("groups_of_file", {}), required, prompt_field),
        rules=rules_in(entry),
        note=entry.get("note", ""),
    )

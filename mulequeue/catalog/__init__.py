"""The API's models: paths, parameters, poll schedules and times, from one TOML file per vendor.

The files list every path, because modes, actions and prefixes differ by vendor. :func:`name_of`
derives a model's name from its path. An entry holds only the values that differ from the defaults of its
media kind, which are in this module.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from mulequeue.catalog.lookup import path_problem, unknown_model_text
from mulequeue.catalog.parameters import Parameter, Rules, parameters_in, rules_in
from mulequeue.catalog.poll_schedule import PollSchedule
from mulequeue.catalog.prices import Price, read_prices
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.outcome import Kind

__all__ = ["Model", "Parameter", "Price", "Rules", "all_models", "find", "models_in", "name_of"]

# Few images finish within 5 s. For durations of 5 to 60 s this schedule detects the end a second
# earlier than waits that grow faster, with about as many checks (simulated for uniform and lognormal
# durations).
_IMAGE = PollSchedule(first=5.0, factor=1.1, ceiling=8.0)
_VIDEO = PollSchedule(first=10.0, factor=1.5, ceiling=30.0)
_DEFAULTS: Mapping[Kind | None, tuple[PollSchedule, float]] = {
    "image": (_IMAGE, 600.0),
    "audio": (_IMAGE, 600.0),
    "video": (_VIDEO, 3600.0),
    None: (_VIDEO, 3600.0),
}
"""Media kind -> its poll schedule, and the seconds after which a generation is settled ``timed_out``."""
# The shortest retention that any page of the documentation states; most pages state none.
_RETENTION_SECONDS = 3600
_PRICES = "prices.toml"
_INPUT_KEYS = frozenset(
    {"groups_of_file", "groups", "parameters", "note", "is_open", "ignored"}
    | {"any_of", "apart", "needs", "when", "together", "sums"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One create path of the API, with the parameters it takes and its poll schedule."""

    name: str
    """``vendor/model[/mode][/action]``; the path itself if the catalog does not list it."""
    api_path: str
    """Path of the create request; status checks GET ``{api_path}/{remote_id}``."""
    kind: Kind | None
    """``image``, ``video`` or ``audio``; None for an unlisted path, whose kind is read from the API's response."""
    schedule: PollSchedule
    """Waits between status checks, within the limits that the model's page states."""
    max_wait_seconds: float
    """Seconds that a generation may stay active before it is settled ``timed_out``."""
    retention_seconds: int
    """Seconds that the assets can be fetched after success; one hour where no page states it."""
    required: tuple[str, ...]
    """Input fields that the API requires; empty where alternatives exist (see ``rules``)."""
    prompt_field: str = "prompt"
    """The input field that receives a prompt."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict, compare=False, repr=False)
    """By name, required parameters first; empty for an unlisted path."""
    rules: Rules = field(default_factory=Rules, compare=False, repr=False)
    """Rules between parameters."""
    prices: tuple[Price, ...] = field(default=(), compare=False, repr=False)
    """Prices that a source states; empty: the price is unknown."""
    note: str = ""
    """Advice for users, one or two sentences."""

    @property
    def path(self) -> str:
        """Return the ``api_path`` without ``/vendors/``, the form that records and limits use."""
        return self.api_path.removeprefix("/vendors/")

    @property
    def is_known(self) -> bool:
        """Return True if the catalog lists this path."""
        return self.kind is not None


def find(name: str) -> Model:
    """Return the model of a name.

    :param name: ``vendor/model[/mode][/action]`` (a trailing ``/generation`` is accepted), an
        alias, or a whole ``/vendors/…`` path, also one that the catalog does not list.
    :raises InputError: the name is not text, the name is unknown (the text suggests similar names), or the path
        is malformed.
    """
    if not isinstance(name, str):
        raise InputError(f"The model must be text like 'alibaba/wan2.6-t2i', not {name!r}.")
    models = _index()
    if name in models:
        return models[name]
    found = models.get(name.removesuffix("/generation"))
    if found is not None and found.api_path.endswith("/generation"):
        return found
    if name.startswith(("/", "vendors/")) or "://" in name:
        problem = path_problem(name)
        if problem:
            raise InputError(problem)
        return _model(name, {"name": name, "required": ()})
    raise InputError(unknown_model_text(name, models))


def models_in(setting: str, given: Any) -> Iterator[tuple[str, Model, Any]]:
    """Yield the name, the model and the value of each entry of a setting whose keys are models.

    :param setting: name of the setting, for the text of the error.
    :param given: value of the setting.
    :raises ConfigurationError: ``given`` is not a dictionary, or a model is unknown.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(f'{setting} must be a dictionary like {{"vendor/model": {{…}}}}.')
    for name, value in given.items():
        try:
            model = find(name)
        except InputError as exc:
            raise ConfigurationError(f"{setting}: {exc}") from None
        yield name, model, value


@cache
def all_models() -> tuple[Model, ...]:
    """Return every model of the catalog, sorted by name."""
    entries = (_model(path, entry) for entry in _entries() for path in entry["api_paths"])
    return tuple(sorted(entries, key=lambda model: model.name))


def name_of(api_path: str) -> str:
    """Return ``vendor/model[/mode][/action]`` of a path, without version, ``tob`` and ``/generation``."""
    parts = api_path.removeprefix("/vendors/").removesuffix("/generation").split("/")
    return "/".join(part for part in parts if part not in ("v1", "tob"))


@cache
def _index() -> dict[str, Model]:
    """Return all models by name, by alias and by path."""
    models = {model.api_path: model for model in all_models()}
    aliases = {
        alias: models[path]
        for entry in _entries()
        for alias, path in entry.get("aliases", {}).items()
    }
    return aliases | models | {model.name: model for model in all_models()}


@cache
def _entries() -> tuple[Mapping[str, Any], ...]:
    """Read the entries of all vendors' files.

    Each entry gets the groups of its file. ``like`` copies the keys that describe the input from another entry.
    """
    entries: list[dict[str, Any]] = []
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".toml") and file.name != _PRICES:
            vendor = tomllib.loads(file.read_text("utf-8"))
            groups = vendor.get("groups", {})
            entries += ({"groups_of_file": groups, **entry} for entry in vendor["models"])
    by_path = {path: entry for entry in entries for path in entry["api_paths"]}
    return tuple({**e, **_input_of(by_path[e["like"]])} if "like" in e else e for e in entries)


@cache
def _prices() -> Mapping[str, tuple[Price, ...]]:
    """Return the prices in ``prices.toml``, by path."""
    text = (resources.files(__name__) / _PRICES).read_text("utf-8")
    return {path: read_prices(path, entries) for path, entries in tomllib.loads(text).items()}


def _input_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of an entry that describe the input, without schedule and times."""
    return {key: value for key, value in entry.items() if key in _INPUT_KEYS}


def _model(api_path: str, entry: Mapping[str, Any]) -> Model:
    kind: Kind | None = entry.get("kind")
    schedule, max_wait_seconds = _DEFAULTS[kind]
    required = tuple(entry.get("required", ("prompt",)))
    prompt_field = entry.get("prompt_field", "prompt")
    return Model(
        name=entry.get("name") or name_of(api_path),
        api_path=api_path,
        kind=kind,
        schedule=replace(schedule, **entry.get("schedule", {})),
        max_wait_seconds=float(entry.get("max_wait_seconds", max_wait_seconds)),
        retention_seconds=entry.get("retention_seconds", _RETENTION_SECONDS),
        required=required,
        prompt_field=prompt_field,
        parameters=parameters_in(entry, entry.get("groups_of_file", {}), required, prompt_field),
        rules=rules_in(entry),
        prices=_prices().get(api_path, ()),
        note=entry.get("note", ""),
    )

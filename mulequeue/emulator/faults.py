"""The faults that the emulator can inject, as one validated JSON object.

``POST /_emulator/faults`` sets the given keys and keeps the others; ``DELETE`` resets all of them.

``creates``, ``polls`` and ``downloads`` are each a list of :class:`Burst`. A request gets the first
burst that matches its prompt and has not been used ``count`` times::

    {"creates": [{"do": "status", "status": 429, "retry_after": "2", "count": 3}],
     "polls": [{"do": "hold"}], "downloads": [{"do": "truncate", "count": 2}]}

``lives`` is a list of :class:`Life`. The first life that matches the prompt of a new generation applies::

    {"lives": [{"contains": "forbidden", "end": "failed", "code": 3001}, {"seconds": 0.5}]}

The other keys select one of the response formats that the API was observed to use.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mulequeue.emulator.body_fields import UnknownFields
from mulequeue.emulator.dataclass_parser import parse, parse_fields
from mulequeue.emulator.webhook_endpoints import MAX_ENDPOINTS, Endpoint

Vocabulary = Literal["A", "B", "mixed"]
Action = Literal[
    "status",
    "drop",
    "drop_after",
    "hold",
    "hold_after",
    "slow",
    "edge_block",
    "not_json",
    "no_id",
    "truncate",
    "no_content_type",
    "html",
    "redirect",
    "slow_body",
    "endless",
]

# Faults in front of the API, which occur before it reads the request.
EDGE: frozenset[str] = frozenset({"drop", "edge_block"})
_COMMON = frozenset({"status", "hold", "slow", "redirect", "slow_body", "endless"})
_FITTING: dict[str, frozenset[str]] = {
    "creates": EDGE | _COMMON | {"drop_after", "hold_after", "not_json", "no_id"},
    "polls": EDGE | _COMMON | {"not_json"},
    "downloads": EDGE | _COMMON | {"truncate", "no_content_type", "html"},
}


@dataclass(slots=True, kw_only=True)
class Burst:
    """A fault that the next requests of one kind get: creates, polls or downloads."""

    do: Action
    """``status``: answer with the HTTP status ``status``. ``drop``: cut the connection;
    ``drop_after``: cut it after the generation is stored. ``hold``: wait for
    ``POST /_emulator/release``, then answer normally; ``hold_after``: wait after the generation is
    stored. ``slow``: wait ``seconds``, then answer normally. ``edge_block``: answer as the edge in front
    of the API, with 403 and text. ``redirect``: 307 to ``location``. ``slow_body``: send the body over
    ``seconds``; ``endless``: send a body without an end. With both, the generation of a create is
    stored. ``not_json``: answer a stored create, or a poll, with 2xx and HTML. ``no_id``: answer a
    stored create without its id. Downloads only: ``truncate`` (half of the announced bytes),
    ``no_content_type``, ``html`` (200 with an HTML page)."""
    count: int | None = None
    """Number of requests that get the fault; None: all, until the faults are reset."""
    contains: str = ""
    """Apply only to prompts that contain this text."""
    status: int = 500
    code: int | None = None
    """``error_code`` of the problem object; None: the code that the API uses with ``status``."""
    title: str | None = None
    detail: str | None = None
    retry_after: str | None = None
    """Value of the Retry-After header (seconds or a date); None: no header."""
    html: bool = False
    """``status``: answer with an HTML page instead of a problem object."""
    seconds: float = 1.0
    """Duration of ``slow`` and ``slow_body``."""
    bytes: int = 0
    """``status``: pad the body to this many bytes."""
    location: str | None = None
    """``redirect``: the target; None: the same address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The duration and the end of a generation."""

    contains: str = ""
    """Apply only to prompts that contain this text."""
    seconds: float | None = None
    """Time from creation to the end; None: random, from the emulator's min to its max seconds."""
    polls: int | None = None
    """End at the N-th poll instead of after a time."""
    end: Literal["completed", "failed", "empty", "missing", "never"] = "completed"
    """``empty``: completed with an empty list of assets; ``missing``: completed without the list."""
    at_create: bool = False
    """Whether the response to the create is already terminal."""
    code: int = 3001
    """Error code of ``failed``."""
    title: str | None = None
    detail: str | None = None
    retrying: bool = False
    """Report ``retrying`` from 60 % of the duration on."""
    active_word: str | None = None
    """The status that is reported instead of ``processing`` and ``retrying``."""
    hidden_polls: int = 0
    """Answer the first N polls with 404, as if the generation were not visible yet."""
    vanish_after_seconds: float | None = None
    """Answer 404 from this time after creation on."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """The active faults. The defaults describe the API without faults."""

    vocabulary: Vocabulary = "B"
    """``A``: queued, running, succeeded; ``B``: pending, processing, completed; ``mixed``: ``A`` and
    ``B`` alternate from poll to poll."""
    error_position: Literal["task_info", "top", "both"] = "task_info"
    """Where a response contains the error of a failed generation."""
    post_error: Literal["problem", "envelope"] = "problem"
    """Body of a 400 on create: a problem object, or a task envelope with status ``failed``."""
    create_id_field: Literal["id", "task_id"] = "id"
    create_status: Literal["present", "omitted"] = "present"
    create_http_status: Literal[200, 201, 202] = 202
    timestamps: Literal["Z", "offset"] = "Z"
    """``…12Z``, or microseconds and ``+00:00``."""
    require_key: str | None = None
    """The only accepted key; None: any key."""
    site: Literal["mulerouter", "mulerun"] | None = None
    """Reject keys without this site's prefix (``sk-mr-…``, ``muk-…``); None: any prefix."""
    unknown_fields: UnknownFields = "by_model"
    """Treatment of undeclared body fields; ``by_model``: as each model was observed to treat them."""
    gzip: Literal["never", "accepted", "always"] = "never"
    """Compress the API's responses: never, for clients that accept gzip, or always."""
    lives: list[Life] = field(default_factory=list)
    creates: list[Burst] = field(default_factory=list)
    polls: list[Burst] = field(default_factory=list)
    downloads: list[Burst] = field(default_factory=list)
    asset_seconds: float | None = None
    """How long an asset URL is valid; None: the model's retention."""
    asset_expired_status: Literal[403, 404, 410] = 403
    """The response to a GET of an expired URL."""
    asset_renewal: bool = True
    """Whether a poll after the expiry returns fresh URLs."""
    webhooks: list[Endpoint] = field(default_factory=list)
    """Receivers of the API's webhooks (:mod:`mulequeue.emulator.webhook_endpoints`)."""

    @classmethod
    def parse(cls, data: Any) -> Faults:
        """Return faults from a JSON object.

        :raises ValueError: a key is unknown or missing, or a value is invalid; for an unknown key the text lists
            the valid ones.
        """
        faults = parse(cls, data, "faults")
        faults._check()
        return faults

    def updated(self, data: Any) -> Faults:
        """Return these faults with the keys of ``data`` replaced; errors as in :meth:`parse`."""
        current = {name: getattr(self, name) for name in self.__dataclass_fields__}
        faults = Faults(**{**current, **parse_fields(Faults, data, "faults")})
        faults._check()
        return faults

    def _check(self) -> None:
        for i, endpoint in enumerate(self.webhooks):
            endpoint.check(f"faults.webhooks[{i}]")
        if len(self.webhooks) > MAX_ENDPOINTS:
            raise ValueError(f"faults.webhooks can hold {MAX_ENDPOINTS}, as the API's console")
        for kind, fitting in _FITTING.items():
            for i, burst in enumerate(getattr(self, kind)):
                if burst.do not in fitting:
                    known = ", ".join(sorted(fitting))
                    raise ValueError(
                        f"faults.{kind}[{i}].do must be one of {known}, not {burst.do!r}."
                    )

    def take(self, kind: str, text: str, *, edge: bool) -> Burst | None:
        """Return the burst that applies to this request, and reduce its count by one.

        That is the first one that matches and has a count left. Return None if it belongs to the other
        value of ``edge``, or if there is none.

        :param kind: ``creates``, ``polls`` or ``downloads``.
        :param text: the prompt of the request.
        :param edge: True: the faults in front of the API (``drop``, ``edge_block``); False: all others.
        """
        for burst in getattr(self, kind):
            if burst.count == 0 or burst.contains not in text:
                continue
            if (burst.do in EDGE) is not edge:
                return None
            if burst.count is not None:
                burst.count -= 1
            return burst  # type: ignore[no-any-return]
        return None

    def life_of(self, prompt: str) -> Life:
        """Return the first life that matches the prompt, else the default life."""
        return next((life for life in self.lives if life.contains in prompt), Life())

    def to_dict(self) -> dict[str, Any]:
        """Return the faults as JSON data, with the remaining counts."""
        return asdict(self)

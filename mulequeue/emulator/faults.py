"""Everything that can be made to go wrong, as one validated JSON object.

``POST /_emulator/faults`` sets the keys it names and leaves the others; ``DELETE`` resets them all.

Three queues of :class:`Burst`, one each for ``creates``, ``polls`` and ``downloads``: a request
takes the first burst with something left that matches its prompt::

    {"creates": [{"do": "status", "status": 429, "retry_after": "2", "count": 3}],
     "polls": [{"do": "hold"}], "downloads": [{"do": "truncate", "count": 2}]}

A list of :class:`Life`: a new generation lives by the first one that matches its prompt::

    {"lives": [{"contains": "forbidden", "end": "failed", "code": 3001}, {"seconds": 0.5}]}

The other keys choose between the forms in which the API has been seen to answer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mulequeue.emulator.body_fields import UnknownFields
from mulequeue.emulator.dataclass_parser import build, checked
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

# In front of the API: they happen before it has looked at the request.
EDGE: frozenset[str] = frozenset({"drop", "edge_block"})
_COMMON = frozenset({"status", "hold", "slow", "redirect", "slow_body", "endless"})
_FITTING: dict[str, frozenset[str]] = {
    "creates": EDGE | _COMMON | {"drop_after", "hold_after", "not_json", "no_id"},
    "polls": EDGE | _COMMON | {"not_json"},
    "downloads": EDGE | _COMMON | {"truncate", "no_content_type", "html"},
}


@dataclass(slots=True, kw_only=True)
class Burst:
    """What happens to the next requests of a kind."""

    do: Action
    """``status``: answer ``status``. ``drop``: cut the connection; ``drop_after``: once the
    generation is stored. ``hold``: wait for ``POST /_emulator/release``, then go on as usual;
    ``hold_after``: the same once it is stored. ``slow``: wait ``seconds``. ``edge_block``: 403 of
    the edge. ``redirect``: 307 to ``location``. ``slow_body``: the answer's body takes ``seconds``;
    ``endless``: it never ends (a create is stored by then). ``not_json``: a stored create, or a
    poll, is answered with 2xx and text. ``no_id``: a stored create is answered without its id.
    Downloads only: ``truncate`` (wrong Content-Length), ``no_content_type``, ``html`` (200 with an
    HTML page)."""
    count: int | None = None
    """How many requests; None: all of them until the faults are reset."""
    contains: str = ""
    """Only requests about prompts that contain this text."""
    status: int = 500
    code: int | None = None
    """``error_code`` of the problem; None: the one that goes with the status."""
    title: str | None = None
    detail: str | None = None
    retry_after: str | None = None
    """Text of the Retry-After header (seconds or a date); None: no header."""
    html: bool = False
    """``status`` with an HTML page instead of a problem object."""
    seconds: float = 1.0
    """For ``slow`` and ``slow_body``."""
    bytes: int = 0
    """``status``: the body is filled up to so many bytes."""
    location: str | None = None
    """``redirect``: where to; None: the same address again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How a generation lives and ends."""

    contains: str = ""
    """Only generations whose prompt contains this text."""
    seconds: float | None = None
    """From creation to the end; None: between the program's min and max seconds."""
    polls: int | None = None
    """End at the N-th poll instead of after a time."""
    end: Literal["completed", "failed", "empty", "missing", "never"] = "completed"
    """``empty``: completed with an empty list of assets; ``missing``: without any."""
    at_create: bool = False
    """The answer to the create is already terminal."""
    code: int = 3001
    """Error code of ``failed``."""
    title: str | None = None
    detail: str | None = None
    retrying: bool = False
    """Show ``retrying`` for the last part of the way."""
    active_word: str | None = None
    """A status word of your own while it is being worked on."""
    hidden_polls: int = 0
    """404 for the first N polls, as if not visible yet."""
    vanish_after_seconds: float | None = None
    """404 from then on."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """The faults in force; the defaults are the API on a good day."""

    vocabulary: Vocabulary = "B"
    """``A``: queued, running, succeeded; ``B``: pending, processing, completed; ``mixed``: both."""
    error_position: Literal["task_info", "top", "both"] = "task_info"
    """Where a failed generation carries its error."""
    post_error: Literal["problem", "envelope"] = "problem"
    """Form of a 400 on create: a problem object, or a task envelope with status ``failed``."""
    create_id_field: Literal["id", "task_id"] = "id"
    create_status: Literal["present", "omitted"] = "present"
    create_http_status: Literal[200, 201, 202] = 202
    timestamps: Literal["Z", "offset"] = "Z"
    """``…12Z``, or microseconds and ``+00:00``."""
    require_key: str | None = None
    """The only key accepted; None: any."""
    site: Literal["mulerouter", "mulerun"] | None = None
    """Refuse keys that are not of this site's form (``sk-mr-…``, ``muk-…``); None: any form."""
    unknown_fields: UnknownFields = "by_model"
    """Body fields that a model does not declare; ``by_model``: as each was seen to do."""
    gzip: Literal["never", "accepted", "always"] = "never"
    """Compress the API's answers: never, for clients that accept it, or for all."""
    lives: list[Life] = field(default_factory=list)
    creates: list[Burst] = field(default_factory=list)
    polls: list[Burst] = field(default_factory=list)
    downloads: list[Burst] = field(default_factory=list)
    asset_seconds: float | None = None
    """How long an asset URL works; None: the model's retention."""
    asset_expired_status: Literal[403, 404, 410] = 403
    """What an expired URL answers."""
    asset_renewal: bool = True
    """A poll after the expiry of the URLs gives fresh ones."""
    webhooks: list[Endpoint] = field(default_factory=list)
    """Who is told of creations and ends (:mod:`mulequeue.emulator.webhook_endpoints`)."""

    @classmethod
    def parse(cls, data: Any) -> Faults:
        """Faults from a JSON object.

        :raises ValueError: an unknown key or a wrong value; the text names what is known.
        """
        faults = build(cls, data, "faults")
        faults._refuse_misfits()
        return faults

    def updated(self, data: Any) -> Faults:
        """These faults with the keys of ``data`` replaced. Raises ValueError as :meth:`parse`."""
        now = {name: getattr(self, name) for name in self.__dataclass_fields__}
        faults = Faults(**{**now, **checked(Faults, data, "faults")})
        faults._refuse_misfits()
        return faults

    def _refuse_misfits(self) -> None:
        for i, endpoint in enumerate(self.webhooks):
            endpoint.check(f"faults.webhooks[{i}]")
        if len(self.webhooks) > MAX_ENDPOINTS:
            raise ValueError(f"faults.webhooks can hold {MAX_ENDPOINTS}, as the API's console")
        for kind, fitting in _FITTING.items():
            for i, burst in enumerate(getattr(self, kind)):
                if burst.do not in fitting:
                    known = ", ".join(sorted(fitting))
                    raise ValueError(
                        f"faults.{kind}[{i}].do cannot be {burst.do!r}. Known: {known}."
                    )

    def take(self, kind: str, text: str, *, edge: bool) -> Burst | None:
        """The burst that this request falls into, one less of it left.

        :param kind: ``creates``, ``polls`` or ``downloads``.
        :param text: the prompt the request is about.
        :param edge: ask for what happens in front of the API, or for what happens inside it.
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
        """The first life that matches the prompt, else an uneventful one."""
        return next((life for life in self.lives if life.contains in prompt), Life())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the counts that are left."""
        return asdict(self)

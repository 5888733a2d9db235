"""The emulator's state: generations, asset links, counters and held requests."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import math
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mulequeue.catalog import Model
from mulequeue.emulator.faults import Faults, Life
from mulequeue.emulator.generation import Generation
from mulequeue.emulator.media.formats import extension
from mulequeue.emulator.quirks import asset_count, late_failure, prompt_of
from mulequeue.emulator.stats import Counters

MAX_CREATES_LISTED = 100_000
"""Maximum number of creates that ``GET /_emulator/creates`` lists. Beyond it the oldest tenth is dropped."""
_MAX_TEXT_CHARACTERS = 65_536  # a longer text, such as a base64 file, is replaced by its hash


class State:
    """The state of one run of the emulator.

    :param min_seconds, max_seconds: range of the uniformly distributed durations.
    :param seed: makes the duration depend only on path, body and how often both arrived; None: random.
    :param clock: returns unix seconds.
    :raises ValueError: ``min_seconds`` is negative, or more than ``max_seconds``.
    """

    def __init__(
        self,
        *,
        min_seconds: float = 2.0,
        max_seconds: float = 5.0,
        seed: int | None = None,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 0 <= min_seconds <= max_seconds:
            raise ValueError("min_seconds must not be negative, nor more than max_seconds")
        self.seconds = (min_seconds, max_seconds)
        self.seed = random.getrandbits(64) if seed is None else seed
        self.starting_faults = faults or Faults()
        self.clock = clock
        self.asset_origin = ""
        self.faults = Faults()
        self.counters = Counters()
        self.generations: dict[str, Generation] = {}
        self.links: dict[str, tuple[Generation, int]] = {}
        self.creates: list[dict[str, Any]] = []
        self._times_seen: dict[bytes, int] = {}
        self._held: list[tuple[str, asyncio.Future[None]]] = []
        self.reset_faults()

    def reset_faults(self) -> None:
        """Restore the initial faults and release held requests."""
        self.faults = copy.deepcopy(self.starting_faults)
        self.release()

    def clear(self) -> None:
        """Delete generations and creates, restore the initial faults, and reset the counters."""
        self.reset_faults()
        self.counters.clear()
        for memory in (self.generations, self.links, self.creates, self._times_seen):
            memory.clear()

    def store(self, model: Model, body: dict[str, Any]) -> Generation:
        """Store and return a new generation for an accepted body."""
        digest, occurrence = self._count_occurrence(model, body)
        failure = late_failure(model, body)
        life = self.faults.life_of(prompt_of(body))
        if failure:
            life = replace(life, end="failed", code=failure[0], detail=failure[1])
        generation = Generation(
            remote_id=str(uuid.uuid4()),
            model=model,
            body=shorten(body),
            created=self.clock(),
            seconds=self._seconds(life, digest, occurrence),
            life=life,
        )
        self.generations[generation.remote_id] = generation
        self.counters.add("created")
        if occurrence:
            self.counters.add("duplicates")
        return generation

    def record_create(
        self, path: str, body: Any, generation: Generation | None, arrived: float
    ) -> None:
        """Record a received create for ``GET /_emulator/creates``.

        :param generation: None: the create was rejected.
        :param arrived: unix seconds.
        """
        if len(self.creates) >= MAX_CREATES_LISTED:
            del self.creates[: MAX_CREATES_LISTED // 10]
        remote_id = generation.remote_id if generation else None
        self.creates.append(
            {"path": path, "body": shorten(body), "remote_id": remote_id, "at": arrived}
        )

    def assets(self, generation: Generation, now: float, host: str) -> list[str]:
        """Return the asset URLs of a completed generation.

        If they have expired and the fault ``asset_renewal`` is on, they are replaced by new ones first.

        :param host: of the client's request; used if the emulator listens on every address.
        """
        if not generation.links:
            self._link(generation, generation.ended)
        if now >= generation.links_expire and self.faults.asset_renewal:
            self._link(generation, now)
        origin = self.asset_origin.format(host=host)
        return [origin + path for path in generation.links]

    async def hold(self, kind: str) -> None:
        """Wait until :meth:`release` releases this request, which is one of ``creates``, ``polls``, ``downloads``."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append((kind, future))
        for name in ("held", f"held_{kind}"):
            self.counters.add(name)
        try:
            await future
        finally:
            for name in ("held", f"held_{kind}"):
                self.counters.add(name, -1)

    def release(self, kind: str | None = None, count: int | None = None) -> int:
        """Release up to ``count`` held requests of a kind, the longest held first, and return their number."""
        fitting = [entry for entry in self._held if kind in (None, entry[0])][:count]
        for entry in fitting:
            self._held.remove(entry)
            if not entry[1].done():
                entry[1].set_result(None)
        return len(fitting)

    def close(self) -> None:
        """Release all held requests, and end the waits for counters."""
        self.release()
        self.counters.close()

    def _count_occurrence(self, model: Model, body: dict[str, Any]) -> tuple[bytes, int]:
        text = model.api_path + json.dumps(body, sort_keys=True)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        occurrence = self._times_seen.get(digest, 0)
        self._times_seen[digest] = occurrence + 1
        return digest, occurrence

    def _seconds(self, life: Life, digest: bytes, occurrence: int) -> float:
        if life.end == "never" or (life.polls is not None and not life.at_create):
            return math.inf
        if life.at_create:
            return 0.0
        if life.seconds is not None:
            return life.seconds
        # Seeded by the body instead of the order of arrival, which concurrent clients change.
        return random.Random(f"{self.seed}:{digest.hex()}:{occurrence}").uniform(*self.seconds)

    def _link(self, generation: Generation, issued: float) -> None:
        model = generation.model
        folder = f"/public/production/ephemeral/{uuid.uuid4()}"
        ending = extension(generation.kind, generation.body)
        generation.links = [
            f"{folder}/result_{i:02d}.{ending}" for i in range(asset_count(model, generation.body))
        ]
        lasting = self.faults.asset_seconds
        generation.links_expire = issued + (model.retention_seconds if lasting is None else lasting)
        self.links.update((path, (generation, i)) for i, path in enumerate(generation.links))


def shorten(value: Any) -> Any:
    """Return ``value`` with each very long text replaced by its hash and length."""
    if isinstance(value, str) and len(value) > _MAX_TEXT_CHARACTERS:
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return f"<sha256:{digest} of {len(value)} characters>"
    if isinstance(value, dict):
        return {key: shorten(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shorten(item) for item in value]
    return value

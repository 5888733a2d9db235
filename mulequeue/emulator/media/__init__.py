"""The emulated assets: pictures, clips and melodies, generated from the prompts."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from mulequeue.emulator.media.formats import MEDIA_TYPES, extension
from mulequeue.errors import ConfigurationError
from mulequeue.outcome import Kind

_MAX_SIDE = {"image": 448, "video": 320}
_MIN_SIDE = 96
_CACHED_FILES = 64


@dataclass(frozen=True, slots=True)
class File:
    """A rendered asset."""

    data: bytes
    media_type: str


class Subject(Protocol):
    """The input of a rendering: a generation, or any object with a kind, a prompt and a body."""

    @property
    def kind(self) -> Kind: ...
    @property
    def prompt(self) -> str: ...
    @property
    def body(self) -> Mapping[str, Any]: ...


class Media:
    """Renders assets on demand in a thread. A subject and an index always give the same bytes.

    :raises ConfigurationError: Pillow or PyAV is not installed.
    """

    def __init__(self) -> None:
        if not all(importlib.util.find_spec(name) for name in ("PIL", "av")):
            raise ConfigurationError(
                'The emulator needs Pillow and PyAV. Install them: pip install "mulequeue[demo]"'
            )
        # One thread, so that at most one rendering at a time slows down the status checks.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="emulator-media")
        self._cache: OrderedDict[tuple[object, ...], File] = OrderedDict()

    async def render(self, subject: Subject, index: int) -> File:
        """Return asset number ``index`` (from 0) of the subject."""
        kind = subject.kind
        form = extension(kind, subject.body)
        key = (kind, subject.prompt, index, frame(kind, subject.body), form)
        if key not in self._cache:
            loop = asyncio.get_running_loop()
            self._cache[key] = await loop.run_in_executor(self._pool, _render, *key)
        self._cache.move_to_end(key)
        file = self._cache[key]
        if len(self._cache) > _CACHED_FILES:
            self._cache.popitem(last=False)
        return file

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def frame(kind: Kind, body: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height in pixels: the body's aspect ratio, at a size that renders fast."""
    longest = _MAX_SIDE.get(kind, 0)
    default = (16, 9) if kind == "video" else (1, 1)
    asked = _ratio(body.get("size")) or _ratio(body.get("aspect_ratio")) or _sides(body)
    across, down = asked or default
    scale = longest / max(across, down)
    return tuple(_even(max(side * scale, min(longest, _MIN_SIDE))) for side in (across, down))  # type: ignore[return-value]


def _ratio(text: Any) -> tuple[int, int] | None:
    """Parse ``1280*720``, ``1280x720`` or ``16:9``."""
    match = re.fullmatch(r"\s*(\d{1,5})\s*[*x:]\s*(\d{1,5})\s*", text) if _is_text(text) else None
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    return sides if all(sides) else None


def _sides(body: Mapping[str, Any]) -> tuple[int, int] | None:
    return _ratio(f"{body.get('width')}x{body.get('height')}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _even(side: float) -> int:
    return max(2, round(side / 2) * 2)


def _render(kind: Kind, prompt: str, index: int, size: tuple[int, int], form: str) -> File:
    return File(_draw(kind, prompt, index, size, form), MEDIA_TYPES[form])


def _draw(kind: Kind, prompt: str, index: int, size: tuple[int, int], form: str) -> bytes:
    # Imported here, because Pillow and PyAV are optional dependencies.
    if kind == "image":
        from mulequeue.emulator.media.picture import png

        return png(prompt, index, *size)
    if kind == "video":
        from mulequeue.emulator.media.clip import mp4

        return mp4(prompt, index, *size)
    from mulequeue.emulator.media.sound import sound

    return sound(prompt, index, form)

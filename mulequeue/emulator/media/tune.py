"""Compose a short melody on a pentatonic scale from a prompt."""

from __future__ import annotations

import array
import io
import math
import sys
import wave
from functools import lru_cache

from mulequeue.emulator.media.scene import seeded_random

RATE = 16_000
"""Samples per second."""
_NOTE_SECONDS = 0.25
_NOTES = 12
_PENTATONIC = (0, 2, 4, 7, 9, 12)
_LOUDNESS = 9_000


def wav(prompt: str, index: int) -> bytes:
    """Return melody number ``index`` (from 0) of a prompt as WAV: 3 s, one channel, 16 bit."""
    samples = melody(prompt, index)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def melody(prompt: str, index: int) -> array.array[int]:
    """Return the samples of melody number ``index`` of a prompt, little-endian."""
    rng = seeded_random(prompt, index)
    root = rng.choice((57, 60, 62, 64))
    samples = array.array("h")
    for _ in range(_NOTES):
        samples.extend(_note(root + rng.choice(_PENTATONIC)))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


@lru_cache(maxsize=64)
def _note(midi: int) -> array.array[int]:
    """Return the samples of one plucked note."""
    turn = math.tau * 440 * 2 ** ((midi - 69) / 12) / RATE
    count = int(RATE * _NOTE_SECONDS)
    return array.array("h", (_sample(i, turn, count) for i in range(count)))


def _sample(i: int, turn: float, count: int) -> int:
    attack = min(1.0, i / 80)
    fade = (1 - i / count) ** 2
    tone = math.sin(i * turn) + 0.4 * math.sin(2 * i * turn) + 0.15 * math.sin(3 * i * turn)
    return int(_LOUDNESS * attack * fade * tone)

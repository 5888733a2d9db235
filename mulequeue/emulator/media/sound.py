"""Encode a melody in the audio formats of the API's speech and music models."""

from __future__ import annotations

import array
import io
from typing import cast

from mulequeue.emulator.media.tune import RATE, melody, wav

_CODECS = {"mp3": "libmp3lame", "flac": "flac"}


def sound(prompt: str, index: int, form: str) -> bytes:
    """Return melody number ``index`` (from 0) of a prompt in a format; pcm is 16 bit, little-endian."""
    if form == "wav":
        return wav(prompt, index)
    samples = melody(prompt, index)
    return samples.tobytes() if form == "pcm" else _encode(samples, form)


def _encode(samples: array.array[int], form: str) -> bytes:
    import av

    file = io.BytesIO()
    # Without the encoder's name and version in the file, for the same bytes on every machine.
    with av.open(file, "w", format=form, options={"fflags": "+bitexact"}) as container:
        stream = cast(av.AudioStream, container.add_stream(_CODECS[form], rate=RATE))
        stream.layout = "mono"
        planar = "s16p" if form == "mp3" else "s16"
        frame = av.AudioFrame(format=planar, layout="mono", samples=len(samples))
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()

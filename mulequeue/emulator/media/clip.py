"""Render a prompt as a short MP4: a slow pan over its landscape."""

from __future__ import annotations

import tempfile
from pathlib import Path

import av

from mulequeue.emulator.media.picture import caption
from mulequeue.emulator.media.scene import landscape

_FRAMES_PER_SECOND = 8
_SECONDS = 2
_PAN = 1.25


def mp4(prompt: str, index: int, width: int, height: int) -> bytes:
    """Return clip number ``index`` (from 0) of a prompt: H.264, yuv420p, ``moov`` atom at the start."""
    frames = _FRAMES_PER_SECOND * _SECONDS
    wide = landscape(prompt, index, int(width * _PAN), height)
    with tempfile.TemporaryDirectory() as folder:
        # Written to a file, because moving the ``moov`` atom to the start reads the written data again.
        path = Path(folder, "clip.mp4")
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=_FRAMES_PER_SECOND)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            # One thread, for the same bytes on every run.
            stream.options = {"preset": "ultrafast", "crf": "26", "threads": "1"}
            for i in range(frames):
                left = round((wide.width - width) * i / (frames - 1))
                picture = wide.crop((left, 0, left + width, height))
                caption(picture, prompt)
                container.mux(stream.encode(av.VideoFrame.from_image(picture)))  # type: ignore[no-untyped-call]
            container.mux(stream.encode(None))
        return path.read_bytes()

"""File formats of the assets, chosen from the body of the create request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mulequeue.outcome import Kind

# The audio formats are those of `audio_setting.format`, and wav, the emulator's default.
MEDIA_TYPES: dict[str, str] = {
    "png": "image/png",
    "mp4": "video/mp4",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "pcm": "audio/L16; rate=16000; channels=1",
    "wav": "audio/wav",
}
_AUDIO = ("mp3", "flac", "pcm", "wav")


def extension(kind: Kind, body: Mapping[str, Any]) -> str:
    """Return the file extension: ``png``, ``mp4``, or for audio the requested format, else ``wav``."""
    if kind != "audio":
        return "png" if kind == "image" else "mp4"
    setting = body.get("audio_setting")
    asked = setting.get("format") if isinstance(setting, dict) else None
    return asked if asked in _AUDIO else "wav"

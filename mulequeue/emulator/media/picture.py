"""Render a prompt as a PNG: its landscape, with the prompt on a panel."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from mulequeue.emulator.media.png_encoder import encode_png
from mulequeue.emulator.media.scene import landscape

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_PLAIN = str.maketrans(
    {"–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "ß": "ss"}
    | {"Ł": "L", "ł": "l", "Ø": "O", "ø": "o", "Đ": "D", "đ": "d", "ı": "i"}
    | {"Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Þ": "Th", "þ": "th"}
)
_MISSING = "\uffff"
"""A code point that no font has."""
_MAX_LINES = 4
_PANEL = (12, 14, 28)
_PANEL_OPACITY = 168
_INK = (250, 248, 242)


def png(prompt: str, index: int, width: int, height: int) -> bytes:
    """Return picture number ``index`` (from 0) of a prompt as PNG."""
    image = landscape(prompt, index, width, height)
    caption(image, prompt)
    return encode_png(image)


def caption(image: Image.Image, text: str) -> None:
    """Write the text on a translucent panel at the lower edge.

    If the font lacks a letter of the text, the picture gets no caption.
    """
    text = plain(text) or "(no prompt)"
    if not all(has_glyph(char) for char in text):
        return
    width, height = image.size
    size = max(11, min(18, width // 24, height // 14))
    margin, padding = max(6, width // 40), max(6, size // 2)
    room = width - 2 * (margin + padding)
    most = max(1, min(_MAX_LINES, int(height * 0.4 / (size * 1.35))))
    lines = wrap(text, font(size), room, most)
    step = round(size * 1.35)
    tall = step * len(lines) + 2 * padding - (step - size) // 2
    top = height - margin - tall
    panel = _panel(width - 2 * margin, tall, size // 2 + 2)
    image.paste(_PANEL, (margin, top), panel)
    draw = ImageDraw.Draw(image)
    for i, line in enumerate(lines):
        draw.text((margin + padding, top + padding + i * step - 2), line, _INK, font(size))


def plain(text: str) -> str:
    """Return the first 2,000 characters, without accents and without symbols that the font lacks."""
    parts = unicodedata.normalize("NFKD", text[:2000].translate(_PLAIN))
    kept = (char for char in parts if unicodedata.category(char)[0] != "M")
    return " ".join("".join(c for c in kept if c.isspace() or c.isalnum() or has_glyph(c)).split())


@lru_cache(maxsize=4096)
def has_glyph(char: str) -> bool:
    """Return True for white space, and for a character that the font has."""
    face = font(18)
    return char.isspace() or bytes(face.getmask(char)) != bytes(face.getmask(_MISSING))


def wrap(text: str, face: Font, room: float, max_lines: int) -> list[str]:
    """Return the text in lines of at most ``room`` pixels; cut text ends in an ellipsis."""
    lines = [""]
    for word in text.split():
        for piece in _pieces(word, face, room):
            longer = f"{lines[-1]} {piece}".strip()
            if face.getlength(longer) <= room:
                lines[-1] = longer
            else:
                lines.append(piece)
        if len(lines) > max_lines:
            break
    if len(lines) <= max_lines:
        return lines
    last = lines[max_lines - 1]
    while last and face.getlength(f"{last}…") > room:
        last = last[:-1]
    return [*lines[: max_lines - 1], f"{last.rstrip()}…"]


def _pieces(word: str, face: Font, room: float) -> list[str]:
    """Return the word in pieces that fit a line; scripts without spaces need this."""
    if face.getlength(word) <= room:
        return [word]
    pieces = [""]
    for char in word:
        if face.getlength(pieces[-1] + char) > room:
            pieces.append("")
        pieces[-1] += char
    return pieces


@lru_cache(maxsize=16)
def font(size: int) -> Font:
    """Return Pillow's built-in scalable font: Latin letters, and boxes for all others."""
    return ImageFont.load_default(size)


@lru_cache(maxsize=64)
def _panel(width: int, height: int, radius: int) -> Image.Image:
    mask = Image.new("L", (2 * width, 2 * height))
    box = (0, 0, 2 * width - 1, 2 * height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, 2 * radius, fill=_PANEL_OPACITY)
    return mask.reduce(2)

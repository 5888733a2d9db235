"""Draw a landscape from a prompt's hash: sky, sun or moon, ranges of hills, trees, birds."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a time of day."""

    sky: tuple[str, str, str]
    """From the zenith to the horizon."""
    disc: str
    far: str
    near: str
    is_night: bool = False


PALETTES = (
    Palette(("#2b3a67", "#e07a5f", "#f9dcc4"), "#fff3d6", "#c98474", "#2d2a4a"),
    Palette(("#3a86c8", "#8ecae6", "#e8f6ef"), "#fffdf2", "#8fb8c9", "#1f5f5b"),
    Palette(("#0b1033", "#27306b", "#6a5d9e"), "#f4f1de", "#4b4a86", "#0d1130", True),
    Palette(("#5b2a6e", "#d1495b", "#f7b267"), "#ffe8a3", "#a4506a", "#2a1a3f"),
    Palette(("#1d7874", "#7fc8a9", "#f4f3d0"), "#fffbe0", "#79b8a1", "#0f3d3e"),
    Palette(("#e29578", "#ffddd2", "#fff6ec"), "#ffffff", "#e3a99a", "#5f4b66"),
    Palette(("#14213d", "#33628f", "#f2b880"), "#ffd9a0", "#557a9c", "#101a33"),
    Palette(("#6a4c93", "#b79ced", "#fde2ff"), "#fff7fb", "#a98bd1", "#33235b"),
    Palette(("#c8702a", "#f2b04f", "#fcefb4"), "#fffbe6", "#d99a4e", "#6b2d1a"),
    Palette(("#04141f", "#0b3948", "#3f8f8b"), "#e8fff9", "#256b70", "#031018", True),
)


_STEP = 12  # pixels between two points of a smooth ridge


def seeded_random(prompt: str, index: int) -> random.Random:
    """Return a random generator seeded by prompt and index, so that an asset is always the same."""
    text = f"{index}\n{prompt}".encode("utf-8", "surrogatepass")
    return random.Random(hashlib.sha256(text).digest())


def landscape(prompt: str, index: int, width: int, height: int) -> Image.Image:
    """Return the scene of a prompt, without text."""
    rng = seeded_random(prompt, index)
    palette = rng.choice(PALETTES)
    image = _sky(palette, width, height)
    if palette.is_night:
        _stars(image, rng)
    _disc(image, palette, rng)
    _ranges(image, palette, rng)
    if not palette.is_night:
        _birds(image, palette, rng)
    return image


def _sky(palette: Palette, width: int, height: int) -> Image.Image:
    """Return a vertical gradient over three colours."""
    column = Image.new("RGB", (1, 64))
    stops = [rgb(colour) for colour in palette.sky]
    column.putdata([_interpolate(stops, min(i / 46, 1.0)) for i in range(64)])
    column = column.resize((1, height), Image.Resampling.BILINEAR)
    return column.resize((width, height), Image.Resampling.NEAREST)


def _stars(image: Image.Image, rng: random.Random) -> None:
    draw = ImageDraw.Draw(image)
    width, height = image.size
    for _ in range(70):
        x, y = rng.randrange(width), int(height * 0.6 * rng.random() ** 1.4)
        light = rng.randint(120, 255)
        draw.point((x, y), (light, light, light))
        if light > 235:
            draw.point([(x + 1, y), (x, y + 1), (x + 1, y + 1)], (light, light, 230))


def _disc(image: Image.Image, palette: Palette, rng: random.Random) -> None:
    """Draw a sun or a moon with its glow."""
    width, height = image.size
    radius = int(min(width, height) * rng.uniform(0.07, 0.13))
    x = int(width * rng.uniform(0.2, 0.8))
    y = int(height * rng.uniform(0.18, 0.4))
    colour = rgb(palette.disc)
    glow = 4 * radius
    image.paste(colour, (x - glow, y - glow), _glow(2 * glow))
    image.paste(colour, (x - radius, y - radius), _circle(2 * radius))


def _ranges(image: Image.Image, palette: Palette, rng: random.Random) -> None:
    """Draw the ranges of hills, from the farthest to the nearest, which has trees."""
    width, height = image.size
    layers = rng.choice((3, 4, 4, 5))
    ends = [rgb(palette.far), rgb(palette.near)]
    style = rng.choice(("peaks", "hills", "mixed"))
    for layer in range(layers):
        depth = layer / (layers - 1)
        base = height * (0.5 + 0.3 * depth)
        is_front = layer == layers - 1
        sharp = not is_front and (style == "peaks" or (style == "mixed" and layer < layers / 2))
        rise = min(width, height) * (0.2 - 0.1 * depth) * (1.0 if sharp else 0.7)
        ridge = _ridge(rng, width, base, rise, sharp)
        _fill(image, ridge, _interpolate(ends, depth), rng if is_front else None)


def _ridge(
    rng: random.Random, width: int, base: float, rise: float, sharp: bool
) -> list[tuple[float, float]]:
    """Return the points of a ridge from left to right."""
    if not sharp:
        waves = [(rng.uniform(0.6, 2.6), rng.uniform(0, math.tau)) for _ in range(3)]
        return [
            (x, base + rise * sum(math.sin(math.tau * f * x / width + p) for f, p in waves) / 3)
            for x in range(0, width + _STEP, _STEP)
        ]
    steps = rng.randint(3, 6)
    points = []
    for i in range(2 * steps + 1):
        x = width * (i + (rng.uniform(-0.3, 0.3) if 0 < i < 2 * steps else 0)) / (2 * steps)
        points.append((x, base - (rise if i % 2 else -rise * 0.3) * rng.uniform(0.35, 1.0)))
    return points


def _fill(
    image: Image.Image,
    ridge: list[tuple[float, float]],
    colour: Colour,
    forest: random.Random | None,
) -> None:
    """Fill the area below the ridge. The mask is drawn at twice the size and reduced, for smooth edges."""
    width, height = image.size
    top = max(0, int(min(y for _, y in ridge)) - (height // 8 if forest else 2))
    bottom = min(height, int(max(y for _, y in ridge)) + 6)
    mask = Image.new("L", (2 * width, 2 * (bottom - top)))
    draw = ImageDraw.Draw(mask)
    line = [(2 * x, 2 * (y - top)) for x, y in ridge]
    draw.polygon([*line, (2 * width, mask.height), (0, mask.height)], fill=255)
    if forest:
        _trees(draw, line, forest, min(width, height))
    image.paste(colour, (0, top), mask.reduce(2))
    image.paste(colour, (0, bottom, width, height))


def _trees(
    draw: ImageDraw.ImageDraw,
    ridge: list[tuple[float, float]],
    rng: random.Random,
    side: int,
) -> None:
    """Draw groups of firs on a smooth ridge, at twice the size, for the mask of :func:`_fill`."""
    for _ in range(rng.randint(2, 5)):
        middle = rng.uniform(0, ridge[-1][0])
        for _ in range(rng.randint(2, 6)):
            x = min(max(middle + rng.uniform(-50, 50), 0), ridge[-1][0] - 1)
            y = ridge[int(x / (2 * _STEP))][1] + 8
            tall = side * rng.uniform(0.07, 0.17)
            for part in (0.0, 0.28, 0.52):
                wide = tall * (0.26 - 0.2 * part)
                low = y - tall * part
                peak = y - tall * min(1.0, part + 0.55)
                draw.polygon([(x - wide, low), (x + wide, low), (x, peak)], fill=255)


def _birds(image: Image.Image, palette: Palette, rng: random.Random) -> None:
    draw = ImageDraw.Draw(image)
    width, height = image.size
    x, y = width * rng.uniform(0.15, 0.7), height * rng.uniform(0.1, 0.3)
    colour = rgb(palette.near)
    for _ in range(rng.randint(0, 5)):
        left, top = x + rng.uniform(-40, 40), y + rng.uniform(-22, 22)
        wing = rng.uniform(4, 8)
        draw.arc((left, top, left + wing, top + wing), 190, 340, fill=colour, width=1)
        draw.arc((left + wing, top, left + 2 * wing, top + wing), 200, 350, fill=colour, width=1)


@lru_cache(maxsize=32)
def _glow(size: int) -> Image.Image:
    """Return a mask that fades outwards."""
    fading = ImageChops.invert(Image.radial_gradient("L")).resize((size, size))
    return fading.point([int(max(0, value - 75) ** 1.25 / 5.5) for value in range(256)])


@lru_cache(maxsize=32)
def _circle(size: int) -> Image.Image:
    mask = Image.new("L", (4 * size, 4 * size))
    ImageDraw.Draw(mask).ellipse((0, 0, 4 * size - 1, 4 * size - 1), fill=255)
    return mask.reduce(4)


def _interpolate(stops: list[Colour], share: float) -> Colour:
    """Return the colour at ``share`` (0 to 1) between the first and the last stop."""
    place = share * (len(stops) - 1)
    i = min(int(place), len(stops) - 2)
    part = place - i
    mixed = (round(a + (b - a) * part) for a, b in zip(stops[i], stops[i + 1], strict=True))
    return tuple(mixed)  # type: ignore[return-value]


def rgb(colour: str) -> Colour:
    """Parse ``#rrggbb``."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)

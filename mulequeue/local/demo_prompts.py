"""The prompts of the demo."""

from __future__ import annotations

import itertools

_SCENES = (
    "A mule carrying a grand piano over a mountain pass at sunrise",
    "A lighthouse made of stained glass in a winter storm",
    "Paper boats with candles drifting down a river at night",
    "A tiny bakery on the back of a sleeping tortoise",
    "Hot-air balloons over terraced rice fields in morning fog",
    "An old train crossing a bridge of vines in a jungle",
    "A violet desert under two moons, one of them cracked",
    "Foxes reading newspapers in a café in the rain",
    "A greenhouse on the sea floor, whales passing above",
    "A village of treehouses joined by lantern-lit rope bridges",
    "A clockwork hummingbird drinking from a glass tulip",
    "Snow falling upwards in a quiet birch forest",
)
_LIGHTS = (
    "",
    ", at golden hour",
    ", by moonlight",
    ", after the rain",
    ", in early spring",
    ", as a woodblock print",
    ", seen from far above",
    ", in autumn colours",
)


def prompts(count: int) -> list[str]:
    """Return ``count`` different prompts."""
    kinds = [scene + light for light in _LIGHTS for scene in _SCENES]
    takes = (f", take {number}" if number > 1 else "" for number in itertools.count(1))
    return list(itertools.islice((kind + take for take in takes for kind in kinds), count))

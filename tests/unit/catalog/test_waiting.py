"""How often each model is asked for, how long it is waited for, and how long its files live."""

from __future__ import annotations

from itertools import product

import pytest

from mulequeue.catalog import Model, all_models, find

CHANCES = (0.0, 0.25, 0.5, 0.75, 0.999999)
ATTEMPTS = (0, 1, 2, 5, 20, 10_000)


def waits_of(name: str) -> list[float]:
    """Every wait that chance and growth can bring about."""
    schedule = find(name).schedule
    return [schedule.seconds(attempt, chance) for attempt, chance in product(ATTEMPTS, CHANCES)]


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)
def test_every_model_can_be_waited_for(model: Model) -> None:
    """Every model polls at least ten times before it gives up, and keeps assets for an hour."""
    assert 0 < model.schedule.seconds(0) * 10 < model.max_wait_seconds
    assert model.schedule.factor >= 1
    assert model.schedule.first <= model.schedule.ceiling
    assert model.retention_seconds >= 3600


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("google/veo-3.1-fast", 5, 10),
        ("google/veo-3.0", 10, 15),
        ("openai/sora-2-pro", 15, 30),
        ("alibaba/qwen-image-max", 2, 3),
        ("alibaba/qwen-image-edit-max", 2, 3),
        ("alibaba/qwen-image-edit-plus-2025-12-15", 2, 3),
    ],
)
def test_cadence_is_what_the_page_asks_for(name: str, low: float, high: float) -> None:
    """Whatever chance says, polls come inside the range of the model's own page, and grow in it."""
    waits = waits_of(name)

    assert low <= min(waits) < max(waits) <= high
    assert find(name).schedule.seconds(0) < find(name).schedule.seconds(20)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("alibaba/qwen-image-max", 2, 3),
        ("google/veo-3.1-fast", 5, 10),
        ("google/veo-3.0", 10, 15),
        ("openai/sora-2-pro", 15, 30),
    ],
)
def test_row_10_cadence_differs_by_model(name: str, low: float, high: float) -> None:
    """Polls come as often as the model's page asks for."""
    schedule = find(name).schedule

    assert low <= schedule.seconds(0, 0.0) < schedule.seconds(99, 0.999) <= high


@pytest.mark.parametrize(
    ("name", "first", "ceiling", "max_wait"),
    [
        ("google/nano-banana-2", 5, 8, 600),
        ("minimax/speech-2.8-hd/text-to-speech", 5, 8, 600),
        ("alibaba/wan2.6-t2v", 10, 30, 3600),
        ("dummy/videos", 3, 10, 600),
    ],
)
def test_cadence_by_media_kind(name: str, first: float, ceiling: float, max_wait: float) -> None:
    """Without a word on the model's page, images and audio are polled sooner than videos."""
    model = find(name)

    assert (first, ceiling) == (model.schedule.seconds(0), model.schedule.seconds(50))
    assert max_wait == model.max_wait_seconds


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)
def test_row_11_patience_is_the_models_own(model: Model) -> None:
    """How long to wait comes from the catalog for every model, not from another client's default."""
    assert model.max_wait_seconds in {300, 600, 3600}


def test_qwen_gives_up_after_five_minutes() -> None:
    """The Qwen pages advise to give up after five minutes."""
    assert 300 == find("alibaba/qwen-image-edit-plus").max_wait_seconds


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("google/veo-3.1-fast", 48),
        ("alibaba/qwen-image-edit-max", 24),
        ("openai/sora-2", 1),
        ("alibaba/wan2.6-t2v", 1),
    ],
)
def test_retention_is_the_documented_one_or_an_hour(name: str, hours: int) -> None:
    """Assets count as available for as long as a page says, else for one hour."""
    assert hours * 3600 == find(name).retention_seconds


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("alibaba/qwen-image-edit-max", 24 * 3600),
        ("google/veo-3.1", 48 * 3600),
        ("openai/sora-2", 3600),
        ("openai/sora-2-pro", 3600),
        ("klingai/kling-v3/text-to-video", 3600),
    ],
)
def test_row_09_retention_differs_by_model(name: str, seconds: int) -> None:
    """Assets live as long as the model's page says, and an hour where none does."""
    assert seconds == find(name).retention_seconds

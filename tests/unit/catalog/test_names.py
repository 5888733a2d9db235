"""How a user names a model, and what a name that is wrong is answered with."""

from __future__ import annotations

import pytest

from mulequeue.catalog import Model, all_models, find
from mulequeue.catalog.lookup import nearest
from mulequeue.errors import InputError


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)
def test_a_model_is_found_by_its_name(model: Model) -> None:
    """A name finds its model, and so does the name with the action that is left out of it."""
    assert model is find(model.name)
    if model.api_path.endswith("/generation"):
        assert model is find(f"{model.name}/generation")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("alibaba/wan2.6-t2v", "/vendors/alibaba/v1/wan2.6-t2v/generation"),
        ("google/nano-banana-2/edit", "/vendors/google/v1/nano-banana-2/edit"),
        ("google/veo3", "/vendors/google/v1/veo/generation"),
        ("klingai/kling-v3/text-to-video", "/vendors/klingai/v1/kling-v3/text-to-video/generation"),
        (
            "klingai/kling-v3-omni/video-to-video/edit",
            "/vendors/klingai/v1/kling-v3-omni/video-to-video/edit",
        ),
        ("midjourney/diffusion", "/vendors/midjourney/v1/tob/diffusion"),
        (
            "minimax/speech-2.8-hd/text-to-speech",
            "/vendors/minimax/v1/speech-2.8-hd/text-to-speech/generation",
        ),
        ("dummy/videos", "/vendors/dummy/v1/videos/generation"),
    ],
)
def test_names_leave_out_version_scaffolding_and_generation(name: str, path: str) -> None:
    """A name is vendor, model, mode and action, without version, ``tob`` and ``generation``."""
    assert path == find(name).api_path


def test_an_unknown_path_is_usable() -> None:
    """A path the catalog does not know is taken as it is, polled like a video, kind left open."""
    model = find("/vendors/acme/v1/dream-9/generation")

    assert "/vendors/acme/v1/dream-9/generation" == model.api_path == model.name
    assert (None, False, ()) == (model.kind, model.is_known, model.required)
    assert 10 == model.schedule.seconds(0)
    assert model == find(model.name)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("alibaba/wan2.6-tv2", "alibaba/wan2.6-t2v"),
        ("Alibaba/Wan2.6-T2V", "alibaba/wan2.6-t2v"),
        (" alibaba/wan2.6-t2v ", "alibaba/wan2.6-t2v"),
        ("nano-banana-2", "google/nano-banana-2"),
        ("nano-banana-2/edit", "google/nano-banana-2/edit"),
        ("openai/veo-3.1-fast", "google/veo-3.1-fast"),
        ("alibaba/wan2.6-t2v-spark", "mulerouter/wan2.6-t2v-spark"),
        ("bytedance/seedance-2.0", "bytedance/seedance-2.0/text-to-video"),
        ("midjourney/difusion", "midjourney/diffusion"),
        ("midjourney/diffusion/generation", "midjourney/diffusion"),
        ("w3.0-video-prime", "carrothub/w3.0-video-prime"),
    ],
)
def test_an_unknown_name_gives_the_nearest(typed: str, meant: str) -> None:
    """A mistyped name, a missing or a wrong vendor: the error names the model that was meant."""
    with pytest.raises(InputError, match="Did you mean ") as caught:
        find(typed)

    assert meant in str(caught.value).replace("?", " ").split()


def test_the_exact_tail_comes_first() -> None:
    """Of many near names the one that only lacks its vendor is suggested first."""
    names = [model.name for model in all_models()]

    assert "google/nano-banana-2" == nearest("nano-banana-2", names)[0]
    assert "google/nano-banana-pro/edit" == nearest("nano-banana-pro/edit", names)[0]
    assert len(nearest("kling", names)) <= 5


@pytest.mark.parametrize("typed", ["", "/", "zzzzzzzz", "🐴", "vendor/" + "x" * 10_000])
def test_a_hopeless_name_is_an_error_all_the_same(typed: str) -> None:
    """A name near to nothing is refused with a word on what works."""
    with pytest.raises(InputError, match="/vendors/"):
        find(typed)


def test_a_model_is_text() -> None:
    """Something that is no text is refused with an example."""
    with pytest.raises(InputError, match=r"alibaba/wan2\.6-t2i"):
        find(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("vendors/alibaba/v1/x/generation", "start with '/vendors/'"),
        ("/v1/tasks/x", "start with '/vendors/'"),
        ("https://api.mulerouter.ai/vendors/alibaba/v1/x/generation", "remove the host"),
        ("/vendors/alibaba/../v1/x", "remove the '.' and '..'"),
        ("/vendors/alibaba/./v1/x", "remove the '.' and '..'"),
        ("/vendors/alibaba//v1/x", "replace '//' by '/'"),
        ("/vendors//alibaba/v1/x", "replace '//' by '/'"),
        ("/vendors/alibaba/v1/x?y=1", "'?' and '#'"),
        ("/vendors/alibaba/v1/x#y", "'?' and '#'"),
        ("/vendors/alibaba/v1/x y", "white space"),
        ("/vendors/alibaba/v1/x\r\nHost: y", "white space"),
        ("/vendors/alibaba/v1/x\x00", "control characters"),
        ("/vendors/alibaba/v1/x/generation/", "slash at the end"),
        ("/vendors/", "slash at the end"),
        ("/vendors/alibaba/v1/%2e%2e/x", "only letters"),
        ("/vendors/alibaba\\v1", "only letters"),
    ],
)
def test_a_bad_path_says_what_to_change(path: str, advice: str) -> None:
    """A path that could lead elsewhere than to a create endpoint is refused with what to change."""
    with pytest.raises(InputError) as caught:
        find(path)

    assert advice in str(caught.value)

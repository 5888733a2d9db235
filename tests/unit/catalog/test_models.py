"""The models mulequeue knows: all that are documented, nothing else, and what their files say."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib import resources

import pytest

from mulequeue.catalog import Model, all_models, find, name_of
from mulequeue.catalog.parameters import LIST_FIELDS

# Every path of the API's documentation and clients, with the key of its result: the independent copy
# that the catalog is held against.
DOCUMENTED = {
    "video": """
        alibaba/v1/wan2.6-t2v/generation alibaba/v1/wan2.6-i2v/generation
        alibaba/v1/wan2.6-r2v/generation alibaba/v1/wan2.5-t2v-preview/generation
        alibaba/v1/wan2.5-i2v-preview/generation alibaba/v1/wan2.2-t2v-plus/generation
        alibaba/v1/wan2.2-i2v-plus/generation alibaba/v1/wan2.2-i2v-flash/generation
        alibaba/v1/wan2.1-kf2v-plus/generation alibaba/v1/wan2.1-vace-plus/generation
        alibaba/v1/happy-horse-1-0-t2v/generation alibaba/v1/happy-horse-1-0-i2v/generation
        mulerouter/v1/wan2.5-t2v-spark/generation mulerouter/v1/wan2.5-i2v-spark/generation
        mulerouter/v1/wan2.6-t2v-spark/generation mulerouter/v1/wan2.6-i2v-spark/generation
        google/v1/veo/generation google/v1/veo-3.1/generation
        google/v1/veo-3.1-fast/generation google/v1/veo-3.0/generation
        openai/v1/sora/generation openai/v1/sora-2/generation openai/v1/sora-2-pro/generation
        klingai/v1/kling-v3/text-to-video/generation
        klingai/v1/kling-v3/image-to-video/generation
        klingai/v1/kling-v3-omni/text-to-video/generation
        klingai/v1/kling-v3-omni/image-to-video/generation
        klingai/v1/kling-v3-omni/reference-image-to-video/generation
        klingai/v1/kling-v3-omni/reference-video-to-video/generation
        klingai/v1/kling-v3-omni/video-to-video/edit
        klingai/v1/kling-v2.1-master/text-to-video/generation
        klingai/v1/kling-v2.1-master/image-to-video/generation
        klingai/v1/kling-v2.5-turbo/text-to-video/generation
        klingai/v1/kling-v2.5-turbo/image-to-video/generation
        klingai/v1/kling-v2.6/text-to-video/generation
        klingai/v1/kling-v2.6/image-to-video/generation
        kling/v1/videos/text2video
        midjourney/v1/tob/video-diffusion
        bytedance/v1/seedance-2.0/text-to-video/generation
        bytedance/v1/seedance-2.0/image-to-video/generation
        bytedance/v1/seedance-2.0/reference-to-video/generation
        bytedance/v1/seedance-2.0-fast/text-to-video/generation
        bytedance/v1/seedance-2.0-fast/image-to-video/generation
        bytedance/v1/seedance-2.0-fast/reference-to-video/generation
        carrothub/v1/w3.0-video/generation carrothub/v1/w3.0-video-prime/generation
        carrothub/v1/w3.0-video-pro/generation carrothub/v1/w3.0-video-prime-pro/generation
        carrothub/v1/berry-1.0-pro/generation
        carrothub/v1/wan2.7-i2v-spicy/generation carrothub/v1/wan2.2-i2v-spicy/generation
        dummy/v1/videos/generation
    """,
    "image": """
        alibaba/v1/wan2.6-t2i/generation alibaba/v1/wan2.6-image/generation
        alibaba/v1/wan2.5-t2i-preview/generation alibaba/v1/wan2.5-i2i-preview/generation
        alibaba/v1/qwen-image-max/generation alibaba/v1/qwen-image-max-2025-12-30/generation
        alibaba/v1/qwen-image-edit-max/generation alibaba/v1/qwen-image-edit-plus/generation
        alibaba/v1/qwen-image-edit-plus-2025-12-15/generation
        google/v1/nano-banana/generation google/v1/nano-banana/edit
        google/v1/nano-banana-2/generation google/v1/nano-banana-2/edit
        google/v1/nano-banana-pro/generation google/v1/nano-banana-pro/edit
        openai/v1/gpt-image-2/generation openai/v1/gpt-image-2/edit
        midjourney/v1/tob/diffusion
        carrothub/v1/z-image-spicy/generation carrothub/v1/qwen-image-edit-spicy/generation
    """,
    "audio": """
        minimax/v1/speech-2.8-hd/text-to-speech/generation
        minimax/v1/speech-2.8-turbo/text-to-speech/generation
        minimax/v1/music-2.0/text-to-music/generation
        minimax/v1/music-2.5/text-to-music/generation
    """,
}
PATHS = {f"/vendors/{path}": kind for kind, paths in DOCUMENTED.items() for path in paths.split()}


@pytest.mark.parametrize(("path", "kind"), PATHS.items())
def test_every_documented_path_is_there(path: str, kind: str) -> None:
    """A documented path is known, with what it makes."""
    model = find(path)

    assert (path, kind) == (model.api_path, model.kind)
    assert model.is_known


def test_nothing_undocumented_is_there() -> None:
    """The catalog lists documented paths, each once, under names that are all different."""
    assert set(PATHS) == {model.api_path for model in all_models()}
    assert len(PATHS) == len(all_models())
    assert {1} == set(Counter(model.name for model in all_models()).values())


def test_row_16_no_model_is_tied_to_a_site() -> None:
    """Which site has which model changes; the catalog says nothing about it."""
    sites = ("mulerun.com", "mulerouter.ai")

    assert not [model for model in all_models() if any(site in repr(model) for site in sites)]
    assert all(not hasattr(model, "site") for model in all_models())


def test_files_hold_only_what_the_loader_reads() -> None:
    """A misspelt key in a catalog file does not go unnoticed, and every file has its own vendor."""
    known = {
        *("api_paths", "aliases", "kind", "max_wait_seconds", "prompt_field", "required"),
        *("retention_seconds", "schedule", "like", "groups", "parameters", "note", "is_open"),
        *("ignored", "any_of", "apart", "needs", "when", "together", "sums"),
    }
    for file in resources.files("mulequeue.catalog").iterdir():
        if file.name.endswith(".toml") and file.name != "prices.toml":
            vendor = tomllib.loads(file.read_text("utf-8"))
            used = {name for entry in vendor["models"] for name in entry.get("groups", ())}
            assert used == set(vendor.get("groups", {}))
            for entry in vendor["models"]:
                assert set(entry) <= known
                vendors = {name_of(path).split("/")[0] for path in entry["api_paths"]}
                assert {file.name.removesuffix(".toml")} == vendors


@pytest.mark.parametrize(
    ("name", "required", "prompt_field"),
    [
        ("alibaba/wan2.6-t2i", ("prompt",), "prompt"),
        ("google/nano-banana/edit", ("prompt", "images"), "prompt"),
        ("alibaba/wan2.1-vace-plus", ("model", "function", "prompt"), "prompt"),
        ("minimax/music-2.0/text-to-music", ("lyrics_prompt",), "lyrics_prompt"),
        ("carrothub/w3.0-video", (), "prompt"),
    ],
)
def test_required_fields(name: str, required: tuple[str, ...], prompt_field: str) -> None:
    """A model names the fields it cannot do without, and the one that a line of text goes into."""
    assert (required, prompt_field) == (find(name).required, find(name).prompt_field)


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)
def test_lists_of_files_are_known_by_their_names(model: Model) -> None:
    """A field that ``generate_from`` puts a list into is a list of every model that has it."""
    for parameter in model.parameters.values():
        if parameter.type == "file" or parameter.name in LIST_FIELDS:
            assert parameter.is_list is (parameter.name in LIST_FIELDS)

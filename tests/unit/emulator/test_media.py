"""Pictures, clips and melodies that a person can look at."""

from __future__ import annotations

import asyncio
import io
import sys
import wave
from types import SimpleNamespace

import pytest

from mulequeue.emulator.media import Media, frame
from mulequeue.errors import ConfigurationError

Image = pytest.importorskip("PIL.Image", reason='needs pip install "mulequeue[demo]"')
av = pytest.importorskip("av", reason='needs pip install "mulequeue[demo]"')


def render(kind, prompt, index=0, **body):
    media = Media()
    try:
        subject = SimpleNamespace(kind=kind, prompt=prompt, body=body)
        return asyncio.run(media.render(subject, index))
    finally:
        media.close()


@pytest.mark.parametrize("kind", ["image", "video", "audio"])
def test_the_same_prompt_is_the_same_file(kind):
    """Two renderings, without a memory between them, are equal byte for byte."""
    assert render(kind, "a mule").data == render(kind, "a mule").data


@pytest.mark.parametrize("kind", ["image", "video", "audio"])
def test_another_prompt_or_number_is_another_file(kind):
    """The prompt and the number of the asset decide what is drawn."""
    files = {
        render(kind, "a mule").data,
        render(kind, "a fox").data,
        render(kind, "a mule", 1).data,
    }

    assert 3 == len(files)


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " \n\t ",
        "a mule at dawn",
        "黎明时分的骡子走在山间的小路上",
        "بغل عند الفجر 🙂",
        "\ud800 half a character",
        "word " * 4000,
        "x" * 8000,
        "nul \x00 and \x1b[31m",
    ],
    ids=[
        "empty",
        "blank",
        "plain",
        "chinese",
        "arabic",
        "surrogate",
        "long",
        "unbroken",
        "control",
    ],
)
def test_any_prompt_makes_a_picture(prompt):
    """No text that JSON can carry makes the drawing fail."""
    file = render("image", prompt)

    picture = Image.open(io.BytesIO(file.data))
    picture.load()
    assert ("PNG", (448, 448), "image/png") == (picture.format, picture.size, file.media_type)


@pytest.mark.parametrize(
    ("prompt", "has_caption"),
    [
        ("a mule at dawn", True),
        ("a mule 🐴 at dawn, naïve", True),
        ("夜明けのラバ", False),
        ("בוקר טוב", False),
        ("بغل عند الفجر", False),
        ("мул на рассвете", False),
    ],
)
def test_caption_is_written_if_the_font_has_its_letters(prompt, has_caption):
    """The lower part has the ink of the letters; a text that would be boxes is left out."""
    picture = Image.open(io.BytesIO(render("image", prompt).data))

    lower = picture.crop((0, 360, 448, 448))

    ink = (250, 248, 242) in [colour for _, colour in lower.getcolors(448 * 448)]
    assert has_caption == ink


@pytest.mark.parametrize(
    ("kind", "body", "size"),
    [
        ("image", {}, (448, 448)),
        ("image", {"size": "1280*720"}, (448, 252)),
        ("image", {"size": "1024x1536"}, (298, 448)),
        ("image", {"aspect_ratio": "9:16"}, (252, 448)),
        ("image", {"aspect_ratio": "8:1"}, (448, 96)),
        ("image", {"width": 1000, "height": 500}, (448, 224)),
        ("image", {"size": "auto"}, (448, 448)),
        ("image", {"size": 7, "aspect_ratio": "0:0"}, (448, 448)),
        ("video", {}, (320, 180)),
        ("video", {"aspect_ratio": "9:16"}, (180, 320)),
    ],
)
def test_the_frame_has_the_aspect_that_was_asked_for(kind, body, size):
    """Scaled down, even numbers, and never a sliver; nonsense is passed over."""
    assert size == frame(kind, body)


def test_a_clip_plays():
    """H.264 in yuv420p, two seconds, the index before the data."""
    file = render("video", "a mule walks")

    with av.open(io.BytesIO(file.data)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert ("h264", "yuv420p") == (stream.codec_context.name, stream.codec_context.pix_fmt)
        assert 2.0 == float(stream.duration * stream.time_base)
    assert 16 == len(frames)
    assert (320, 180) == (frames[0].width, frames[0].height)
    assert "video/mp4" == file.media_type
    assert file.data.index(b"moov") < file.data.index(b"mdat")


def test_a_melody_sounds():
    """Three seconds of sound that is not silence."""
    file = render("audio", "a song")

    with wave.open(io.BytesIO(file.data)) as sound:
        frames = sound.readframes(sound.getnframes())
        assert 3.0 == sound.getnframes() / sound.getframerate()
    assert len(set(frames)) > 100
    assert "audio/wav" == file.media_type


def test_without_pyav_it_says_what_to_install(monkeypatch):
    """The line to type is in the error."""
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(ConfigurationError, match=r'pip install "mulequeue\[demo\]"'):
        Media()


@pytest.mark.parametrize(
    ("form", "codec"), [("mp3", "mp3float"), ("flac", "flac"), ("wav", "pcm_s16le")]
)
def test_audio_comes_in_the_format_that_is_asked_for(form, codec):
    """Three seconds of sound in each format, the same bytes every time."""
    file = render("audio", "a mule", audio_setting={"format": form})

    with av.open(io.BytesIO(file.data)) as container:
        assert codec == container.streams.audio[0].codec_context.name
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert 48_000 <= samples < 52_000
    assert file.media_type.startswith("audio/")
    assert file == render("audio", "a mule", audio_setting={"format": form})


def test_raw_audio_is_the_samples_alone():
    """``pcm`` is the WAV without its header."""
    raw = render("audio", "a mule", audio_setting={"format": "pcm"})

    assert render("audio", "a mule").data.endswith(raw.data)
    assert 2 * 48_000 == len(raw.data)


@pytest.mark.parametrize("setting", [None, "mp3", {}, {"format": "ogg"}, {"format": ["mp3"]}])
def test_an_unknown_audio_format_is_a_wav(setting):
    """What the API does not offer changes nothing."""
    assert render("audio", "a mule") == render("audio", "a mule", audio_setting=setting)

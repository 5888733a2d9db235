"""A zip archive that is made while it is sent."""

from __future__ import annotations

import io
import zipfile
from functools import partial
from pathlib import Path

import pytest

from mulequeue.contrib.files import open_file
from mulequeue.contrib.zip_stream import Entry, file_entries, zip_blocks, zip_headers
from mulequeue.outcome import File
from mulequeue.settings import Settings

MIB = 1024**2
OPEN = partial(open_file, settings=Settings())


def stored(path: Path, data: bytes) -> File:
    path.write_bytes(data)
    return File(url=path.as_uri(), kind="image", media_type="image/png", bytes=len(data))


def read(entries: list[Entry]) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(zip_blocks(entries, OPEN))))


def test_it_is_sent_before_it_is_complete(tmp_path: Path) -> None:
    """No block is larger than a part of a file, and the first one comes before the second file is read."""
    files = [stored(tmp_path / f"{n}.png", bytes([n]) * MIB) for n in range(3)]
    entries = iter([Entry(f"{n}.png", file) for n, file in enumerate(files)])
    blocks = zip_blocks(entries, OPEN)

    first = next(blocks)

    assert 2 == len(list(entries)), "it has read only the first one"
    assert max(len(first), *(len(block) for block in blocks)) < MIB / 2


def test_it_holds_the_files(tmp_path: Path) -> None:
    """Names have any script, and the time is that of the generation."""
    file = stored(tmp_path / "a.png", b"picture")

    archive = read(list(file_entries([file], "0001 騾 at: <dawn>/🐴", at=1_700_000_000)))

    (info,) = archive.infolist()
    assert "0001 騾 at dawn.png" == info.filename
    assert (b"picture", None) == (archive.read(info), archive.testzip())
    assert 2023 == info.date_time[0]


def test_several_files_are_numbered(tmp_path: Path) -> None:
    """Two generations with the same name do not replace each other."""
    file = stored(tmp_path / "a.png", b"picture")

    archive = read([*file_entries([file, file], "fox"), *file_entries([file, file], "fox")])

    assert ["fox 1.png", "fox 2.png", "fox 1 (2).png", "fox 2 (2).png"] == archive.namelist()


def test_what_is_missing_is_listed(tmp_path: Path) -> None:
    """A file that is gone, and a generation that has none."""
    gone = File(url=(tmp_path / "b.png").as_uri(), kind="image", media_type="image/png", bytes=1)

    archive = read([Entry("b.png", gone), Entry("0002 fox", missing="failed: Not here.")])

    assert ["missing.txt"] == archive.namelist()
    lines = archive.read("missing.txt").decode().splitlines()
    assert ["b.png: its file is no longer in the storage", "0002 fox: failed: Not here."] == lines


@pytest.mark.parametrize("name", ["a.zip", "騾.zip", 'a"b\r\n.zip'])
def test_its_name_is_one_header(name: str) -> None:
    """A name cannot add another header."""
    assert zip_headers(name)["Content-Disposition"].isascii()
    assert "\n" not in zip_headers(name)["Content-Disposition"]

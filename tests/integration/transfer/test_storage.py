"""A storage is checked before money is spent, and keeps what it was given."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
import time

import fsspec
import pytest

from mulequeue.errors import ConfigurationError, DownloadError
from mulequeue.transfer import storage
from mulequeue.transfer.storage import Storage, check_storage


def test_a_storage_that_works_passes_and_is_left_alone(tmp_path):
    """The check makes no folder and writes no file."""
    check_storage(str(tmp_path / "not" / "there" / "yet"), {})
    check_storage("memory://x", {})
    check_storage("mulequeue-files", {})

    assert [] == list(tmp_path.iterdir())


def test_a_storage_that_cannot_work_is_named(tmp_path):
    """Unknown protocol, missing package and a file in the way are errors that name the fix."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(ConfigurationError, match="It may be a folder"):
        check_storage("nonsense://x", {})
    with pytest.raises(ConfigurationError, match="not a folder"):
        check_storage(str(tmp_path / "file" / "below"), {})
    with pytest.raises(ConfigurationError, match="ocifs") as missing:
        check_storage("oci://user:hunter2@container/x", {})
    assert "hunter2" not in str(missing.value)


def test_a_folder_without_permission_is_named(tmp_path):
    """A folder without write permission is rejected before any generation."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    program = textwrap.dedent(
        """
        import os, sys
        from mulequeue.transfer.storage import check_storage
        check_storage(os.curdir, {})  # what it imports lazily may lie where only root may read
        if os.getuid() == 0:
            os.setgid(65534); os.setuid(65534)
        try:
            check_storage(sys.argv[1], {})
        except Exception as exc:
            print(exc)
        """
    )
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert "cannot be used" in done.stdout, done.stderr


def test_options_that_do_not_fit_are_named_without_their_values(tmp_path):
    """Wrong options of a file system are an error with their names but not their values."""
    with pytest.raises(ConfigurationError, match="mulequeue_storage_options") as wrong:
        check_storage("zip://x", {"fo": str(tmp_path / "missing.zip"), "token": "hunter2"})

    assert "hunter2" not in str(wrong.value)


@pytest.fixture
def disk(monkeypatch):
    """A list of what is synchronized, and of renames as ``renamed``."""
    done = []
    fsync, replace = os.fsync, os.replace

    def note_sync(descriptor):
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def note_replace(old, new):
        done.append("renamed")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    return done


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, disk):
    """Bytes are synchronized before the rename, and after it every folder up to the storage."""
    root = tmp_path / "out"
    Storage(str(root), {}).write("a/b/0.png", iter([b"picture"]))

    assert disk[0].endswith(".part")
    assert ["renamed", f"{root}/a/b", f"{root}/a", f"{root}"] == disk[1:]


def test_only_folders_with_a_new_name_are_synchronized_again(tmp_path, disk):
    """The names of folders that hold other files are on the disk; those of replaced folders are not."""
    root = tmp_path / "out"
    storage = Storage(str(root), {})
    storage.write("a/b/0.png", iter([b"picture"]))
    disk.clear()

    storage.write("a/b/1.png", iter([b"picture"]))
    storage.write("a/c/0.png", iter([b"picture"]))
    os.rename(root / "a", root / "old")
    storage.write("a/b/2.png", iter([b"picture"]))

    folders = [name.removeprefix(str(tmp_path)) for name in disk if not name.endswith(".part")]
    first, second = ["renamed", "/out/a/b"], ["renamed", "/out/a/c", "/out/a"]
    assert [*first, *second, "renamed", "/out/a/b", "/out/a", "/out"] == folders


def test_a_disk_error_leaves_no_file(tmp_path, monkeypatch):
    """A file whose bytes do not reach the disk is a retryable error, and has no name."""

    def fail(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DownloadError, match="cannot be written") as failed:
        Storage(str(tmp_path), {}).write("0.png", iter([b"picture"]))

    assert failed.value.retryable
    assert [] == list(tmp_path.iterdir())


def test_a_file_system_without_folder_sync_is_fine(tmp_path, monkeypatch):
    """Some network file systems cannot synchronize a folder; the file is stored all the same."""

    def fail(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fail)

    assert 7 == Storage(str(tmp_path), {}).write("0.png", iter([b"picture"]))


def test_leftovers_of_killed_attempts_are_removed(tmp_path):
    """Temporary files of the same file go when no attempt writes them, those of others after a day."""
    left = {
        ".0.png.aaaa.part": 20,
        ".0.png.bbbb.part": 0,  # another attempt writes it now
        ".1.png.cccc.part": 3600,
        ".1.png.dddd.part": 25 * 3600,
        ".dddd.part": 25 * 3600,
        "0.png": 25 * 3600,
        ".hidden": 25 * 3600,
    }
    for name, age in left.items():
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)

    Storage(str(tmp_path), {}).remove_leftovers("0.png")

    kept = sorted(path.name for path in tmp_path.iterdir())
    assert [".0.png.bbbb.part", ".1.png.cccc.part", ".hidden", "0.png"] == kept
    Storage(str(tmp_path), {}).remove_leftovers("not/there/0.png")


def test_leftovers_are_removed_in_other_file_systems_too(monkeypatch):
    """A storage that is not a folder but renames is cleaned alike."""
    monkeypatch.setattr(storage, "IDLE_PART_SECONDS", -1.0)
    fs = fsspec.filesystem("memory")
    fs.pipe("/left/.0.png.aaaa.part", b"half")

    Storage("memory://left", {}).remove_leftovers("0.png")

    assert not fs.exists("/left/.0.png.aaaa.part")

"""A storage is checked before money is spent."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from mulequeue.errors import ConfigurationError
from mulequeue.transfer.storage import check_storage


def test_a_storage_that_works_passes_and_is_left_alone(tmp_path):
    """The check makes no folder and writes no file."""
    check_storage(str(tmp_path / "not" / "there" / "yet"), {})
    check_storage("memory://x", {})
    check_storage("mulequeue-files", {})

    assert [] == list(tmp_path.iterdir())


def test_a_storage_that_cannot_work_is_named(tmp_path):
    """Unknown protocol, missing package and a file in the way are errors that name the fix."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(ConfigurationError, match="mulequeue_storage"):
        check_storage("nonsense://x", {})
    with pytest.raises(ConfigurationError, match="not a folder"):
        check_storage(str(tmp_path / "file" / "below"), {})
    with pytest.raises(ConfigurationError, match=r'pip install "adlfs"') as missing:
        check_storage("abfs://user:hunter2@container/x", {})
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

"""The path of a file depends only on the outcome and never leads out of the storage."""

from __future__ import annotations

import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulequeue.errors import ConfigurationError
from mulequeue.outcome import Asset, Outcome
from mulequeue.settings import default_of
from mulequeue.transfer.path_template import check_template, file_path, member_templates

TEMPLATE = default_of("storage_path")


def outcome(assets=1, **fields):
    known = {
        "task_id": "order-1",
        "status": "succeeded",
        "remote_id": "5f0c",
        "model": "alibaba/wan2.6-t2i",
        "submitted_at": "2026-03-01T23:30:00-02:00",
        "assets": tuple(Asset(url=f"https://a/{n}", kind="image") for n in range(assets)),
    }
    return Outcome(**(known | fields))


def test_the_default_template_is_filled_in():
    """Model, day of submission in UTC, remote id and index make the path."""
    assert "alibaba/wan2.6-t2i/2026-03-02/5f0c/0.png" == file_path(TEMPLATE, outcome(), 0, "png")


def test_every_name_can_be_used():
    """All documented names work, with a number format where it makes sense."""
    template = "{kind}/{task_id}/{remote_id}-{index:02d}.{ext}"

    assert "image/order-1/5f0c-01.jpg" == file_path(template, outcome(2), 1, "jpg")


def test_a_template_without_index_still_keeps_assets_apart():
    """If the template has no index, it is added for several assets."""
    paths = [file_path("{remote_id}.{ext}", outcome(2), n, "png") for n in (0, 1)]

    assert ["5f0c-0.png", "5f0c-1.png"] == paths
    assert "5f0c.png" == file_path("{remote_id}.{ext}", outcome(1), 0, "png")


def test_an_outcome_that_knows_little_has_a_path_too():
    """Without model and times the path uses the remaining values."""
    bare = outcome(model=None, api_path="/vendors/x/v1/y", submitted_at=None, remote_id="r")

    assert "vendors/x/v1/y/undated/r/0.mp4" == file_path(TEMPLATE, bare, 0, "mp4")


@given(value=st.text(min_size=1), extension=st.text(max_size=8))
def test_no_value_leaves_the_storage(value, extension):
    """Any value in model, ids and type gives one plain, short, printable name per part."""
    evil = outcome(model=value, remote_id=value, task_id=value, submitted_at=value)
    path = file_path("{model}/{date}/{task_id}/{remote_id}/{index}.{ext}", evil, 0, extension)

    assert not path.startswith("/")
    for part in path.split("/"):
        assert part not in ("", ".", "..")
        assert not part.startswith(".")
        assert len(part.encode()) <= 255
        assert part.isprintable()
        assert not set(part) & set('\\\0:*?[]{}"<>|')
    assert path == posixpath.normpath(path)


@pytest.mark.parametrize("evil", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..", "a\0b"])
def test_known_tricks_stay_inside(evil):
    """Dots, leading slashes and NUL in values or the template are harmless."""
    assert ".." not in file_path(TEMPLATE, outcome(model=evil), 0, "png").split("/")
    literal = file_path(evil.replace("\0", "") + "/{remote_id}", outcome(), 0, "png")
    assert ".." not in literal.split("/")
    assert not literal.startswith("/")


def test_two_ids_never_share_a_path():
    """Ids that differ only in removed characters have different paths."""
    paths = {file_path(TEMPLATE, outcome(remote_id=r), 0, "png") for r in ("a/b", "a_b", "a:b")}

    assert 3 == len(paths)


def test_an_overlong_name_is_cut_but_keeps_its_extension():
    """A name longer than file systems allow is shortened, and two such names stay different."""
    template = "{task_id}.{ext}"
    one, two = (file_path(template, outcome(task_id="x" * 400 + c), 0, "mp4") for c in "ab")

    assert one != two
    assert one.endswith(".mp4")
    assert len(one) < 200


@pytest.mark.parametrize(
    "bad",
    [
        "{remote_id}/{prompt}",
        "{remote_id.__class__}",
        "{remote_id[0]}",
        "{}/{remote_id}",
        "{remote_id",
        "{remote_id:d}",
        "{model}/{date}/{index}.{ext}",
        "fixed.png",
        7,
    ],
)
def test_a_template_that_cannot_work_is_refused(bad):
    """Unknown names, wrong braces and templates that overwrite are rejected by name, and what is no text."""
    with pytest.raises(ConfigurationError, match=re.escape(f"The path template {bad!r} ")):
        check_template(bad)


def test_the_default_template_is_accepted():
    """The default passes its own check."""
    assert TEMPLATE == check_template(TEMPLATE)


def test_each_member_of_a_batch_may_have_its_own_template():
    """Templates that differ need no id; download accepts them, and no id is seen in the name."""
    first, second = member_templates(["a.{ext}", "b/{index}.{ext}"], 2)

    assert "a.png" == file_path(check_template(first), outcome(), 0, "png")
    assert ["a-0.png", "a-1.png"] == [file_path(first, outcome(2), n, "png") for n in (0, 1)]
    assert "b/1.png" == file_path(check_template(second), outcome(2), 1, "png")
    assert ["{task_id}.{ext}"] * 3 == member_templates("{task_id}.{ext}", 3)
    assert [] == member_templates(None, 3)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (["a.{ext}", "A.{ext}"], "path[0] and path[1]"),
        (["a.{ext}"], "1 paths for 2 inputs"),
        (["a.{ext}", "{nothing}"], "cannot be filled in"),
        ("a.{ext}", "gives two generations one path"),
    ],
)
def test_templates_of_a_batch_that_could_share_a_file_are_refused(path, says):
    """Also where only the case differs."""
    with pytest.raises(ConfigurationError) as caught:
        member_templates(path, 2)

    assert says in str(caught.value)

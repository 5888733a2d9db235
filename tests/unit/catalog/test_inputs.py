"""What may go into an input, and which files may be read into it."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import threading

import pytest

from mulequeue.catalog.inputs import check_input, file, has_files, input_digest, resolve_input
from mulequeue.errors import InputError

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "mule.bin").write_bytes(PNG)
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def resolve(input, *roots, max_bytes=10_000):
    return resolve_input(input, roots=[str(root) for root in roots], max_bytes=max_bytes)


def test_a_file_becomes_a_data_uri_by_its_content(root):
    """A file is sent as a data URI whose type comes from its bytes, not its name."""
    resolved = resolve({"images": [file(root / "mule.bin")], "n": 1}, root)

    expected = "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert {"images": [expected], "n": 1} == resolved


def test_a_file_without_a_known_content_is_typed_by_its_name(root):
    """A file whose bytes tell nothing gets the type of its name."""
    (root / "words.csv").write_text("a,b")

    assert resolve({"x": file(root / "words.csv")}, root)["x"].startswith("data:text/csv;base64,")


def test_a_url_is_passed_on():
    """A URL in a marker becomes the plain URL, and needs no root."""
    assert {"image": "https://a/b.png"} == resolve({"image": file("https://a/b.png")})


def test_a_plain_string_is_never_opened(root):
    """A string that is the path of a readable file stays a string."""
    given = {"image": str(root / "mule.bin"), "url": f"file://{root}/mule.bin"}

    assert given == resolve(given, root)


def test_the_original_input_is_left_as_it_was(root):
    """Resolving gives a new dictionary; the markers stay in the old one."""
    given = {"image": file(root / "mule.bin")}

    resolve(given, root)

    assert {"image": {"$file": str(root / "mule.bin")}} == given


def test_no_root_means_no_file(root):
    """Without roots every file is refused, and the error names the setting."""
    given = {"image": file(root / "mule.bin")}

    with pytest.raises(InputError, match="mulequeue_input_roots"):
        check_input(given, [])
    with pytest.raises(InputError, match="mulequeue_input_roots"):
        resolve(given)


def outside(root):
    return root.parent / "secret.txt"


def dotted(root):
    return f"{root}/../secret.txt"


def linked(root):
    (root / "link.png").symlink_to(outside(root))
    return root / "link.png"


def linked_folder(root):
    (root / "folder").symlink_to(root.parent)
    return root / "folder" / "secret.txt"


def sibling(root):
    (root.parent / "inputs-2").mkdir()
    (root.parent / "inputs-2" / "x.txt").write_text("x")
    return root.parent / "inputs-2" / "x.txt"


def missing(root):
    return root / "nothing.png"


def folder(root):
    return root


def fifo(root):
    os.mkfifo(root / "pipe")
    return root / "pipe"


def empty(root):
    (root / "empty").touch()
    return root / "empty"


def null(root):
    return f"{root}/mule.bin\0.png"


@pytest.mark.parametrize(
    "bad",
    [outside, dotted, linked, linked_folder, sibling, missing, folder, fifo, empty, null],
)
def test_only_regular_files_under_a_root_are_read(bad, root):
    """A path that leads out of the roots, by dots or links, or to no regular file, is refused."""
    given = {"image": file(bad(root))}

    with pytest.raises(InputError):
        check_input(given, [str(root)])
    with pytest.raises(InputError):
        resolve(given, root)


def test_a_folder_that_turns_into_a_link_opens_nothing_outside(root):
    """A folder swapped for a link between check and open never lets a file outside be read."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "x.txt").write_text("secret")
    (root / "sub").mkdir()
    (root / "sub" / "x.txt").write_text("public")
    done = threading.Event()

    def swap():
        while not done.is_set():
            (root / "sub").rename(root / "aside")
            (root / "sub").symlink_to(outside)
            (root / "sub").unlink()
            (root / "aside").rename(root / "sub")

    swapper = threading.Thread(target=swap)
    swapper.start()
    read = set()
    for _ in range(5000):
        with contextlib.suppress(InputError):
            read.add(resolve({"x": file(root / "sub" / "x.txt")}, root)["x"])
    done.set()
    swapper.join()
    read.add(resolve({"x": file(root / "sub" / "x.txt")}, root)["x"])

    assert {"data:text/plain;base64," + base64.b64encode(b"public").decode()} == read


def test_a_root_may_be_a_link_itself(root):
    """A root given as a link allows what is really under it."""
    (root.parent / "alias").symlink_to(root)
    given = {"image": file(root.parent / "alias" / "mule.bin")}

    check_input(given, [str(root.parent / "alias")])
    assert resolve(given, root.parent / "alias")["image"].startswith("data:image/png")


def test_a_file_that_is_too_large_is_refused(root):
    """A file beyond the limit is refused by its size, and the error names the setting."""
    given = {"image": file(root / "mule.bin")}

    with pytest.raises(InputError, match="mulequeue_input_max_bytes"):
        check_input(given, [str(root)], max_bytes=len(PNG) - 1)
    with pytest.raises(InputError, match="mulequeue_input_max_bytes"):
        resolve(given, root, max_bytes=len(PNG) - 1)
    check_input(given, [str(root)], max_bytes=len(PNG))


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ("a prompt", "dictionary"),
        (["x"], "dictionary"),
        ({"x": object()}, r"input\['x'\]"),
        ({"x": [1, {"y": b"bytes"}]}, r"input\['x'\]\[1\]\['y'\]"),
        ({"x": {1: 2}}, "key 1"),
        ({"x": float("inf")}, "JSON cannot express"),
        ({"x": {"$file": "\ud800"}}, "surrogate"),
        ({"x": {"$file": "a", "other": 1}}, "exactly"),
        ({"x": {"$file": 7}}, "exactly"),
        ({"$file": ["a"]}, "exactly"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(given, where):
    """An input that JSON cannot carry is refused, and the error says where it is."""
    with pytest.raises(InputError, match=where):
        check_input(given, [])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"prompt": "a mule"}, False),
        ({"image": file("https://a.test/b.png")}, False),
        ({"image": file("b.png")}, True),
        ({"elements": [{"images": [file("b.png")]}]}, True),
    ],
)
def test_an_input_with_files_is_told_apart(given, expected):
    """Only a path on this machine is read; a URL is sent as it is."""
    assert expected == has_files(given)


def test_half_an_emoji_is_sent_as_a_replacement_character():
    """A prompt that was cut in the middle of a surrogate pair is sent as valid text."""
    given = {"prompt": "a mule \ud83d", "\udc34": ["\U0001f434", {"x": "\ud83d\ud83d"}], "n": 1}

    check_input(given, [])
    sent = resolve_input(given, roots=[], max_bytes=1)

    assert {
        "prompt": "a mule \ufffd",
        "\ufffd": ["\U0001f434", {"x": "\ufffd\ufffd"}],
        "n": 1,
    } == sent


def test_bottomless_inputs_are_refused():
    """An input that holds itself is an error, not a crash."""
    given: dict = {}
    given["x"] = [given]

    with pytest.raises(InputError, match="deeper"):
        check_input(given, [])


def test_the_digest_knows_inputs_apart():
    """The digest depends on model and values, not on the order of keys or tuple and list."""
    same = {input_digest("m", {"a": 1, "b": [2]}), input_digest("m", {"b": (2,), "a": 1})}
    others = {
        input_digest("m", {"a": 1, "b": [3]}),
        input_digest("n", {"a": 1, "b": [2]}),
        input_digest("m", {"a": "1", "b": [2]}),
    }

    assert 1 == len(same)
    assert 3 == len(others - same)


def test_a_disk_error_is_an_input_error(tmp_path, monkeypatch):
    """A file that is there but cannot be read is named, with the reason."""
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("mulequeue.catalog.inputs.open", fail, raising=False)

    with pytest.raises(InputError, match=r"photo\.png' cannot be read: Input/output error"):
        resolve_input({"image": file(str(path))}, roots=[str(tmp_path)], max_bytes=100)

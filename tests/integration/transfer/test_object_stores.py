"""Objects are complete or not there, on a real S3 server, with obstore and with s3fs."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("moto", reason="pip install 'moto[server]'")

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from fsspec.registry import _registry
from support.deaths import generate
from support.fleet import Fleet
from support.s3_server import BUCKET, S3Server, s3_server

from mulequeue import download
from mulequeue.contrib.files import open_file
from mulequeue.errors import ConfigurationError, StorageError
from mulequeue.ops.health.storage_target import storage as storage_finding
from mulequeue.outcome import File
from mulequeue.settings import Settings
from mulequeue.transfer.storage import Storage, check_storage

MIB = 1024**2
URL = f"s3://{BUCKET}/out"
SIZES = {"small": 100_000, "of one block": 8 * MIB, "multipart": 17 * MIB + 5}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(running: S3Server) -> Iterator[S3Server]:
    """The server, with an empty bucket."""
    yield running
    for key in running.list():
        running.client.delete_object(Bucket=BUCKET, Key=key)


@pytest.fixture(params=["obstore", "s3fs"])
def target(
    request: pytest.FixtureRequest, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Storage:
    """The storage, through each of the packages that serve it."""
    if request.param == "s3fs":
        without_obstore(monkeypatch)
    storage = Storage(URL, s3.options)
    module = {"obstore": "mulequeue.transfer.object_store", "s3fs": "s3fs.core"}[request.param]
    assert module == type(storage.fs).__module__
    return storage


def without_obstore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mulequeue.transfer.storage.find_spec", lambda name: None)


def chunks(size: int) -> Iterator[bytes]:
    """``size`` bytes, in pieces like those of a download."""
    block = bytes(range(256)) * 1024
    for start in range(0, size, len(block)):
        yield block[: size - start]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_an_object_is_what_was_written(target: Storage, s3: S3Server, size: int) -> None:
    """An object has every byte, its URL leads to it, and a reader can seek in it."""
    assert size == target.write("a/0.mp4", chunks(size))

    assert ["out/a/0.mp4"] == s3.list()
    assert b"".join(chunks(size)) == s3.read("out/a/0.mp4")
    file = File(url=target.url_of("a/0.mp4"), kind="video", media_type="video/mp4", bytes=size)
    assert f"{URL}/a/0.mp4" == file.url
    with open_file(file, Settings(storage=URL, storage_options=s3.options)) as opened:
        opened.seek(size - 3)
        assert b"".join(chunks(size))[-3:] == opened.read()


@pytest.mark.parametrize("error", [ValueError("cut"), SoftTimeLimitExceeded(), KeyboardInterrupt()])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_an_aborted_write_leaves_nothing(
    target: Storage, s3: S3Server, size: int, error: BaseException
) -> None:
    """An interrupted write leaves no object, no unfinished upload, and the object of before as it was."""
    target.write("old.png", iter([b"before"]))

    def cut() -> Iterator[bytes]:
        yield from chunks(size)
        raise error

    for name in ("new.png", "old.png"):
        with pytest.raises((StorageError, type(error))):
            target.write(name, cut())

    assert ["out/old.png"] == s3.list()
    assert b"before" == s3.read("out/old.png")
    assert [] == s3.unfinished()


def test_an_object_appears_when_it_is_complete(target: Storage, s3: S3Server) -> None:
    """While blocks are uploaded, no object has the name."""
    seen = []

    def watched() -> Iterator[bytes]:
        yield from chunks(17 * MIB)
        seen.extend([s3.list(), s3.unfinished()])

    target.write("big.mp4", watched())

    assert [[], ["out/big.mp4"]] == seen
    assert ["out/big.mp4"] == s3.list()


def test_a_store_that_refuses_can_be_tried_again(target: Storage) -> None:
    """A bucket that is not there is an error of the storage, which a later attempt may not have."""
    target.root = "elsewhere/out"

    with pytest.raises(StorageError, match=r"s3://elsewhere/out/0\.png cannot be written"):
        target.write("0.png", iter([b"picture"]))


def test_the_doctor_writes_and_removes_an_object(target: Storage, s3: S3Server) -> None:
    """The doctor's test object is removed, and a bucket that is not there is its finding."""
    found = storage_finding(Celery(), Settings(storage=URL, storage_options=s3.options))
    missing = storage_finding(Celery(), Settings(storage="s3://no/x", storage_options=s3.options))

    assert ["ok", "error"] == [found.level, missing.level]
    assert [] == s3.list()


def test_a_forked_process_gets_an_error_and_does_not_hang(s3: S3Server) -> None:
    """After a write in the parent process, a write in its child is an error that names the way out."""
    storage = Storage(URL, s3.options)
    storage.write("parent.png", iter([b"picture"]))
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe()

    def write() -> None:
        try:
            Storage(URL, s3.options).write("child.png", iter([b"picture"]))
        except StorageError as exc:
            writer.send(str(exc))

    child = context.Process(target=write, daemon=True)
    child.start()
    assert reader.poll(30)
    assert "forked" in reader.recv()
    child.join(30)
    assert ["out/parent.png"] == s3.list()


@pytest.mark.parametrize(
    ("url", "options", "named"),
    [
        (URL, {"secert": "hunter2"}, "secert"),
        ("abfs://pictures/out", {"account_key": "hunter2"}, "account_key"),
    ],
)
def test_options_of_obstore_are_checked_early(
    url: str, options: dict[str, str], named: str
) -> None:
    """An unknown option and a missing account are errors before anything is sent, without values."""
    with pytest.raises(ConfigurationError, match=named) as wrong:
        check_storage(url, options)

    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize("url", ["gs://b/x", "az://c/x", "abfs://c@a.dfs.core.windows.net/x"])
def test_other_clouds_open_behind_their_urls(url: str) -> None:
    """Google's and Azure's URLs open without another package, and files keep these URLs."""
    opened = Storage(url, {"account_name": "a"} if url.startswith("az") else {})

    assert f"{url}/a/0.png" == opened.url_of("a/0.png")
    assert "mulequeue.transfer.object_store" == type(opened.fs).__module__


@pytest.mark.parametrize(
    ("url", "extra"), [("s3://b", "s3"), ("gs://b", "gcs"), ("az://c", "azure")]
)
def test_without_a_package_the_error_names_it(
    url: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without obstore and the package of fsspec, the error is the command that installs one."""
    without_obstore(monkeypatch)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)
    with pytest.raises(ConfigurationError, match=rf'pip install "mulequeue\[{extra}\]"'):
        check_storage(url, {})


def test_workers_store_in_s3(make_fleet: Callable[..., Fleet], s3: S3Server) -> None:
    """A prefork worker checks the storage before it forks, and its children write the files."""
    config = f"mulequeue_storage = {URL!r}\nmulequeue_storage_options = {s3.options!r}"
    fleet = make_fleet(celeryconfig=config)
    fleet.worker("-c", "2")

    result = (generate(fleet, "a mule") | download.s()).apply_async().get(timeout=60)

    (file,) = result["files"]
    assert [file["url"]] == [f"s3://{BUCKET}/{key}" for key in s3.list()]
    assert s3.read(s3.list()[0]).startswith(b"\x89PNG")

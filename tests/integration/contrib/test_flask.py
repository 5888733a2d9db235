"""The Flask extension, with a worker, a Redis and the emulated API."""

from __future__ import annotations

import json

import fsspec
import pytest

flask = pytest.importorskip("flask")

from celery import Celery, shared_task  # noqa: E402
from celery import current_app as current_celery  # noqa: E402
from support.webhook import WEBHOOK_SECRET, ended, event, signed  # noqa: E402

from mulequeue import download, generate, generate_many  # noqa: E402
from mulequeue.contrib.flask import MuleQueue, serve  # noqa: E402
from mulequeue.errors import ConfigurationError  # noqa: E402
from mulequeue.outcome import File  # noqa: E402
from mulequeue.settings import Settings  # noqa: E402

MODEL = "alibaba/wan2.6-t2i"


def make_app(fleet=None, *, may_see=None, **config):
    """A Flask app; with a fleet it shares its Redis."""
    app = flask.Flask(__name__)
    if fleet is not None:
        app.config["MULEQUEUE_REDIS_URL"] = fleet.redis.url
    app.config.update(config)
    MuleQueue(app, may_see=may_see)
    return app


@pytest.fixture
def working(fleet):
    """A fleet with a worker."""
    fleet.worker()
    return fleet


def test_a_batch_is_followed_to_its_pictures(working):
    """The stream ends with the batch; its members are JSON, and their files are served."""
    asked = []
    app = make_app(working, may_see=lambda name: not asked.append(name))
    inputs = [{"prompt": "a mule"}, {"prompt": "a fox"}]
    generate_many(MODEL, inputs, batch_id="b1", poll_interval=0.2).delay()
    client = app.test_client()

    stream = client.get("/mulequeue/batches/b1/events")
    *_, last = stream.get_data(as_text=True).strip().split("\n\n")

    assert "text/event-stream" == stream.mimetype
    assert last.startswith("event: end\n")
    status = client.get("/mulequeue/batches/b1").json
    assert status == json.loads(last.partition("data: ")[2])
    assert (2, 2, 2, True) == tuple(status[key] for key in ("size", "done", "files", "is_over"))
    told = client.get("/mulequeue/generations/b1-000001").json
    assert ("succeeded", "a fox", None) == (told["state"], told["label"], told["error"])
    picture = client.get(told["files"][0]["url"])
    assert (200, "image/png") == (picture.status_code, picture.mimetype)
    assert picture.data.startswith(b"\x89PNG")
    assert told["files"][0]["bytes"] == len(picture.data)
    assert "nosniff" == picture.headers["X-Content-Type-Options"]
    assert {"b1"} == set(asked)


def test_a_generation_of_its_own_is_asked_for_by_its_task_id(working):
    """Before any worker knew it, it is queued; a file that it does not have is not found."""
    app = make_app(working, may_see=lambda name: name == "alone")
    client = app.test_client()
    assert "queued" == client.get("/mulequeue/generations/alone").json["state"]

    signature = generate.s(MODEL, {"prompt": "a mule"}, poll_interval=0.2).set(task_id="alone")
    (signature | download.s()).delay().get(timeout=30)

    assert "succeeded" == client.get("/mulequeue/generations/alone").json["state"]
    assert 200 == client.get("/mulequeue/files/alone/0").status_code
    assert 404 == client.get("/mulequeue/files/alone/1").status_code
    assert 404 == client.get("/mulequeue/generations/another").status_code


def test_nobody_sees_anything_until_the_app_says_so(working):
    """Without ``may_see`` everything is not found, also what exists."""
    client = make_app(working).test_client()
    result = generate_many(MODEL, [{"prompt": "a mule"}], batch_id="b", poll_interval=0.2).delay()
    result.get(timeout=30)

    paths = ("generations/b-000000", "files/b-000000/0", "batches/b", "batches/b/events")
    assert [404] * 4 == [client.get(f"/mulequeue/{path}").status_code for path in paths]


def test_a_video_is_served_in_parts():
    """From any storage; a part that is not there is refused, a file that is not there not found."""
    app = make_app()
    with fsspec.open("memory://shelf/clip.mp4", "wb") as written:
        written.write(b"0123456789")
    clip = File(url="memory://shelf/clip.mp4", kind="video", media_type="video/mp4", bytes=10)

    def get(asked):
        with app.test_request_context(headers={"Range": asked} if asked else {}):
            response = serve(clip, Settings())
            response.direct_passthrough = False
            return response.status_code, response.data, response.headers.get("Content-Range")

    assert (200, b"0123456789", None) == get("")
    assert (206, b"234", "bytes 2-4/10") == get("bytes=2-4")
    assert (206, b"789", "bytes 7-9/10") == get("bytes=-3")
    app.testing = True
    with pytest.raises(Exception, match="416"):
        get("bytes=99-")
    fsspec.filesystem("memory").rm_file("/shelf/clip.mp4")
    with pytest.raises(Exception, match="404"):
        get("")


@pytest.mark.parametrize(
    ("secret", "headers", "status"),
    [(None, {}, 503), (WEBHOOK_SECRET, {}, 401), (WEBHOOK_SECRET, None, 200)],
    ids=["no secret", "not signed", "signed"],
)
def test_webhooks_are_taken_when_they_are_signed(fleet, secret, headers, status):
    """A webhook needs a valid signature, but no session and no permission."""
    app = make_app(fleet, MULEQUEUE_WEBHOOK_SECRET=secret)
    body = event(ended("a-generation"))

    answer = app.test_client().post(
        "/mulequeue/webhook/", data=body, headers=signed(body) if headers is None else headers
    )

    assert status == answer.status_code


def test_settings_come_from_the_apps_config():
    """``CELERY`` configures Celery, ``MULEQUEUE_…`` mulequeue; a wrong setting raises at once."""
    app = make_app(
        CELERY={"broker_url": "redis://broker.example/1", "task_default_queue": "studio"},
        MULEQUEUE_STORAGE="s3://pictures",
        MULEQUEUE_MAX_IN_FLIGHT=7,
    )

    celery = app.extensions["celery"]
    settings = Settings.load(celery)
    assert ("redis://broker.example/1", "studio") == (
        celery.conf.broker_url,
        celery.conf.task_default_queue,
    )
    assert ("s3://pictures", 7) == (settings.storage, settings.max_in_flight)
    assert "redis://broker.example/1" == settings.redis_url
    with pytest.raises(ConfigurationError, match="mulequeue_storage"):
        make_app(MULEQUEUE_STORRAGE="s3://pictures")


def test_a_celery_app_that_is_there_is_taken():
    """Who followed Flask's documentation before keeps what they made."""
    app = flask.Flask(__name__)
    mine = app.extensions["celery"] = Celery("mine", set_as_current=False)
    app.config["MULEQUEUE_FLEET"] = "studio"

    assert mine is MuleQueue().init_app(app, url_prefix="/here")

    assert "studio" == Settings.load(mine).fleet
    assert 404 == app.test_client().get("/mulequeue/batches/b").status_code
    assert "/here/batches/b" in [
        rule.rule.replace("<batch_id>", "b") for rule in app.url_map.iter_rules()
    ]


def test_own_tasks_run_inside_of_the_apps_context():
    """As Flask's documentation has it; and the Celery app is the default one."""
    app = make_app(WORD="mule")

    @shared_task(name="studio.word")
    def word():
        return flask.current_app.config["WORD"]

    assert app.extensions["celery"] is current_celery._get_current_object()
    assert "mule" == app.extensions["celery"].tasks["studio.word"]()

"""The Flask extension, with a worker, a Redis and the emulated API."""

from __future__ import annotations

import io
import json
import zipfile

import fsspec
import pytest

flask = pytest.importorskip("flask")

from celery import Celery, _state, shared_task  # noqa: E402
from celery import current_app as current_celery  # noqa: E402
from support.waiting import wait_until  # noqa: E402
from support.webhook import WEBHOOK_SECRET, ended, event, signed  # noqa: E402

from mulequeue import download, generate, generate_from, generate_many  # noqa: E402
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


def test_a_batch_is_downloaded_as_one_archive(working):
    """It has the stored files by place and prompt, and lists what is missing with the reason."""
    refused = {"contains": "fox", "end": "failed", "code": 3001, "detail": "Not here."}
    working.emulator.faults(lives=[refused])
    app = make_app(working, may_see=lambda name: name == "b")
    inputs = [{"prompt": "a mule: at dawn"}, {"prompt": "a fox"}]
    generate_many(MODEL, inputs, batch_id="b", poll_interval=0.2).delay().get(timeout=60)

    answer = app.test_client().get("/mulequeue/batches/b/zip")

    assert ("application/zip", True) == (answer.mimetype, answer.is_streamed)
    assert "attachment; filename*=UTF-8''b.zip" == answer.headers["Content-Disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert ["0001 a mule at dawn.png", "missing.txt"] == archive.namelist()
    assert archive.read("0001 a mule at dawn.png").startswith(b"\x89PNG")
    assert "0002 a fox: failed: Not here. (3001)\n" == archive.read("missing.txt").decode()
    assert 404 == app.test_client().get("/mulequeue/batches/c/zip").status_code


def test_a_generation_of_its_own_is_asked_for_by_its_task_id(working):
    """A file that it does not have is not found."""
    app = make_app(working, may_see=lambda name: name == "alone")
    client = app.test_client()

    signature = generate.s(MODEL, {"prompt": "a mule"}, poll_interval=0.2).set(task_id="alone")
    (signature | download.s()).delay().get(timeout=30)

    assert "succeeded" == client.get("/mulequeue/generations/alone").json["state"]
    assert 200 == client.get("/mulequeue/files/alone/0").status_code
    assert 404 == client.get("/mulequeue/files/alone/1").status_code
    assert 404 == client.get("/mulequeue/generations/another").status_code


def looked_up(app, name, **ids):
    """Status and JSON of a route, asked for at the URL that ``url_for`` makes."""
    with app.test_request_context():
        url = flask.url_for(f"mulequeue.{name}", **ids)
    answer = app.test_client().get(url)
    return answer.status_code, answer.json


def sent(app, signature):
    """Enqueue in a context of the app, as a view does."""
    with app.app_context():
        return signature().delay()


def test_an_id_is_unknown_until_the_app_has_enqueued_it(fleet):
    """Then it is queued until a worker receives it, also a later step of a chain and a batch's members."""
    app = make_app(fleet, may_see=lambda name: True)
    batch_inputs = [{"prompt": "a mule"}] * 2
    states = lambda: [  # noqa: E731
        looked_up(app, "generation", task_id=name)[1]["state"]
        for name in ("alone", "second", "b-000000", "b-000001", "order-000001")
    ]
    assert ["unknown"] * 5 == states()
    status, told = looked_up(app, "generation", task_id="alone")
    assert (404, "unknown", True) == (status, told["state"], told["is_over"])
    assert "expired" in told["error"]
    for route in ("batch", "batch_events"):
        status, told = looked_up(app, route, batch_id="b")
        assert (404, "unknown", True) == (status, told["state"], told["is_over"])

    one = {"prompt": "a mule"}
    sent(
        app,
        lambda: (
            generate.s(MODEL, one).set(task_id="alone")
            | generate_from.s("alibaba/wan2.6-i2v", one).set(task_id="second")
        ),
    )
    sent(app, lambda: generate.s(MODEL, one).set(task_id="order-000001"))
    sent(app, lambda: generate_many(MODEL, batch_inputs, batch_id="b"))

    assert ["queued"] * 5 == states()
    status, told = looked_up(app, "batch", batch_id="b")
    assert (200, "queued", None, False) == (status, told["state"], told["size"], told["is_over"])


def test_a_record_that_expired_is_unknown(make_fleet):
    """A generation, a batch, a member and their stream end as unknown, not as queued."""
    fleet = make_fleet(env={"MULEQUEUE_RECORD_TTL_SECONDS": "1"})
    app = make_app(fleet, may_see=lambda name: True, MULEQUEUE_RECORD_TTL_SECONDS=1)
    fleet.worker()
    sent(app, lambda: generate.s(MODEL, {"prompt": "a"}, poll_interval=0.1).set(task_id="t")).get()
    many = lambda: generate_many(MODEL, [{"prompt": "a"}], batch_id="b", poll_interval=0.1)  # noqa: E731
    sent(app, many).get(timeout=30)

    def states():
        found = [looked_up(app, "generation", task_id=name) for name in ("t", "b-000000")]
        found.append(looked_up(app, "batch", batch_id="b"))
        return {(status, told["state"]) for status, told in found}

    wait_until(lambda: states() == {(404, "unknown")}, what="the records to expire")


def test_a_member_of_a_batch_is_asked_for_by_the_batch(fleet):
    """``may_see`` receives the batch id also while the member has no record."""
    app = make_app(fleet, may_see=lambda name: name == "b")
    sent(app, lambda: generate_many(MODEL, [{"prompt": "a mule"}], batch_id="b"))

    assert 200 == looked_up(app, "generation", task_id="b-000000")[0]
    assert 404 == looked_up(app, "generation", task_id="c-000000")[0]


def test_enqueueing_does_not_need_the_ledger(fleet, redis_server):
    """While the ledger is away, tasks are sent; only their pages do not know them."""
    redis_server.hang()
    app = make_app(
        fleet,
        may_see=lambda name: True,
        CELERY={"broker_url": fleet.redis.url},
        MULEQUEUE_REDIS_URL=redis_server.url,
    )

    for _ in range(20):
        sent(app, lambda: generate.s(MODEL, {"prompt": "a mule"}))

    assert 20 == fleet.redis.client.llen("celery")


@pytest.mark.parametrize(
    "name",
    ["order/7", "100%", "a%2Fb", "ein Maultier", "騾/ü", "a//b", "/a", "a/events", "a?b#c", "a/0"],
)
def test_any_id_has_a_url(working, name):
    """``url_for`` makes an address that the routes read as the same id."""
    asked = set()
    app = make_app(working, may_see=lambda name: not asked.add(name))
    signature = generate.s(MODEL, {"prompt": "a"}, poll_interval=0.1).set(task_id=name)
    (signature | download.s()).delay().get(timeout=30)
    generate_many(MODEL, [{"prompt": "a"}], batch_id=f"of {name}", poll_interval=0.1).delay().get()

    status, told = looked_up(app, "generation", task_id=name)
    assert (200, name, "succeeded") == (status, told["task_id"], told["state"])
    assert 200 == app.test_client().get(told["files"][0]["url"]).status_code
    assert (200, 1) == (lambda s, t: (s, t["size"]))(
        *looked_up(app, "batch", batch_id=f"of {name}")
    )
    with app.test_request_context():
        events = flask.url_for("mulequeue.batch_events", batch_id=f"of {name}")
    assert "text/event-stream" == app.test_client().get(events).mimetype
    assert {name, f"of {name}"} == asked


def test_an_id_may_be_encoded_once():
    """As a page's own JavaScript does it."""
    app = make_app(may_see=lambda name: True)

    def id_at(path):
        with app.test_request_context(path):
            return flask.request.view_args["task_id"]

    assert "order/7" == id_at("/mulequeue/generations/order/7")
    assert "order/7" == id_at("/mulequeue/generations/order%2F7")
    assert "50%" == id_at("/mulequeue/generations/50%25")
    assert "order/7" == id_at("/mulequeue/files/order/7/0")


def test_nobody_sees_anything_until_the_app_says_so(working):
    """Without ``may_see`` everything is not found, also what exists."""
    client = make_app(working).test_client()
    result = generate_many(MODEL, [{"prompt": "a mule"}], batch_id="b", poll_interval=0.2).delay()
    result.get(timeout=30)

    routes = ("batches/b", "batches/b/events", "batches/b/zip")
    paths = ("generations/b-000000", "files/b-000000/0", *routes)
    assert [404] * 5 == [client.get(f"/mulequeue/{path}").status_code for path in paths]


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


@pytest.mark.parametrize(
    ("read", "status"),
    [
        (lambda request: request.get_data(), 200),
        (lambda request: request.data, 200),
        (lambda request: request.get_json(silent=True), 200),
        (lambda request: request.form, 200),
        (lambda request: request.stream.read(), 500),
        (lambda request: request.stream.read(10), 500),
    ],
    ids=["get_data", "data", "get_json", "form", "stream", "start of the stream"],
)
def test_a_hook_may_read_the_body_of_a_webhook(fleet, read, status):
    """What Flask keeps is still verified; a consumed stream is an error of the app, and named as one."""
    app = make_app(fleet, MULEQUEUE_WEBHOOK_SECRET=WEBHOOK_SECRET)
    body = event(ended("a-generation"))

    @app.before_request
    def hook():
        read(flask.request)

    answer = app.test_client().post("/mulequeue/webhook/", data=body, headers=signed(body))

    assert (status, status == 200) == (answer.status_code, answer.text == "early")
    assert ("request.get_data()" in answer.text) == (status == 500)


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
    with app.test_request_context():
        assert "/here/batches/b" == flask.url_for("mulequeue.batch", batch_id="b")


def test_own_tasks_run_inside_of_the_apps_context():
    """As Flask's documentation has it; and the Celery app is the default one."""
    app = make_app(WORD="mule")

    @shared_task(name="studio.word")
    def word():
        return flask.current_app.config["WORD"]

    assert app.extensions["celery"] is _state.default_app
    with app.app_context():
        assert app.extensions["celery"] is current_celery._get_current_object()
    assert "mule" == app.extensions["celery"].tasks["studio.word"]()

"""A project that is tested with Celery's own fixtures, and imports mulequeue inside of its tests."""

import os

import pytest

MODEL, INPUT = "alibaba/wan2.6-t2i", {"prompt": "a mule", "n": 1}


@pytest.fixture(scope="session")
def celery_config():
    return {"broker_url": os.environ["SHOP_REDIS"], "result_backend": os.environ["SHOP_REDIS"]}


@pytest.fixture(scope="session")
def celery_includes():
    return ["mulequeue.tasks"]


@pytest.fixture(scope="session")
def celery_worker_parameters():
    queue = os.environ.get("SHOP_QUEUE")
    return {"queues": (queue,)} if queue else {}


@pytest.mark.parametrize("number", [1, 2])
def test_each_app_has_the_tasks(celery_app, celery_worker, number):
    """The second app of a session as well, which Celery gives none of the tasks."""
    sent = celery_app.send_task("mulequeue.generate", (MODEL, INPUT))

    assert "succeeded" == sent.get(timeout=30)["status"]


def test_a_canvas_goes_through(celery_app, celery_worker, tmp_path):
    from mulequeue import download, generate

    sent = (generate.s(MODEL, INPUT) | download.s(storage=str(tmp_path))).delay()

    assert 1 == len(sent.get(timeout=30)["files"])


@pytest.mark.celery(task_always_eager=True)
def test_an_eager_app_has_the_tasks(celery_app, depends_on_current_app):
    from mulequeue import generate

    assert "succeeded" == generate.delay(MODEL, INPUT).get()["status"]


def test_a_worker_of_the_session_goes_through(celery_session_app, celery_session_worker):
    sent = celery_session_app.send_task("mulequeue.generate", (MODEL, INPUT))

    assert "succeeded" == sent.get(timeout=30)["status"]

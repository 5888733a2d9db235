"""Celery, one task per generation that retries itself with a countdown."""

import os

import requests
from celery import Celery

app = Celery("peer", broker=os.environ["BENCH_REDIS"])
app.conf.update(worker_prefetch_multiplier=1, task_ignore_result=True)
app.conf.broker_transport_options = {
    "visibility_timeout": int(os.environ.get("BENCH_VISIBILITY_SECONDS", 3600))
}
session = requests.Session()


@app.task(bind=True, max_retries=None, acks_late=True)
def wait(self, remote_id: str) -> dict:  # type: ignore[no-untyped-def,type-arg]
    answer = session.get(
        f"{os.environ['BENCH_API']}/vendors/peer/generation/{remote_id}", timeout=15
    )
    body = answer.json()
    if body["task_info"]["status"] != "completed":
        raise self.retry(countdown=5)
    return dict(body)

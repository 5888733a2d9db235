"""Celery, one task per generation that sleeps in its worker slot."""

import os
import time

import requests
from celery import Celery

app = Celery("peer", broker=os.environ["BENCH_REDIS"])
app.conf.update(worker_prefetch_multiplier=1, task_ignore_result=True)
session = requests.Session()


@app.task
def wait(remote_id: str) -> dict:  # type: ignore[type-arg]
    while True:
        answer = session.get(
            f"{os.environ['BENCH_API']}/vendors/peer/generation/{remote_id}", timeout=15
        )
        body = answer.json()
        if body["task_info"]["status"] == "completed":
            return dict(body)
        time.sleep(5)

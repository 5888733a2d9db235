"""Celery settings that suit mulequeue, each with its reason.

``from mulequeue.recommended import *`` in a ``celeryconfig.py``, and change what differs.
"""

import os

_redis = os.environ.get("MULEQUEUE_REDIS_URL", "redis://127.0.0.1:6379/0")

broker_url = os.environ.get("MULEQUEUE_BROKER_URL", _redis)
result_backend = os.environ.get("MULEQUEUE_RESULT_BACKEND", _redis)

# A worker that dies gives its messages back after this time on a Redis broker (the default is an
# hour). mulequeue's countdowns are half of it at most, and a longer download holds a lease of its
# own. Tasks of yours that run longer, or have longer countdowns, need a longer time here.
broker_transport_options = {
    "visibility_timeout": 120,
    # On gevent and threads many tasks publish at once; kombu's own limit is ten connections.
    "max_connections": 200,
    # RabbitMQ says when it has a message: without it one that was sent just before it dies is lost.
    "confirm_publish": True,
    # Look for such messages every few seconds instead of every ten consumer ticks.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
}
# Downloads and notifications take seconds to minutes. A fleet that has a worker of its own for them
# names its queue in the environment of all its processes (that worker is started with -Q and this).
_transfer_queue = os.environ.get("MULEQUEUE_TRANSFER_QUEUE")
if _transfer_queue:
    task_routes = {
        "mulequeue.download": {"queue": _transfer_queue},
        "mulequeue.notify": {"queue": _transfer_queue},
    }

result_backend_transport_options = {"visibility_timeout": 120}

# A message reserved by a busy worker waits there although another one is free.
worker_prefetch_multiplier = 1

# A broker that is away at start is waited for, as it is later.
broker_connection_retry_on_startup = True

# A worker that holds a message when Redis restarts goes on when it is back (Celery 5.7's own ends).
worker_consumer = "mulequeue.tasks.consumer:Consumer"

# Celery 5.7's soft shutdown (worker_soft_shutdown_timeout, worker_enable_soft_shutdown_on_idle) stays
# off: a SIGTERM waits for what runs, however long; at a SIGQUIT a create request still gets its answer
# and countdown messages go back to their queue; downloads are taken up by others. It would only make
# every SIGQUIT and every second Ctrl-C last so long, also when nothing runs any more.

# Only JSON is read and written: nothing that a message holds is ever executed.
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]

# Results outlive the longest wait of a chord's members.
result_expires = 7 * 24 * 3600

# Flower sees who sent what; a task's events are constant in number whatever it waits.
worker_send_task_events = True
task_send_sent_event = True

timezone = "UTC"
enable_utc = True

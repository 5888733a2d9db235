"""Recommended Celery settings for mulequeue, each with its reason.

Write ``from mulequeue.recommended import *`` into your ``celeryconfig.py``, and your own settings below it.
"""

import mulequeue.settings.environment as _environment

_redis = _environment.read_variable("MULEQUEUE_REDIS_URL") or "redis://127.0.0.1:6379/0"

broker_url = _environment.read_variable("MULEQUEUE_BROKER_URL") or _redis
result_backend = _environment.read_variable("MULEQUEUE_RESULT_BACKEND") or _redis

# On a Redis broker the messages of a crashed worker are redelivered after this time in seconds (the
# default is an hour). mulequeue's countdowns are at most half of this time, and longer downloads hold a
# lease in the ledger. If your own tasks run longer or have longer countdowns, set a longer time.
broker_transport_options = {
    "visibility_timeout": 120,
    # On gevent and threads many tasks publish at once; kombu's default is ten connections.
    "max_connections": 200,
    # RabbitMQ confirms each message. Without this, a message sent just before a crash may be lost.
    "confirm_publish": True,
    # Check for messages to redeliver every few seconds instead of every ten consumer ticks.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
}
# Downloads and notifications take seconds to minutes. To run them in a separate worker, set this variable
# to the name of a queue in all processes of the fleet, and start that worker with -Q and the name.
_transfer_queue = _environment.read_variable("MULEQUEUE_TRANSFER_QUEUE")
if _transfer_queue:
    task_routes = {
        "mulequeue.download": {"queue": _transfer_queue},
        "mulequeue.notify": {"queue": _transfer_queue},
    }

result_backend_transport_options = {"visibility_timeout": 120}

# A busy worker reserves no further messages, so that they go to a free worker.
worker_prefetch_multiplier = 1

# Celery 5.6's worker_eta_task_limit stays off. A worker that holds as many countdown messages of your
# own tasks as the limit allows receives no other message: new generations wait. Without a separate worker
# for mulequeue.poll and mulequeue.wake, generations in progress wait too (40 s in a test, instead of 5 s).

# If the broker is unavailable at start, the worker waits for it, as it does after a lost connection.
broker_connection_retry_on_startup = True

# With Celery 5.7's consumer, a worker that holds a message exits when Redis restarts. With this consumer
# the worker continues.
worker_consumer = "mulequeue.tasks.consumer:Consumer"

# Celery 5.7's soft shutdown (worker_soft_shutdown_timeout, worker_enable_soft_shutdown_on_idle) stays
# off. Without it, a worker waits after SIGTERM for its running tasks, without a limit. After SIGQUIT, create
# requests still get their responses, countdown messages return to their queue, and other workers repeat the
# downloads. A soft shutdown would only delay each SIGQUIT and each second Ctrl-C, also in an idle worker.

# Only JSON is accepted, so the content of a message is never executed.
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]

# A command to a Redis result backend is repeated once after a lost connection, not only after a timeout.
# Otherwise a chord of your own tasks never ends if the connection is lost while a member is counted.
redis_retry_on_timeout = True

# Results are kept for seven days, longer than the members of a chord can wait.
result_expires = 7 * 24 * 3600

# Events for Flower. The number of events of a task does not depend on how long the task waits.
worker_send_task_events = True
task_send_sent_event = True

timezone = "UTC"
enable_utc = True

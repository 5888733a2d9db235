"""The broker and the workers: their queues and their clocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kombu.messaging import Consumer

from mulequeue.ops.health.check_result import (
    Finding,
    error,
    error_message,
    format_count,
    format_list,
    passed,
    setting_name,
    warning,
)
from mulequeue.ops.health.redis_server import SKEW_SECONDS
from mulequeue.settings import Settings

REPLY_SECONDS = 1.0
HEARTBEAT_SECONDS = 3.0
"""Workers send a heartbeat every two seconds."""
_CONSEQUENCES = {
    "task-queue": "no generation is started",
    "poll-queue": "no generation is checked",
    "wake-queue": "no outcome is returned to its task",
    "download-queue": "no file is stored, and the URLs of billed files expire within hours",
    "notify-queue": "no notification is sent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSurvey:
    """The workers that answered a request or sent a heartbeat."""

    has_remote_control: bool = True
    """Whether this configuration enables remote control."""
    queues: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The names of the queues that each worker consumes, for workers that answered."""
    clocks: Mapping[str, float] = field(default_factory=dict)
    """Seconds by which each worker's clock is ahead of Redis' clock, for workers that sent a heartbeat."""


def broker(app: Any, timeout_seconds: float) -> Finding:
    """Check that the broker answers."""
    connection = app.connection_for_write(connect_timeout=timeout_seconds)
    url = connection.as_uri(include_password=True)  # the finding removes the password
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout_seconds)
    except Exception as exc:
        return error(
            "broker",
            f"The broker at {url} does not answer, so no task runs: {error_message(exc)}.",
            f"Start it, or set another URL:\n  {setting_name(app, 'broker_url')} = …",
        )
    finally:
        connection.release()
    return passed("broker", f"The broker answers: {url}")


def survey_workers(app: Any, *, offset: float = 0.0) -> WorkerSurvey:
    """Request the queues of all workers, then read their heartbeats.

    :param offset: seconds by which this machine's clock is ahead of Redis' clock.
    """
    is_on = bool(app.conf.worker_enable_remote_control)
    queues = consumed_queues(app, REPLY_SECONDS) if is_on else {}
    clocks = read_clocks(app, set(queues), offset=offset)
    return WorkerSurvey(has_remote_control=is_on, queues=queues, clocks=clocks)


def consumed_queues(app: Any, timeout_seconds: float) -> dict[str, set[str]]:
    """Return the queues that each worker consumes, for workers that answer within the timeout."""
    replies = app.control.inspect(timeout=timeout_seconds).active_queues() or {}
    return {name: {queue["name"] for queue in queues} for name, queues in replies.items()}


def required_queues(app: Any, settings: Settings) -> dict[str, str]:
    """Return the queues that at least one worker must consume, keyed by the id of the finding."""
    required = {
        "task-queue": _queue_of(app, "mulequeue.generate"),
        "poll-queue": settings.poll_queue,
        "wake-queue": settings.wake_queue,
    }
    for task in ("download", "notify"):
        if (queue := _queue_of(app, f"mulequeue.{task}")) not in required.values():
            required[f"{task}-queue"] = queue
    return required


def unconsumed_queues(app: Any, settings: Settings, consumed: Collection[str]) -> list[str]:
    """Return the required queues that no worker consumes."""
    required = dict.fromkeys(required_queues(app, settings).values())
    return [name for name in required if name not in consumed]


def queue_depths(app: Any, settings: Settings) -> Callable[[], dict[str, int]]:
    """Return a function that reads the number of messages in each required queue from the broker.

    The function returns an empty dict if the broker does not answer.
    """
    names, lock = sorted(set(required_queues(app, settings).values())), threading.Lock()

    def read_depths() -> dict[str, int]:
        try:
            with lock, app.connection_for_read(connect_timeout=3) as connection:
                return {name: _depth(connection, name) for name in names}
        except Exception:
            return {}

    return read_depths


def _depth(connection: Any, name: str) -> int:
    with suppress(*connection.channel_errors), connection.channel() as channel:
        return int(channel.queue_declare(name, passive=True).message_count)
    return 0  # an empty queue may not exist, which is a channel error


def _queue_of(app: Any, task: str) -> str:
    """Return the queue to which the app's routes send a task."""
    queue = app.amqp.router.route({}, task).get("queue")
    return str(getattr(queue, "name", queue))


def read_clocks(
    app: Any, workers: set[str], *, offset: float, clock: Callable[[], float] = time.time
) -> dict[str, float]:
    """Read from its heartbeats how many seconds each worker's clock is ahead of Redis' clock.

    The transport time of a heartbeat, some milliseconds, makes a clock appear behind by as much.

    :param workers: return as soon as all of these have sent a heartbeat, at the latest after three seconds;
        empty: listen for three seconds.
    :param offset: seconds by which this machine's clock is ahead of Redis' clock.
    """
    heard: dict[str, float] = {}

    def hear(body: Any, message: Any) -> None:
        for event in body if isinstance(body, list) else [body]:
            if event.get("type") == "worker-heartbeat":
                heard[event["hostname"]] = float(event["timestamp"]) - (clock() - offset)

    ends = time.monotonic() + HEARTBEAT_SECONDS
    with app.connection_for_read() as connection, connection.channel() as channel:
        receiver = app.events.Receiver(channel, routing_key="worker.#")
        with Consumer(channel, [receiver.queue], callbacks=[hear], no_ack=True, accept=["json"]):
            receiver.wakeup_workers(channel=channel)
            while not (workers and workers <= set(heard)) and time.monotonic() < ends:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.2)
    return heard


def examine_workers(
    app: Any, settings: Settings, survey: WorkerSurvey, command: str
) -> list[Finding]:
    """Check that workers run, that they consume all required queues, and that their clocks agree with Redis'."""
    found = [worker_presence(survey, command, f"{settings.poll_queue},{settings.wake_queue}")]
    if survey.queues:
        consumed = {name for queues in survey.queues.values() for name in queues}
        required = required_queues(app, settings)
        found += [
            queue_consumer(id, name, name in consumed, command) for id, name in required.items()
        ]
    return [*found, worker_clocks(survey)] if survey.queues or survey.clocks else found


def worker_presence(survey: WorkerSurvey, command: str, internal: str) -> Finding:
    """Check that at least one worker runs."""
    names = sorted(survey.queues or survey.clocks)
    workers = f"{format_count(len(names), 'worker')}: {format_list(names)}"
    if survey.queues:
        return passed("workers", workers)
    if survey.has_remote_control and not names:
        fix = f"Start one:\n  {command}"
        return error("workers", "No worker answers, so no task runs.", fix)
    heard = f"Heartbeats of {workers}." if names else "No worker sends heartbeats either."
    why = "remote control is disabled"
    if survey.has_remote_control:
        why += " there, or a solo pool is busy"
    return warning(
        "workers",
        f"The workers' queues are unknown: {why}. {heard}",
        f"Make sure that one of them was started without -Q, or with:\n  {command} -Q {internal}",
    )


def queue_consumer(id: str, queue: str, is_consumed: bool, command: str) -> Finding:
    """Check that at least one worker consumes a queue."""
    if is_consumed:
        return passed(id, f"A worker consumes the queue {queue}.")
    return error(
        id,
        f"No worker consumes the queue {queue}: {_CONSEQUENCES[id]}.",
        f"Start a worker for it, or add it to the -Q of a worker:\n  {command} -Q {queue}",
    )


def worker_clocks(survey: WorkerSurvey) -> Finding:
    """Check that the workers' clocks agree with Redis' clock."""
    if not survey.clocks:
        text = "The workers send no heartbeats, so their clocks are unknown."
        return passed("worker-clocks", text)
    wrong = {name: off for name, off in survey.clocks.items() if abs(off) > SKEW_SECONDS}
    if wrong:
        clocks = format_list([f"{name} ({off:+.1f} s)" for name, off in sorted(wrong.items())])
        return warning(
            "worker-clocks",
            f"Clocks differ from Redis' clock: {clocks}. Status checks run early or late.",
            "Synchronize the clocks of those machines:\n  sudo timedatectl set-ntp true",
        )
    widest = max(abs(off) for off in survey.clocks.values())
    count = format_count(len(survey.clocks), "worker")
    return passed(
        "worker-clocks", f"The clocks of {count} agree with Redis' clock ({widest:.2f} s)."
    )

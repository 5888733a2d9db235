"""The workers: are there any, which queues do they take, and do their clocks agree?"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kombu.messaging import Consumer

from mulequeue.ops.health.check_result import (
    Finding,
    error,
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
"""Workers send one every two seconds, asked or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSurvey:
    """What was seen of the workers."""

    has_remote_control: bool = True
    """Remote control is not switched off in this configuration."""
    queues: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Worker -> the queues it takes, of those that answered."""
    clocks: Mapping[str, float] = field(default_factory=dict)
    """Worker -> seconds its clock is ahead of Redis', of those whose heartbeat was heard."""


def broker(app: Any, timeout_seconds: float) -> Finding:
    """Whether the broker answers."""
    connection = app.connection_for_write(connect_timeout=timeout_seconds)
    url = connection.as_uri(include_password=True)  # masked in the finding
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout_seconds)
    except Exception as exc:
        why = " ".join(str(exc).rstrip(".").split()) or type(exc).__name__
        return error(
            "broker",
            f"The broker at {url} does not answer: {why}.",
            f"Start it, or name another one:\n  {setting_name(app, 'broker_url')} = …",
        )
    finally:
        connection.release()
    return passed("broker", f"It answers: {url}")


def survey_workers(app: Any, *, offset: float = 0.0) -> WorkerSurvey:
    """Ask all workers for their queues, then listen to their heartbeats.

    :param offset: seconds this machine's clock is ahead of Redis'.
    """
    can_ask = bool(app.conf.worker_enable_remote_control)
    replies: Mapping[str, list[Any]] = {}
    if can_ask:
        replies = app.control.inspect(timeout=REPLY_SECONDS).active_queues() or {}
    queues = {name: {queue["name"] for queue in taken} for name, taken in replies.items()}
    clocks = read_clocks(app, set(queues), offset=offset)
    return WorkerSurvey(has_remote_control=can_ask, queues=queues, clocks=clocks)


def read_clocks(
    app: Any, workers: set[str], *, offset: float, clock: Callable[[], float] = time.time
) -> dict[str, float]:
    """Seconds that each worker's wall clock is ahead of Redis', by the time in its heartbeats.

    What a heartbeat takes to arrive counts as being behind: some milliseconds.

    :param workers: it ends when all of these were heard; empty: it listens for three seconds.
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
    app: Any, settings: Settings, seen: WorkerSurvey, command: str
) -> list[Finding]:
    """:param command: how a worker of this app is started, without queues."""
    needed = {
        "task-queue": queue_of(app, "mulequeue.generate"),
        "poll-queue": settings.poll_queue,
        "wake-queue": settings.wake_queue,
    }
    for task in ("download", "notify"):
        if (queue := queue_of(app, f"mulequeue.{task}")) not in needed.values():
            needed[f"{task}-queue"] = queue
    found = [alive(seen, command, f"{settings.poll_queue},{settings.wake_queue}")]
    if seen.queues:
        taken = {name for queues in seen.queues.values() for name in queues}
        found += [takes(id, name, name in taken, command) for id, name in needed.items()]
    return [*found, worker_clocks(seen)] if seen.queues or seen.clocks else found


def queue_of(app: Any, task: str) -> str:
    """Where messages of a task go by the app's own routes."""
    queue = app.amqp.router.route({}, task).get("queue")
    return str(getattr(queue, "name", queue))


def alive(seen: WorkerSurvey, command: str, internal: str) -> Finding:
    """Whether there is any worker.

    :param internal: the two queues that a fleet has to take besides the tasks', with a comma.
    """
    names = sorted(seen.queues or seen.clocks)
    workers = f"{format_count(len(names), 'worker')}: {format_list(names)}"
    if seen.queues:
        return passed("workers", workers)
    unknown = f"See that one of them was started without -Q, or so:\n  {command} -Q {internal}"
    if not seen.has_remote_control:
        text = "Remote control is off, so it cannot be known which queues are taken."
        text += f" Heartbeats of {workers}." if names else " No heartbeat was heard either."
        return warning("workers", text, unknown)
    if names:
        text = f"Heartbeats of {workers}, but no answer: remote control is off there, or a solo "
        return warning("workers", f"{text}pool is busy. Their queues cannot be known.", unknown)
    return error("workers", "No worker answers.", f"Start one:\n  {command}")


def takes(id: str, queue: str, is_taken: bool, command: str) -> Finding:
    """Whether any worker takes a queue."""
    if is_taken:
        return passed(id, f"The queue {queue} is taken.")
    does = {
        "poll-queue": "no generation is checked",
        "wake-queue": "no finished generation goes on",
        "task-queue": "no generation is started",
        "download-queue": "no file is stored, and what was paid expires within hours",
        "notify-queue": "nobody is notified",
    }
    return error(
        id,
        f"No worker takes the queue {queue}: {does[id]}.",
        f"Start one that does, or add it to the -Q of one:\n  {command} -Q {queue}",
    )


def worker_clocks(seen: WorkerSurvey) -> Finding:
    """Whether the workers' clocks agree with Redis', and so with each other."""
    if not seen.clocks:
        text = "The workers send no heartbeats, so their clocks are not known."
        return passed("worker-clocks", text)
    wrong = {name: off for name, off in seen.clocks.items() if abs(off) > SKEW_SECONDS}
    if wrong:
        told = [f"{name} ({off:+.1f} s)" for name, off in sorted(wrong.items())]
        return warning(
            "worker-clocks",
            f"Clocks differ from that of Redis: {format_list(told)}. Checks come early or late.",
            "Let those machines keep time:\n  sudo timedatectl set-ntp true",
        )
    widest = max(abs(off) for off in seen.clocks.values())
    count = format_count(len(seen.clocks), "worker")
    return passed("worker-clocks", f"The clocks of {count} agree with Redis' ({widest:.2f} s).")

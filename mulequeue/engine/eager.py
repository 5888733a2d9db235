"""Run ``generate`` when it is called directly or eagerly: wait for the outcome, without Redis."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

from mulequeue.api import client, status_checks
from mulequeue.api.results import Fetched
from mulequeue.api.status_checks import is_unknown_id, unused_id
from mulequeue.api.terminal_answer import answer_of
from mulequeue.catalog.poll_schedule import backoff_seconds
from mulequeue.engine.generation_request import GenerationRequest
from mulequeue.engine.poll.checker import ProblemLog
from mulequeue.engine.poll.decide import PollAgain, decide, is_unanswered
from mulequeue.engine.submit.create import unconfirmed
from mulequeue.ledger.polling import Due
from mulequeue.ledger.records import Record
from mulequeue.settings import Settings


def generate_inline(
    plan: GenerationRequest, settings: Settings, *, task_id: str, remote_id: str | None = None
) -> Record:
    """Create a generation, wait for its end, and return a record that is stored in no ledger.

    The create request is repeated only if the API did not create a generation.

    :param remote_id: of an existing generation; then no create request is sent.
    :raises InputError: a file of the input cannot be read or encoded.
    """
    return _Generation(plan, settings, task_id, remote_id).record()


@dataclass(slots=True)
class _Generation:
    """A generation that the calling process waits for."""

    plan: GenerationRequest
    settings: Settings
    task_id: str
    remote_id: str | None
    submitted: float = 0.0
    polls: int = 0

    def record(self) -> Record:
        self.submitted = time.time()
        status, answer = self._poll() if self.remote_id else self._submit()
        if status == "timed_out":  # without a ledger there is no record to resume
            error = {"type": "GenerationTimedOut", "title": "Still active when max_wait had passed"}
            answer = {"error": error, **answer}
        plan, may_exist = self.plan, bool(self.remote_id) or status == "submit_unknown"
        return Record(
            task_id=self.task_id,
            state="delivered",
            status=status,
            remote_id=self.remote_id,
            model=plan.model_name,
            label=plan.label,
            profile=plan.profile.name,
            path=plan.path,
            base_url=plan.profile.base_url,
            kind=plan.model.kind,
            metadata=plan.metadata,
            usd=plan.usd_micros,
            day=int(self.submitted // 86400) if may_exist else None,
            submitted=self.submitted,
            finished=time.time(),
            polls=self.polls,
            answer=answer,
        )

    def _submit(self) -> tuple[str, dict[str, Any]]:
        """Create the generation, wait for its end, and return its status and answer."""
        plan, settings = self.plan, self.settings
        body, path, kind = plan.body(settings), plan.model.api_path, plan.model.kind
        gives_up = time.monotonic() + plan.max_wait_seconds
        attempt = 0
        while True:
            self.submitted = time.time()
            answer = client.submit_once(plan.profile, path, body, settings=settings, kind=kind)
            if isinstance(answer, client.Accepted):
                self.remote_id, reply = answer.reply.remote_id, answer.reply
                if reply.state == "active":
                    return self._poll()
                return reply.state, answer_of(reply, plan.model, now=time.time())
            wait = backoff_seconds(attempt, first=2, ceiling=60, chance=random.random())
            if isinstance(answer, client.RetryLater):
                wait = max(wait, answer.retry_after_seconds or 0)
            is_final = isinstance(answer, (client.Refused, client.Unknown))
            is_final = is_final or (isinstance(answer, client.RetryLater) and answer.needs_fix)
            if is_final or time.monotonic() + wait > gives_up:
                status, error = unconfirmed(answer)
                return status, {"error": error}
            time.sleep(wait)
            attempt += 1

    def _poll(self) -> tuple[str, dict[str, Any]]:
        """Wait for the end of the existing generation, and return its status and answer."""
        due = self._first_check()
        wait = self.plan.schedule.seconds(0, random.random())
        problems = ProblemLog()
        while True:
            time.sleep(wait)
            found = self._fetch(due.remote_id)
            now = time.time()
            self.polls += 1
            decision = decide(
                due,
                found,
                now=now,
                chance=random.random(),
                grace_seconds=self.settings.not_found_grace_seconds,
                answers_others=is_unanswered(due, found, now)
                and is_unknown_id(self._fetch(unused_id())),
            )
            if not isinstance(decision, PollAgain):
                return decision.status, decision.answer
            problems.again(due, decision)
            due = due._replace(polls=self.polls, errors=decision.errors, problem=decision.problem)
            wait = max(decision.due - now, 0.0)

    def _fetch(self, remote_id: str) -> Fetched:
        profile, model = self.plan.profile, self.plan.model
        return status_checks.fetch_once(
            profile, model.api_path, remote_id, settings=self.settings, kind=model.kind
        )

    def _first_check(self) -> Due:
        assert self.remote_id is not None
        return Due(
            task_id=self.task_id,
            remote_id=self.remote_id,
            path=self.plan.path,
            profile=self.plan.profile.name,
            polls=0,
            errors=0,
            interval=self.plan.interval,
            submitted=self.submitted,
            started=self.submitted,
            deadline=self.submitted + self.plan.max_wait_seconds,
        )

"""Celery signals that mulequeue sends; connect to them as to Celery's own.

All but the last are sent in the worker, inside of the task that they are about. A receiver that
raises is logged and harms nothing. After a crash a signal may come twice or not at all: what must
not be missed is read from the ledger (``mulequeue.status``).

=======================  ==================================================================
``generation_parked``    its task sleeps in the ledger: submitted, or waiting to be. Sender: the
                         task. ``task_id``, ``plan`` (:class:`mulequeue.engine.generation_request.GenerationRequest`: model, input, …)
``generation_settled``   its task was woken and returns or raises next. Sender: the task.
                         ``task_id``, ``outcome`` (:class:`mulequeue.outcome.Outcome`)
``files_stored``         ``download`` stored its files. Sender: the task. ``task_id`` of the
                         generation, ``files`` (:class:`mulequeue.outcome.File`)
``balance_low``          the API's account runs low. Sent where webhooks arrive; sender: the app.
                         ``event``: the webhook's JSON
=======================  ==================================================================
"""

from __future__ import annotations

from celery.utils.dispatch import Signal

generation_parked = Signal(name="mulequeue_generation_parked", providing_args={"task_id", "plan"})
generation_settled = Signal(
    name="mulequeue_generation_settled", providing_args={"task_id", "outcome"}
)
files_stored = Signal(name="mulequeue_files_stored", providing_args={"task_id", "files"})
balance_low = Signal(name="mulequeue_balance_low", providing_args={"event"})

"""Celery signals that mulequeue sends; connect to them as to Celery's signals.

A worker sends each signal except ``balance_low``, inside the task that the signal concerns. An exception in a
receiver is logged and has no other effect. After a crash a signal may be sent twice or not at all; the ledger
has the reliable state (``mulequeue.status``).

=======================  ==================================================================
``generation_parked``    the task is parked in the ledger, submitted or waiting. Sender: the
                         task. ``task_id``, ``plan`` (:class:`mulequeue.engine.generation_request.GenerationRequest`: model, input, …;
                         None if it waits again because its input or its profile has become invalid)
``generation_settled``   the task was woken and now returns or raises. Sender: the task.
                         ``task_id``, ``outcome`` (:class:`mulequeue.outcome.Outcome`)
``files_stored``         ``download`` stored its files. Sender: the task. ``task_id`` of the
                         generation, ``files`` (:class:`mulequeue.outcome.File`)
``balance_low``          a webhook reports that the account's balance is low. Sent in the process that
                         receives the webhook. Sender: the app. ``event``: the webhook's JSON
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

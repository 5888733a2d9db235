"""Celery signals that mulequeue sends; connect to them as to Celery's own.

A receiver that raises is logged and harms nothing. After a crash a signal may come twice or not at
all: what must not be missed is read from the ledger (``mulequeue.status``).

====================  ======================================================================
``balance_low``       the API's account runs low. Sent where webhooks arrive; sender: the app.
                      ``event``: the webhook's JSON
====================  ======================================================================
"""

from __future__ import annotations

from celery.utils.dispatch import Signal

balance_low = Signal(name="mulequeue_balance_low", providing_args={"event"})

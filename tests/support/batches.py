"""Batches as the ledger tells of them."""

from __future__ import annotations

from mulequeue.ledger import Batch


def batch(size: int, *, downloaded: int = 0, **counts: int) -> Batch:
    """One of ``size`` members, so many of them in each state."""
    return Batch(batch_id="b", size=size, counts=counts, files=downloaded, downloaded=downloaded)

"""The line of claimed records that the workers of a sweep take from."""

from __future__ import annotations

import asyncio

from mulequeue.engine.poll.claim_queue import ClaimQueue
from mulequeue.ledger import Due


def dues(*names: str) -> list[Due]:
    return [Due(name, name, "a/b", "default", 0, 0, None, 0.0, 0.0, 9.0) for name in names]


def test_records_are_taken_in_the_order_of_their_claims():
    """A worker gets the records one by one, each with the round of its claim, and then nothing."""

    async def run():
        queue = ClaimQueue(low=0)
        queue.add("first", dues("a", "b"))
        queue.add("second", dues("c"))
        queue.close()
        return [
            (found[0].token, found[1].task_id) for found in [await queue.get() for _ in "abc"]
        ], (await queue.get())

    assert ([("first", "a"), ("first", "b"), ("second", "c")], None) == asyncio.run(run())


def test_a_worker_waits_for_the_next_claim():
    """An idle worker is waked by the next claim, and sent home when there will be none."""

    async def run():
        queue = ClaimQueue(low=0)
        workers = [asyncio.create_task(queue.get()) for _ in range(3)]
        await asyncio.sleep(0)
        queue.add("t", dues("a"))
        (first,) = (await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED))[0]
        queue.close()
        return first.result()[1].task_id, [
            await worker for worker in workers if worker is not first
        ]

    assert ("a", [None, None]) == asyncio.run(run())


def test_it_runs_low_before_it_is_empty():
    """The next claim is asked for while some records still wait, and not before."""

    async def run():
        queue = ClaimQueue(low=1)
        said = [await queue.wait_until_low(0)]
        queue.add("t", dues("a", "b", "c"))
        for _ in range(2):
            said.append(await queue.wait_until_low(0))
            await queue.get()
        return [*said, await queue.wait_until_low(0)]

    assert [True, False, False, True] == asyncio.run(run())


def test_what_nobody_took_is_given_back():
    """At the end of a sweep the records that no worker took come back with their rounds."""

    async def run():
        queue = ClaimQueue(low=0)
        queue.add("t", dues("a", "b"))
        await queue.get()
        left = queue.drain()
        queue.close()
        return [(batch.token, due.task_id) for batch, due in left], await queue.get()

    assert ([("t", "b")], None) == asyncio.run(run())

"""Sweeps beside the one that holds the lease, while it does not keep up."""

from __future__ import annotations

from support.ledger_world import World

from mulequeue.ledger import PollMessage
from mulequeue.ledger.poll_message import MAX_HELPERS


def ended_behind(world: World) -> PollMessage:
    """The next poll message after a sweep; something is still due."""
    if not world.everything():
        world.generating("t")
    world.clock += 10
    message = world.ledger.check_overdue()
    assert message is not None
    world.ledger.begin_sweep(message.token)
    following = world.ledger.end_sweep(message.token, gap_seconds=0)
    assert following is not None
    return following


def called(world: World, following: PollMessage) -> str:
    helper = world.ledger.request_helper(following)
    assert helper is not None
    return helper.token


def test_helpers_are_called_up_to_a_limit(world: World) -> None:
    """Each sweep that ended behind calls one more helper, until all slots are taken."""
    following = ended_behind(world)

    helpers = [world.ledger.request_helper(following) for _ in range(MAX_HELPERS + 1)]

    assert [True] * MAX_HELPERS + [False] == [helper is not None for helper in helpers]


def test_only_who_ended_the_sweep_calls(world: World) -> None:
    """Once the next poll message is another one, nobody is called on behalf of the last sweep."""
    following = ended_behind(world)
    assert world.ledger.begin_sweep(following.token)

    assert world.ledger.request_helper(following) is None


def test_a_helper_sweeps_beside_the_lease(world: World) -> None:
    """A helper joins while a sweep runs, once, and the lease stays with its holder."""
    following = ended_behind(world)
    helper = called(world, following)
    world.ledger.begin_sweep(following.token)

    assert world.ledger.begin_helper(helper)
    assert not world.ledger.begin_helper(helper)  # the same message once more
    assert world.ledger.renew_sweep(following.token)
    assert not world.ledger.begin_helper("helper:unknown")


def test_a_helper_that_nobody_took_at_once_does_not_join(world: World) -> None:
    """A message that waited for a second found no free process: it ends, and its slot is free."""
    following = ended_behind(world)
    helper = called(world, following)

    world.clock += 1

    assert not world.ledger.begin_helper(helper)
    assert all(world.ledger.request_helper(following) for _ in range(MAX_HELPERS))


def test_a_helper_goes_on_while_there_is_a_backlog(world: World) -> None:
    """It comes back under its own token as long as it is behind, and then leaves its slot."""
    following = ended_behind(world)
    helper = called(world, following)
    world.ledger.begin_helper(helper)
    again = world.ledger.end_helper(helper, is_behind=True)

    assert again is not None
    assert helper == again.token
    assert world.ledger.begin_helper(helper)
    assert world.ledger.end_helper(helper, is_behind=False) is None
    assert not world.ledger.begin_helper(helper)


def test_the_slot_of_a_dead_helper_is_free_again(world: World) -> None:
    """A helper that never leaves holds its slot for five seconds."""
    following = ended_behind(world)
    helpers = [called(world, following) for _ in range(MAX_HELPERS)]
    world.ledger.begin_helper(helpers[0])

    world.clock += 4
    assert world.ledger.request_helper(following) is not None
    assert world.ledger.request_helper(following) is not None
    assert world.ledger.request_helper(following) is None
    world.clock += 1.1
    assert world.ledger.request_helper(following) is not None

"""Calls to the API from a thread with a running event loop, and from greenlets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

import pytest
from support.api_calls import ID, PATH, PENDING, profile_of, submit
from support.raw_server import http, raw_server

from mulequeue.api import client, parsing, status_checks
from mulequeue.settings import Settings


def test_it_works_beside_a_running_loop():
    """The synchronous calls also work in a thread that runs an event loop."""
    with raw_server(http("202 Accepted", PENDING)) as server:

        async def inside():
            checked = status_checks.fetch_once(
                profile_of(server.url), PATH, ID, settings=Settings()
            )
            return submit(server.url), checked

        sent, fetched = asyncio.run(inside())

    assert isinstance(sent, client.Accepted)
    assert isinstance(fetched, parsing.TaskReply)


def test_it_works_in_greenlets():
    """Greenlets of one gevent process submit and fetch at the same time."""
    pytest.importorskip("gevent", reason="gevent is not installed: pip install gevent")
    program = textwrap.dedent(
        """
        from gevent import monkey; monkey.patch_all()
        import sys, gevent
        from mulequeue.api import client, status_checks
        from mulequeue.settings import Profile, Settings
        p = Profile(name="default", base_url=sys.argv[1], api_key="sk-mr-1")
        def one(number):
            sent = client.submit_once(p, "/v1/x", {"n": number}, settings=Settings())
            got = status_checks.fetch_once(p, "/v1/x", sent.reply.remote_id, settings=Settings())
            return type(sent).__name__, got.state
        jobs = [gevent.spawn(one, number) for number in range(20)]
        gevent.joinall(jobs, raise_error=True)
        print({job.value for job in jobs})
        """
    )
    with raw_server(http("202 Accepted", PENDING)) as server:
        done = subprocess.run(
            [sys.executable, "-c", program, server.url], capture_output=True, text=True, timeout=60
        )

    assert "{('Accepted', 'active')}" == done.stdout.strip(), done.stderr
    assert 40 == len(server.requests)

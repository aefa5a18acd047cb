"""One shell of Provost's works on a host at a time."""

import asyncio

import pytest

from provost import engine
from provost.core.errors import Unreachable
from provost.core.model import Status
from provost.core.secrets import Password

pytestmark = pytest.mark.lab

SECRET = Password("a good deal of entropy 1")


@pytest.mark.parametrize("kind", ["host", "busybox_host"])
async def test_who_does_nothing_gives_way(kind, request, aim_at, connect, push, log_in):
    """A server that hangs or lost its power keeps no host: its shell is ended, and does nothing any more."""
    host = request.getfixturevalue(kind)
    asleep = await connect(aim_at(host))
    outcome = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert outcome.status is Status.SUCCEEDED, outcome
    assert await log_in(host, "alice", SECRET)
    with pytest.raises(Unreachable, match="ended"):
        await asleep.observe(["alice"])


async def test_who_works_is_waited_for(host, aim_at, push):
    """A shell whose program takes its time is at work, and is not disturbed."""
    host.run(
        "mv /usr/sbin/useradd /usr/sbin/real; cat >/usr/sbin/useradd; chmod 755 /usr/sbin/useradd",
        stdin='#!/bin/sh\nsleep 14\nexec real "$@"\n',
    )
    slow = asyncio.create_task(push(aim_at(host), "alice", secret=SECRET))
    await asyncio.to_thread(host.run, "until [ -L /run/provost.pid ]; do sleep 0.05; done; sleep 0.3")
    late = (await push(aim_at(host), "bob", secret=SECRET, limits=engine.Limits(attempts=1)))["bob"]
    assert (late.status, late.reason) == (Status.FAILED, "host_busy"), late
    assert (await slow)["alice"].status is Status.SUCCEEDED

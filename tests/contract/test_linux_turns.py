"""One shell of Provost's works on a host at a time."""

import asyncio

import pytest

from provost import engine
from provost.core.errors import Unreachable
from provost.core.model import Status
from provost.core.secrets import Password

pytestmark = pytest.mark.lab

SECRET = Password("a good deal of entropy 1")
ONCE = engine.Limits(attempts=1)


@pytest.mark.parametrize("kind", ["host", "busybox_host"])
async def test_a_server_that_hangs_gives_way(kind, request, aim_at, connect, push, log_in):
    """A shell that hears nothing is ended by whoever comes next; of two that wait, neither ends the other."""
    host = request.getfixturevalue(kind)
    asleep = await connect(aim_at(host))
    asleep._shell._pulse.cancel()
    pushes = [push(aim_at(host), name, secret=SECRET, limits=ONCE) for name in ("alice", "bob")]
    for outcomes in await asyncio.gather(*pushes):
        [outcome] = outcomes.values()
        assert outcome.status is Status.SUCCEEDED, outcome
        assert await log_in(host, outcome.username, SECRET)
    with pytest.raises(Unreachable, match="ended"):
        await asleep.observe(["alice"])


async def test_a_server_that_thinks_is_waited_for(host, aim_at, connect, push):
    """A server that is there, and has nothing to do on the host for a while, keeps its shell."""
    session = await connect(aim_at(host))
    late = (await push(aim_at(host), "bob", secret=SECRET, limits=ONCE))["bob"]
    assert (late.status, late.reason) == (Status.FAILED, "host_busy"), late
    assert len(await session.observe(["alice"])) == 1


async def test_a_program_that_takes_its_time_is_waited_for(host, aim_at, push):
    """A shell whose program does nothing itself is at work, and is not disturbed."""
    host.run(
        "mv /usr/sbin/useradd /usr/sbin/real; cat >/usr/sbin/useradd; chmod 755 /usr/sbin/useradd",
        stdin='#!/bin/sh\nmkfifo /run/gate\nread -r _ </run/gate\nexec real "$@"\n',
    )
    slow = asyncio.create_task(push(aim_at(host), "alice", secret=SECRET))
    await asyncio.to_thread(host.run, "until [ -p /run/gate ]; do sleep 0.05; done")
    late = (await push(aim_at(host), "bob", secret=SECRET, limits=ONCE))["bob"]
    assert (late.status, late.reason) == (Status.FAILED, "host_busy"), late
    await asyncio.to_thread(host.run, "echo >/run/gate")
    assert (await slow)["alice"].status is Status.SUCCEEDED

"""The cases of provost/conformance/table.yaml, through the engine, on targets in memory."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from uuid import uuid4

import asyncssh
import pytest
import yaml

from provost import conformance, engine
from provost.connectors.memory import Account, Host, MemoryConnector, Parameters
from provost.core.job import Job, Login, Outcome, Staged, Target, Wanted
from provost.core.model import SecretType
from provost.core.secrets import Password, Secret, SshKey

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(conformance.__file__).with_name("table.yaml")).read_text(encoding="utf-8")
)["cases"]


def make_secret(secret_type: SecretType) -> Secret:
    if secret_type is SecretType.PASSWORD:
        return Password(token_urlsafe())
    key = asyncssh.generate_private_key("ssh-ed25519")
    public = b" ".join(key.export_public_key().split()[:2]).decode()
    return SshKey(public, key.export_private_key().decode())


async def push(job: Job, connector: MemoryConnector) -> Outcome:
    async def give() -> AsyncIterator[Job]:
        yield job

    events = engine.run(give(), {"memory": connector}, engine.Limits(), asyncio.Event())
    settled = [event async for event in events if isinstance(event, engine.Settled)]
    [outcome] = settled[0].outcomes
    return outcome


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(str(value) for value in case.values()))
async def test_case(case: dict[str, Any]) -> None:
    """One cell: the decision, the status, what is on the target afterwards, and what the list is to hold."""
    secret_type = SecretType(case["secret_type"])
    old, listed, new = (make_secret(secret_type) for _ in range(3))
    host = Host()
    if case["on_target"]:
        account = host.accounts["app"] = Account()
        account.set_secret(old)
        account.managed.clear()
    staged = () if case["in_list"] else (Staged(uuid4(), new, fresh=True),)
    job = Job(
        Target(1, "host-1", "memory", "10.0.0.1", 0, (Login("root", Password("root's")),)),
        (Wanted("app", secret_type, listed if case["in_list"] else None, staged),),
        Parameters(),
    )

    outcome = await push(job, MemoryConnector({"10.0.0.1": host}))

    assert (outcome.decision, outcome.status) == (case["decision"], case["status"])
    assert (outcome.settled is not None) == (case["list_holds"] == "new")
    stored = new if outcome.settled else listed
    assert host.accounts["app"].accept(stored) is case["stored_works"]
    if case["old_works"] is not None:
        assert host.accounts["app"].accept(old) is case["old_works"]

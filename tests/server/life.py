"""Accounts on hosts in memory, for tests of what becomes of them in time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from provost.connectors import memory
from provost.core.model import SecretType
from provost.core.push import PushSpec
from provost.core.rights import make_local
from provost.core.secrets import Password

BY = make_local("tester")


def add_asset(name: str, *nodes: str, privileged: bool = True) -> Any:
    """Add an asset of the kind memory, with a privileged account unless told otherwise."""
    from provost.server.services import assets
    from provost.server.services.checks import AssetFields

    asset = assets.add_asset(by=BY, fields=AssetFields(name, "memory", name, nodes=nodes or ("/all",)))
    if privileged:
        add_account("root", name, privileged=True)
    return asset


def add_account(username: str, asset: str, *, privileged: bool = False) -> Any:
    from provost.server.services import accounts
    from provost.server.services.checks import AccountFields

    fields = AccountFields(username, asset, privileged=privileged)
    return accounts.add_account(by=BY, fields=fields, secret=Password(f"hush of {username}"))


def push(*usernames: str, asset: str = "db1", **fields: Any) -> dict[str, str]:
    spec = PushSpec(assets=(asset,), usernames=usernames, secret_type=SecretType.PASSWORD, **fields)
    return do(spec)


def do(spec: Any, **fields: Any) -> dict[str, str]:
    """Do what a spec says, and return how it went, by username."""
    from provost.server.services.runs import create_run

    return work_off(create_run(by=BY, spec=spec, **fields))


def work_off(run: Any) -> dict[str, str]:
    from provost.server.services.execution import Control, execute

    asyncio.run(execute(run=run, control=Control(), observe=lambda _: None))
    return {one.username: str(one.reason or one.status) for one in run.records.all()}


def find(username: str, asset: str = "db1") -> Any:
    from provost.server.models import Account

    return Account.objects.select_related("asset").get(username=username, asset__name=asset)


def is_there(username: str, asset: str = "db1") -> bool:
    return username in memory.HOSTS[asset].accounts


def later(**span: float) -> datetime:
    return datetime.now(UTC) + timedelta(**span)

"""Disabling, enabling and removing accounts."""

import asyncio
from typing import Final

from provost.connectors.mysql.dialects import Account
from provost.connectors.mysql.hosts import Claim, attribute, read_listed
from provost.connectors.mysql.parameters import Definers, MysqlRemoval
from provost.connectors.mysql.server import PROTECTED, Server, write_account
from provost.connectors.mysql.wire import Answer
from provost.core.connector import Removal, check_expendable, expect
from provost.core.errors import ChangeRefused, ChangeUnknown, LookupFailed

_LOOKS: Final = 25
_PAUSE: Final = 0.2
"""How often, and every how many seconds, it is looked whether connections are gone."""

_NAMED: Final = 10
"""How many stored objects a message names."""

_NO_THREAD: Final = 1094
_DEFINER: Final = 4006


async def disable(server: Server, account: Account) -> str:
    """Lock an account, and end its connections."""
    _check_expendable(server, account)
    if await server.find(account):
        await server.tell("disable_refused", "ALTER USER %s@%s ACCOUNT LOCK", *account)
        await _end_connections(server, account)
    return ""


async def enable(server: Server, account: Account) -> str:
    """Unlock an account."""
    row = await server.find(account)
    if row is not None and row.unfinished:
        raise ChangeRefused(
            f"The creation of {write_account(account)} on {server.asset} was cut off. Push it.",
            code="enable_refused",
        )
    if row is not None:
        await server.tell("enable_refused", "ALTER USER %s@%s ACCOUNT UNLOCK", *account)
    return ""


async def remove(server: Server, account: Account, removal: Removal) -> str:
    """Drop an account, and end its connections; of one that is not there, what an earlier removal left."""
    parameters = expect(removal.parameters, MysqlRemoval)
    _check_expendable(server, account)
    if await server.find(account):
        if parameters.definers is Definers.REFUSE:
            await _check_definers(server, account)
        try:
            await server.wire.ask("DROP USER %s@%s", *account)
        except Answer as answer:
            code = "objects_depend" if answer.number == _DEFINER else "change_refused"
            raise server.explain(answer, code) from answer
    await _end_connections(server, account)
    return ""


def _check_expendable(server: Server, account: Account) -> None:
    acts = account == server.acting
    check_expendable(account[0], server.asset, acts=acts, needed=account[0] in PROTECTED)
    lacking = sorted({"PROCESS", "CONNECTION ADMIN"} - server.rights)
    if lacking and "SUPER" not in server.rights:
        raise ChangeRefused(
            f"{server.acting[0]} could not end connections on {server.asset}, so nothing was changed. Grant it "
            f"{' and '.join(lacking)} ON *.* (on MySQL CONNECTION_ADMIN).",
            code="rights_missing",
        )


async def _check_definers(server: Server, account: Account) -> None:
    found = []
    for what, statement in server.dialect.definers:
        found += [f"{what} {one}" for (one,) in await server.look(statement, "{}@{}".format(*account))]
    if found:
        named = ", ".join(found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise ChangeRefused(
            f"Stored objects on {server.asset} run as {write_account(account)}, and would fail without it: "
            f"{named}{more}. Give them another definer, or remove with definers=leave.",
            code="objects_depend",
        )


async def _end_connections(server: Server, account: Account) -> None:
    """End an account's connections; nobody new gets in by now.

    Raises:
        ChangeUnknown: some go on, or may be those of another account of this username.
    """
    try:
        left = await _kill_all(server, account)
    except LookupFailed as error:
        left = error.message
    if left:
        raise ChangeUnknown(
            f"{write_account(account)} is let in no more on {server.asset}; {left}.", code="processes_left"
        )


async def _kill_all(server: Server, account: Account) -> str:
    """Return what goes on all the same."""
    rivals = await server.list_rivals(account)
    statement = "SELECT ID, HOST FROM information_schema.PROCESSLIST WHERE USER = %s"
    for _ in range(_LOOKS):
        found = await server.look(statement, account[0])
        clients = {number: read_listed(host) for number, host in found}
        claims = {number: attribute(account[1], rivals, client) for number, client in clients.items()}
        ours = [number for number, claim in claims.items() if claim is Claim.OURS]
        if not ours:
            break
        for number in ours:
            try:
                await server.wire.ask("KILL CONNECTION %s", number)
            except Answer as answer:
                if answer.number != _NO_THREAD:
                    return f"a connection goes on: {answer}"
        await asyncio.sleep(_PAUSE)
    if ours:
        return f"{len(ours)} of its connections go on"
    unsure = sorted({clients[number].host for number, claim in claims.items() if claim is Claim.UNSURE})
    if unsure:
        return f"connections from {', '.join(unsure)} may be its own or those of another {account[0]}"
    return ""

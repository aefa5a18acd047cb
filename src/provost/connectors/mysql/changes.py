"""Creating and adopting accounts."""

from collections.abc import Sequence

from provost.connectors.mysql.dialects import Account, Clause, Ways
from provost.connectors.mysql.parameters import MysqlParameters, read_grant
from provost.connectors.mysql.server import CANNOT, Server, write_account
from provost.connectors.mysql.wire import Answer
from provost.core.connector import Change, expect
from provost.core.errors import ChangeRefused, ChangeUnknown
from provost.core.secrets import Password


async def create(server: Server, account: Account, change: Change) -> str:
    """Create an account by one statement.

    One that gets roles or grants as well is created locked, with a mark in the place of its verifier, and gets
    the verifier last: until then it is unfinished, and another push continues it.
    """
    parameters = expect(change.parameters, MysqlParameters)
    ways = _renew(server, (), change, parameters)
    attributes, values = _describe_attributes(parameters)
    grants = _list_grants(server, parameters, account)
    if grants:
        marked, mark = server.dialect.mark()
        is_whole = not await _begin(server, account, f"{marked} ACCOUNT LOCK", mark)
    else:
        identified, verifier = server.dialect.identify(ways)
        is_whole = await _begin(server, account, f"{identified} {attributes}", (*verifier, *values))
    if grants or not is_whole:
        await _finish(server, account, grants, ways, (attributes, values))
    return ""


async def _begin(server: Server, account: Account, clauses: str, values: Sequence[object]) -> bool:
    """Create an account; False: it is there already, unfinished.

    Raises:
        ChangeRefused: the server refused it, or somebody else's account is there.
    """
    try:
        await server.wire.ask(f"CREATE USER %s@%s {clauses}", *account, *values)
    except Answer as answer:
        row = await server.find(account) if answer.number == CANNOT else None
        if row is None:
            raise server.explain(answer, "create_refused") from answer
        if row.unfinished:
            return False
        raise ChangeRefused(
            f"{write_account(account)} has appeared on {server.asset} since it was looked for. Push again.",
            code="appeared",
        ) from answer
    return True


async def _finish(
    server: Server, account: Account, grants: Sequence[Clause], ways: Ways, attributes: Clause
) -> None:
    """Give an account its grants, and then its verifier; one that the server refuses either is dropped."""
    identified, verifier = server.dialect.identify(ways)
    statement = f"ALTER USER %s@%s {identified} {attributes[0]} ACCOUNT UNLOCK"
    try:
        await _give(server, grants)
        await server.tell("create_refused", statement, *account, *verifier, *attributes[1])
    except ChangeRefused as refusal:
        try:
            await server.wire.ask("DROP USER %s@%s", *account)
        except Answer as answer:
            raise ChangeRefused(
                f"{refusal.message} {write_account(account)} is locked, and could not be dropped: {answer}.",
                code="cleanup_failed",
            ) from answer
        raise


async def adopt(server: Server, account: Account, change: Change) -> str:
    """Set a password on an account that is there, in the place of the one that it has."""
    parameters = expect(change.parameters, MysqlParameters)
    found = await server.look(f"{server.dialect.ways}User = %s AND Host = %s", *account)
    if not found:
        raise ChangeRefused(
            f"{write_account(account)} is not on {server.asset} any more.", code="account_absent"
        )
    old = server.dialect.read_ways(found[0])
    ways = _renew(server, old, change, parameters)
    identified, verifier = server.dialect.identify(ways)
    statement = f"ALTER USER %s@%s {identified}"
    grants = _list_grants(server, parameters, account) if parameters.update_existing_grants else []
    given = False
    try:
        for clause in grants:
            await _give(server, [clause])
            given = True
        await server.tell("password_refused", statement, *account, *verifier)
    except ChangeRefused as refusal:
        if not given:
            raise
        raise ChangeUnknown(
            f"{refusal.message} {write_account(account)} has its old password, and keeps what it was "
            "granted before that.",
            code=refusal.code,
        ) from refusal
    lost = sorted({name for name, _ in old} - {name for name, _ in ways})
    return f"It logged in by {', '.join(lost)} before, and does no more." if lost else ""


def _renew(server: Server, ways: Ways, change: Change, parameters: MysqlParameters) -> Ways:
    return server.dialect.renew(ways, parameters.plugin.plugin, expect(change.secret, Password).text)


def _describe_attributes(parameters: MysqlParameters) -> Clause:
    limits = {
        "MAX_QUERIES_PER_HOUR %s": parameters.max_queries_per_hour,
        "MAX_UPDATES_PER_HOUR %s": parameters.max_updates_per_hour,
        "MAX_CONNECTIONS_PER_HOUR %s": parameters.max_connections_per_hour,
        "MAX_USER_CONNECTIONS %s": parameters.max_user_connections,
    }
    limits = {words: limit for words, limit in limits.items() if limit is not None}
    require = "REQUIRE SSL" if parameters.require_tls else ""
    return f"{require} {'WITH' if limits else ''} {' '.join(limits)}", tuple(limits.values())


def _list_grants(server: Server, parameters: MysqlParameters, account: Account) -> list[Clause]:
    clauses: list[Clause] = [("GRANT %s TO %s@%s", (role, *account)) for role in parameters.roles]
    clauses += [server.dialect.grant(read_grant(text), account) for text in parameters.grants]
    if parameters.default_role is not None:
        clauses.append(server.dialect.set_default_role(parameters.default_role, account))
    return clauses


async def _give(server: Server, grants: Sequence[Clause]) -> None:
    for statement, values in grants:
        await server.tell("grant_refused", statement, *values)

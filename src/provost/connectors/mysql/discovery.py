"""What accounts there are, and what they can do."""

from collections import defaultdict
from collections.abc import Sequence

from provost.connectors.mysql.dialects import Account, Row
from provost.connectors.mysql.server import PROTECTED, Server, write_account
from provost.core.facts import Facts


async def discover(server: Server, host: str) -> list[Facts]:
    """Tell of the accounts with a host pattern, and of the one that acts."""
    condition = "User <> '' AND (Host = %s OR (User = %s AND Host = %s))"
    rows = await server.list_rows(condition, host, *server.acting)
    rights: defaultdict[str, set[str]] = defaultdict(set)
    statement = "SELECT GRANTEE, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES"
    for grantee, right, grantable in await server.look(statement):
        rights[grantee] |= {right} - {"USAGE"}
        if grantable == "YES":
            rights[grantee].add("GRANT OPTION")
    roles: defaultdict[Account, list[str]] = defaultdict(list)
    for username, holder, role in await server.look(server.dialect.roles):
        roles[username, holder].append(role)
    [(lifetime,)] = await server.look("SELECT @@default_password_lifetime")
    return [
        _describe(row, rights[write_account(row.account)], roles[row.account], lifetime)
        for row in rows
        if row.account == server.acting or row.account[0] != server.acting[0]
    ]


def _describe(row: Row, rights: set[str], roles: Sequence[str], lifetime: int) -> Facts:
    return Facts(
        username=row.account[0],
        groups=tuple(sorted(roles)),
        system=row.account[0] in PROTECTED,
        can_log_in=not (row.locked or row.unfinished),
        locked=row.locked,
        superuser={"SUPER", "GRANT OPTION"} <= rights,
        privileges=tuple(sorted(rights)),
        password_changed=row.changed.date() if row.changed else None,
        password_expires=row.tell_expiry(lifetime),
    )

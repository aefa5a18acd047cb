"""What MariaDB and MySQL do each in their own way: their tables of accounts, and their words."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from provost.connectors.mysql.parameters import Grant
from provost.connectors.mysql.verifiers import UNFINISHED, Plugin, make_verifier

Account = tuple[str, str]
"""A username and a host pattern, which together name an account."""
Clause = tuple[str, tuple[object, ...]]
"""A part of a statement, and the values that the driver binds in it."""
Ways = tuple[tuple[str, str], ...]
"""The plugins that let an account in, each with what the server keeps for it."""

_NEVER: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Row:
    """An account as the server's tables hold it, without its verifiers.

    `lifetime` is that of its password in days (None: the server's).
    """

    account: Account
    unfinished: bool
    locked: bool
    expired: bool
    tls: str
    changed: datetime | None
    lifetime: int | None

    @property
    def needs_certificate(self) -> bool:
        """Whether it is let in with a certificate of its own alone, which Provost has none of."""
        return self.tls in {"X509", "SPECIFIED"}

    def tell_expiry(self, default: int) -> date | None:
        """Return the day from which on the password must be changed; None: never."""
        if self.expired:
            return self.changed.date() if self.changed else _NEVER
        days = default if self.lifetime is None else self.lifetime
        return (self.changed + timedelta(days=days)).date() if days and self.changed else None


class Dialect(ABC):
    """One of the two servers."""

    plugin: Plugin
    """How an account logs in by default."""
    plugins: frozenset[str]
    """The plugins whose verifiers Provost can make for it."""
    sql_mode: str
    """The mode for a session: what is quoted is quoted as the driver does, and GRANT creates nobody."""
    rows: str
    """Reads accounts as `Row`s: its first value is `unfinished`, and a condition on User and Host is added."""
    ways: str
    """Reads accounts with what `read_ways` needs."""
    roles: str
    """Reads who (username, host) has which role."""
    definers: tuple[tuple[str, str], ...]
    """What may run as an account, and the statement that finds it by `user@host`."""

    @property
    def unfinished(self) -> str:
        """What an account has for a verifier until it is finished."""
        return UNFINISHED[self.plugin]

    @abstractmethod
    def read_row(self, found: Sequence[Any]) -> Row:
        """Return what `rows` has read."""

    @abstractmethod
    def read_ways(self, found: Sequence[Any]) -> Ways:
        """Return what `ways` has read."""

    @abstractmethod
    def identify(self, ways: Ways) -> Clause:
        """Return the clause that says how an account logs in."""

    @abstractmethod
    def set_default_role(self, role: str, account: Account) -> Clause:
        """Return the statement that puts a role in force from each login on."""

    @abstractmethod
    def quote_database(self, database: str) -> str:
        """Return the name of a database as a grant has it, where _ and % may stand for others."""

    def renew(self, ways: Ways, choice: Plugin | None, password: str) -> Ways:
        """Return the ways of an account with a new password, in place of the old one."""
        mine = [name for name, _ in ways if name in self.plugins]
        plugin = choice or Plugin(mine[0] if mine else self.plugin)
        place = next((at for at, (name, _) in enumerate(ways) if _is_by_password(name)), len(ways))
        before = tuple(way for way in ways[:place] if not _is_by_password(way[0]))
        after = tuple(way for way in ways[place:] if not _is_by_password(way[0]))
        return (*before, (plugin.value, make_verifier(plugin, password)), *after)

    def mark(self) -> Clause:
        """Return the clause for an account that is not finished: no password fits it."""
        return self.identify(((self.plugin.value, self.unfinished),))

    def grant(self, grant: Grant, account: Account) -> Clause:
        """Return the statement for a grant. Its names were checked: nothing in them could end the quotes."""
        whole = grant.table == "*"
        database = self.quote_database(grant.database) if whole else grant.database
        table = "*" if whole else f"`{grant.table}`"
        return f"GRANT {', '.join(grant.privileges)} ON `{database}`.{table} TO %s@%s", account


class MariaDb(Dialect):
    """MariaDB from 10.4 on."""

    plugin = Plugin.NATIVE
    plugins = frozenset({Plugin.NATIVE, Plugin.ED25519})
    sql_mode = "NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION"
    rows = (
        "SELECT User, Host, JSON_VALUE(Priv, '$.authentication_string') = %s, "
        "JSON_VALUE(Priv, '$.account_locked'), JSON_VALUE(Priv, '$.ssl_type'), "
        "JSON_VALUE(Priv, '$.password_last_changed'), JSON_VALUE(Priv, '$.password_lifetime') "
        "FROM mysql.global_priv WHERE COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) = 0 AND "
    )
    ways = "SELECT User, Host, Priv FROM mysql.global_priv WHERE "
    roles = "SELECT User, Host, Role FROM mysql.roles_mapping"
    definers = (
        (
            "view",
            "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.views WHERE definer = %s",
        ),
        ("routine", "SELECT CONCAT(db, '.', name) FROM mysql.proc WHERE definer = %s"),
        ("event", "SELECT CONCAT(db, '.', name) FROM mysql.event WHERE definer = %s"),
        (
            "trigger",
            (
                "SELECT CONCAT(trigger_schema, '.', trigger_name) FROM information_schema.triggers "
                "WHERE definer = %s"
            ),
        ),
    )
    _TLS: Final = ("", "ANY", "X509", "SPECIFIED")

    def read_row(self, found: Sequence[Any]) -> Row:
        """Return what `rows` has read: values of JSON, as text."""
        username, host, unfinished, locked, tls, changed, lifetime = found
        seconds = None if changed is None else int(changed)
        return Row(
            account=(username, host),
            unfinished=bool(unfinished),
            locked=locked in {"1", "true"},
            expired=seconds == 0,
            tls=self._TLS[int(tls or 0)],
            changed=datetime.fromtimestamp(seconds, UTC) if seconds else None,
            lifetime=None if lifetime is None or int(lifetime) < 0 else int(lifetime),
        )

    def read_ways(self, found: Sequence[Any]) -> Ways:
        """Return all ways: with several, an empty one stands for that of the account itself."""
        held = json.loads(found[2])
        ways = [one or held for one in held.get("auth_or") or [held]]
        return tuple((way["plugin"], way.get("authentication_string", "")) for way in ways if way.get("plugin"))

    def identify(self, ways: Ways) -> Clause:
        """Return `IDENTIFIED VIA`, with every way."""
        texts = ["%s USING %s" if kept else "%s" for _, kept in ways]
        values = [value for way in ways for value in way if value]
        return f"IDENTIFIED VIA {' OR '.join(texts)}", tuple(values)

    def set_default_role(self, role: str, account: Account) -> Clause:
        """Return MariaDB's statement, for which it asks for the right to write its own tables."""
        return "SET DEFAULT ROLE %s FOR %s@%s", (role, *account)

    def quote_database(self, database: str) -> str:
        """Return the name, and no pattern."""
        return database.replace("_", r"\_")


class MySql(Dialect):
    """MySQL from 8.0 on."""

    plugin = Plugin.SHA2
    plugins = frozenset({Plugin.NATIVE, Plugin.SHA2})
    sql_mode = "NO_ENGINE_SUBSTITUTION"
    rows = (
        "SELECT User, Host, authentication_string = %s, account_locked, "
        "password_expired, ssl_type, UNIX_TIMESTAMP(password_last_changed), password_lifetime "
        "FROM mysql.user WHERE NOT (account_locked = 'Y' AND password_expired = 'Y' "
        "AND authentication_string = '') AND "
    )
    """But for roles: an account that was never anything else is one."""
    ways = "SELECT User, Host, plugin FROM mysql.user WHERE "
    roles = "SELECT TO_USER, TO_HOST, FROM_USER FROM mysql.role_edges"
    definers = tuple(
        (what, f"SELECT CONCAT({what}_schema, '.', {name}) FROM information_schema.{what}s WHERE definer = %s")  # noqa: S608  # of these words
        for what, name in (("routine", "routine_name"), ("event", "event_name"), ("trigger", "trigger_name"))
    )
    """Of views the server tells by itself."""

    def __init__(self, *, partial_revokes: bool) -> None:
        self._partial_revokes = partial_revokes

    def read_row(self, found: Sequence[Any]) -> Row:
        """Return what `rows` has read."""
        username, host, unfinished, locked, expired, tls, changed, lifetime = found
        return Row(
            account=(username, host),
            unfinished=bool(unfinished),
            locked=locked == "Y",
            expired=expired == "Y",
            tls=tls,
            changed=datetime.fromtimestamp(int(changed), UTC) if changed else None,
            lifetime=lifetime,
        )

    def read_ways(self, found: Sequence[Any]) -> Ways:
        """Return the one way, without what is kept for it."""
        return ((found[2], ""),)

    def identify(self, ways: Ways) -> Clause:
        """Return `IDENTIFIED WITH`: there is one way."""
        return "IDENTIFIED WITH %s AS %s", ways[0]

    def renew(self, ways: Ways, choice: Plugin | None, password: str) -> Ways:
        """Return the new password alone: what else there may be is another factor, which stays."""
        return tuple(way for way in super().renew(ways, choice, password) if _is_by_password(way[0]))

    def set_default_role(self, role: str, account: Account) -> Clause:
        """Return MySQL's statement."""
        return "SET DEFAULT ROLE %s TO %s@%s", (role, *account)

    def quote_database(self, database: str) -> str:
        """Return the name; with partial revokes the server knows no patterns."""
        return database if self._partial_revokes else database.replace("_", r"\_")


def _is_by_password(plugin: str) -> bool:
    return plugin in {*Plugin, "sha256_password", "mysql_old_password", "parsec"}

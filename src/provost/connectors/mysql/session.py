"""A privileged session on a MySQL or MariaDB server."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from provost.connectors.mysql import changes, discovery, leaving
from provost.connectors.mysql.dialects import Account
from provost.connectors.mysql.hosts import Claim, attribute, match
from provost.connectors.mysql.server import Server, write_account
from provost.connectors.mysql.wire import EXPIRED, Answer, Wire
from provost.core.connector import (
    Applied,
    Change,
    PlainSession,
    Removal,
    Verification,
    answer_each,
    expect,
)
from provost.core.errors import ChangeRefused, LoginRefused, LookupFailed, TargetError
from provost.core.facts import Facts
from provost.core.model import Decision, Presence, Verdict
from provost.core.secrets import Password, Secret


class MysqlSession(PlainSession):
    """One connection for all that is looked at and changed, and one more for each login that is verified.

    Usernames mean the accounts with the host pattern `host`, and that of the account that acts means itself.
    """

    def __init__(self, server: Server, host: str, connect: Callable[[], Awaitable[Wire]]) -> None:
        self.actor = server.acting[0]
        self._server = server
        self._host = host
        self._connect = connect

    def _name(self, username: str) -> Account:
        return self._server.acting if username == self.actor else (username, self._host)

    async def observe(self, usernames: Sequence[str]) -> Mapping[str, Presence | TargetError]:
        """Tell which accounts are there, by the server's table of accounts.

        Raises:
            LookupFailed: the table cannot be read.
            Unreachable: there was no answer.
        """
        rows = await self._server.find_all([self._name(username) for username in usernames])
        return {
            username: Presence.ABSENT
            if (row := rows.get(self._name(username))) is None
            else Presence.INCOMPLETE
            if row.unfinished
            else Presence.PRESENT
            for username in usernames
        }

    def apply(self, changes_: Sequence[Change]) -> AsyncIterator[Applied]:
        """Make the changes one after the other, most of them by one statement each."""

        async def act(change: Change) -> str:
            set_secret = changes.adopt if change.decision is Decision.ADOPT else changes.create
            return await _settle(set_secret(self._server, self._name(change.username), change))

        return answer_each(changes_, act)

    def disable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Lock accounts and end their connections."""
        return answer_each(usernames, lambda one: _settle(leaving.disable(self._server, self._name(one))))

    def enable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Unlock accounts."""
        return answer_each(usernames, lambda one: _settle(leaving.enable(self._server, self._name(one))))

    def remove(self, removals: Sequence[Removal]) -> AsyncIterator[Applied]:
        """Drop accounts and end their connections."""
        return answer_each(
            removals, lambda one: _settle(leaving.remove(self._server, self._name(one.username), one))
        )

    async def discover(self) -> Sequence[Facts]:
        """Tell of the accounts with this asset's host pattern, and of the one that acts.

        Raises:
            LookupFailed: a table cannot be read.
            Unreachable: there was no answer.
        """
        return await discovery.discover(self._server, self._host)

    async def verify(self, username: str, secret: Secret) -> Verification:
        """Log in on a connection of its own, and ask whom the server takes that for."""
        try:
            return await self._verify(self._name(username), secret)
        except TargetError as error:
            return Verification.from_error(error)

    async def _verify(self, account: Account, secret: Secret) -> Verification:
        password = expect(secret, Password)
        wire = await self._connect()
        try:
            await wire.log_in(account[0], password)
            [(taken,)] = await wire.ask("SELECT CURRENT_USER()")
        except Answer as answer:
            if answer.number in EXPIRED:  # said to none but who knows the password
                return Verification(Verdict.ACCEPTED)
            raise LookupFailed(f"{self._server.asset} does not tell whom it let in: {answer}.") from answer
        except LoginRefused as error:
            if error.code != LoginRefused.code:
                raise
            return await self._explain(account, Verification.from_error(error))
        finally:
            await wire.end()
        if tuple(taken.rsplit("@", 1)) == account:
            return Verification(Verdict.ACCEPTED)
        return Verification(Verdict.UNKNOWN, "policy_forbids_login", self._tell_taken(account, taken))

    async def _explain(self, account: Account, told: Verification) -> Verification:
        """Return what a refused login told, or why it tells nothing."""
        try:
            why = await self._find_policy(account)
        except TargetError as error:
            return Verification(Verdict.UNKNOWN, error.code, error.message, refused=True)
        if why:
            return Verification(Verdict.UNKNOWN, "policy_forbids_login", why, refused=True)
        return told

    async def _find_policy(self, account: Account) -> str:
        """Return why an account would be refused with the right password as well; nothing: it would not."""
        asset, client = self._server.asset, self._server.client
        row = await self._server.find(account)
        if row is None:
            return ""
        if row.needs_certificate:
            return f"{write_account(account)} is let in with a certificate of its own alone ({row.tls})."
        if match(account[1], client) is False:
            return f"{write_account(account)} is not let in from where {asset} sees Provost: {client.host}."
        rivals = await self._server.list_rivals(account)
        if attribute(account[1], rivals, client) is not Claim.OURS:
            return self._tell_taken(account, f"another account, of the host {' or '.join(rivals)}")
        return ""

    def _tell_taken(self, account: Account, taken: str) -> str:
        return (
            f"{self._server.asset} may take {account[0]} from {self._server.client.host} for {taken}: no login "
            f"from here proves the password of {write_account(account)}."
        )

    async def close(self) -> None:
        """End the connection."""
        await self._server.wire.end()


async def _settle(act: Awaitable[str]) -> str:
    """Wait for a change. A look-up that fails comes before it: then nothing was changed."""
    try:
        return await act
    except LookupFailed as error:
        raise ChangeRefused(error.message, code=error.code) from error

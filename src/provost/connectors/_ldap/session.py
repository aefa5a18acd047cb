"""A privileged session on a directory: what all the kinds that are directories do alike."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from provost.connectors._ldap.answers import Answer, Entry, check_login
from provost.connectors._ldap.directory import Control
from provost.connectors._ldap.line import Line
from provost.connectors._ldap.names import match
from provost.connectors._ldap.options import DirectoryOptions
from provost.connectors._logins import take_password
from provost.connectors._ssh import Routes
from provost.core.connector import (
    Applied,
    Change,
    PlainSession,
    Removal,
    Timeouts,
    Verification,
    Witness,
    answer_each,
)
from provost.core.errors import ChangeRefused, LookupFailed, TargetError
from provost.core.facts import Facts
from provost.core.job import Login, Target
from provost.core.model import Presence
from provost.core.secrets import Password, Secret, SshKey

CHUNK: Final = 50
"""Accounts that are looked up at once."""

T = TypeVar("T")


class DirectorySession(PlainSession, ABC):
    """A privileged session on a directory: what both kinds do alike. Subclasses do the work in its thread."""

    login_controls: Sequence[Control] = ()
    """What a login asks to be told besides."""
    name_attribute: str
    """What holds the usernames."""
    mark: tuple[str, bytes]
    """What an entry holds whose creation is not over."""

    def __init__(
        self, *, target: Target, options: DirectoryOptions, actor: str, routes: Routes, timeouts: Timeouts
    ) -> None:
        self.actor = actor
        self._target = target
        self._options = options
        self._routes = routes
        self._timeouts = timeouts
        self._line = Line(target, options)
        self._directory = self._line.directory

    async def log_in(self, login: Login, witness: Witness) -> None:
        """Bind as the privileged account, and see whether it may write; a failure ends the connection.

        Raises:
            Unreachable: no connection.
            LoginRefused: the account was refused, or may not write.
            HostKeyRefused: the server's certificate is not believed.
        """
        password = take_password(self._target, login)
        try:
            answer = await self._line.log_in(
                self.login_name,
                password,
                self._routes,
                self._timeouts,
                *self.login_controls,
                witness=witness,
            )
            check_login(answer, self._target.asset, self.actor, self._find_policy_bar(answer))
            await self._line.run(self._check_rights)
        except BaseException:
            self._line.close()
            raise

    async def observe(self, usernames: Sequence[str]) -> Mapping[str, Presence | TargetError]:
        """Look the accounts up, many at once."""
        seen: dict[str, Presence | TargetError] = {}
        for start in range(0, len(usernames), CHUNK):
            seen |= await self._line.run(self._observe, usernames[start : start + CHUNK])
        return seen

    async def discover(self) -> Sequence[Facts]:
        """Read all accounts, by pages."""
        return await self._line.run(self._discover)

    def apply(self, changes: Sequence[Change]) -> AsyncIterator[Applied]:
        """Make the changes one after the other, over the one connection."""
        return answer_each(changes, partial(self._do, self._apply))

    def disable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Let accounts in no more."""
        return answer_each(usernames, partial(self._do, self._disable))

    def enable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Let accounts in again."""
        return answer_each(usernames, partial(self._do, self._enable))

    def remove(self, removals: Sequence[Removal]) -> AsyncIterator[Applied]:
        """Remove accounts, and their memberships."""
        return answer_each(removals, partial(self._do, self._remove))

    async def _do(self, act: Callable[[T], str], order: T) -> str:
        """Do one thing. What is looked up for it is so before anything is changed."""
        try:
            return await self._line.run(act, order)
        except LookupFailed as error:
            raise ChangeRefused(error.message, code=error.code) from error

    async def verify(self, username: str, secret: Secret) -> Verification:
        """Bind afresh as the account."""
        try:
            if not isinstance(secret, Password):
                return await self._line.run(self._look_for, username, secret)
            return await self._bind_afresh(username, secret)
        except TargetError as error:
            return Verification.from_error(error)

    async def _bind_afresh(self, username: str, password: Password) -> Verification:
        name = await self._line.run(self._name, username)
        line = Line(self._target, self._options)
        try:
            answer = await line.log_in(name, password, self._routes, self._timeouts, *self.login_controls)
        finally:
            line.close()
        return await self._line.run(self._judge, username, answer)

    def _observe(self, usernames: Sequence[str]) -> dict[str, Presence | TargetError]:
        plain = [name for name in usernames if self._find_otherwise(name) is None]
        found: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in self._search(match(self.name_attribute, *plain)) if plain else ():
            for name in entry.list_texts(self.name_attribute):
                found[name].append(entry)
        unseen = [name for name in plain if name not in found]
        # Asked for without the others, they are not there under a spelling either that counts as the same.
        absent = unseen and not self._search(match(self.name_attribute, *unseen))
        seen: dict[str, Presence | TargetError] = {}
        for name in usernames:
            if absent and name in unseen:
                seen[name] = Presence.ABSENT
            elif name in plain and len(found.get(name, ())) == 1:
                seen[name] = self._tell_presence(found[name][0])
            else:
                try:
                    seen[name] = self._tell_presence(self._find(name))
                except LookupFailed as error:
                    seen[name] = error
        return seen

    def _tell_presence(self, entry: Entry | None) -> Presence:
        attribute, value = self.mark
        if entry is None:
            return Presence.ABSENT
        return Presence.INCOMPLETE if value in entry.get_all(attribute) else Presence.PRESENT

    def _find(self, username: str) -> Entry | None:
        asset, attribute = self._target.asset, self.name_attribute
        exact = self._find_otherwise(username)
        entries: list[Entry] = []
        if exact is None:
            entries = self._search(match(attribute, username))
            exact = [entry for entry in entries if username in entry.list_texts(attribute)]
        if len(exact) > 1:
            raise LookupFailed(
                f"{asset} has several accounts {username}: {'; '.join(entry.dn for entry in exact)}.",
                code="name_ambiguous",
            )
        if exact or not entries:
            return next(iter(exact), None)
        raise LookupFailed(
            f"{asset} knows {username} as {entries[0].get(attribute)}: to a directory that is one name. "
            "Use that spelling.",
            code="name_differs",
        )

    def _get(self, username: str) -> Entry:
        entry = self._find(username)
        if entry is None:
            raise ChangeRefused(f"{username} is not on {self._target.asset} any more.", code="account_absent")
        return entry

    def _find_named(self, username: str) -> Entry | None:
        """Return an account; None: there is none, or not one alone, by exactly this name."""
        try:
            return self._find(username)
        except LookupFailed as error:
            if error.code == LookupFailed.code:
                raise
            return None

    def _name(self, username: str) -> str:
        """Return the name to bind with; of an account that is not there, the one that it would have."""
        entry = self._find_named(username)
        return entry.dn if entry else self._name_absent(username)

    async def close(self) -> None:
        """End the connection."""
        self._line.close()

    @property
    @abstractmethod
    def login_name(self) -> str:
        """The name that the privileged account binds with."""

    @abstractmethod
    def _find_policy_bar(self, answer: Answer) -> str:
        """Return why an account is let in by no password, as far as the answer to a login tells."""

    @abstractmethod
    def _check_rights(self) -> None:
        """Raise `LoginRefused` if the privileged account may not write."""

    @abstractmethod
    def _search(self, test: str) -> list[Entry]:
        """Return the accounts that a filter fits, with what sessions read of them."""

    @abstractmethod
    def _find_otherwise(self, username: str) -> list[Entry] | None:
        """Return what a username that is more than one means; None: it is a plain one."""

    @abstractmethod
    def _discover(self) -> Sequence[Facts]: ...

    @abstractmethod
    def _apply(self, change: Change) -> str: ...

    @abstractmethod
    def _disable(self, username: str) -> str: ...

    @abstractmethod
    def _enable(self, username: str) -> str: ...

    @abstractmethod
    def _remove(self, removal: Removal) -> str: ...

    @abstractmethod
    def _name_absent(self, username: str) -> str:
        """Return the name that an account that is not there would have."""

    @abstractmethod
    def _look_for(self, username: str, key: SshKey) -> Verification:
        """Tell what can be told of a key, which no bind can prove."""

    @abstractmethod
    def _judge(self, username: str, answer: Answer) -> Verification:
        """Tell what a login told of the password."""

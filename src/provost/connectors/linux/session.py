"""A privileged session on one Linux host."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial

import asyncssh

from provost.connectors._ssh import Routes
from provost.connectors.linux.changes import encode_change, encode_withdrawal, get_blob
from provost.connectors.linux.discovery import Discovery
from provost.connectors.linux.leaving import encode_disabling, encode_enabling, encode_removal
from provost.connectors.linux.parameters import LinuxOptions
from provost.connectors.linux.policy import Policy
from provost.connectors.linux.shell import Shell, quote_command
from provost.core.connector import Applied, Change, Removal, Timeouts, Verification, Withdrawal, Witness
from provost.core.errors import ChangeRefused, ChangeUnknown, LookupFailed, TargetError
from provost.core.facts import Facts
from provost.core.job import Target
from provost.core.model import Presence, Verdict
from provost.core.secrets import Secret, SshKey

_BINDING = re.compile(r"(from|expiry-time)=", re.IGNORECASE)
"""Options of a key that let it in from some addresses alone, or until some day."""

_REFUSALS = frozenset(
    {
        "acting_account", "appeared", "archive_failed", "cleanup_failed", "create_refused",
        "disable_refused", "enable_refused", "host_not_writable", "key_refused", "keys_disabled",
        "keys_file_unknown", "lookup_failed", "no_home", "no_useradd", "not_local", "password_refused",
        "protected_account", "sudo_missing", "sudo_refused", "sudoers_d_unused", "uid_shared",
        "unsafe_path",
    }
)  # fmt: skip
"""What the shell says when certainly nothing was set; of anything else that is not believed."""

_DOUBTS = frozenset(
    {"disable_unsure", "enable_unsure", "key_unsure", "password_unsure", "processes_left", "remove_unfinished"}
)


_MOST_LINES = 10_000
"""Lines that are read until all is told of what may forbid a login."""


class LinuxSession:
    """One connection and one remote shell, as root."""

    def __init__(  # noqa: PLR0913  # what a session is made of
        self,
        *,
        target: Target,
        actor: str,
        connection: asyncssh.SSHClientConnection,
        shell: Shell,
        routes: Routes,
        timeouts: Timeouts,
        witness: Witness,
    ) -> None:
        self.actor = actor
        self._target = target
        self._options = LinuxOptions.model_validate(dict(target.options))
        self._connection = connection
        self._shell = shell
        self._routes = routes
        self._timeouts = timeouts
        self._witness = witness
        self._bound: set[str] = set()
        self._asking = asyncio.Lock()  # several verifications go on at once, over one shell

    async def observe(self, usernames: Sequence[str]) -> Mapping[str, Presence | TargetError]:
        """Look each username up by NSS (getent(1))."""
        self._shell.send(quote_command("p_observe", *usernames))
        seen: dict[str, Presence | TargetError] = {}
        while True:
            match await self._shell.read_answer():
                case ["seen", name, *_] if name not in usernames:
                    pass
                case ["seen", name, "unknown", *rest]:
                    seen[name] = LookupFailed(
                        f"{self._target.asset} cannot tell whether {name} exists: {' '.join(rest)} failed."
                    )
                case ["seen", name, presence]:
                    seen[name] = Presence(presence)
                case ["lookup", "ended"]:
                    break
                case ["lookup", "failed", *rest]:
                    failed = LookupFailed(
                        f"Looking accounts up on {self._target.asset} failed: {' '.join(rest)}."
                    )
                    return dict.fromkeys(usernames, failed)
        missing = LookupFailed(f"{self._target.asset} gave no answer for this account.")
        return {name: seen.get(name, missing) for name in usernames}

    async def discover(self) -> Sequence[Facts]:
        """Read what the host tells of all accounts, in one exchange."""
        self._shell.load("discover")
        self._shell.send(quote_command("p_discover", self._options.authorized_keys_file or ""))
        answer = await self._shell.read_answer()
        if answer[1:] == ["begins"]:
            lines, answer = await self._shell.read_block()
            if answer[:2] == ["discovery", "ended"]:
                found = Discovery(lines).list_facts()
                if [str(len(found))] == answer[2:]:
                    return found
        raise LookupFailed(
            f"The accounts of {self._target.asset} cannot be listed: "
            f"{' '.join(answer[2:]) or 'the host told of them in part'}."
        )

    async def apply(self, changes: Sequence[Change]) -> AsyncIterator[Applied]:
        """Send every change at once; the host works through them and answers one by one."""
        for change in changes:
            if _BINDING.search(getattr(change.parameters, "key_options", "")):
                self._bound.add(change.username)
        orders = [
            (change.username, partial(encode_change, index, change, self._options, self._shell))
            for index, change in enumerate(changes)
        ]
        async for applied in self._order(orders):
            yield applied

    async def withdraw(self, withdrawals: Sequence[Withdrawal]) -> AsyncIterator[Applied]:
        """Take keys out of every file of the accounts that sshd reads."""
        orders = [
            (withdrawal.username, partial(encode_withdrawal, index, withdrawal, self._options))
            for index, withdrawal in enumerate(withdrawals)
        ]
        async for applied in self._order(orders):
            yield applied

    async def disable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Lock accounts, let them expire, and kill what they run."""
        self._shell.load("leave")
        orders = [
            (username, partial(encode_disabling, index, username, self.actor, self._target.asset))
            for index, username in enumerate(usernames)
        ]
        async for applied in self._order(orders):
            yield applied

    async def enable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Unlock accounts, and give them back the expiry and the shell that they had."""
        self._shell.load("leave")
        orders = [
            (username, partial(encode_enabling, index, username, self.actor, self._target.asset))
            for index, username in enumerate(usernames)
        ]
        async for applied in self._order(orders):
            yield applied

    async def remove(self, removals: Sequence[Removal]) -> AsyncIterator[Applied]:
        """Disable accounts, put away or delete what is theirs, and remove them."""
        self._shell.load("leave")
        orders = [
            (
                removal.username,
                partial(encode_removal, index, removal, self.actor, self._target.asset, self._options),
            )
            for index, removal in enumerate(removals)
        ]
        async for applied in self._order(orders):
            yield applied

    async def _order(self, orders: Sequence[tuple[str, Callable[[], bytes]]]) -> AsyncIterator[Applied]:
        """Send all orders, encoded, and read an answer to each, which has its index."""
        count = 0
        for username, encode in orders:
            try:
                self._shell.send(encode())
            except ChangeRefused as error:
                yield Applied(username, error)
            else:
                count += 1
        while count:
            answer = await self._shell.read_answer()
            count -= answer[:1] == ["answer"]
            match answer:
                case ["bound", username]:
                    self._bound.add(username)
                case ["answer", number, "ok", *rest]:
                    yield Applied(orders[int(number)][0], message=" ".join(rest))
                case ["answer", number, "refused", code, *rest] if code in _REFUSALS:
                    yield Applied(orders[int(number)][0], ChangeRefused(" ".join(rest), code=code))
                case ["answer", number, "unsure", code, *rest] if code in _DOUBTS:
                    yield Applied(orders[int(number)][0], ChangeUnknown(" ".join(rest), code=code))
                case ["answer", number, *rest]:
                    yield Applied(orders[int(number)][0], ChangeUnknown(" ".join(rest)))

    async def verify(self, username: str, secret: Secret) -> Verification:
        """Log in afresh; a failure that the host's own policy explains says nothing about the secret."""
        told = await self._routes.verify(self._target, username, secret, self._timeouts, self._witness)
        if told.verdict is Verdict.ACCEPTED or told.reason == "no_private_half":
            return told
        bound = Verification(
            Verdict.UNKNOWN,
            "key_options_forbid",
            "The options of this key (from=, expiry-time=) may forbid the login.",
            refused=told.refused,
        )
        if username in self._bound and isinstance(secret, SshKey):
            return bound
        try:
            async with asyncio.timeout(self._timeouts.command), self._asking:
                policy = await self._read_policy(username, secret)
        except (TargetError, TimeoutError) as error:
            return self._doubt(told, username, error)
        if policy.binds_key():
            return bound
        if forbids := policy.find_bar(username, secret.secret_type):
            return Verification(
                Verdict.UNKNOWN,
                "policy_forbids_login",
                f"{self._target.asset} lets {username} not log in: {forbids}.",
                refused=told.refused,
            )
        return told

    def _doubt(self, told: Verification, username: str, error: Exception) -> Verification:
        """Return what a login told, where the host cannot be asked what may forbid it, or is going down."""
        if told.verdict is not Verdict.REJECTED:
            return told
        why = error.message if isinstance(error, TargetError) else "no answer came in time."
        return Verification(
            Verdict.UNKNOWN,
            "policy_unreadable",
            f"{self._target.asset} refused {username}, and could not be asked what forbids the login: {why}",
            refused=told.refused,
        )

    async def _read_policy(self, username: str, secret: Secret) -> Policy:
        blob = get_blob(secret) if isinstance(secret, SshKey) else ""
        self._shell.send(quote_command("p_policy", username, self._options.authorized_keys_file or "", blob))
        settings: list[tuple[str, str]] = []
        for _ in range(_MOST_LINES):
            match await self._shell.read_answer():
                case ["policy", "ended", name]:
                    if name == username:
                        return Policy(settings)
                    settings.clear()  # an answer that nobody waited for any more
                case ["policy", name, *rest]:
                    settings.append((name, " ".join(rest)))
        raise LookupFailed(f"{self._target.asset} gave an answer without an end.")

    async def close(self) -> None:
        """End the shell and the connection."""
        self._shell.close()
        self._connection.close()

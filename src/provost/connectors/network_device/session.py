"""A privileged session on one network device."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from provost.connectors._crypt import hash_cisco_scrypt, hash_sha512
from provost.connectors.network_device.device import Device, Entry, Order
from provost.connectors.network_device.dialogs import Dialog
from provost.connectors.network_device.families import Family
from provost.connectors.network_device.login import HostKeys, log_in
from provost.connectors.network_device.parameters import PROTECTED, DeviceParameters
from provost.core.connector import (
    Applied,
    Change,
    PlainSession,
    Removal,
    Timeouts,
    Verification,
    check_expendable,
    expect,
)
from provost.core.errors import ChangeRefused, LookupFailed, TargetError
from provost.core.facts import Facts
from provost.core.job import Login, Target
from provost.core.model import Decision, Presence, Verdict
from provost.core.secrets import Password, Secret

_AT_ONCE: Final = 10
"""So many accounts are typed before the configuration is saved and they are acknowledged."""
_LOGINS: Final = 4
_TYPEABLE: Final = re.compile(r"[\x21-\x7e]+")
_NOT_IN_COMMANDS: Final = re.compile(r"[?\"'\\|;!#$`]")
"""What command lines read as something else: help, quotes, pipes, comments ..."""

T = TypeVar("T")
_Item = TypeVar("_Item", Change, Removal)


class DeviceSession(PlainSession):
    """One connection, in a thread of its own; verifying logins have threads beside it."""

    def __init__(  # noqa: PLR0913, PLR0917  # what a session is made of
        self,
        target: Target,
        actor: str,
        family: Family,
        device: Device,
        place: tuple[str, int],
        timeouts: Timeouts,
        seen: dict[int, str],
        thread: ThreadPoolExecutor,
    ) -> None:
        self.actor = actor
        self._target = target
        self._asset = target.asset
        self._family = family
        self._device = device
        self._place = place
        self._timeouts = timeouts
        self._seen = seen
        self._thread = thread
        self._logins = ThreadPoolExecutor(_LOGINS, thread_name_prefix="device-login")

    async def observe(self, usernames: Sequence[str]) -> Mapping[str, Presence | TargetError]:
        """List the accounts once, and look for each."""
        try:
            found = await self._run(self._device.look_up)
        except LookupFailed as error:
            return dict.fromkeys(usernames, error)
        return {name: _see(found.get(name)) for name in usernames}

    async def discover(self) -> Sequence[Facts]:
        """List the accounts, with their level or class. Hashes stay on the device."""
        found = await self._run(self._device.look_up)
        return [
            Facts(
                username=name,
                can_log_in=entry.complete and not entry.off,
                locked=entry.off or not entry.complete,
                superuser=entry.level == self._family.superuser if entry.level else None,
                privileges=(entry.level,) if entry.level else None,
            )
            for name, entry in found.items()
        ]

    def apply(self, changes: Sequence[Change]) -> AsyncIterator[Applied]:
        """Type the changes, some accounts at a time, and save before these are acknowledged."""
        return self._carry_out(changes, self._plan)

    def remove(self, removals: Sequence[Removal]) -> AsyncIterator[Applied]:
        """Type the removals of those that are there, and save."""
        return self._carry_out(removals, self._plan_removal)

    async def verify(self, username: str, secret: Secret) -> Verification:
        """Log in by SSH, and out again."""
        login = Login(username, password=expect(secret, Password))
        keys = HostKeys(self._target, self._seen)
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._logins, log_in, self._target, self._place, login, self._timeouts, keys
            )
        except TargetError as error:
            return Verification.from_error(error)
        return Verification(Verdict.ACCEPTED)

    async def close(self) -> None:
        """End the connection; what a thread still waits for ends with it."""
        await asyncio.to_thread(self._device.close)
        self._thread.submit(self._device.close)  # and one that was not made yet, once it is
        self._thread.shutdown(wait=False)
        self._logins.shutdown(wait=False, cancel_futures=True)

    async def _run(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)

    async def _carry_out(
        self, items: Sequence[_Item], plan: Callable[[_Item, Entry | None], Order | None]
    ) -> AsyncIterator[Applied]:
        """Answer what needs no change or is refused; have the rest typed, some at a time."""
        for start in range(0, len(items), _AT_ONCE):
            found = await self._run(self._device.look_up)
            orders = []
            for item in items[start : start + _AT_ONCE]:
                try:
                    order = plan(item, found.get(item.username))
                except ChangeRefused as error:
                    yield Applied(item.username, error)
                    continue
                if order is None:
                    yield Applied(item.username)
                else:
                    orders.append(order)
            if orders:
                wrong = await self._run(partial(self._device.carry_out, orders))
                for order in orders:
                    yield Applied(order.username, wrong.get(order.username))

    def _plan(self, change: Change, entry: Entry | None) -> Order:
        presence = _see(entry)
        if change.decision is Decision.ADOPT:
            if presence is Presence.ABSENT:
                raise ChangeRefused(
                    f"{change.username} is not on {self._asset} any more.", code="account_absent"
                )
            return self._order(change, self._family.set_password, "password_refused")
        if presence is Presence.PRESENT:
            raise ChangeRefused(
                f"Somebody else created {change.username} on {self._asset} meanwhile; it is as they made it.",
                code="appeared",
            )
        return self._order(change, self._family.create, "create_refused")

    def _order(self, change: Change, dialog: Dialog, code: str) -> Order:
        text = expect(change.secret, Password).text
        parameters = expect(change.parameters, DeviceParameters)
        values = {
            "username": change.username, "privilege": str(parameters.privilege), "role": parameters.role
        }  # fmt: skip
        if any(step.names("password") for step in dialog):
            in_command = any("{password}" in step.command for step in dialog)
            if not _TYPEABLE.fullmatch(text) or (in_command and _NOT_IN_COMMANDS.search(text)):
                raise ChangeRefused(
                    f"This password cannot be typed on {self._asset}: it takes ASCII without spaces"
                    + (
                        ", and none of ? \" ' \\ | ; ! # $ `, which it would read as something else."
                        if in_command
                        else "."
                    ),
                    code="password_refused",
                )
            values["password"] = text
        if any(step.names("sha512") for step in dialog):
            values["sha512"] = hash_sha512(text)
        if any(step.names("scrypt") for step in dialog):
            values["scrypt"] = hash_cisco_scrypt(text)
        return Order(change.username, dialog, values, code)

    def _plan_removal(self, removal: Removal, entry: Entry | None) -> Order | None:
        username = removal.username
        check_expendable(username, self._asset, acts=username == self.actor, needed=username in PROTECTED)
        if entry is None:
            return None
        if not self._family.remove:
            raise ChangeRefused(
                f"{self._asset} was given no commands that remove an account: set its option remove.",
                code="action_unsupported",
            )
        return Order(username, self._family.remove, {"username": username}, "change_refused")


def _see(entry: Entry | None) -> Presence:
    if entry is None:
        return Presence.ABSENT
    return Presence.PRESENT if entry.complete else Presence.INCOMPLETE

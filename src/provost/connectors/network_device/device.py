"""A device's accounts, as its command line tells and changes them. It blocks, and belongs into a thread."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from provost.connectors.network_device.dialogs import Dialog, Step
from provost.connectors.network_device.families import Family
from provost.connectors.network_device.wire import Refusal, Wire
from provost.core.errors import (
    ChangeRefused,
    ChangeUnknown,
    LoginRefused,
    LookupFailed,
    TargetError,
    Unreachable,
)

_SECRETS: Final = frozenset({"password", "sha512", "scrypt"})
"""Placeholders for what no error may hold."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the look-up told of one account."""

    level: str = ""
    off: bool = False
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be typed for one account. `code` is that of the device's refusal."""

    username: str
    dialog: Dialog
    values: Mapping[str, str]
    code: str

    def hide(self, words: str) -> str:
        """Return what the device said without the secrets that it repeats."""
        for name in _SECRETS & self.values.keys():
            words = words.replace(self.values[name], f"{{{name}}}")
        return words


class Device:
    """One privileged session on a device."""

    def __init__(self, wire: Wire, asset: str, username: str, family: Family) -> None:
        self._wire = wire
        self._asset = asset
        self._username = username
        self._family = family

    def open(self, place: tuple[str, int], device_type: str) -> None:
        """Log in, come by the rights, and look whether they are there.

        Raises:
            TargetError: it cannot be worked on, or not with this login.
            Refused: there is no such device type.
        """
        self._wire.open(place, device_type)
        self._check_rights()

    def close(self) -> None:
        """End the connection. Twice is once."""
        self._wire.close()

    def _check_rights(self) -> None:
        try:
            self._wire.speak(self._family.enter)
            self._wire.speak(self._family.leave)
            self.look_up()
        except (Refusal, LookupFailed) as error:
            raise LoginRefused(
                f"{self._username} was let in on {self._asset}, and may not configure it or "
                f"see its accounts: {error}",
                code="rights_missing",
            ) from error

    def look_up(self) -> dict[str, Entry]:
        """Return the accounts of the device.

        Raises:
            LookupFailed: it does not tell.
            Unreachable: the connection was lost.
        """
        # A prompt that comes late looks like the end of an empty answer: none is believed at once.
        return self._look() or self._look()

    def _look(self) -> dict[str, Entry]:
        try:
            answer = self._wire.ask(Step(self._family.look_up))
        except Refusal as error:
            raise LookupFailed(f"{self._asset} does not list its accounts: {error}") from error
        found: dict[str, Entry] = {}
        for match in re.finditer(self._family.entry, answer):
            told = match.groupdict()
            known = found.get(told["name"], Entry(complete=not self._family.complete))
            line = answer[match.start() :].partition("\n")[0]
            found[told["name"]] = Entry(
                told.get("level") or known.level,
                known.off or bool(told.get("off")),
                known.complete or bool(re.search(self._family.complete, line)),
            )
        return found

    def carry_out(self, orders: Sequence[Order]) -> dict[str, TargetError]:
        """Type what is ordered, put it in force, and save; return what went wrong, by username.

        Raises:
            Unreachable: the connection was lost; what became of the orders is unknown.
        """
        wrong: dict[str, TargetError] = {}
        left = list(orders)
        self._navigate(self._family.enter)
        while left:
            refused = self._type(left)
            wrong |= refused
            left = [order for order in left if order.username not in refused]
            if not self._family.commit:
                break
            if not refused:
                wrong |= self._commit(left)
                break
            self._navigate(self._family.undo)  # and once more, without the one that was refused
        self._navigate(self._family.leave)
        changed = [order for order in orders if not isinstance(wrong.get(order.username), ChangeRefused)]
        if self._family.save and changed and (words := self._save()):
            wrong |= {
                order.username: ChangeUnknown(
                    f"{self._asset} made the change to {order.username}, and did not save it: {words}",
                    code="not_saved",
                )
                for order in changed
            }
        return wrong

    def _type(self, orders: Sequence[Order]) -> dict[str, TargetError]:
        """Type what is ordered; return what was refused. What takes a commit ends at the first."""
        wrong: dict[str, TargetError] = {}
        for order in orders:
            if error := self._type_one(order):
                wrong[order.username] = error
                if self._family.commit:
                    break
        return wrong

    def _type_one(self, order: Order) -> TargetError | None:
        begun = False
        for step in order.dialog:
            begins = step.names("username")
            try:
                self._wire.ask(step.fill(order.values))
            except Refusal as error:
                words = f"{self._asset} refused it for {order.username}: {order.hide(str(error))}"
                if not self._family.leave:
                    self._wire.close()  # in which mode it is now nobody knows
                elif not self._family.commit:
                    self._navigate(self._family.leave)
                    self._navigate(self._family.enter)
                if begun and not self._family.commit:
                    return ChangeUnknown(f"{words} A part of it was done.")
                asked = step.names("password") and "{password}" not in step.command
                return ChangeRefused(words, code="password_refused" if asked else order.code)
            begun = begun or begins
        return None

    def _commit(self, orders: Sequence[Order]) -> dict[str, TargetError]:
        try:
            answer = self._wire.speak(self._family.commit)
        except Refusal as error:
            self._navigate(self._family.undo)
            words = f"{self._asset} did not put it in force: {error}"
            return {order.username: ChangeRefused(words, code=order.code) for order in orders}
        if re.search(self._family.saved, answer):
            return {}
        return {
            order.username: ChangeUnknown(f"{self._asset} did not say whether it put it in force.")
            for order in orders
        }

    def _save(self) -> str:
        """Save; return what the device said if it did not."""
        try:
            answer = self._wire.speak(self._family.save)
        except Refusal as error:
            return str(error)
        if self._family.saved and not re.search(self._family.saved, answer):
            return " ".join(answer.split())[:200] or "it said nothing"
        return ""

    def _navigate(self, dialog: Dialog) -> None:
        try:
            self._wire.speak(dialog)
        except Refusal as error:
            raise Unreachable(f"{self._asset} refused what it took before: {error}") from error

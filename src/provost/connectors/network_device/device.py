"""A device's command line by Netmiko, and logins by Paramiko. All of it blocks, and belongs into a thread."""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import netmiko
import paramiko
from netmiko.ssh_dispatcher import platforms

from provost.connectors._network import explain_failure
from provost.connectors._ssh import judge_host_key
from provost.connectors.network_device.dialogs import Dialog, Step
from provost.connectors.network_device.families import Family
from provost.core.connector import Timeouts
from provost.core.errors import (
    ChangeRefused,
    ChangeUnknown,
    HostKeyRefused,
    LoginRefused,
    LookupFailed,
    Refused,
    TargetError,
    Unreachable,
)
from provost.core.job import Login, Target
from provost.core.model import Become

# At a lower level Netmiko logs what it types.
logging.getLogger("netmiko").setLevel(logging.WARNING)

_REFUSALS: Final = frozenset({"Authentication failed.", "Authentication failed"})
"""Paramiko has the same exception for a connection that ended, and for one that was silent."""

_MOST_QUESTIONS: Final = 8
_PAUSE: Final = 0.01
_RSA: Final = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
_KEY_TYPES: Final = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", *_RSA
)  # fmt: skip

T = TypeVar("T")


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


class HostKeys(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # Paramiko ships no types
    """Judges every host key: Paramiko itself is told of none. Keeps what is to be told the witness."""

    def __init__(self, target: Target, seen: dict[int, str]) -> None:
        self.refusal: HostKeyRefused | None = None
        self.met: list[tuple[int, str]] = []
        self._target = target
        self._seen = seen

    def missing_host_key(self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey) -> None:
        """Raise for a key that is not believed."""
        try:
            line = f"{key.get_name()} {key.get_base64()}"
            self.refusal = judge_host_key(self._target, line, self._seen, self)
        except HostKeyRefused as error:
            self.refusal = error
        if self.refusal:
            raise paramiko.SSHException("host key refused")

    def see_host_key(self, asset_id: int, key: str) -> None:
        """Keep a key that is new."""
        self.met.append((asset_id, key))

    def see_refusal(self, asset_id: int, username: str) -> None:
        """Do nothing: no gateway is asked here."""

    def list_unwanted(self) -> dict[str, list[str]]:
        """Return the algorithms to leave out: a host with several keys shows the one that is pinned."""
        lines = (*self._target.trust.pinned, *filter(None, [self._seen.get(self._target.asset_id)]))
        pinned = {line.split()[0] for line in lines}
        wanted = pinned | (set(_RSA) if "ssh-rsa" in pinned else set())
        return {"keys": [name for name in _KEY_TYPES if name not in wanted]} if pinned else {}


def log_in(target: Target, place: tuple[str, int], login: Login, timeouts: Timeouts, keys: HostKeys) -> None:
    """Log in and out again.

    Raises:
        TargetError: as `explain` says.
    """
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(keys)
    try:
        client.connect(
            *place,
            username=login.username,
            password=login.password.text if login.password else "",
            look_for_keys=False,
            allow_agent=False,
            timeout=timeouts.connect,
            banner_timeout=timeouts.connect,
            auth_timeout=timeouts.connect,
            disabled_algorithms=keys.list_unwanted(),
        )
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise explain(error, target, login.username, keys) from error
    finally:
        client.close()


def explain(error: BaseException, target: Target, username: str, keys: HostKeys) -> TargetError:
    """Turn what Paramiko or Netmiko raised while logging in into an error for the operator."""
    name = target.asset
    if keys.refusal:
        return keys.refusal
    if isinstance(error, netmiko.NetmikoAuthenticationException | netmiko.NetmikoTimeoutException):
        error = error.__context__ or error
    if isinstance(error, paramiko.BadAuthenticationType):
        return LoginRefused(
            f"{name} offers {username} no way to log in with a password.", code="login_method_unavailable"
        )
    if (
        isinstance(error, paramiko.AuthenticationException)
        and "failed" in str(error)
        and "shut down" not in str(error)
    ):
        return LoginRefused(f"{name} refused the login of {username}.")
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        error = next(iter(error.errors.values()))
    if isinstance(error, OSError):
        return explain_failure(error, target)
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return TargetError(f"SSH with {name} failed: {error}.", code="ssh_failed")
    return Unreachable(f"The connection to {name} ended before the login: {error}.")


class Device:
    """One privileged session on a command line."""

    def __init__(
        self, target: Target, login: Login, family: Family, timeouts: Timeouts, keys: HostKeys
    ) -> None:
        self._target = target
        self._login = login
        self._family = family
        self._timeouts = timeouts
        self._keys = keys
        self._connection: Any = None
        self._prompt = re.compile(family.prompt or r"$^")

    def open(self, place: tuple[str, int], device_type: str) -> None:
        """Log in, come by the rights, and look whether they are there.

        Raises:
            TargetError: it cannot be worked on, or not with this login.
            Refused: there is no such device type.
        """
        if device_type not in platforms or device_type.endswith(("_telnet", "_serial")):
            raise Refused(f"Netmiko knows no device type {device_type} by SSH.", code="parameter_refused")
        host, port = place
        become_password = self._login.become_password
        connection: Any = netmiko.ConnectHandler(
            device_type=device_type,
            host=host,
            port=port,
            username=self._login.username,
            password=self._login.password.text if self._login.password else "",
            secret=become_password.text if become_password else "",
            conn_timeout=self._timeouts.connect,
            auth_timeout=self._timeouts.connect,
            banner_timeout=self._timeouts.connect,
            disabled_algorithms=self._keys.list_unwanted(),
            auto_connect=False,
        )
        self._connection = connection
        connection.key_policy = self._keys
        self._watch(connection)
        try:
            connection._open()  # noqa: SLF001  # what auto_connect does, after the policy was set
            base = connection.base_prompt or connection.find_prompt().rstrip("> #$%]")
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise explain(error, self._target, self._login.username, self._keys) from error
        except (netmiko.exceptions.NetmikoBaseException, ValueError) as error:
            raise TargetError(
                f"{self._target.asset} let {self._login.username} in and showed no prompt that {device_type} "
                "has; is the option device_type right?",
                code="shell_failed",
            ) from error
        if not self._family.prompt:
            self._prompt = re.compile(
                rf"(?:^|[\r\n])[ \t]*[<\[]?[~*]?{re.escape(base)}[^\r\n>#\]]*[>#\]$%][ \t]*$"
            )
        self._become()
        self._check_rights()

    def _watch(self, connection: Any) -> None:
        """Have every read, Netmiko's own too, end at once when the connection has."""
        read = connection.read_channel

        def read_or_end() -> str:
            text: str = read()
            channel = connection.remote_conn
            if not text and (channel is None or channel.closed or not channel.get_transport().is_active()):
                raise EOFError("the connection was lost")
            return text

        connection.read_channel = read_or_end

    def _become(self) -> None:
        if self._login.become is Become.NONE:
            return
        try:
            self._connection.enable()
        except (netmiko.exceptions.NetmikoBaseException, ValueError) as error:
            raise LoginRefused(
                f"{self._target.asset} let {self._login.username} in, and enable did not take the password of "
                f"{self._login.asked}.",
                code="become_refused",
            ) from error
        except (EOFError, OSError) as error:
            raise self._lose() from error

    def _check_rights(self) -> None:
        try:
            self._speak(self._family.enter, {})
            self._speak(self._family.leave, {})
            self.look_up()
        except (_No, LookupFailed) as error:
            raise LoginRefused(
                f"{self._login.username} was let in on {self._target.asset}, and may not configure it or "
                f"see its accounts: {error}",
                code="rights_missing",
            ) from error

    def look_up(self) -> dict[str, Entry]:
        """Return the accounts of the device.

        Raises:
            LookupFailed: it does not tell.
            Unreachable: the connection was lost.
        """
        try:
            answer = self._ask(Step(self._family.look_up))
        except _No as error:
            raise LookupFailed(f"{self._target.asset} does not list its accounts: {error}") from error
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
                    f"{self._target.asset} made the change to {order.username}, and did not save it: {words}",
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
                self._ask(step.fill(order.values))
            except _No as error:
                words = f"{self._target.asset} refused it for {order.username}: {error}"
                if not self._family.leave:
                    self.close()  # in which mode it is now nobody knows
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
            answer = self._speak(self._family.commit, {})
        except _No as error:
            self._navigate(self._family.undo)
            words = f"{self._target.asset} did not put it in force: {error}"
            return {order.username: ChangeRefused(words, code=order.code) for order in orders}
        if re.search(self._family.saved, answer):
            return {}
        return {
            order.username: ChangeUnknown(f"{self._target.asset} did not say whether it put it in force.")
            for order in orders
        }

    def _save(self) -> str:
        """Save; return what the device said if it did not."""
        try:
            answer = self._speak(self._family.save, {})
        except _No as error:
            return str(error)
        if self._family.saved and not re.search(self._family.saved, answer):
            return " ".join(answer.split())[:200] or "it said nothing"
        return ""

    def _navigate(self, dialog: Dialog) -> None:
        try:
            self._speak(dialog, {})
        except _No as error:
            raise Unreachable(f"{self._target.asset} refused what it took before: {error}") from error

    def _speak(self, dialog: Dialog, values: Mapping[str, str]) -> str:
        return "\n".join([self._ask(step.fill(values)) for step in dialog])

    def _ask(self, step: Step) -> str:
        """Type a command, answer what it asks, and return what came until the next prompt.

        Raises:
            _No: the device refuses it.
            Unreachable: the connection was lost.
        """
        connection = self._connection
        if connection is None or connection.remote_conn is None:
            raise Unreachable(f"The connection to {self._target.asset} was lost.", code="connection_lost")
        try:
            connection.read_channel()
            connection.write_channel(step.command + connection.RETURN)
            answer = self._read_on(step, *self._read_until(lambda text: _cut_echo(step.command, text)))
        except (EOFError, OSError, netmiko.exceptions.NetmikoBaseException) as error:
            raise self._lose() from error
        if found := re.search(self._family.refused, answer):
            begin = answer.rfind("\n", 0, found.end()) + 1
            raise _No(answer[begin:].strip().partition("\n")[0].strip())
        return answer

    def _read_on(self, step: Step, heard: str) -> str:
        whole = heard
        for _ in range(_MOST_QUESTIONS):

            def fits(text: str, before: str = heard) -> tuple[str, str | None] | None:
                new = before + text
                for asked, reply in step.answers:
                    if re.search(asked, new):
                        return new, reply
                return (new, None) if self._prompt.search(new) else None

            new, reply = self._read_until(fits)
            whole += new
            if reply is None:
                return whole
            self._connection.write_channel(reply + self._connection.RETURN)
            heard = ""
        raise EOFError("it asks without an end")

    def _read_until(self, fits: Callable[[str], T | None]) -> T:
        """Read until something fits, and return what that gave."""
        text = ""
        deadline = time.monotonic() + self._timeouts.command
        while True:
            if found := fits(text):
                return found
            if time.monotonic() > deadline:
                raise TimeoutError
            new = self._connection.read_channel()
            text += new
            if not new:
                time.sleep(_PAUSE)

    def _lose(self) -> Unreachable:
        self.close()
        return Unreachable(f"The connection to {self._target.asset} was lost.", code="connection_lost")

    def close(self) -> None:
        """End the connection, and whatever waits for it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            netmiko.log.removeFilter(connection._secrets_filter)  # noqa: SLF001  # it holds the password
            connection.remote_conn_pre = getattr(connection, "remote_conn_pre", None)
            connection.paramiko_cleanup()


def _cut_echo(command: str, text: str) -> tuple[str] | None:
    """Return what came after the echo of a command; None: the echo is not there yet."""
    _, echo, rest = text.partition(command)
    return (rest,) if echo else None


class _No(Exception):
    """The device refused a command. Its words follow."""

"""One connection to a device's command line by Netmiko. All of it blocks, and belongs into a thread."""

import logging
import re
import time
from collections.abc import Callable
from inspect import signature
from typing import Any, Final, TypeVar

import netmiko
import paramiko
from netmiko.ssh_dispatcher import platforms

from provost.connectors.network_device.dialogs import Dialog, Step
from provost.connectors.network_device.families import Family
from provost.connectors.network_device.login import HostKeys, explain
from provost.connectors.network_device.stream import Stream
from provost.core.connector import Timeouts
from provost.core.errors import LoginRefused, LoginUnanswered, Refused, TargetError, Unreachable
from provost.core.job import Login, Target
from provost.core.model import Become

# At a lower level Netmiko logs what it types.
logging.getLogger("netmiko").setLevel(logging.WARNING)

_ASKS: Final = re.compile(r"(?i)password:")
"""How a device asks for the password of enable; who is asked again gave a wrong one."""
_BEGIN: Final = r"(?m)(?:^[ \t]*|(?<=[>#\]$%])|(?<=[>#\]$%] ))[<\[]?[~*]?"
"""What is before the device's name in its prompts; one that was late is behind another."""
_END: Final = r"[^\r\n>#\]]*[>#\]$%]"
"""What follows the device's name in its prompts: a mode, and a sign."""
_MOST_QUESTIONS: Final = 8
_PAUSE: Final = 0.01

_LOST: Final = (
    EOFError, OSError, OverflowError, netmiko.exceptions.NetmikoBaseException, paramiko.SSHException
)  # fmt: skip

T = TypeVar("T")


class Refusal(Exception):
    """The device refused a command. Its words follow."""


class Wire:
    """What is typed and what is answered, by prompts."""

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
        """Log in, and come by the rights.

        Raises:
            TargetError: it cannot be logged in to, or not with this login.
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
        stream = Stream(connection)
        try:
            connection._open()  # noqa: SLF001  # what auto_connect does, after the policy was set
            base = connection.base_prompt or stream.find_prompt(self._prompt).rstrip("> #$%]")
            prompts = (
                re.compile(rf"{_BEGIN}{re.escape(base)}{_END}") if base and not self._family.prompt else None
            )
            stream.settle(prompts)
        except OverflowError as error:
            raise self._lose(error) from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            given = self._keys.believed and not hasattr(connection, "channel")  # it has one once it is let in
            raise explain(error, self._target, self._login.username, self._keys, given=given) from error
        except (netmiko.exceptions.NetmikoBaseException, ValueError) as error:
            raise TargetError(
                f"{self._target.asset} let {self._login.username} in and showed no prompt that {device_type} "
                "has; is the option device_type right?",
                code="shell_failed",
            ) from error
        if not self._family.prompt:
            self._prompt = re.compile(rf"(?:^|[\r\n])[ \t]*[<\[]?[~*]?{re.escape(base)}{_END}[ \t]*$")
        try:
            self._become(stream, prompts)
        finally:
            stream.forget()

    def _become(self, stream: Stream, prompts: re.Pattern[str] | None) -> None:
        """Become privileged, if the login says so.

        Raises:
            LoginRefused: `become_refused`.
            LoginUnanswered: enable was given a password, and the connection ended or no answer came in time.
            Unreachable: likewise, without a password.
        """
        if self._login.become is Become.NONE:
            return
        start = len(stream.text)
        try:
            self._connection.enable(**_ask_for(self._connection.enable))
            stream.settle(prompts, unprompted=len(_ASKS.findall(stream.text[start:])))
        except (*_LOST, ValueError) as error:
            if isinstance(error, ValueError) or len(_ASKS.findall(stream.text[start:])) > 1:
                raise LoginRefused(
                    f"{self._target.asset} let {self._login.username} in, and enable did not take the password "
                    f"of {self._login.asked}.",
                    code="become_refused",
                ) from error
            lost = self._lose(error)
            if self._login.become_password is None:
                raise lost from error
            raise LoginUnanswered(
                f"enable on {self._target.asset} was given the password of {self._login.asked}, and what it "
                "said to that was not heard.",
                code="become_unanswered",
            ) from error

    def speak(self, dialog: Dialog) -> str:
        """Type a dialog that is about no account, and return all that came.

        Raises:
            Refusal: the device refuses it.
            Unreachable: the connection was lost.
        """
        return "\n".join([self.ask(step) for step in dialog])

    def ask(self, step: Step) -> str:
        """Type a command, answer what it asks, and return what came until the next prompt.

        Raises:
            Refusal: the device refuses it.
            Unreachable: the connection was lost.
        """
        connection = self._connection
        if connection is None:
            raise Unreachable(f"The connection to {self._target.asset} was lost.", code="connection_lost")
        try:
            connection.read_channel()
            connection.write_channel(step.command + connection.RETURN)
            answer = self._read_on(step, *self._read_until(lambda text: _cut_echo(step.command, text)))
        except _LOST as error:
            raise self._lose(error) from error
        if found := re.search(self._family.refused, answer):
            begin = answer.rfind("\n", 0, found.end()) + 1
            raise Refusal(answer[begin:].strip().partition("\n")[0].strip())
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

    def _lose(self, error: Exception) -> Unreachable:
        self.close()
        asset = self._target.asset
        told = f"The connection to {asset} was lost."
        if isinstance(error, TimeoutError):
            told = f"{asset} said nothing that was waited for in {self._timeouts.command:g} s."
        if isinstance(error, OverflowError):
            told = f"{asset} says too much: {error}."
        return Unreachable(told, code="connection_lost")

    def close(self) -> None:
        """End the connection, and whatever waits for it. Twice is once."""
        if self._connection is None:
            return
        netmiko.log.removeFilter(self._connection._secrets_filter)  # noqa: SLF001  # it holds the password
        if client := getattr(self._connection, "remote_conn_pre", None):
            client.close()


def _cut_echo(command: str, text: str) -> tuple[str] | None:
    """Return what came after the echo of a command; None: the echo is not there yet."""
    _, echo, rest = text.partition(command)
    return (rest,) if echo else None


def _ask_for(enable: Callable[..., object]) -> dict[str, str]:
    """Return how Netmiko is to know that it is asked for the password.

    By itself it types the password, which a device then repeats, at "% No password set", too.
    """
    asks = signature(enable).parameters.get("pattern")
    return {"pattern": r"ssword[^\n]*:"} if asks and asks.default == "ssword" else {}

"""One remote shell per host: a POSIX sh as root that runs the functions in remote/, fed and read by lines."""

import asyncio
import re
import secrets
import shlex
from contextlib import suppress
from functools import cache
from importlib.resources import files

import asyncssh

from provost.core.connector import Timeouts, Witness
from provost.core.errors import LoginRefused, LoginUnanswered, LookupFailed, TargetError, Unreachable
from provost.core.job import Login, Target
from provost.core.model import Become

# Understood alike by every login shell that sshd may hand it to: no backslash, no exclamation mark, no newline.
# The first line is the library itself, escaped for printf's %b; it goes on reading lines by itself.
_LOOP = 'while IFS= read -r l; do eval "$(printf %b "$l")"; done'
_PROMPT = re.compile("provost-prompt-[0-9a-f]{16}")
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # but for the tab
_NOISE_LIMIT = 1 << 20
_MESSAGE_LIMIT = 4000
_BLOCK_LIMIT = 64 << 20
_PULSE = 3.0
_LINE_COST = 64  # bytes that a line takes besides its own
_LIBRARY = ("begin", "look", "change", "keys", "serve")
"""The parts in remote/ that every shell needs; `load` sends others."""


@cache
def _encode_parts(*names: str) -> str:
    """Return parts of the library as one line for printf's %b."""
    folder = files(__package__).joinpath("remote")
    texts = [folder.joinpath(f"{name}.sh").read_text() for name in names]
    lines = [line for text in texts for line in text.splitlines() if line and not line.startswith("#")]
    return "\\n".join(line.replace("\\", "\\\\") for line in lines)


def quote_command(*words: str) -> bytes:
    """Return a command line of `words` for the remote shell."""
    return shlex.join(words).encode() + b"\n"


def _make_unanswered(login: Login, asset: str) -> LoginUnanswered:
    return LoginUnanswered(
        f"{login.become} on {asset} was given the password of {login.asked}, and what it said to that was not "
        "heard.",
        code="become_unanswered",
    )


class Shell:
    """The remote shell. `tools` tells the host's user management: `shadow`, `busybox` or `none`."""

    def __init__(self, process: "asyncssh.SSHClientProcess[bytes]", asset: str) -> None:
        self._process = process
        self._asset = asset
        self._mark = f"provost-{secrets.token_hex(8)}".encode()
        self._errors = b""
        self._errors_came = asyncio.Event()
        self._drain = asyncio.create_task(self._keep_errors())
        self._pulse: asyncio.Task[None] | None = None
        self._loaded: set[str] = set()
        self._unanswered = False
        """A password was given to become root, and not answered yet."""
        self.tools = "none"
        self.hides_secrets = False

    @classmethod
    async def open(
        cls,
        connection: asyncssh.SSHClientConnection,
        login: Login,
        target: Target,
        timeouts: Timeouts,
        witness: Witness,
    ) -> "Shell":
        """Start the shell as root.

        Raises:
            LoginRefused: `become_refused` or `not_root`; the account cannot act as root.
            LoginUnanswered: `become_unanswered`; sudo or su was given a password, and no answer came.
            Unreachable: the connection broke, or no shell answered.
        """
        asset = target.asset
        prompt = f"provost-prompt-{secrets.token_hex(8)}"
        ready = f"provost-ready-{secrets.token_hex(8)}"
        go = f"provost-go-{secrets.token_hex(8)}"
        # What comes before `go` is thrown away: a password that nobody asked for must not become a command.
        wait = f"echo {ready}; while IFS= read -r l; do case $l in {go}) break;; esac; done; {_LOOP}"
        command = {
            Become.NONE: f"/bin/sh -c '{_LOOP}'",
            Become.SUDO: f"sudo -S -p {prompt} /bin/sh -c '{wait}'",
            Become.SU: f"env LC_ALL=C su -s /bin/sh -c '{wait}' root",
        }[login.become]
        if login.become is Become.SU:
            prompt = "[Pp]assword: ?"  # su(1) has no option for it; this is the C locale's
        try:
            process = await connection.create_process(command, encoding=None)
        except (OSError, asyncssh.Error) as error:
            raise Unreachable(f"{asset} gave no shell: {error}.", code="shell_failed") from error
        shell = cls(process, asset)
        try:
            async with asyncio.timeout(timeouts.connect):
                if login.become is not Become.NONE:
                    await shell._become(login, prompt, ready)
                    shell.send(go.encode() + b"\n")
                await shell._greet(login)
                shell._pulse = asyncio.create_task(shell._beat())
        except TimeoutError:
            shell.close()
            if shell._unanswered:
                raise _make_unanswered(login, asset) from None
            raise Unreachable(f"{asset} gave no shell in time.", code="shell_timeout") from None
        except asyncio.CancelledError:
            shell.close()
            if shell._unanswered:
                witness.see_refusal(target.asset_id, login.asked)
            raise
        except BaseException:
            shell.close()
            raise
        return shell

    async def _become(self, login: Login, prompt: str, ready: str) -> None:
        """Answer the prompt of sudo or su, once and if it asks.

        Raises:
            LoginRefused: `become_refused`.
            LoginUnanswered: the connection broke after the answer.
            Unreachable: it broke before.
        """
        started = asyncio.create_task(self._read_until(ready.encode()))
        at_end = re.compile(prompt.encode() + rb"\Z")
        asked = 0
        try:
            while not started.done():
                came = asyncio.create_task(self._errors_came.wait())
                await asyncio.wait({started, came}, return_when=asyncio.FIRST_COMPLETED)
                came.cancel()
                if self._errors_came.is_set() and at_end.search(self._errors):
                    asked += 1
                    if asked > 1 or login.become_password is None:
                        break
                    self._unanswered = True
                    self.send(login.become_password.text.encode() + b"\n")
                self._errors_came.clear()
            if started.done() and started.exception() is None:
                self._unanswered = False
                return
        finally:
            if not started.done():
                started.cancel()
        if started.done() and not started.cancelled() and (lost := started.exception()) is not None:
            await self._process.wait_closed()
            if self._process.exit_status is None:  # sudo or su said nothing: it is the connection that ended
                raise _make_unanswered(login, self._asset) if self._unanswered else lost
        name = f"{login.username} on {self._asset}"
        if asked and login.become_password is None:
            raise LoginRefused(
                f"{login.become} asks {name} for a password, and Provost holds none for it.",
                code="become_refused",
            )
        raise LoginRefused(
            f"{login.become} did not make {name} root: {self.take_errors() or 'the password was refused'}.",
            code="become_refused",
        )

    async def _greet(self, login: Login) -> None:
        self.send(_encode_parts(*_LIBRARY).encode() + b"\n" + quote_command("p_hello", self._mark.decode()))
        words = await self.read_answer()
        if words[:1] == ["busy"]:
            raise Unreachable(
                f"Another shell of Provost's ({words[-1]}) is at work on {self._asset}. "
                "If there is none, remove /run/provost.pid there.",
                code="host_busy",
            )
        if len(words) != 4 or words[0] != "hello":  # noqa: PLR2004  # hello UID BUILTIN TOOLS
            raise TargetError(
                f"/bin/sh on {self._asset} is no POSIX shell: it answered {' '.join(words)[:100]!r}.",
                code="shell_failed",
            )
        if words[1] != "0":
            raise LoginRefused(
                f"{login.username} on {self._asset} is not root (uid {words[1]}), with become {login.become}. "
                "Set it to sudo or su.",
                code="not_root",
            )
        self.hides_secrets = words[2] == "yes"
        self.tools = words[3]

    def send(self, lines: bytes) -> None:
        """Queue command lines, and the lines of data that they read.

        Raises:
            Unreachable: `connection_lost`; the shell or the connection ended.
        """
        try:
            self._process.stdin.write(lines)
        except OSError:  # asyncssh's, of a channel that is closed
            raise self._lost() from None

    def load(self, part: str) -> None:
        """Send a part of the library that not every session needs, once.

        Raises:
            Unreachable: as `send`.
        """
        if part not in self._loaded:
            self.send(f'eval "$(printf %b {shlex.quote(_encode_parts(part))})"\n'.encode())
            self._loaded.add(part)

    async def read_answer(self) -> list[str]:
        """Return the next answer's words.

        Raises:
            Unreachable: `connection_lost`; the shell or the connection ended.
        """
        await self._read_until(self._mark)
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._lost()
        return line.decode(errors="replace").split()

    async def read_block(self) -> tuple[list[str], list[str]]:
        """Return the lines before the next answer, without control characters, and that answer's words.

        Raises:
            Unreachable: `connection_lost`; the shell or the connection ended.
            LookupFailed: there is no end to them.
        """
        lines: list[str] = []
        size = 0
        while True:
            try:
                line = await self._process.stdout.readuntil(b"\n")
            except (OSError, asyncio.IncompleteReadError, asyncssh.Error):
                raise self._lost() from None
            if line.startswith(self._mark):
                return lines, line.removeprefix(self._mark).decode(errors="replace").split()
            size += len(line) + _LINE_COST
            if size > _BLOCK_LIMIT:
                raise LookupFailed(f"{self._asset} tells more than {_BLOCK_LIMIT >> 20} MiB of its accounts.")
            lines.append(_CONTROLS.sub("?", line[:-1].decode(errors="replace")))

    async def _read_until(self, mark: bytes) -> None:
        """Skip what a login shell prints, up to the mark."""
        skipped = 0
        while True:
            try:
                await self._process.stdout.readuntil(mark)
            except asyncio.IncompleteReadError as error:
                # asyncssh also ends here when its buffer is full of noise.
                skipped += len(error.partial)
                if not error.partial or self._process.stdout.at_eof() or skipped > _NOISE_LIMIT:
                    raise self._lost() from None
            except (OSError, asyncssh.Error):
                raise self._lost() from None
            else:
                return

    def _lost(self) -> Unreachable:
        errors = self.take_errors()
        return Unreachable(
            f"The shell on {self._asset} ended before it answered{': ' + errors if errors else ''}.",
            code="connection_lost",
        )

    async def _beat(self) -> None:
        """Say now and then that somebody is there: who waits for its turn ends a shell that hears nothing."""
        with suppress(Unreachable):
            while True:
                await asyncio.sleep(_PULSE)
                self.send(b":\n")

    async def _keep_errors(self) -> None:
        while chunk := await self._process.stderr.read(4096):
            self._errors = (self._errors + chunk)[-_MESSAGE_LIMIT:]
            self._errors_came.set()

    def take_errors(self) -> str:
        """Return what the host printed to standard error, for a message to the operator."""
        text = _PROMPT.sub("", self._errors.decode(errors="replace"))
        return " ".join(text.split()).rstrip(". ")  # cut where secrets have been taken out of it

    def close(self) -> None:
        """End the shell."""
        self._drain.cancel()
        if self._pulse:
            self._pulse.cancel()
        self._process.close()

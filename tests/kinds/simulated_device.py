"""A device that FakeNOS simulates, as a process of its own: python simulated_device.py FAMILY PORT FOLDER.

FakeNOS (from PyPI) serves SSH, terminal, echo, prompts and a platform's own commands, and answers what is
unknown.  It has no accounts: these, with the few commands about them, are added here by plugins for its shell
and server, as the vendors' manuals describe them.  They are kept in FOLDER/state.json, which is also the
administrator's console; what was typed is in FOLDER/typed, but for answers to prompts.
"""

import base64
import fcntl
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

State = dict[str, Any]
NAME = "sw1"
ADMINISTRATORS = {"15", "super-user"}


@contextmanager
def open_state(folder: Path) -> Iterator[State]:
    """Give the device's state, and keep what becomes of it."""
    file = folder / "state.json"
    with file.open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        state = json.loads(handle.read() or '{"users": {}, "saved": {}, "flaws": []}')
        yield state
        handle.seek(0)
        handle.truncate()
        handle.write(json.dumps(state))


def accepts(kept: str, password: str) -> bool:
    """Tell whether a password is the one that a device keeps in this form."""
    if kept.startswith("$6$"):
        words = ["openssl", "passwd", "-6", "-salt", kept.split("$")[2], "-stdin"]
        return (
            subprocess.run(words, input=password.encode(), capture_output=True, check=True)
            .stdout.decode()
            .strip()
            == kept
        )
    if kept.startswith("$9$"):
        _, _, salt, digest = kept.split("$")
        made = base64.b64encode(
            hashlib.scrypt(password.encode(), salt=salt.encode(), n=16384, r=1, p=1, dklen=32)
        )
        table = bytes.maketrans(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        )
        return made.rstrip(b"=").translate(table).decode() == digest
    return kept == f"plain:{password}"


class Grammar:
    """What one family of devices understands, for one session. `ask` leaves a question open."""

    def __init__(self, folder: Path, username: str) -> None:
        self.folder = folder
        self.username = username
        self.mode = ""
        self.question = ""
        self.reply: Callable[[str], str] | None = None
        with open_state(folder) as state:
            self.is_administrator = state["users"].get(username, {}).get("level") in ADMINISTRATORS

    @property
    def prompt(self) -> str:
        raise NotImplementedError

    def run(self, line: str) -> str | None:
        """Return the answer to a line; None: FakeNOS is to answer."""
        if self.reply:
            reply, self.reply, self.question = self.reply, None, ""
            return reply(line)
        if not line:
            return ""
        with (self.folder / "typed").open("a") as typed:
            typed.write(f"{self.username}: {line}\n")
        return self.understand(line)

    def understand(self, line: str) -> str | None:
        raise NotImplementedError

    def ask(self, question: str, reply: Callable[[str], str]) -> str:
        self.question, self.reply = question, reply
        return ""

    def has_flaw(self, flaw: str) -> bool:
        with open_state(self.folder) as state:
            return flaw in state["flaws"]

    def save(self) -> bool:
        with open_state(self.folder) as state:
            if "save" in state["flaws"]:
                return False
            state["saved"] = state["users"]
        return True

    def set(self, name: str, **values: str) -> None:
        with open_state(self.folder) as state:
            state["users"].setdefault(name, {}).update(values)

    def drop(self, name: str) -> bool:
        with open_state(self.folder) as state:
            return state["users"].pop(name, None) is not None

    def list_users(self) -> dict[str, dict[str, str]]:
        with open_state(self.folder) as state:
            return dict(state["users"])


class Cisco(Grammar):
    platform = "cisco_ios"

    @property
    def prompt(self) -> str:
        return f"{NAME}(config)#" if self.mode else NAME + (">#"[self.is_administrator])

    def understand(self, line: str) -> str | None:
        if line == "enable" and not self.is_administrator:
            return self.ask("Password: ", self.enable)
        if not self.is_administrator:
            return None
        if self.mode:
            return self.configure(line)
        if line == "show running-config | include ^username":
            return "\n".join(
                f"username {name} privilege {user['level']} secret 9 {user['password']}"
                for name, user in self.list_users().items()
            )
        if line == "configure terminal":
            self.mode = "config"
            return "Enter configuration commands, one per line.  End with CNTL/Z."
        if line == "write memory":
            return "Building configuration...\n" + (
                "[OK]" if self.save() else "startup-config file open failed (No space left on device)"
            )
        return None

    def enable(self, answer: str) -> str:
        if self.has_flaw("enable hangs"):
            threading.Event().wait()
        if self.has_flaw("enable asks again") and answer:
            return self.ask("Password: ", self.enable)
        with open_state(self.folder) as state:
            kept = state.get("enable", state["users"][self.username].get("password", ""))
        self.is_administrator = accepts(kept, answer)
        return "" if self.is_administrator else "% Access denied"

    def configure(self, line: str) -> str | None:
        if line == "end":
            self.mode = ""
            return ""
        if self.has_flaw("no type 9"):
            return "% Invalid input detected at '^' marker."
        if found := re.fullmatch(r"username (\S+)(?: privilege (\d+))? secret 9 (\$9\$\S+)", line):
            level = {"level": found[2]} if found[2] else {}
            self.set(
                found[1],
                **{"level": "1"} | self.list_users().get(found[1], {}) | level | {"password": found[3]},
            )
            return ""
        if found := re.fullmatch(r"no username (\S+)", line):
            return self.ask(
                "This operation will remove all username related configurations with same name."
                "Do you want to continue? [confirm]",
                lambda answer: "" if answer or self.drop(found[1]) else "% Unknown user",
            )
        return None


class Huawei(Grammar):
    platform = "huawei_vrp"

    @property
    def prompt(self) -> str:
        return f"[{NAME}{'' if self.mode == 'system' else '-aaa'}]" if self.mode else f"<{NAME}>"

    def understand(self, line: str) -> str | None:
        unknown = "            ^\nError: Unrecognized command found at '^' position."
        if line == "quit" and not self.mode:
            return None
        if line == "screen-length 0 temporary":
            return "Info: The configuration takes effect on the current user terminal interface only."
        if not self.is_administrator:
            return unknown
        moves = {("", "system-view"): "system", ("system", "aaa"): "aaa", ("aaa", "quit"): "system"}
        if (self.mode, line) in moves:
            self.mode = moves[self.mode, line]
            return "Enter system view, return user view with Ctrl+Z." if line == "system-view" else ""
        if line == "return":
            self.mode = ""
            return ""
        if line == "display current-configuration | include local-user":
            return "\n".join(text for name, user in self.list_users().items() for text in self.show(name, user))
        if line == "save" and not self.mode:
            return self.ask(
                "The current configuration will be written to the device.\nAre you sure to continue?[Y/N]:",
                lambda answer: (
                    "Info: Save the configuration successfully."
                    if answer == "y" and self.save()
                    else "Error: No space."
                ),
            )
        return self.administer(line) if self.mode == "aaa" else unknown

    def show(self, name: str, user: dict[str, str]) -> list[str]:
        told = [f" local-user {name} password irreversible-cipher $1a$hidden$"] if "password" in user else []
        told += [f" local-user {name} privilege level {user['level']}"] if "level" in user else []
        return told + ([f" local-user {name} service-type ssh"] if "service" in user else [])

    def administer(self, line: str) -> str:
        if self.has_flaw("no levels") and " privilege " in line:
            return "Error: The level is not allowed."
        if found := re.fullmatch(r"local-user (\S+) password", line):
            return self.ask(
                "Please configure the login password (8-128)\nPlease enter password:",
                lambda first: self.ask(
                    "Please confirm password:", lambda second: self.keep(found[1], first, second)
                ),
            )
        if found := re.fullmatch(r"local-user (\S+) privilege level (\d+)", line):
            self.set(found[1], level=found[2])
            return ""
        if found := re.fullmatch(r"local-user (\S+) service-type ssh", line):
            self.set(found[1], service="ssh")
            return ""
        if found := re.fullmatch(r"undo local-user (\S+)", line):
            return "" if self.drop(found[1]) else "Error: The user does not exist."
        return "Error: Unrecognized command found at '^' position."

    def keep(self, name: str, first: str, second: str) -> str:
        if first != second or not 8 <= len(first) <= 128:
            return "Error: The password is not valid."
        self.set(name, password=f"plain:{first}")
        return "Info: Add a new user."


class Juniper(Grammar):
    platform = "juniper_junos"

    def __init__(self, folder: Path, username: str) -> None:
        super().__init__(folder, username)
        self.candidate: dict[str, dict[str, str]] = {}

    @property
    def prompt(self) -> str:
        return f"[edit]\r\n{self.username}@{NAME}# " if self.mode else f"{self.username}@{NAME}> "

    def understand(self, line: str) -> str | None:
        cli = {
            "set cli screen-width 511": "Screen width set to 511",
            "set cli complete-on-space off": "Disabling complete-on-space",
            "set cli screen-length 0": "Screen length set to 0",
        }
        if line in cli:
            return cli[line]
        if self.mode:
            return self.configure(line)
        if self.is_administrator and line == "configure private":
            self.mode, self.candidate = "configure", self.list_users()
            return "warning: uncommitted changes will be discarded on exit\nEntering configuration mode"
        if self.is_administrator and line == "show configuration system login | display set":
            return "\n".join(
                f"set system login user {name} class {user['level']}\n"
                f'set system login user {name} authentication encrypted-password "{user["password"]}"'
                for name, user in self.list_users().items()
            )
        return "                   ^\nunknown command." if line != "exit" else None

    def configure(self, line: str) -> str:
        if line == "exit configuration-mode":
            self.mode = ""
            return "Exiting configuration mode"
        if line == "rollback 0":
            self.candidate = self.list_users()
            return "load complete"
        if line == "commit":
            return self.commit()
        if found := re.fullmatch(r"delete system login user (\S+)", line):
            return "" if self.candidate.pop(found[1], None) else "warning: statement not found"
        if found := re.fullmatch(r"set system login user (\S+) class (\S+)", line):
            if found[2] not in {"read-only", "operator", "super-user"}:
                return f"                  ^\ninvalid value '{found[2]}'."
            self.candidate.setdefault(found[1], {})["level"] = found[2]
            return ""
        if found := re.fullmatch(
            r'set system login user (\S+) authentication encrypted-password "(\$6\$\S+)"', line
        ):
            self.candidate.setdefault(found[1], {})["password"] = found[2]
            return ""
        return "       ^\nsyntax error."

    def commit(self) -> str:
        with open_state(self.folder) as state:
            if "commit" in state["flaws"]:
                return "error: configuration database locked by another user"
            state["users"] = state["saved"] = self.candidate
        return "commit complete"


class Other(Grammar):
    """A device that nobody has heard of."""

    platform = "cisco_ios"

    @property
    def prompt(self) -> str:
        return f"{NAME}$ "

    def understand(self, line: str) -> str | None:
        if line == "exit":
            return None
        if not self.is_administrator:
            return "ERROR: not permitted"
        if line == "user list":
            return "\n".join(f"user {name} level {user['level']}" for name, user in self.list_users().items())
        if found := re.fullmatch(r"user add (\S+) level (\d+)", line):
            return self.ask("New password: ", lambda first: self.keep(found[1], first, level=found[2]))
        if found := re.fullmatch(r"user password (\S+)", line):
            return self.ask("New password: ", lambda first: self.keep(found[1], first))
        if found := re.fullmatch(r"user del (\S+)", line):
            return "" if self.drop(found[1]) else "ERROR: no such user"
        if line == "copy running startup":
            return self.ask(
                "Proceed (y/n)? ", lambda answer: "Saved." if answer == "y" and self.save() else "Not done."
            )
        return "ERROR: unknown command"

    def keep(self, name: str, first: str, **values: str) -> str:
        def confirm(second: str) -> str:
            if first != second:
                return "ERROR: passwords differ"
            self.set(name, password=f"plain:{first}", **values)
            return "done"

        return self.ask("Again: ", confirm)


GRAMMARS: dict[str, Any] = {"cisco": Cisco, "huawei": Huawei, "juniper": Juniper, "other": Other}


def put_in_order(tap: Callable[..., None]) -> Callable[..., None]:
    """FakeNOS forgets an answer that comes before it waits for one, and waits ten seconds a byte then."""

    def tap_in_order(channel: Any, stdin: Any, replied: threading.Event, running: threading.Event) -> None:
        def write(line: str) -> None:
            replied.clear()
            stdin.write(line)

        waits = SimpleNamespace(wait=replied.wait, clear=lambda: None)
        tap(channel, SimpleNamespace(write=write), waits, running)

    return tap_in_order


def main(family: str, port: int, folder: Path) -> None:
    """Serve until it is killed."""
    from fakenos import FakeNOS
    from fakenos.plugins.servers import ssh_server_paramiko as server
    from fakenos.plugins.shell.cmd_shell import CMDShell

    grammar = GRAMMARS[family]
    here = threading.local()
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(seconds if seconds > 0.1 else 0.001)  # FakeNOS sleeps after each byte

    class Door(server.ParamikoSshServerInterface):  # type: ignore[misc]
        """FakeNOS knows one account; this one knows those of the device."""

        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            self.entered = ""
            here.door = self  # the shell is made in the same thread

        def check_auth_password(self, username: str, password: str) -> int:
            with open_state(folder) as state:
                kept = state["users"].get(username, {}).get("password", "")
            self.entered = username
            is_in = accepts(kept, password)
            return int(server.paramiko.AUTH_SUCCESSFUL if is_in else server.paramiko.AUTH_FAILED)

        def get_allowed_auths(self, _username: str) -> str:
            return "password"

    class Shell(CMDShell):  # type: ignore[misc]
        """FakeNOS's shell, with the commands about accounts before its own."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.grammar = grammar(folder, here.door.entered)
            self.prompt = self.grammar.prompt
            self.is_over = False

        def stop(self) -> None:
            """FakeNOS types `exit`, which need not end anything."""
            self.is_over = True
            super().stop()

        def onecmd(self, line: str) -> bool:
            if self.is_over:
                return True
            answer = self.grammar.run(line)
            if answer is None:
                return bool(super().default("exit" if line == "quit" else line))
            self.writeline(answer)
            self.prompt = self.grammar.question.replace("\n", "\r\n") or self.grammar.prompt
            return False

    server.channel_to_shell_tap = put_in_order(server.channel_to_shell_tap)
    server.ParamikoSshServerInterface = Door
    host = {"username": "", "password": "", "port": port, "platform": grammar.platform}
    net = FakeNOS(inventory={"hosts": {NAME: host}})
    net.shell_plugins["CMDShell"] = Shell
    net.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))

"""Five real hosts, a throw-away vault, and the table of the README shown on them; then the console.

Every credential that Provost pushed is proven with the stock OpenSSH client.  Exits with 1 if anything is off.
With CI=true, or without a terminal, the console is only tried, and all ends at once.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from provost.lab import Host, Lab

PROVOST = Path(sys.executable).parent / "provost"
SSH_OPTIONS = (
    "-F/dev/null",
    "-oStrictHostKeyChecking=no",
    "-oUserKnownHostsFile=/dev/null",
    "-oLogLevel=ERROR",
    "-oNumberOfPasswordPrompts=1",
)
BY_HAND = "made-by-hand-1"
IN_LIST = "what-the-list-says-2"
console = Console(width=110)


@dataclass(frozen=True)
class Row:
    """One host of the demo: what is there before the push, and what the table then says."""

    on_target: str
    in_list: str
    decision: str | None
    status: str
    proof: str
    privileged: bool = True


ROWS = (
    Row("no", "no", "create", "succeeded", "the new password"),
    Row("yes", "yes", "leave", "unchanged", "the password made by hand"),
    Row("yes", "no", "adopt", "succeeded", "the new password"),
    Row("no", "yes", "restore", "succeeded", "the list's password"),
    Row("no", "no", None, "skipped", "", privileged=False),
)


class Demo:
    """The vault and the hosts, while they last."""

    def __init__(self, folder: Path, hosts: Sequence[Host]) -> None:
        self._folder = folder
        self._environment = {**os.environ, "PROVOST_HOME": str(folder)}
        self._hosts = hosts
        self.wrong: list[str] = []

    def provost(self, *words: str, stdin: str = "", status: int = 0) -> str:
        """Run the command line as an operator would, and return what it printed."""
        done = subprocess.run(
            [PROVOST, *words], env=self._environment, input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode != status:
            raise SystemExit(
                f"provost {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout

    def prepare(self) -> None:
        """Bring the hosts in, and put each into its row of the table."""
        self.provost("init")
        for host, row in zip(self._hosts, ROWS, strict=True):
            self.provost(
                "asset", "add", host.name, "--kind", "linux", "--address", host.address, "--node", "/demo"
            )
            if row.privileged:
                words = ("account", "add", "root", "--asset", host.name, "--privileged", "--password-stdin")
                self.provost(*words, stdin=host.root_password)
            if row.on_target == "yes":
                host.run("useradd -m alice; chpasswd", stdin=f"alice:{BY_HAND}\n")
            if row.in_list == "yes":
                self.provost("account", "add", "alice", "--asset", host.name, "--password-stdin", stdin=IN_LIST)

    def open_console(self) -> None:
        """Serve the console on the demo's vault until Ctrl-C; with nobody in front, only try it."""
        words = [PROVOST, "serve", "--port", "0"]
        with (self._folder / "server.log").open("w") as log:
            server = subprocess.Popen(
                words,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            token, url = read_announcement(server)
            link = f"{url}/setup#{token}"
            answer = httpx.get(f"{url}/", follow_redirects=True)
            self.check(
                right=answer.status_code == HTTPStatus.OK, what=f"the console answers {answer.status_code}"
            )
            if os.environ.get("CI") or not sys.stdin.isatty():
                console.print(f"\nThe console was up at {url}.")
                return
            console.print("\nThe hosts are in the console now. This link makes its first user, once:\n")
            console.print(f"    {link}\n", soft_wrap=True)
            console.print("Choose a password there, then Push: an account to /demo.\n")
            for host, row in zip(self._hosts, ROWS, strict=True):
                if not row.privileged:
                    console.print(
                        f"{host.name} was skipped: it has no privileged account. Its page adds one: root, whose"
                        f"\npassword is {host.root_password}",
                        markup=False,
                        highlight=False,
                    )
            console.print("\nCtrl-C ends it all.")
            with contextlib.suppress(KeyboardInterrupt):
                server.wait()
        finally:
            server.terminate()
            server.wait()
            if server.stdout:
                server.stdout.close()

    def push(self, username: str, secret_type: str) -> dict[str, dict[str, Any]]:
        """Push one account to the folder and return its records by asset."""
        # One host has no privileged account and is skipped, so the status is 1.
        words = ("push", "--account", username, "--node", "/demo", "--secret-type", secret_type, "--json")
        console.print(f"\n[bold]$ provost {' '.join(words[:-1])}[/bold]")
        document = json.loads(self.provost(*words, status=1))
        return {record["asset"]: record for record in document["records"]}

    def reveal(self, host: Host, username: str, secret_type: str) -> str:
        """Return the stored secret."""
        return self.provost("account", "reveal", f"{username}@{host.name}", "--secret-type", secret_type)

    def check(self, *, right: bool, what: str) -> str:
        """Note what is off, and return a mark for the table."""
        if not right:
            self.wrong.append(what)
        return "[green]yes[/green]" if right else "[red]NO[/red]"


def read_announcement(server: subprocess.Popen[str]) -> tuple[str, str]:
    """Return the setup token and the address that a server tells as it starts."""
    token = ""
    for line in server.stdout or ():
        if "token" in line and not token:
            token = line.split()[-1]
        if line.startswith("Provost listens on "):
            return token, line.split()[-1]
    raise SystemExit(f"provost serve ended with {server.wait()}.")


def log_in_with_password(host: Host, username: str, password: str) -> bool:
    """Try the stock client; the password goes through a pipe."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        pipe.write(password)
    command = ["sshpass", "-d", str(reader), "ssh", *SSH_OPTIONS, "-oPubkeyAuthentication=no"]
    try:
        done = subprocess.run(
            [*command, f"{username}@{host.address}", "id -un"],
            pass_fds=[reader],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(reader)
    return done.stdout.strip() == username


def log_in_with_key(host: Host, username: str, key: str) -> bool:
    """Try the stock client; the key goes through an agent of its own."""
    script = 'ssh-add -q - && exec ssh "$@"'
    command = ["ssh-agent", "sh", "-c", script, "sh", *SSH_OPTIONS, "-oPasswordAuthentication=no"]
    done = subprocess.run(
        [*command, f"{username}@{host.address}", "id -un"],
        input=key,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() == username


def show_passwords(demo: Demo, hosts: Sequence[Host]) -> None:
    """All four rows of the table, and the skip."""
    records = demo.push("alice", "password")
    table = Table("host", "on the target", "in the list", "decision", "status", "ssh proves", box=SIMPLE_HEAD)
    for host, row in zip(hosts, ROWS, strict=True):
        record = records[host.name]
        told = (record["decision"], record["status"])
        demo.check(right=told == (row.decision, row.status), what=f"{host.name} ended as {told}")
        proof = record["reason"]
        if row.proof:
            password = (
                BY_HAND if row.decision == "leave" else demo.reveal(host, "alice", "password").rstrip("\n")
            )
            proven = log_in_with_password(host, "alice", password)
            proof = f"{row.proof}: {demo.check(right=proven, what=f'alice cannot log in to {host.name}')}"
        table.add_row(host.name, row.on_target, row.in_list, record["decision"] or "-", record["status"], proof)
    console.print(table)


def show_keys(demo: Demo, hosts: Sequence[Host]) -> None:
    """A key-only account."""
    records = demo.push("deploy", "ssh_key")
    table = Table("host", "decision", "status", "ssh proves", box=SIMPLE_HEAD)
    for host, row in zip(hosts, ROWS, strict=True):
        record = records[host.name]
        proof = record["reason"]
        demo.check(
            right=record["status"] == ("succeeded" if row.privileged else "skipped"),
            what=f"{host.name} ended as {record['status']}",
        )
        if row.privileged:
            proven = log_in_with_key(host, "deploy", demo.reveal(host, "deploy", "ssh_key"))
            proof = f"the new key: {demo.check(right=proven, what=f'deploy cannot log in to {host.name}')}"
        table.add_row(host.name, record["decision"] or "-", record["status"], proof)
    console.print(table)


def main() -> None:
    """Show it."""
    with tempfile.TemporaryDirectory(prefix="provost-demo-") as name, Lab(Path(name) / "lab") as lab:
        began = time.monotonic()
        hosts = lab.up(len(ROWS), prefix="demo")
        demo = Demo(Path(name) / "home", hosts)
        console.print(f"{len(hosts)} real Linux hosts are up after {time.monotonic() - began:.1f} s.")
        demo.prepare()
        show_passwords(demo, hosts)
        show_keys(demo, hosts)
        demo.open_console()
    if demo.wrong:
        raise SystemExit("Something is off:\n  " + "\n  ".join(demo.wrong))
    console.print("All is as the table says, and the hosts are gone again.")


if __name__ == "__main__":
    main()

"""Hosts whose privileged accounts change their own secrets, and what must hold whatever happens meanwhile."""

import ctypes
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

from tests import forks
from tests.conftest import copy_empty_home
from tests.crash.conftest import HERE, PROVOST

from provost.lab import Host, Lab

NODE = "/own"
NO_CONNECTION = 255
"""How ssh(1) ends when it is not let in, or does not get there."""
LIBCRYPT = ctypes.CDLL("libcrypt.so.1")
LIBCRYPT.crypt.restype = ctypes.c_char_p
CRYPTING = Lock()
"""crypt(3) answers in a place of its own."""
Stored = dict[tuple[str, str, str], list[tuple[str, str]]]
"""(state, text) of every secret that is pending or current, by (asset, username, type)."""


@dataclass(frozen=True)
class Account:
    """A privileged account, or root, whose password su asks for."""

    username: str
    types: Sequence[str]
    become: str = "none"
    privileged: bool = True


@dataclass(frozen=True)
class Shape:
    """How hosts are managed: their accounts, what sshd is told, and which (username, type) it lets log in."""

    accounts: Sequence[Account]
    sshd: Sequence[str] = ()
    untried: Sequence[tuple[str, str]] = ()
    """Secrets whose login sshd forbids: they cannot be proven, nor refuted, by one."""


SHAPES = {
    "rootpass": Shape([Account("root", ["password"])]),
    "rootkey": Shape(
        [Account("root", ["password", "ssh_key"])],
        ["PermitRootLogin prohibit-password"],
        [("root", "password")],
    ),
    "sudopass": Shape([Account("admin", ["password"], "sudo")], ["PermitRootLogin no"]),
    "sudokey": Shape(
        [Account("admin", ["password", "ssh_key"], "sudo")],
        ["PasswordAuthentication no", "PermitRootLogin no"],
        [("admin", "password")],
    ),
    "su": Shape(
        [Account("admin", ["ssh_key"], "su"), Account("root", ["password"], privileged=False)],
        ["PermitRootLogin no"],
        [("root", "password")],
    ),
    "two": Shape([Account("root", ["password"]), Account("admin", ["password", "ssh_key"], "sudo")]),
}


@dataclass
class Realm:
    """Hosts of every shape, and a vault that manages them all."""

    home: Path
    hosts: dict[str, list[Host]]
    settings: dict[str, str]
    span: float = 0.0
    """Seconds that a rotation of them all takes here, start-up and all."""
    said: dict[str, list[str]] = field(default_factory=dict)
    """What the stock client said on each host, for who has to find out."""

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PROVOST_HOME": str(self.home), **self.settings}

    def list_hosts(self) -> list[tuple[Shape, Host]]:
        return [(SHAPES[name], host) for name, hosts in self.hosts.items() for host in hosts]

    def provost(self, *words: str, status: Sequence[int] = (0,)) -> str:
        done = forks.run(PROVOST, *words, env=self.environment)
        assert done.returncode in status, f"{words}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, *words: str) -> list[dict[str, Any]]:
        """Do something to all of them, and return the records."""
        told = self.provost(*words, "--node", NODE, "--json", status=(0, 1))
        records: list[dict[str, Any]] = json.loads(told)["records"]
        return records

    def read_stored(self) -> Stored:
        done = forks.run(HERE / "secrets_dump.py", env=self.environment)
        assert not done.returncode, done.stderr
        stored: Stored = {}
        for asset, username, secret_type, state, text in json.loads(done.stdout):
            stored.setdefault((asset, username, secret_type), []).append((state, text))
        return stored

    def settle(self) -> None:
        """Wait until no shell of a killed process is at work on a host any more."""
        for _, host in self.list_hosts():
            host.run("while kill -0 $(readlink /run/provost.pid) 2>/dev/null; do sleep 0.05; done")

    # --- what stock programs tell -----------------------------------------------------------------------

    def run_ssh(self, host: Host, username: str, secret: str, command: str, stdin: str = "") -> str:
        """Log in with OpenSSH by a password or a private key, run a command, and return what it printed."""
        words = [
            "ssh", "-F/dev/null", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null",
            "-oLogLevel=ERROR", "-oIdentityAgent=none", f"-p{host.port}",
        ]  # fmt: skip
        passed: list[int] = []
        if "PRIVATE KEY" in secret:
            file = self.home / f"key-{sha256(secret.encode()).hexdigest()}"
            if not file.exists():  # several hosts may have the same key, and are looked at side by side
                own = file.with_suffix(f".{host.name}")
                own.touch(mode=0o600)
                own.write_text(secret)
                own.rename(file)
            words += ["-oBatchMode=yes", "-oIdentitiesOnly=yes", f"-i{file}"]
        else:
            reader, writer = os.pipe()
            os.write(writer, secret.encode())
            os.close(writer)
            passed = [reader]
            words = [
                "sshpass",
                f"-d{reader}",
                *words,
                "-oPubkeyAuthentication=no",
                "-oNumberOfPasswordPrompts=1",
            ]
        try:
            done = subprocess.run(
                [*words, f"{username}@{host.address}", command],
                pass_fds=passed, input=stdin, capture_output=True, text=True, check=False,
            )  # fmt: skip
        finally:
            for descriptor in passed:
                os.close(descriptor)
        refused = "Permission denied" in done.stderr
        assert done.returncode != NO_CONNECTION or refused, f"{username}@{host.name}: {done.stderr}"
        self.said.setdefault(host.name, []).append(f"{done.returncode} {done.stderr.strip()}")
        return done.stdout.strip()

    def becomes_root(self, host: Host, shape: Shape, account: Account, stored: Stored) -> bool:
        """Tell whether some stored secrets make an account root on its host."""

        def list_texts(username: str, secret_type: str) -> list[str]:
            return [text for _, text in stored.get((host.name, username, secret_type), [])]

        ways = [
            text
            for secret_type in account.types
            if (account.username, secret_type) not in shape.untried
            for text in list_texts(account.username, secret_type)
        ]
        asked = {"none": "root", "sudo": account.username, "su": "root"}[account.become]
        command = {"none": "id -u", "sudo": "sudo -k -S -p '' id -u", "su": "su -s /bin/sh -c 'id -u' root"}
        answers = [""] if account.become == "none" else list_texts(asked, "password")
        for way, answer in product(ways, answers):
            if self.run_ssh(host, account.username, way, command[account.become], f"{answer}\n") == "0":
                return True
        return False


@dataclass(frozen=True)
class Files:
    """What a host's own files say of its accounts, by username: password hashes, and admitted keys."""

    hashes: dict[str, str]
    keys: dict[str, list[str]]
    left: str
    """What Provost should not have left there."""

    @classmethod
    def read(cls, host: Host) -> "Files":
        told = host.run(
            "cat /etc/shadow; for home in /root /home/admin; do file=$home/.ssh/authorized_keys; "
            '[ ! -e $file ] || sed "s/^/${home##*/} /" $file; done; '
            "find /run/provost.pid /root/.ssh /home -name 'provost.pid' -o -name '.provost*'",
            check=False,
        ).stdout
        hashes, keys, left = {}, {}, ""
        for line in told.splitlines():
            if ":" in line:
                hashes[line.split(":")[0]] = line.split(":")[1]
            elif line.startswith("/"):
                left += line
            else:
                keys.setdefault(line.split()[0], []).append(line.split()[2])
        return cls(hashes, keys, left)

    def fit(self, username: str, secret_type: str, text: str) -> bool:
        """Tell whether a secret is one that is in force."""
        if secret_type == "password":
            hashed = self.hashes[username].encode()
            with CRYPTING:
                return bool(LIBCRYPT.crypt(text.encode(), hashed) == hashed)
        public = subprocess.run(
            ["ssh-keygen", "-y", "-f", "/dev/stdin"], input=text, capture_output=True, text=True, check=True
        ).stdout.split()[1]
        return public in self.keys[username]


def check_none_lost(realm: Realm, *, at_end: bool = False) -> None:
    """Check that of every secret a stored one is in force, and that stored ones make root on every host.

    At the end the list alone is in force everywhere: no old key is, and nothing is left open.
    """
    stored = realm.read_stored()
    if at_end:
        assert {state for secrets in stored.values() for state, _ in secrets} == {"current"}

    def check(shape: Shape, host: Host) -> None:
        files = Files.read(host)
        for account in shape.accounts:
            for secret_type in account.types:
                texts = [text for _, text in stored[host.name, account.username, secret_type]]
                where = f"the {secret_type} of {account.username} on {host.name}"
                assert any(files.fit(account.username, secret_type, text) for text in texts), (
                    f"none of {len(texts)} stored secrets is {where}"
                )
                if at_end:
                    assert len(texts) == 1, where
                    assert secret_type == "password" or len(files.keys[account.username]) == 1, where
            if account.privileged:
                assert realm.becomes_root(host, shape, account, stored), (
                    f"{account.username} on {host.name}: {realm.said[host.name][-4:]}"
                )
        assert not at_end or not files.left

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda place: check(*place), realm.list_hosts()))


def check_records(realm: Realm, records: Sequence[dict[str, Any]], count: int) -> None:
    """Check that an action got in everywhere and did all; what sshd forbids to try is unverified at most."""
    untried = {(host.name, *place) for shape, host in realm.list_hosts() for place in shape.untried}
    assert len(records) == count
    for one in records:
        fine = {"succeeded"}
        if (one["asset"], one["username"], one["secret_type"]) in untried:
            fine.add("unverified")
        assert one["status"] in fine, one


def count_secrets(realm: Realm, *types: str) -> int:
    """Return how many secrets of these types there are."""
    return sum(
        one in types for shape, _ in realm.list_hosts() for account in shape.accounts for one in account.types
    )


@contextmanager
def make_realm(folder: Path, sizes: Sequence[int], settings: dict[str, str]) -> Iterator[Realm]:
    """Start so many hosts of each shape, and bring them in with secrets that Provost has not made."""
    with Lab(folder / "lab") as lab:
        hosts = {
            name: lab.up(size, prefix=name, sshd_options=SHAPES[name].sshd)
            for name, size in zip(SHAPES, sizes, strict=True)
            if size
        }
        realm = Realm(folder / "home", hosts, settings)
        copy_empty_home(realm.home)
        (realm.home / "first").write_text(lab.root_key.read_text())
        assets = []
        accounts: dict[str, list[dict[str, Any]]] = {"password": [], "ssh_key": []}
        for shape, host in realm.list_hosts():
            # A refused password costs seconds otherwise (pam_unix(8)).
            host.run("sed -i 's/pam_unix.so nullok/& nodelay/' /etc/pam.d/common-auth")
            assets.append({"name": host.name, "kind": "linux", "address": host.address, "nodes": [NODE]})
            for account in shape.accounts:
                for secret_type, row in _prepare(host, account).items():
                    accounts[secret_type].append(row)
        for rows in accounts.values():  # an import names an account once
            (realm.home / "import.yaml").write_text(json.dumps({"assets": assets, "accounts": rows}))
            realm.provost("import", str(realm.home / "import.yaml"))
            assets = []
        yield realm


def _prepare(host: Host, account: Account) -> dict[str, dict[str, Any]]:
    """Make an account as an operator would, and return it for imports, by type of secret."""
    password = host.root_password
    if account.username != "root":
        password = f"{host.name}'s first"
        host.run(
            f"useradd -m -G sudo -s /bin/sh {account.username}; chpasswd -c SHA512; "
            f"cp -r /root/.ssh ~{account.username}; chown -R {account.username}: ~{account.username}/.ssh",
            stdin=f"{account.username}:{password}\n",
        )
    ways = {"password": {"password": password}, "ssh_key": {"key_file": "first"}}
    common = {
        "username": account.username, "asset": host.name, "privileged": account.privileged,
        "become": account.become,
    }  # fmt: skip
    return {one: {**common, **ways[one]} for one in account.types}

"""No secret in an argument, an environment, a log, a message, the database, or any file, here or on a host."""

import base64
import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_ssh_private_key,
)
from tests.e2e.conftest import Records, Vault, list_push_words, read_records

from provost.core.secrets import SshKey
from provost.lab import Host, Lab
from provost.vault.keys import generate_key

ADMIN, SPECIFIED, PASSPHRASE, WRONG = (
    f"{name}-c4n4ry-{base64.b32encode(name.encode()).decode().strip('=')}-Zq9"
    for name in ("admin", "specified", "passphrase", "wrong")
)
KEY = generate_key("ed25519")

LATER = {
    "rotate": ("rotate", "--account", "random"),
    "rotate a key": ("rotate", "--account", "key", "--secret-type", "ssh_key"),
    "rotate who acts": ("rotate", "--account", "admin"),
    "reconcile": ("reconcile", "--account", "random"),
}
"""What is done afterwards to the accounts that were made."""

DEBUG = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, filename=sys.argv.pop(1))
import asyncssh
asyncssh.set_debug_level(2)  # 3 is documented to show passwords
from provost.cli.main import main
main()
"""

# Notes what each tool was started with, whole: sampling could miss the shortest-lived.
WATCH_TOOLS = """
mkdir /usr/lib/real
install -m 666 /dev/null /run/seen
cat > /usr/lib/watch
chmod 755 /usr/lib/watch
for tool in useradd chpasswd userdel getent visudo setpriv \\
    awk chmod cut grep id ln mkdir mktemp mv readlink rm rmdir tr; do
    path=$(command -v $tool)
    cp -pL $path /usr/lib/real/$tool
    cp -p --remove-destination /usr/lib/watch $path
done
"""
WATCH = r"""#!/usr/bin/perl
open my $seen, ">>", "/run/seen";
for my $name ("cmdline", "environ") { open my $text, "<", "/proc/$$/$name"; print {$seen} <$text>; }
close $seen;
$0 =~ m{([^/]+)\z};
exec "/usr/lib/real/$1", @ARGV;
"""

TELL_ALL = """#!/bin/sh
echo "BAD PASSWORD: $* $(cat)" >&2
env >&2
exit 1
"""


def list_spellings(secret: str) -> list[bytes]:
    """Return a secret as it is, and as a dump of it in a usual encoding would have it."""
    raw = secret.encode()
    shifted = [base64.b64encode(b"\0" * shift + raw)[4:-4] for shift in range(3)]
    return [raw, raw.hex().encode(), *shifted]


def pick_line(pem: str) -> str:
    """Return the line of a private key's text that nothing else shares."""
    return pem.splitlines()[-3]


class Watch(threading.Thread):
    """Reads arguments and environment of every new process here, and so on hosts, and a folder's files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._over = threading.Event()
        self._old = {path.name for path in Path("/proc").iterdir()}
        self.seen: set[bytes] = set()
        """Arguments and environments."""
        self.files: set[bytes] = set()
        """What files in the folder had in them."""

    def run(self) -> None:
        """Look, again and again."""
        while not self._over.is_set():
            for process in Path("/proc").iterdir():
                if process.name.isdigit() and process.name not in self._old:
                    for name in ("cmdline", "environ"):
                        self._read(process / name, self.seen)
            for path in self._folder.rglob("*"):
                self._read(path, self.files)

    @staticmethod
    def _read(path: Path, found: set[bytes]) -> None:
        with contextlib.suppress(OSError):  # it has ended, or is a folder
            found.add(path.read_bytes())

    def end(self) -> None:
        """Stop looking."""
        self._over.set()
        self.join()


@dataclass(frozen=True)
class Watched:
    """What was there to be seen of a few pushes, by where it was seen; and what must not be in it."""

    hosts: Mapping[str, Host]
    secrets: Mapping[str, str]
    records: Mapping[str, Records]
    texts: Mapping[str, bytes]
    processes: frozenset[bytes]
    temporary: frozenset[bytes]

    def find(self, text: bytes) -> list[str]:
        """Return the names of the secrets that are in a text."""
        return [
            name
            for name, secret in self.secrets.items()
            if any(spelling in text for spelling in list_spellings(secret))
        ]


def add_admin(host: Host) -> None:
    """Make an account that may use sudo with its password."""
    host.run("useradd -m -G sudo admin; chpasswd", stdin=f"admin:{ADMIN}\n")


def prepare_hosts(lab: Lab, vault: Vault) -> dict[str, Host]:
    """Start hosts, on each of which something else could leak, and bring them in."""
    names = ("sudo", "su", "root", "tells-all", "wrong-password", "wrong-sudo")
    hosts = dict(zip(names, lab.up(len(names), prefix="leak"), strict=True))
    for name in ("sudo", "su", "wrong-sudo"):
        add_admin(hosts[name])
    # A variable that was exported before stays exported when a shell sets it again.
    hosts["root"].run("echo secret=x >> /etc/environment")
    # So does all that a shell sets under allexport, which bash takes from its environment.
    hosts["tells-all"].run("ln -sf bash /bin/sh; echo SHELLOPTS=allexport:xtrace >> /etc/environment")
    for name in ("sudo", "su", "root", "tells-all"):
        hosts[name].run(WATCH_TOOLS, stdin=WATCH)
    hosts["tells-all"].run("cat > /usr/sbin/chpasswd", stdin=TELL_ALL)
    hosts["wrong-sudo"].run(
        "echo 'admin ALL=(ALL) ALL' > /etc/sudoers.d/a; echo 'Defaults targetpw' > /etc/sudoers.d/b"
    )
    admin = {"username": "admin", "privileged": True, "password": ADMIN}
    root = {"username": "root", "privileged": True}
    accounts = {
        "sudo": [{**admin, "become": "sudo"}],
        "su": [{**admin, "become": "su"}, {**root, "privileged": False}],
        "root": [root],
        "tells-all": [{**root, "password": None, "key_file": str(lab.root_key)}],
        "wrong-password": [{**root, "password": WRONG}],
        "wrong-sudo": [{**admin, "become": "sudo"}],
    }
    assets = [
        {"name": host.name, "kind": "linux", "address": host.address, "port": host.port, "nodes": [f"/{name}"]}
        for name, host in hosts.items()
    ]
    vault.bring_in(
        {
            "assets": assets,
            "accounts": [
                {"password": hosts[name].root_password, "asset": hosts[name].name, **account}
                for name, several in accounts.items()
                for account in several
            ],
        }
    )
    return hosts


@pytest.fixture(scope="module")
def watched(
    lab: Lab, make_vault: Callable[[], Vault], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """Every kind of push, then rotations and a reconciliation, watched at debug level from both ends."""
    vault, folder = make_vault(), tmp_path_factory.mktemp("leaks")
    hosts = prepare_hosts(lab, vault)
    temporary, log, script = folder / "tmp", folder / "debug.log", folder / "debug.py"
    temporary.mkdir()
    script.write_text(DEBUG)
    key_file = folder / "key"
    key_file.write_bytes(
        load_ssh_private_key(KEY.private.encode(), None).private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(PASSPHRASE.encode())
        )
    )
    loud = replace(
        vault,
        program=(sys.executable, script, str(log)),
        settings={
            "TMPDIR": str(temporary),
            "HOME": str(temporary),
            "PROVOST_DEBUG": "1",
            "PYTHONASYNCIODEBUG": "1",
        },
    )
    watch = Watch(temporary)
    watch.start()
    everywhere = [f"/{name}" for name in hosts]
    fine = everywhere[:3]
    pushes = {
        "specified": (everywhere, "password", ["--secret-stdin", "--param", "sudo=ALL"], SPECIFIED),
        "random": (fine, "password", [], ""),
        "key": (fine, "ssh_key", [], ""),
        "keyfile": (everywhere, "ssh_key", ["--key", str(key_file), "--passphrase-stdin"], PASSPHRASE),
    }
    records, texts = {}, {}
    for username, (places, secret_type, options, stdin) in pushes.items():
        words = list_push_words(username, to=places, secret_type=secret_type, options=options)
        done = loud.run(*words, stdin=stdin, status=0 if places == fine else 1)
        texts[f"output of {username}"] = f"{done.stdout}{done.stderr}".encode()
        records[username] = read_records(done.stdout)
        shown = loud.run("run", "show", json.loads(done.stdout)["run"]["id"])
        texts[f"table of {username}"] = f"{shown.stdout}{shown.stderr}".encode()
    earlier = {f"earlier {name}": secret for name, secret in list_secrets(vault, hosts).items()}
    for name, words in LATER.items():
        if name == "reconcile":
            for place in ("sudo", "su", "root"):
                hosts[place].run("chpasswd", stdin="random:changed behind it\n")
        done = loud.run(*words, *(word for node in fine for word in ("--node", node)), "--json")
        texts[f"output of {name}"] = f"{done.stdout}{done.stderr}".encode()
        assert {one["status"] for one in read_records(done.stdout).values()} == {"succeeded"}, done.stdout
    words = list_push_words("none", to=fine, secret_type="ssh_key", options=pushes["keyfile"][2])
    refused = loud.run(*words, stdin=WRONG, status=2)
    texts["output of a wrong passphrase"] = f"{refused.stdout}{refused.stderr}".encode()
    watch.end()
    secrets = earlier | list_secrets(vault, hosts)
    texts["log"] = log.read_bytes()
    texts |= {str(path): path.read_bytes() for path in vault.home.rglob("*") if path.is_file()}
    texts |= {f"sshd of {name}": host.log.read_bytes() for name, host in hosts.items()}
    yield Watched(hosts, secrets, records, texts, frozenset(watch.seen), frozenset(watch.files))
    lab.down(list(hosts.values()))


def list_secrets(vault: Vault, hosts: Mapping[str, Host]) -> dict[str, str]:
    """Return every secret that the pushes had to do with: those made by Provost are read afterwards."""
    secrets = {"admin": ADMIN, "specified": SPECIFIED, "passphrase": PASSPHRASE, "wrong": WRONG}
    secrets["root's key"] = pick_line(hosts["tells-all"].root_key)
    secrets |= {f"root of {name}": host.root_password for name, host in hosts.items()}
    secrets["private key"] = pick_line(KEY.private)
    for (asset, username), password in vault.read_passwords().items():
        if username in {"random", "admin"}:
            secrets[f"{username} of {asset}"] = password.text
    for asset, username in vault.list_accounts():
        if username == "key":
            key = vault.reveal("key", asset, "ssh_key")
            assert isinstance(key, SshKey)
            secrets[f"key of {asset}"] = pick_line(key.private)
    return secrets


def test_what_was_pushed(watched: Watched) -> None:
    """The pushes did what they were meant to: three hosts took all, and each other one failed in its way."""
    names = {host.name: name for name, host in watched.hosts.items()}
    ends: dict[str, list[str]] = {}
    for records in watched.records.values():
        for (asset, _), record in records.items():
            ends.setdefault(names[asset], []).append(record["reason"])
    assert ends == {
        "sudo": ["", "", "", ""],
        "su": ["", "", "", ""],
        "root": ["", "", "", ""],
        "tells-all": ["password_refused", ""],
        "wrong-password": ["privileged_login_refused"] * 2,
        "wrong-sudo": ["become_refused"] * 2,
    }
    several = 4 + 1 + 6 + 1
    assert len(watched.secrets) == 2 * (several + 3 + 3 + 3)
    assert len(set(watched.secrets.values())) == several + 2 * (3 + 3) + 2, (
        "those of the three that were rotated"
    )


def test_processes(watched: Watched) -> None:
    """No argument and no environment of a process, on the machine or on a host, ever held a secret."""
    programs = [text.split(b"\0")[0] for text in watched.processes]
    for program in (b"chpasswd", b"useradd", b"/bin/sh", b"sudo", b"su"):
        assert any(name.endswith(program) for name in programs), f"{program} was never seen"
    assert all(any(verb in text for text in watched.processes) for verb in (b"\0push\0", b"\0rotate\0"))
    assert any(b"PROVOST_HOME=" in text for text in watched.processes)
    assert [text for text in watched.processes if watched.find(text)] == []


@pytest.mark.parametrize("name", ["sudo", "su", "root", "tells-all"])
def test_every_tool_of_a_host(watched: Watched, name: str) -> None:
    """Where each tool's start was noted whole, none was given a secret, whatever the shell would export."""
    seen = watched.hosts[name].run("cat /run/seen").stdout.encode()
    for tool in (b"useradd", b"getent", b"setpriv", b"cut" if name == "tells-all" else b"chpasswd"):
        assert b"/" + tool + b"\0" in seen
    assert watched.find(seen) == []


def test_outputs_logs_and_files(watched: Watched) -> None:
    """Nothing in output, debug log, database, data folder, sshd's logs, or any temporary file."""
    assert {place: found for place, text in watched.texts.items() if (found := watched.find(text))} == {}
    assert b"DEBUG:asyncssh" in watched.texts["log"]
    assert any(place.endswith("provost.sqlite3") for place in watched.texts)
    assert [text for text in watched.temporary if watched.find(text)] == []


def test_files_of_hosts(watched: Watched) -> None:
    """No file on any host has a secret."""
    patterns = "".join(f"{secret}\n" for secret in watched.secrets.values())
    places = "/tmp /var /etc /root /home /run /srv /opt /mnt /dev/shm"  # noqa: S108  # on the host
    for name, host in watched.hosts.items():
        found = host.run(f"grep -rlaF -f - {places} 2>/dev/null || true", stdin=patterns)
        assert found.stdout == "", name


def test_a_tool_that_repeats_its_input(watched: Watched) -> None:
    """What chpasswd says of its input is told to the operator, without the secret."""
    record = watched.records["specified"][watched.hosts["tells-all"].name, "specified"]
    assert "BAD PASSWORD" in record["message"]
    assert "specified:[secret]" in record["message"]

"""Hostile input on real hosts: set exactly, or refused before any contact; nothing is ever executed."""

import asyncio
import json
import os
import re
import secrets
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.conftest import do_without
from tests.e2e.conftest import Vault, count_connections, list_push_words, log_in

from provost import engine
from provost.connectors.linux import LinuxConnector
from provost.connectors.linux.changes import name_sudoers_file
from provost.connectors.linux.parameters import LinuxParameters
from provost.core.errors import Refused
from provost.core.job import Job, Login, Outcome, Staged, Target, Wanted
from provost.core.model import SecretType, Status
from provost.core.secrets import Password
from provost.lab import Host, Lab

# One name for all workers that the tests are spread over.
CANARY = f"canary-{os.environ.get('PYTEST_XDIST_TESTRUNUID', secrets.token_hex(6))[:12]}"
"""The name of the file that every payload tries to make, in /tmp and wherever it is."""

FRAGMENTS = [
    *"'\"` $\\;|&<>(){}[]*?!#%^~=+,:@/-_.",
    f"$(touch /tmp/{CANARY})",
    f"`touch {CANARY}`",
    f"';touch /tmp/{CANARY};'",
    f'";touch /tmp/{CANARY};"',
    f"\ntouch /tmp/{CANARY}\n",
    f"| touch /tmp/{CANARY} #",
    f"%b\\n\\ntouch /tmp/{CANARY}\\n",
    f"\\ntouch /tmp/{CANARY}\\n",
    "${IFS}",
    "--help",
    "-rf /",
    "p_end",
    "root:x:0:0",
    "NOPASSWD: ALL",
    "\n",
    "\r",
    "\t",
    "\0",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\xa0",
    "\u2028",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\udcff",
    "😀",
    "é",
    "e\u0301",
    "ﬁ",
    "\uff41",
    "x" * 200,
]


def list_pieces(*more: str) -> st.SearchStrategy[str]:
    """Return a strategy for texts of hostile pieces, plain letters and anything at all."""
    piece = st.sampled_from([*FRAGMENTS, *more]) | st.text("abz019", max_size=4) | st.text(max_size=3)
    return st.lists(piece, min_size=1, max_size=5).map("".join)


USERNAMES = list_pieces() | st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", fullmatch=True)
PASSWORDS = list_pieces()
MANY = settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def target_host(lab: Lab) -> Iterator[Host]:
    """A host that all of these tests share; none of them may have left anything but accounts there."""
    hosts = lab.up(1, prefix="hostile", size="512m")
    host = hosts[0]
    outside = list_canaries_here()
    yield host
    assert host.run(f"find / -xdev -type f -name '{CANARY}*' -not -path '/usr/*'").stdout == ""
    assert list_canaries_here() == outside == []
    lab.down(hosts)


def list_canaries_here() -> list[Path]:
    """Return what payloads made on the machine."""
    places = (Path("/"), Path("/tmp"), Path.cwd(), Path.home())  # noqa: S108  # where payloads write
    return [path for place in places for path in place.glob(f"{CANARY}*")]


def list_users(host: Host) -> set[str]:
    """Return the names in the host's passwd."""
    return {line.split(":")[0] for line in host.run("cat /etc/passwd").stdout.splitlines()}


async def push_passwords(
    host: Host, passwords: Mapping[str, Password], parameters: LinuxParameters | None = None
) -> dict[str, Outcome]:
    """Push accounts, each with a password of its own, through the engine alone."""
    job = Job(
        target=Target(
            1, host.name, "linux", host.address, host.port, (Login("root", Password(host.root_password)),)
        ),
        wanted=tuple(
            Wanted(username, SecretType.PASSWORD, None, (Staged(uuid4(), password, fresh=True),))
            for username, password in passwords.items()
        ),
        parameters=parameters or LinuxParameters(),
        verify=False,
    )

    async def feed():
        yield job

    outcomes: dict[str, Outcome] = {}
    async for event in engine.run(feed(), {"linux": LinuxConnector()}, engine.Limits(), asyncio.Event()):
        if isinstance(event, engine.Settled):
            outcomes = {outcome.username: outcome for outcome in event.outcomes}
    return outcomes


def is_taken(check: Callable[..., None], *values: object) -> bool:
    """Tell whether a check of the connector's lets values through."""
    try:
        check(*values)
    except Refused:
        return False
    return True


def test_any_username_and_password(target_host: Host) -> None:
    """What the checks let through is set exactly, and a login proves it; no user but those appears."""
    connector = LinuxConnector()
    before = list_users(target_host)
    made: set[str] = set()

    @given(st.dictionaries(USERNAMES, PASSWORDS, min_size=1, max_size=6))
    @MANY
    def push(wanted: dict[str, str]) -> None:
        taken = {
            username: Password(text)
            for username, text in wanted.items()
            if username not in before
            and is_taken(connector.check_username, username)
            and is_taken(connector.passwords.check, text, "linux")
        }
        if taken:
            asyncio.run(check(taken))

    async def check(taken: dict[str, Password]) -> None:
        outcomes = await push_passwords(target_host, taken)
        assert {outcome.status for outcome in outcomes.values()} == {Status.SUCCEEDED}, outcomes
        made.update(taken)
        for username, password in taken.items():
            assert await log_in(target_host, username, password), (username, password.text)

    push()
    assert len(made) > 5
    assert list_users(target_host) == before | made


VALUES = {
    "comment": list_pieces(),
    "home": list_pieces().map("/srv/{}".format),
    "shell": list_pieces().map("/bin/{}".format),
    "groups": list_pieces("users", "adm,", ",dialout", "no-such-group"),
    "sudo": list_pieces("(root)", "ALL", "NOPASSWD").map("/bin/ls {}".format) | list_pieces("/bin/ls", "ALL"),
}


@pytest.mark.parametrize("name", VALUES)
def test_any_parameter(target_host: Host, name: str) -> None:
    """A value is on the host exactly as given, or refused; and after the host's own refusal nothing is left."""
    usernames = (f"{name}{number}" for number in range(10_000))
    ends: Counter[str] = Counter()

    @given(VALUES[name])
    @MANY
    def push(value: str) -> None:
        try:
            parameters = LinuxParameters.model_validate({name: value})
        except ValidationError:
            ends["refused here"] += 1
            return
        username = next(usernames)
        outcome = asyncio.run(push_passwords(target_host, {username: Password("fine")}, parameters))[username]
        ends[outcome.reason] += 1
        if outcome.status is Status.FAILED:
            assert outcome.reason in {"create_refused", "sudo_refused"}, outcome
            assert username not in list_users(target_host)
            assert name_sudoers_file(username) not in target_host.run("ls -A /etc/sudoers.d").stdout
        else:
            assert outcome.status is Status.SUCCEEDED, outcome
            check(username, parameters)

    def check(username: str, parameters: LinuxParameters) -> None:
        entry = target_host.run(f"getent passwd {username}").stdout.removesuffix("\n").split(":")
        assert entry[4] == (parameters.comment or "")
        assert entry[5] == (parameters.home or f"/home/{username}")
        assert entry[6] == (parameters.shell or "/bin/sh")
        found = target_host.run(f"test -d ~{username}; id -G {username}").stdout.split()
        # A group may be given by its name, by its number, or by both.
        asked = " ".join([username, *parameters.groups])
        wanted = target_host.run(f"getent group {asked} | cut -d: -f3").stdout.split()
        assert set(found) == set(wanted)
        if parameters.sudo:
            assert read_rule(username) == [squeeze(rule) for rule in parameters.sudo]

    def read_rule(username: str) -> list[str]:
        rules = target_host.run(f"cvtsudoers -f json /etc/sudoers.d/{name_sudoers_file(username)}").stdout
        (spec,) = json.loads(rules)["User_Specs"]
        assert spec["User_List"] == [{"username": username}]
        (commands,) = spec["Cmnd_Specs"]
        assert "Options" not in commands
        return [command["command"] for command in commands["Commands"]]

    push()
    assert ends["not_verified"] > 1, ends
    target_host.run("visudo -c")


def squeeze(rule: str) -> str:
    """Return a rule as sudo keeps it: one space between arguments."""
    return re.sub(" +", " ", rule).strip()


# --- through the program -------------------------------------------------------------------------------------

REFUSED_USERNAMES = [
    "",
    "a b",
    "a'b",
    'a"b',
    "a:b",
    "a\nb",
    "-rf",
    "--help",
    "a/b",
    "😀",
    "a\u202eb",
    "x" * 200,
    f"$(touch${{IFS}}{CANARY})",
    f"`touch {CANARY}`",
    f";touch {CANARY};",
    "\udcff",
]
REFUSED_PASSWORDS = [
    b"",
    b"a\nb",
    b"a\0b",
    "a\x85b".encode(),
    b"\xff\xfe",
    b"x" * 300,
    f"x\ntouch /tmp/{CANARY}".encode(),
]
TAKEN_PASSWORDS = [
    "it's",
    'say "hi"',
    " spaces  around ",
    f"$(touch /tmp/{CANARY})",
    f"`touch {CANARY}`",
    f"';touch {CANARY};'",
    f"\\'; touch {CANARY} #",
    "a:b:c",
    "-n",
    "%s%n%b",
    "back\\slash\\n\\0101\\c",
    "$HOME ${PATH} $$ !! *",
    "emoji 😀 é e\u0301 ﬁ",
    "\u202eright to left\u2066",
    "\xa0no break\u2028\ufeff",
    "x" * 200,
    "é" * 128,
    "p_end",
]


@pytest.fixture(scope="module")
def target_vault(target_host: Host, make_vault: Callable[[], Vault]) -> Vault:
    """A vault that knows the shared host."""
    vault = make_vault()
    vault.add(target_host)
    return vault


def check_refusal(done: subprocess.CompletedProcess[str]) -> None:
    """Check that a command was refused, with a message that is safe to show."""
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.startswith("provost: ")
    assert all(line.isprintable() for line in done.stderr.splitlines()), done.stderr


@pytest.mark.parametrize("username", REFUSED_USERNAMES, ids=ascii)
def test_a_username_that_cannot_be(target_host: Host, target_vault: Vault, username: str) -> None:
    """It is refused with a clear message, with all that was asked for beside it, and no host hears of it."""
    connections = count_connections(target_host)
    words = list_push_words("fine", username, to=[target_host.name])[:-1]
    done = target_vault.run(*words, status=None)
    check_refusal(done)
    assert "username" in done.stderr or "UTF-8" in done.stderr
    assert count_connections(target_host) == connections


@pytest.mark.parametrize("password", REFUSED_PASSWORDS, ids=repr)
def test_a_password_that_cannot_be(target_host: Host, target_vault: Vault, password: bytes) -> None:
    """It is refused with a clear message that does not show it, and no host hears of it."""
    connections = count_connections(target_host)
    words = list_push_words("fine", to=[target_host.name], options=["--secret-stdin"])[:-1]
    done = target_vault.run(*words, stdin=password, status=None)
    check_refusal(done)
    assert "assword" in done.stderr or "UTF-8" in done.stderr
    assert CANARY not in done.stderr
    assert count_connections(target_host) == connections


@pytest.mark.parametrize(
    ("names", "passwords"),
    [(("\0", "a\0b"), ("a\0b",)), (("\x85", "a\u2028b", "root\n"), ("a\nb", "\x7f", "x" * 257))],
    ids=["what no text holds", "what these do not"],
)
def test_a_file_of_what_cannot_be(
    target_host: Host, target_vault: Vault, names: Sequence[str], passwords: Sequence[str]
) -> None:
    """An import lists every line that is wrong and takes none; NULs, which no field may hold, come first."""
    accounts = [{"username": name, "password": "fine"} for name in names]
    accounts += [{"username": "fine", "password": text} for text in passwords]
    file = target_vault.home / "hostile.yaml"
    rows = [{"asset": target_host.name, **account} for account in accounts]
    file.write_text(yaml.safe_dump({"accounts": rows}, default_style='"', sort_keys=False))
    before = target_vault.dump()
    done = target_vault.run("import", str(file), status=None)
    check_refusal(done)
    assert f"has {len(rows)} errors" in done.stderr
    assert target_vault.dump() == before


async def test_passwords_that_can_be(target_host: Host, target_vault: Vault) -> None:
    """Each is set exactly, from the list or from standard input, as two clients prove."""
    if not shutil.which("sshpass"):
        do_without("The stock client takes passwords by sshpass: scripts/packages sshpass")
    wanted = {f"pass{number}": text for number, text in enumerate(TAKEN_PASSWORDS)}
    file = target_vault.home / "passwords.yaml"
    rows = [{"username": name, "asset": target_host.name, "password": text} for name, text in wanted.items()]
    file.write_text(yaml.safe_dump({"accounts": rows}, default_style='"'))
    target_vault.run("import", str(file))
    records = target_vault.push(*wanted, to=[target_host.name])
    assert {(one["decision"], one["status"]) for one in records.values()} == {("restore", "succeeded")}
    stored = target_vault.read_passwords()
    worst = " ".join(TAKEN_PASSWORDS[:12])
    for username in ("Worst.of_all-", "_" + "w" * 31):
        target_vault.push(username, to=[target_host.name], options=["--secret-stdin"], stdin=worst)
        wanted[username] = worst
    for username, text in wanted.items():
        assert stored.get((target_host.name, username), Password(text)).text == text
        assert await log_in(target_host, username, Password(text)), text
        assert log_in_with_openssh(target_host, username, text), text


def log_in_with_openssh(host: Host, username: str, password: str) -> bool:
    """Tell whether the stock client gets in; the password goes to it through a pipe."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        pipe.write(password)
    options = [
        "-F/dev/null",
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
        "-oLogLevel=ERROR",
    ]
    options += ["-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=1", f"-p{host.port}"]
    try:
        done = subprocess.run(
            ["sshpass", "-d", str(reader), "ssh", *options, f"{username}@{host.address}", "id -un"],
            pass_fds=[reader],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(reader)
    return done.stdout.strip() == username

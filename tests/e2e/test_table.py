"""The whole table on real hosts, through the program: provost/conformance/table.yaml says what is expected."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import pytest
from tests.conftest import LabHosts
from tests.e2e.conftest import Records, Vault, count_connections, log_in

from provost.conformance import TABLE_CASES
from provost.core.passwords import PasswordRules
from provost.core.secrets import Password, Secret, SshKey
from provost.lab import Host, Lab
from provost.vault.keys import generate_key

Case = dict[str, Any]

OLD, LISTED, SPECIFIED = (
    {"password": Password(f"{name} pass 'word'"), "ssh_key": generate_key("ed25519")}
    for name in ("old", "listed", "specified")
)
"""What is on the target, what is in the list, and what the operator pushes: no two alike."""

# All that a push could change on a host.
LOOK = """
cat /etc/passwd /etc/shadow /etc/group /etc/gshadow
ls -AlR --full-time /home /root /etc/sudoers.d /etc/ssh /var/lib /srv
find /home /root -name authorized_keys -exec cat {} +
"""


def name_case(case: Case) -> str:
    """Return a username that tells which case it stands for."""
    on_target, in_list = ("y" if case[name] else "n" for name in ("on_target", "in_list"))
    return f"{case['secret_type']}-{case['strategy']}-{on_target}{in_list}".replace("_", "")


@dataclass(frozen=True)
class Pushed:
    """What the pushes of all cases told and left."""

    host: Host
    rehearsed: Records
    unchanged_by_rehearsal: dict[str, bool]
    records: Records
    listed: dict[str, dict[str, str]]
    """For each account of `account list`: the state of its secret by type."""
    reveal: Callable[..., Secret]


def put_on_target(host: Host, cases: list[Case]) -> None:
    """Make accounts that Provost knows nothing of, each with an old secret."""
    for case in cases:
        name = name_case(case)
        host.run(f"useradd -m {name}")
        if case["secret_type"] == "password":
            host.run("chpasswd", stdin=f"{name}:{OLD['password'].text}\n")
        else:
            host.run(
                f"install -d -o {name} -m 700 /home/{name}/.ssh; cat > /home/{name}/.ssh/authorized_keys",
                stdin=f"{OLD['ssh_key'].public} {name}@elsewhere\n",
            )


def put_in_list(vault: Vault, host: Host, cases: list[Case]) -> None:
    """Bring accounts in with a secret that the target never had."""
    (vault.home / "listed.pem").write_text(LISTED["ssh_key"].private)
    held = {"password": {"password": LISTED["password"].text}, "ssh_key": {"key_file": "listed.pem"}}
    vault.bring_in(
        {
            "accounts": [
                {"username": name_case(case), "asset": host.name, **held[case["secret_type"]]} for case in cases
            ]
        }
    )


def push_all(vault: Vault, host: Host, *options: str) -> Records:
    """Push every case, in one run for each type and strategy."""
    (vault.home / "specified.pem").write_text(SPECIFIED["ssh_key"].private)
    ways = {
        ("password", "specified"): ["--secret-stdin"],
        ("ssh_key", "specified"): ["--key", str(vault.home / "specified.pem")],
    }
    records: Records = {}
    for (secret_type, strategy), cases in groupby(
        sorted(TABLE_CASES, key=itemgetter("secret_type", "strategy")), itemgetter("secret_type", "strategy")
    ):
        records |= vault.push(
            *map(name_case, cases),
            to=[host.name],
            secret_type=secret_type,
            options=[*ways.get((secret_type, strategy), ()), *options],
            stdin=SPECIFIED["password"].text if secret_type == "password" else "",
        )
    return records


def dump_lasting(vault: Vault) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of the database, but for runs, a dry run is one, and the entries that tell of them."""
    own = {"server_run", "server_record", "server_auditentry", "server_audithead", "sqlite_sequence"}
    return {name: rows for name, rows in vault.dump().items() if name not in own}


@pytest.fixture(scope="module")
def pushed(lab: Lab, make_vault: Callable[[], Vault]) -> Iterator[Pushed]:
    """Every case set up on one host, tried as a dry run, and then pushed."""
    hosts = lab.up(1, prefix="table")
    host, vault = hosts[0], make_vault()
    vault.add(host)
    host.run("sed -i 's/pam_unix.so/& nodelay/' /etc/pam.d/common-auth")  # the tests try old secrets
    put_on_target(host, [case for case in TABLE_CASES if case["on_target"]])
    put_in_list(vault, host, [case for case in TABLE_CASES if case["in_list"]])
    vault.push("nobody-yet", to=[host.name], options=["--dry-run"])  # pins the host's key
    rows, seen, logins = dump_lasting(vault), host.run(LOOK).stdout, count_connections(host)
    rehearsed = push_all(vault, host, "--dry-run")
    unchanged = {
        "the database": dump_lasting(vault) == rows,
        "the host": host.run(LOOK).stdout == seen,
        "logins, but one for each run": count_connections(host) == logins + 4,
        "accounts that wait": vault.list_accounts("--pending") == set(),
    }
    records = push_all(vault, host)
    listed = {
        account["username"]: {held["secret_type"]: held["state"] for held in account["secrets"]}
        for account in vault.read("account", "list")["accounts"]
    }
    yield Pushed(host, rehearsed, unchanged, records, listed, cache(vault.reveal))
    lab.down(hosts)


@pytest.mark.parametrize("case", TABLE_CASES, ids=name_case)
async def test_a_cell(pushed: Pushed, case: Case) -> None:
    """The record, what the host admits afterwards, and what the list holds are as the case says."""
    name, secret_type = name_case(case), case["secret_type"]
    record = pushed.records[pushed.host.name, name]
    assert (record["decision"], record["status"]) == (case["decision"], case["status"]), record
    assert record["secret_type"] == secret_type
    assert record["actor"] == "root"
    assert pushed.listed[name] == {secret_type: "current"}
    stored = pushed.reveal(name, pushed.host.name, secret_type)
    if case["list_holds"] == "listed":
        assert stored == LISTED[secret_type]
    elif case["strategy"] == "specified":
        assert stored == SPECIFIED[secret_type]
    else:
        check_random(stored)
    assert await log_in(pushed.host, name, stored) == case["stored_works"]
    if case["old_works"] is not None:
        assert await log_in(pushed.host, name, OLD[secret_type]) == case["old_works"]


def check_random(secret: Secret) -> None:
    """Check that a secret is one that Provost makes by default."""
    if isinstance(secret, Password):
        assert PasswordRules().accept(secret.text)
    else:
        assert isinstance(secret, SshKey)
        assert secret.public.startswith("ssh-ed25519 ")


@pytest.mark.parametrize("case", TABLE_CASES, ids=name_case)
def test_a_dry_run_decides_alike(pushed: Pushed, case: Case) -> None:
    """A dry run tells the decision that the push then takes, and that it did nothing."""
    record = pushed.rehearsed[pushed.host.name, name_case(case)]
    assert (record["decision"], record["status"], record["reason"]) == (
        case["decision"],
        "unchanged",
        "dry_run",
    )


def test_a_dry_run_changes_nothing(pushed: Pushed) -> None:
    """Nothing in the database but its own run, no file of the host, no secret; one login for each run."""
    assert [what for what, held in pushed.unchanged_by_rehearsal.items() if not held] == []


def test_random_secrets_differ(pushed: Pushed) -> None:
    """Every account of a run gets a secret of its own."""
    for secret_type in ("password", "ssh_key"):
        names = [
            name_case(case)
            for case in TABLE_CASES
            if (case["secret_type"], case["strategy"], case["list_holds"]) == (secret_type, "random", "new")
        ]
        secrets = [pushed.reveal(name, pushed.host.name, secret_type) for name in names]
        assert len(set(secrets)) == len(names) == 2


async def test_the_list_is_per_type(host: Host, vault: Vault) -> None:
    """An account in the list with a password is adopted by a push of a key; then both let it in."""
    vault.add(host)
    vault.push("alice", to=[host.name])
    record = vault.push("alice", to=[host.name], secret_type="ssh_key")[host.name, "alice"]
    assert (record["decision"], record["status"]) == ("adopt", "succeeded"), record
    for secret_type in ("password", "ssh_key"):
        assert await log_in(host, "alice", vault.reveal("alice", host.name, secret_type))


def test_no_privileged_account(lab_hosts: LabHosts, vault: Vault) -> None:
    """A host without one is skipped, not contacted, even if the list holds root's password; others go on."""
    bare, known, whole = hosts = lab_hosts(3)
    vault.add(bare, known, privileged=False)
    vault.add(whole)
    root = {"username": "root", "asset": known.name, "privileged": False, "password": known.root_password}
    vault.bring_in({"accounts": [root]})
    for options in (["--dry-run"], []):
        records = vault.push("alice", to=["/lab"], options=options, status=1)
        for host in (bare, known):
            record = records[host.name, "alice"]
            assert (record["decision"], record["status"], record["reason"]) == (
                None,
                "skipped",
                "no_privileged_account",
            )
            assert "account add" in record["message"]
            assert count_connections(host) == 0
        assert records[whole.name, "alice"]["decision"] == "create"
    assert vault.list_accounts() == {
        (known.name, "root"),
        (whole.name, "root"),
        (whole.name, "alice"),
    }
    assert vault.list_accounts("--pending") == set()
    assert [host.run("getent passwd alice", check=False).returncode for host in hosts] == [2, 2, 0]

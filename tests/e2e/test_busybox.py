"""Pushes to hosts that have BusyBox's tools and no others, as Alpine has."""

import pytest
from tests.e2e.conftest import Vault, log_in, wait_for_silence

from provost.core.secrets import Password, SshKey
from provost.lab import Host
from provost.vault.keys import generate_key

OLD, LISTED = Password("what was there"), Password("what the list says")


@pytest.fixture
def alpine(busybox_host: Host, vault: Vault) -> Host:
    """A host with BusyBox's tools, in the vault."""
    vault.add(busybox_host)
    return busybox_host


async def test_passwords(alpine: Host, vault: Vault) -> None:
    """The four rows of the table, with passwords: BusyBox's chpasswd sets what then logs in."""
    for name in ("adopted", "left"):
        alpine.run(f"adduser -D {name}; chpasswd -c sha512", stdin=f"{name}:{OLD.text}\n")
    held = [{"username": name, "asset": alpine.name, "password": LISTED.text} for name in ("left", "restored")]
    vault.bring_in({"accounts": held})
    records = vault.push("created", "adopted", "left", "restored", to=[alpine.name])
    assert {name: (one["decision"], one["status"]) for (_, name), one in records.items()} == {
        "created": ("create", "succeeded"),
        "adopted": ("adopt", "succeeded"),
        "left": ("leave", "unchanged"),
        "restored": ("restore", "succeeded"),
    }
    for name in ("created", "adopted", "restored"):
        assert await log_in(alpine, name, vault.reveal(name, alpine.name))
        assert alpine.run(f"stat -c %U ~{name}").stdout.strip() == name
    assert vault.reveal("restored", alpine.name) == LISTED
    assert not await log_in(alpine, "adopted", OLD)
    assert await log_in(alpine, "left", OLD)


async def test_keys(alpine: Host, vault: Vault) -> None:
    """The same with keys; an account made for a key is not locked, and has a password that nothing fits."""
    old = generate_key("ed25519")
    alpine.run("adduser -D adopted; chpasswd -c sha512", stdin=f"adopted:{OLD.text}\n")
    alpine.run("mkdir -m 700 ~adopted/.ssh; cat > ~adopted/.ssh/authorized_keys", stdin=f"{old.public}\n")
    alpine.run("chown -R adopted ~adopted/.ssh")
    records = vault.push("created", "adopted", to=[alpine.name], secret_type="ssh_key")
    assert {name: (one["decision"], one["status"]) for (_, name), one in records.items()} == {
        "created": ("create", "succeeded"),
        "adopted": ("adopt", "succeeded"),
    }
    for name in ("created", "adopted"):
        key = vault.reveal(name, alpine.name, "ssh_key")
        assert isinstance(key, SshKey)
        assert await log_in(alpine, name, key)
        where = f"/home/{name}/.ssh"
        modes = alpine.run(f"stat -c '%U %a' {where} {where}/authorized_keys").stdout
        assert [text[-3:] for text in modes.split()] == [name[-3:], "700", name[-3:], "600"]
        assert alpine.run(f"cat {where}/authorized_keys").stdout.count(key.public) == 1
    assert await log_in(alpine, "adopted", old)
    assert alpine.run("grep ^created: /etc/shadow | cut -d: -f2").stdout.strip() == "*"
    alpine.run("deluser --remove-home created")
    restored = vault.push("created", to=[alpine.name], secret_type="ssh_key")[alpine.name, "created"]
    assert (restored["decision"], restored["status"]) == ("restore", "succeeded")
    assert await log_in(alpine, "created", vault.reveal("created", alpine.name, "ssh_key"))


def test_an_account_that_is_locked(alpine: Host, vault: Vault) -> None:
    """A locked account stays locked: its key is in place and cannot be tried, which is told."""
    alpine.run("adduser -D locked")
    record = vault.push("locked", to=[alpine.name], secret_type="ssh_key", status=1)[alpine.name, "locked"]
    assert (record["status"], record["reason"]) == ("unverified", "policy_forbids_login"), record
    assert "locked" in record["message"]
    assert alpine.run("grep ^locked: /etc/shadow | cut -d: -f2").stdout.strip() == "!"
    assert (alpine.name, "locked") in vault.list_accounts()


def test_parameters(alpine: Host, vault: Vault) -> None:
    """Shell, home, id, groups and comment reach BusyBox's adduser and addgroup."""
    alpine.run("addgroup ops; addgroup extra; addgroup third")
    wanted = (
        "shell=/bin/ash",
        "home=/srv/ann",
        "uid=4242",
        "group=ops",
        "groups=extra,third",
        "comment=Ann A. (ops)",
    )
    vault.push("ann", to=[alpine.name], options=[word for one in wanted for word in ("--param", one)])
    group = alpine.run("grep ^ops: /etc/group | cut -d: -f3").stdout.strip()
    assert alpine.run("grep ^ann: /etc/passwd").stdout == f"ann:x:4242:{group}:Ann A. (ops):/srv/ann:/bin/ash\n"
    assert set(alpine.run("id -Gn ann").stdout.split()) == {"ops", "extra", "third"}


@pytest.mark.parametrize(
    ("parameter", "reason", "says"),
    [
        ("groups=no-such", "create_refused", "no-such"),
        ("expires=2099-01-01", "unsupported_parameter", "expire"),
        ("sudo=ALL", "sudo_missing", "sudo is not installed"),
    ],
)
def test_what_it_cannot(alpine: Host, vault: Vault, parameter: str, reason: str, says: str) -> None:
    """What the host refuses is told, leaves nothing of the account, and the next push gets it right."""
    look = "cat /etc/passwd /etc/group /etc/shadow; ls -A /home /var/lib"
    before = alpine.run(look).stdout
    record = vault.push("ann", to=[alpine.name], options=["--param", parameter], status=1)[alpine.name, "ann"]
    assert (record["status"], record["reason"]) == ("failed", reason), record
    assert says in record["message"]
    wait_for_silence(alpine)
    assert alpine.run(look).stdout == before
    vault.push("ann", to=[alpine.name])


async def test_su_in_place_of_setpriv(host: Host, vault: Vault) -> None:
    """A host of other tools without setpriv, too, has its keys written by the account and not by root."""
    vault.add(host)
    host.run('rm /usr/bin/setpriv; useradd -m -d "/home/it\'s ben" ben')
    records = vault.push("ann", "ben", to=[host.name], secret_type="ssh_key")
    assert {one["status"] for one in records.values()} == {"succeeded"}
    for name, home in (("ann", "/home/ann"), ("ben", "/home/it's ben")):
        assert host.run(f'stat -c %U "{home}/.ssh/authorized_keys"').stdout.strip() == name
        assert await log_in(host, name, vault.reveal(name, host.name, "ssh_key"))

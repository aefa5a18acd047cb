"""authorized_keys on real hosts."""

import pytest

from provost.core.model import Decision, Status
from provost.core.secrets import SshKey
from provost.vault.keys import generate_key

pytestmark = pytest.mark.lab
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMDLqcTxrBpO0ljUykrn/DSYFaEcCP1gbz1DvqYFLjkz somebody@elsewhere"


@pytest.fixture
def key():
    return generate_key("ed25519")


def read_keys(host, path="/home/alice/.ssh/authorized_keys"):
    return host.run(f"cat {path}").stdout.splitlines()


async def test_a_key_only_account_has_no_password(host, aim_at, push, log_in, key):
    """A created account gets the key, the right owner and modes, and a password field that nothing fits."""
    outcome = (await push(aim_at(host), "alice", secret=key))["alice"]
    assert (outcome.decision, outcome.status) == (Decision.CREATE, Status.SUCCEEDED), outcome
    assert await log_in(host, "alice", key)
    assert host.run("getent shadow alice | cut -d: -f2").stdout.strip() == "*"
    assert host.run("stat -c '%U %a' /home/alice/.ssh /home/alice/.ssh/authorized_keys").stdout.split() == [
        "alice", "700", "alice", "600",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("strategy", "left"),
    [("append", ["other", "managed"]), ("replace_managed", ["other"]), ("exclusive", [])],
)
async def test_strategies(host, aim_at, push, log_in, key, strategy, left):
    """Each strategy leaves exactly the keys that it says, and the new one once."""
    managed = f"{generate_key('ed25519').public} provost-managed"
    host.run("useradd -m alice; install -d -o alice -m 700 /home/alice/.ssh")
    # No newline at the end, as an editor may leave it.
    host.run(
        f"printf '%s\\n%s' '{managed}' '{OTHER}' > /home/alice/.ssh/authorized_keys; "
        "chown -R alice /home/alice/.ssh"
    )
    for _ in range(2):
        outcome = (await push(aim_at(host), "alice", secret=key, key_strategy=strategy))["alice"]
        assert outcome.status is Status.SUCCEEDED, outcome
    kept = {"other": OTHER, "managed": managed}
    assert sorted(read_keys(host)) == sorted([*(kept[name] for name in left), f"{key.public} provost-managed"])
    assert await log_in(host, "alice", key)


async def test_key_options(host, aim_at, push, key):
    """Options stand in front of the key, and sshd obeys them: a key from elsewhere is refused here."""
    outcome = (await push(aim_at(host), "alice", secret=key, key_options='from="192.0.2.1",no-pty'))["alice"]
    assert read_keys(host) == [f'from="192.0.2.1",no-pty {key.public} provost-managed']
    assert (outcome.status, outcome.reason) == (Status.UNVERIFIED, "key_options_forbid"), outcome


async def test_a_public_key_alone(host, aim_at, push, key):
    """With no private half there is no login to try: unverified, and said so."""
    outcome = (await push(aim_at(host), "alice", secret=SshKey(key.public)))["alice"]
    assert (outcome.status, outcome.reason) == (Status.UNVERIFIED, "no_private_half")
    assert read_keys(host) == [f"{key.public} provost-managed"]


@pytest.mark.parametrize("trap", ["/home/alice/.ssh", "/home/alice/.ssh/authorized_keys"])
async def test_a_link_to_roots_keys(host, aim_at, push, key, trap):
    """A folder or file that its owner made a link to root's is refused, and root's keys stay as they were."""
    before = host.run(
        "cat /root/.ssh/authorized_keys; stat -c '%U %a %Y' /root/.ssh /root/.ssh/authorized_keys"
    ).stdout
    host.run("useradd -m alice")
    if trap.endswith("authorized_keys"):
        host.run("install -d -o alice /home/alice/.ssh; chmod 755 /root /root/.ssh")
        before = host.run(
            "cat /root/.ssh/authorized_keys; stat -c '%U %a %Y' /root/.ssh /root/.ssh/authorized_keys"
        ).stdout
    host.run(f"ln -s /root/.ssh{trap.removeprefix('/home/alice/.ssh')} {trap}; chown -h alice {trap}")
    outcome = (await push(aim_at(host), "alice", secret=key))["alice"]
    assert (outcome.status, outcome.reason) == (Status.FAILED, "unsafe_path"), outcome
    after = host.run(
        "cat /root/.ssh/authorized_keys; stat -c '%U %a %Y' /root/.ssh /root/.ssh/authorized_keys"
    ).stdout
    assert after == before
    assert key.public not in after


async def test_a_link_above_the_folder(host, aim_at, push, key):
    """A home that its owner cannot be followed out of: what is written is written as the owner."""
    host.run(
        "useradd -m -d /home/trap/alice alice 2>/dev/null || "
        "{ mkdir /home/trap; useradd -m -d /home/trap/alice alice; }"
    )
    host.run("rm -rf /home/trap/alice; ln -s /root /home/trap/alice")
    before = host.run("cat /root/.ssh/authorized_keys").stdout
    outcome = (await push(aim_at(host), "alice", secret=key))["alice"]
    assert outcome.status is Status.FAILED, outcome
    assert host.run("cat /root/.ssh/authorized_keys").stdout == before


async def test_sshds_own_place_for_keys(host, aim_at, push, log_in, key):
    """AuthorizedKeysFile is honoured, in a folder of root's, with %u; a file there is root's."""
    host.run("mkdir -p /etc/ssh/keys; sed -i '1i AuthorizedKeysFile /etc/ssh/keys/%u' /etc/ssh/sshd_config")
    host.stop_sshd()
    host.start_sshd()
    outcome = (await push(aim_at(host), "alice", secret=key))["alice"]
    assert outcome.status is Status.SUCCEEDED, outcome
    assert read_keys(host, "/etc/ssh/keys/alice") == [f"{key.public} provost-managed"]
    assert host.run("stat -c '%U %a' /etc/ssh/keys/alice").stdout.split() == ["root", "644"]
    assert await log_in(host, "alice", key)
    host.run("chmod 777 /etc/ssh/keys")
    outcome = (await push(aim_at(host), "bob", secret=key))["bob"]
    assert (outcome.status, outcome.reason) == (Status.FAILED, "unsafe_path"), outcome
    assert host.run("getent passwd bob", check=False).returncode == 2, (
        "what was made for a failed change is gone"
    )


async def test_what_comes_after_the_key_is_no_refusal(host, aim_at, push, log_in, key):
    """Once the file is in place, a failing restorecon makes no refusal of a key that is in force."""
    host.run("printf '#!/bin/sh\\nexit 1\\n' > /usr/sbin/restorecon; chmod 755 /usr/sbin/restorecon")
    host.run("mount -t tmpfs none /sys/fs/selinux 2>/dev/null || mkdir -p /sys/fs/selinux", check=False)
    host.run("touch /sys/fs/selinux/enforce")
    outcome = (await push(aim_at(host), "alice", secret=key))["alice"]
    assert outcome.status is Status.SUCCEEDED, outcome
    assert await log_in(host, "alice", key)


async def test_a_full_disk_empties_no_file(host, aim_at, push, key):
    """When the disk is full the file stays as it was, and the push afterwards gets it right."""
    host.run("useradd -m alice; install -d -o alice -m 700 /home/alice/.ssh")
    host.run(f"echo '{OTHER}' > /home/alice/.ssh/authorized_keys; chown alice /home/alice/.ssh/authorized_keys")
    host.run("cat /dev/zero > /home/full 2>/dev/null || true")
    outcome = (await push(aim_at(host), "alice", secret=key))["alice"]
    assert outcome.status is Status.FAILED, outcome
    assert read_keys(host) == [OTHER]
    host.run("rm /home/full")
    outcome = (await push(aim_at(host), "alice", secret=key))["alice"]
    assert (outcome.decision, outcome.status) == (Decision.ADOPT, Status.SUCCEEDED), outcome
    assert read_keys(host) == [OTHER, f"{key.public} provost-managed"]

"""Becoming root on a Linux host: accounts, sudo, su, login shells, noise."""

import pytest

from provost.core.job import Login
from provost.core.model import Become, Status
from provost.core.secrets import Password, SshKey

pytestmark = pytest.mark.lab
SECRET = Password("S3cret: with spaces")
ADMIN = Password("Adm1n's pass: $(x) `y`")


def add_admin(host, shell="/bin/bash", sudoers="admin ALL=(ALL:ALL) ALL"):
    host.run(
        f"useradd -m -s {shell} admin; cat | chpasswd; "
        f"echo '{sudoers}' > /etc/sudoers.d/admin; chmod 440 /etc/sudoers.d/admin",
        stdin=f"admin:{ADMIN.text}\n",
    )


async def test_root_by_key(host, aim_at, push, log_in):
    """Root's key is enough."""
    target = aim_at(host, Login("root", key=SshKey("", host.root_key)))
    outcome = (await push(target, "alice", secret=SECRET))["alice"]
    assert (outcome.status, outcome.actor) == (Status.SUCCEEDED, "root")
    assert await log_in(host, "alice", SECRET)


@pytest.mark.parametrize("sudoers", ["admin ALL=(ALL:ALL) ALL", "admin ALL=(ALL:ALL) NOPASSWD: ALL"])
async def test_sudo_with_and_without_a_password(host, aim_at, push, log_in, sudoers):
    """Sudo's prompt is answered when it comes, and nothing is sent when it does not."""
    add_admin(host, sudoers=sudoers)
    target = aim_at(host, Login("admin", password=ADMIN, become=Become.SUDO, become_password=ADMIN))
    outcome = (await push(target, "alice", secret=SECRET))["alice"]
    assert outcome.status is Status.SUCCEEDED, outcome
    assert await log_in(host, "alice", SECRET)


async def test_su_with_roots_password(host, aim_at, push, log_in):
    """Su takes root's password from the vault."""
    add_admin(host)
    login = Login("admin", password=ADMIN, become=Become.SU, become_password=Password(host.root_password))
    outcome = (await push(aim_at(host, login), "alice", secret=SECRET))["alice"]
    assert outcome.status is Status.SUCCEEDED, outcome
    assert await log_in(host, "alice", SECRET)


async def test_a_password_that_nobody_asked_for_is_no_command(host, aim_at, push):
    """Noise that looks like su's prompt, where su does not ask, makes nothing of root's password run."""
    add_admin(host)
    host.run(
        "printf '%s\\n' 'printf \"never share your Password: \" >&2' > /home/admin/.bashrc; "
        "sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/su"
    )
    password = Password("touch /root/ran")
    login = Login("admin", password=ADMIN, become=Become.SU, become_password=password)
    outcome = (await push(aim_at(host, login), "alice", secret=SECRET))["alice"]
    assert outcome.status is Status.SUCCEEDED, outcome
    assert host.run("ls /root/ran", check=False).returncode


@pytest.mark.parametrize(
    ("become", "password", "says"),
    [
        (Become.SUDO, Password("wrong"), "become_refused"),
        (Become.SUDO, None, "become_refused"),
        (Become.SU, Password("wrong"), "become_refused"),
        (Become.NONE, None, "not_root"),
    ],
)
async def test_an_account_that_does_not_become_root(host, aim_at, push, become, password, says):
    """A refused sudo or su is told as such, was tried once, and changed nothing."""
    add_admin(host)
    target = aim_at(host, Login("admin", password=ADMIN, become=become, become_password=password))
    outcome = (await push(target, "alice", secret=SECRET))["alice"]
    assert (outcome.status, outcome.reason) == (Status.FAILED, says), outcome
    assert "wrong" not in outcome.message
    assert host.run("getent passwd alice", check=False).returncode == 2


async def test_privileged_accounts_are_tried_in_order(host, aim_at, push):
    """The first that is refused is passed over, and the record says who acted."""
    add_admin(host)
    target = aim_at(
        host,
        Login("admin", password=Password("not this one"), become=Become.SUDO),
        Login("root", password=Password(host.root_password)),
    )
    outcome = (await push(target, "alice", secret=SECRET))["alice"]
    assert (outcome.status, outcome.actor) == (Status.SUCCEEDED, "root")


async def test_a_refused_login_is_tried_once(host, aim_at, push):
    """A rejected privileged login is not repeated: no lock-out."""
    target = aim_at(host, Login("root", password=Password("not root's")))
    outcome = (await push(target, "alice", secret=SECRET))["alice"]
    assert (outcome.status, outcome.reason) == (Status.FAILED, "privileged_login_refused")
    assert host.log.read_text().count("Failed password for root") == 1


@pytest.mark.parametrize(
    "shell", ["/bin/bash", "/bin/dash", "/usr/bin/fish", "/bin/tcsh", "/usr/bin/zsh", "/usr/bin/mksh"]
)
async def test_any_login_shell(host, aim_at, push, log_in, do_without, shell):
    """Whatever shell sshd hands the command to, the host's /bin/sh does the work."""
    if host.run(f"test -x {shell}", check=False).returncode:
        do_without(f"{shell} is not installed")
    host.run(f"usermod -s {shell} root")
    outcome = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert outcome.status is Status.SUCCEEDED, outcome
    assert await log_in(host, "alice", SECRET)


async def test_a_noisy_login(host, aim_at, push, log_in):
    """Half a megabyte of output at login, on both channels and without a last newline, is skipped."""
    host.run(
        "printf '%s\\n' 'for i in $(seq 8000); do echo \"noise noise noise noise noise noise noise $i\"; done' "
        "'echo error >&2; printf \"no newline\"' > /root/.bashrc; usermod -s /bin/bash root"
    )
    outcome = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert outcome.status is Status.SUCCEEDED, outcome
    assert await log_in(host, "alice", SECRET)


async def test_a_shell_that_never_comes(host, aim_at, push):
    """A login that ends by itself is told, not waited for."""
    host.run("printf 'exit 3\\n' > /root/.bashrc; usermod -s /bin/bash root")
    outcome = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert (outcome.status, outcome.reason) == (Status.FAILED, "connection_lost"), outcome

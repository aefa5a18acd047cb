"""A bench of a lab host, with a privileged account that becomes root by sudo."""

import os
import subprocess
import tempfile
from pathlib import Path

from provost.conformance import Bench
from provost.core.job import Login, Target
from provost.core.model import Become
from provost.core.secrets import Password, Secret, SshKey
from provost.lab import Host

_REFUSED = "Permission denied"


class LinuxBench(Bench):
    """One host. `gateway` is another, through which it can be reached."""

    hostile = ("a.b", "a_b-c.d", "_a")

    def __init__(self, host: Host, gateway: Host | None = None) -> None:
        self.host = host
        password = Password("provost's own Secret 1")
        host.run(
            "useradd -m provost && chpasswd && echo 'provost ALL=(ALL) ALL' > /etc/sudoers.d/provost",
            stdin=f"provost:{password.text}\n",
        )
        host.run(
            "sed -i 's/pam_unix.so nullok/& nodelay/' /etc/pam.d/common-auth"
        )  # the suite is often refused
        login = Login("provost", password, become=Become.SUDO, become_password=password)
        self.target = Target(1, host.name, "linux", host.address, host.port, (login,))
        if gateway is not None:
            self.gateway = aim_at_gateway(gateway)

    def make(self, username: str, secret: Secret) -> None:
        self.host.run(f"useradd -m '{username}'")
        if isinstance(secret, Password):
            self.host.run("chpasswd", stdin=f"{username}:{secret.text}\n")
        else:
            self.host.run(
                f"install -d -m 700 -o {username} ~{username}/.ssh && cd ~{username}/.ssh && "
                f"cat > authorized_keys && chown {username} authorized_keys",
                stdin=f"{secret.public}\n",
            )

    def has(self, username: str) -> bool:
        return username in self.list_names()

    def list_names(self) -> set[str]:
        lines = self.host.run("getent passwd").stdout.splitlines()
        return {line.split(":")[0] for line in lines}

    def log_in(self, username: str, secret: Secret) -> bool:
        return log_in_by_ssh(self.host.address, self.host.port, username, secret)

    def grant(self, username: str) -> None:
        self.host.run(f"usermod -aG adm,staff '{username}'")

    def is_granted(self, username: str) -> bool:
        return {"adm", "staff"} <= set(self.host.run(f"id -nG '{username}'").stdout.split())

    def read_log(self) -> str:
        return self.host.log.read_text()


def aim_at_gateway(host: Host) -> Target:
    """Return a lab host as what something else is reached through."""
    return Target(
        2, host.name, "linux", host.address, host.port, (Login("root", Password(host.root_password)),)
    )


def log_in_by_ssh(address: str, port: int, username: str, secret: Secret) -> bool:
    """Tell whether OpenSSH's client gets in.

    Raises:
        RuntimeError: it could not tell.
    """
    words = [
        "ssh", "-F/dev/null", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null",
        "-oLogLevel=ERROR", "-oIdentityAgent=none", f"-p{port}", "-l", username,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(secret, SshKey):
            key = Path(folder) / "key"
            key.touch(mode=0o600)
            key.write_text(secret.private or "")
            words += ["-oBatchMode=yes", "-oIdentitiesOnly=yes", f"-i{key}"]
            given = ""
        else:
            words = ["sshpass", *words, "-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=1"]
            given = secret.text
        reader, writer = os.pipe()
        os.write(writer, f"{given}\n".encode())
        os.close(writer)
        if given:
            words[1:1] = [f"-d{reader}"]
        done = subprocess.run(
            [*words, address, "true"], pass_fds=[reader], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        os.close(reader)
    if done.returncode and _REFUSED not in done.stderr:
        raise RuntimeError(f"ssh to {username}@{address}: {done.returncode} {done.stderr}")
    return done.returncode == 0

"""What a host has over the machine's own /usr and /etc when it starts."""

import ctypes
import functools
import re
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provost.lab.host import Host

KEPT = ("usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""The only entries of the machine's / that a host sees."""

FRESH = {
    "root": 0o700,
    "home": 0o755,
    "tmp": 0o1777,
    "mnt": 0o755,
    "opt": 0o755,
    "srv": 0o755,
    "sys": 0o555,
    "proc": 0o555,
    "run": 0o755,
    "run/lock": 0o1777,
    "run/sshd": 0o755,
    "dev": 0o755,
    "dev/pts": 0o755,
    "dev/shm": 0o1777,
    "var": 0o755,
    "var/cache": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/mail": 0o2775,
    "var/spool": 0o755,
    "var/tmp": 0o1777,
    "root/.ssh": 0o700,
    "etc/ssh": 0o755,
    "etc/sudoers.d": 0o750,
    "etc/update-motd.d": 0o755,  # it costs every login a few processes
}

LINKS = {
    "var/run": "/run",
    "var/lock": "/run/lock",
    "dev/ptmx": "pts/ptmx",
    "dev/fd": "/proc/self/fd",
    "dev/stdin": "/proc/self/fd/0",
    "dev/stdout": "/proc/self/fd/1",
    "dev/stderr": "/proc/self/fd/2",
}

BACKUPS = ("etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/security/opasswd")
"""Where the machine may keep earlier password hashes."""

SHADOW, UTMP = 42, 43  # Debian's groups of these names, base-passwd

RECORDS = ("run/utmp", "var/log/wtmp", "var/log/btmp", "var/log/lastlog", "var/log/faillog")
"""Who logged in: files that are only written to when they exist."""

SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin yes
KbdInteractiveAuthentication no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
LogLevel VERBOSE
PidFile /run/sshd.pid
"""

SUDOERS = """\
Defaults env_reset
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Defaults use_pty
root ALL=(ALL:ALL) ALL
%sudo ALL=(ALL:ALL) ALL
@includedir /etc/sudoers.d
"""

NSSWITCH = "passwd: files\ngroup: files\nshadow: files\ngshadow: files\nhosts: files\nservices: files\n"


@dataclass(frozen=True, slots=True)
class Image:
    """Paths are relative to the root; `hidden` come first, then the others in this order.

    `directories` are empty whatever the machine has there; a file's number between mode and text is its group.
    """

    hidden: Sequence[str]
    directories: Sequence[tuple[str, int]]
    files: Sequence[tuple[str, int, int, str]]
    copies: Sequence[tuple[str, int, str]]
    links: Sequence[tuple[str, str]]


def make_image(
    host: Host,
    *,
    root_public_key: str,
    hide: Sequence[Path],
    sshd_options: Sequence[str],
    busybox: Path | None,
) -> Image:
    """Describe a host; with `busybox`, one that has only that program's applets, as Alpine has."""
    shell = "/bin/ash" if busybox else "/bin/bash"
    ours = [*sshd_options, f"ListenAddress {host.address}:{host.port}", f"UsePAM {'no' if busybox else 'yes'}"]
    if _read_sshd_version() >= (9, 8):
        # Every client of every host comes from one loopback address: one wrong password would shut out all.
        ours.append("PerSourcePenalties no")
    passwd, shadow = _list_users(shell, _hash(host.root_password))
    group, gshadow = _list_groups()
    files = [
        ("etc/hostname", 0o644, 0, f"{host.name}\n"),
        ("etc/hosts", 0o644, 0, f"127.0.0.1 localhost\n{host.address} {host.name}\n"),
        ("etc/nsswitch.conf", 0o644, 0, NSSWITCH),
        ("etc/passwd", 0o644, 0, passwd),
        ("etc/shadow", 0o640, SHADOW, shadow),
        ("etc/group", 0o644, 0, group),
        ("etc/gshadow", 0o640, SHADOW, gshadow),
        # The first value of an option counts: sshd_config(5).
        ("etc/ssh/sshd_config", 0o644, 0, "\n".join(ours) + "\n" + SSHD),
        ("etc/ssh/ssh_host_ed25519_key", 0o600, 0, (host.folder / "host_key").read_text()),
        ("etc/ssh/ssh_host_ed25519_key.pub", 0o644, 0, f"{host.host_key} root@{host.name}\n"),
        ("root/.ssh/authorized_keys", 0o600, 0, f"{root_public_key}\n"),
    ]
    files += [(path, 0o664, UTMP, "") for path in RECORDS]
    hidden = [*BACKUPS, *_list_hidden_at_root(), *_list_hidden_below(hide)]
    directories = list(FRESH.items())
    links = list(LINKS.items())
    copies: list[tuple[str, int, str]] = []
    if busybox:
        directories += [("usr/bin", 0o755), ("usr/sbin", 0o755), ("usr/local", 0o755)]
        copies += [
            ("usr/bin/busybox", 0o4755, str(busybox.absolute())),
            ("usr/sbin/sshd", 0o755, "/usr/sbin/sshd"),
        ]
        links += _list_applets(busybox)
        files.append(("etc/shells", 0o644, 0, "/bin/sh\n/bin/ash\n"))
        hidden.append("etc/sudoers")
    else:
        files.append(("etc/sudoers", 0o440, 0, SUDOERS))
    return Image(hidden=hidden, directories=directories, files=files, copies=copies, links=links)


def list_missing() -> list[str]:
    """Return the Debian packages that a lab needs and this machine lacks."""
    needed = {
        "/usr/sbin/sshd": "openssh-server",
        "/usr/bin/nsenter": "util-linux",
        "/usr/share/base-passwd/passwd.master": "base-passwd",
    }
    return [package for path, package in needed.items() if not Path(path).exists()]


def _list_users(shell: str, root_hash: str) -> tuple[str, str]:
    """Return passwd(5) and shadow(5): a new Debian's users and no other, so that hosts are alike everywhere."""
    users = _read_master("passwd")
    users["sshd"] = ["sshd", "x", "100", "65534", "", "/run/sshd", "/usr/sbin/nologin"]
    users["root"][-1] = shell
    hashes = dict.fromkeys(users, "*") | {"root": root_hash}
    passwd = "".join(":".join([name, "x", *rest]) + "\n" for name, (_, _, *rest) in users.items())
    return passwd, "".join(f"{name}:{text}:19000:0:99999:7:::\n" for name, text in hashes.items())


def _list_groups() -> tuple[str, str]:
    """Return group(5) and gshadow(5)."""
    groups = _read_master("group")
    group = "".join(":".join([name, "x", *rest]) + "\n" for name, (_, _, *rest) in groups.items())
    return group, "".join(f"{name}:*::\n" for name in groups)


def _read_master(kind: str) -> dict[str, list[str]]:
    lines = Path(f"/usr/share/base-passwd/{kind}.master").read_text().splitlines()
    return {line.split(":")[0]: line.split(":") for line in lines}


def _hash(password: str) -> str:
    """Return a hash of a long random password, with few rounds: a lab has hundreds to make and to check."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    hashed: bytes = crypt(password.encode(), f"$6$rounds=1000${secrets.token_hex(8)}$".encode())
    return hashed.decode()


def _list_hidden_at_root() -> list[str]:
    return [entry.name for entry in Path("/").iterdir() if entry.name not in (*KEPT, *FRESH)]


def _list_hidden_below(hide: Sequence[Path]) -> list[str]:
    """Return those of the paths to hide that are not gone with their top folder, and exist."""
    resolved = {path.resolve() for path in hide if path.exists()}
    return [str(path.relative_to("/")) for path in resolved if len(path.parts) > 1 and path.parts[1] in KEPT]


def _list_applets(busybox: Path) -> list[tuple[str, str]]:
    listed = subprocess.run([busybox, "--list-full"], capture_output=True, text=True, check=True).stdout.split()
    names = (Path(path) for path in listed)
    return [
        (f"usr/{path.parent.name}/{path.name}", "/usr/bin/busybox")
        for path in names
        if path.parent.name in {"bin", "sbin"}
    ]


@functools.cache
def _read_sshd_version() -> tuple[int, int]:
    text = subprocess.run(["/usr/sbin/sshd", "-V"], capture_output=True, text=True, check=False).stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)

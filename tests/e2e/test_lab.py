"""The lab's promises, with the stock OpenSSH client as the witness."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provost.lab import Host, Lab, LabError
from provost.lab.addresses import claim_addresses

LabHosts = Callable[..., list[Host]]

OPTIONS = ["-F", "none", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=30", "-o", "IdentitiesOnly=yes"]


@pytest.fixture
def another_lab(lab: Lab) -> Iterator[Lab]:
    """A lab beside the session's; its hosts are not to see one of the machine's files."""
    with Lab(lab.directory.with_name("another"), hide=[Path("/etc/debian_version")]) as another:
        yield another


def ssh(
    host: Host, command: str, *, username: str = "root", password: str | None = None, stdin: str = ""
) -> str:
    """Log in with the stock client, by the lab's key or a password; it accepts the host's own key alone."""
    known = host.folder / "known_hosts"
    name = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
    known.write_text(f"{name} {host.host_key}\n")
    words = ["ssh", *OPTIONS, "-o", f"UserKnownHostsFile={known}", "-p", str(host.port), "-l", username]
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as pipe:
        if password is None:
            words += ["-i", str(host.folder.parent / "root_key"), "-o", "BatchMode=yes"]
        else:
            words = ["sshpass", "-d", str(reader), *words, "-o", "PubkeyAuthentication=no"]
            pipe.write(f"{password}\n")
            pipe.flush()
        done = subprocess.run(
            [*words, host.address, command],
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
            pass_fds=[reader],
        )
    return done.stdout


def list_processes() -> dict[tuple[str, str], Path | None]:
    """Return the pid namespace of every process on the machine, by pid and start time; zombies are none."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, *rest = (folder / "stat").read_text().rpartition(")")[2].split()
            if state not in {"Z", "X"}:
                found[folder.name, rest[18]] = (folder / "ns" / "pid").readlink()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has just ended, or is the kernel's
    return found


def test_fifty_hosts(another_lab: Lab) -> None:
    """Fifty hosts answer the stock client by key and by password, each as itself, and `down` leaves nothing."""
    if not shutil.which("sshpass"):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("sshpass: scripts/packages sshpass")
    mounts = Path("/proc/mounts").read_text()
    began = time.monotonic()
    hosts = another_lab.up(50)
    print(f"50 hosts up in {time.monotonic() - began:.2f} s")  # noqa: T201  # for `pytest -s`
    assert len({host.address for host in hosts}) == len({host.host_key for host in hosts}) == 50

    names = [host.name for host in hosts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda host: ssh(host, "hostname").strip(), hosts)) == names
        by_password = pool.map(lambda host: ssh(host, "hostname", password=host.root_password).strip(), hosts)
        assert list(by_password) == names

    spaces = {host.read_namespace() for host in hosts}
    inside = {process for process, space in list_processes().items() if space in spaces}
    assert len(inside) >= 100
    assert Path("/proc/mounts").read_text() == mounts
    began = time.monotonic()
    another_lab.down()
    print(f"and down in {time.monotonic() - began:.2f} s")  # noqa: T201  # for `pytest -s`
    assert not inside & list_processes().keys()
    assert Path("/proc/mounts").read_text() == mounts
    assert not another_lab.directory.exists()


PLACES = ["/etc", "/usr/bin", "/root", "/home", "/tmp", "/run", "/var/tmp", "/var/log", "/dev/shm"]  # noqa: S108


def test_hosts_are_apart(lab_hosts: LabHosts) -> None:
    """Users and files that one host makes are in no other, and not on the machine."""
    first, second = lab_hosts(2)
    made = [f"{place}/made-by-lab" for place in PLACES]
    first.run("useradd --create-home ada; groupadd countesses; touch " + " ".join(made))

    assert first.run("id ada").stdout.startswith("uid=1000(ada)")
    assert second.run("id ada", check=False).returncode == 1
    assert second.run("getent group countesses", check=False).returncode == 2
    assert second.run(f"ls -d {' '.join(made)} /home/ada", check=False).stdout == ""
    with pytest.raises(KeyError):
        pwd.getpwnam("ada")
    assert not [path for path in [*made, "/home/ada"] if Path(path).exists()]


def test_a_host_sees_little_of_the_machine(another_lab: Lab, tmp_path: Path) -> None:
    """Homes, data folders, hidden files, password hashes, mounts and open files are not the machine's."""
    (host,) = another_lab.up()
    folders = [
        tmp_path,
        another_lab.directory,
        Path.home() / ".provost",
        Path(__file__).parent,
        "/etc/debian_version",
    ]
    assert host.run(f"ls -d {' '.join(map(str, folders))}", check=False).stdout == ""
    assert host.run(
        "find /root /home /tmp /var/tmp /srv /mnt /opt /boot -type f", check=False
    ).stdout.split() == ["/root/.ssh/authorized_keys"]
    hashes = [line.split(":")[1] for line in Path("/etc/shadow").read_text().splitlines()]
    ours = host.run("cat /etc/shadow").stdout
    assert not [text for text in hashes if len(text) > 2 and text in ours]
    assert host.run("ls /etc/shadow- /etc/gshadow-", check=False).stdout == ""
    mounts = host.run("cut -d' ' -f2 /proc/mounts").stdout.split()
    assert set(mounts) <= {"/", "/proc", "/proc/sys", "/proc/sysrq-trigger", "/dev/pts"}
    opened = host.run("for each in /proc/1/fd/*; do readlink $each; done").stdout.split()
    assert [path for path in opened if path != "/dev/null" and not path.startswith("socket:")] == []
    assert set(host.run("tr '\\0' '\\n' </proc/1/environ | cut -d= -f1").stdout.split()) == {"PATH", "LANG"}


def test_root_in_a_host_cannot_reach_the_machine(host: Host) -> None:
    """Whoever logs in as root mounts nothing, makes no device, and sets no kernel parameter."""
    tries = [
        "mount -t tmpfs none /mnt",
        "mknod /tmp/disk b 8 0",
        "echo 1 >/proc/sys/vm/drop_caches",
        "hostname other",
    ]
    for command in tries:
        with pytest.raises(subprocess.CalledProcessError):
            ssh(host, command)


def test_sudo_and_pam_are_real(host: Host) -> None:
    """A user logs in with a password that PAM has set, and becomes root with sudo and that password."""
    host.run("useradd -m -G sudo -s /bin/bash ada; chpasswd", stdin="ada:a password, with #spaces\n")
    password = "a password, with #spaces"
    assert ssh(host, "sudo -S id -un", username="ada", password=password, stdin=f"{password}\n") == "root\n"


def test_what_a_host_writes_is_limited(lab_hosts: LabHosts) -> None:
    """A full disk is as full as the option says, and the machine's is not touched."""
    (host,) = lab_hosts(1, size="8m")
    assert "No space left" in host.run("head -c 9m /dev/zero >/tmp/big", check=False).stderr
    assert "No space left" in host.run("useradd ada", check=False).stderr


def test_stop_and_start_sshd(host: Host) -> None:
    """A host whose sshd stops refuses connections and cuts those it has; started again, it is the same host."""
    with socket.create_connection((host.address, host.port)) as connection:
        assert connection.recv(4) == b"SSH-"
        host.stop_sshd()
        while connection.recv(1024):
            pass
    assert not host.is_up
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host.address, host.port))
    host.start_sshd()
    assert host.is_up
    assert ssh(host, "hostname").strip() == host.name
    assert "Accepted publickey" in host.log.read_text()


def test_labs_beside_each_other(lab_hosts: LabHosts, another_lab: Lab, tmp_path: Path) -> None:
    """Labs that start at once get addresses of their own, and ending one leaves the other."""
    with Lab(tmp_path / "third") as third, ThreadPoolExecutor() as pool:
        starts = [pool.submit(start, 5) for start in (lab_hosts, another_lab.up, third.up)]
        hosts = [host for start in starts for host in start.result()]
        assert len({host.address for host in hosts}) == 15
        another_lab.down()
        assert [host.is_up for host in hosts] == [True] * 5 + [False] * 5 + [True] * 5


@pytest.mark.usefixtures("lab")
def test_an_address_in_use_is_left_alone() -> None:
    """An address that something else listens on is not taken."""
    (claim,) = claim_addresses(1)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((claim.address, claim.port))
        other.listen()
        claim.socket.close()
        (second,) = claim_addresses(1)
        second.socket.close()
    assert second.address != claim.address


def test_hosts_outlive_the_process(another_lab: Lab) -> None:
    """Hosts live on when the process that started them is gone; another one finds them and ends them."""
    script = "import pathlib, sys; from provost.lab import Lab; Lab(pathlib.Path(sys.argv[1])).up(2)"
    subprocess.run([sys.executable, "-c", script, another_lab.directory], check=True)
    hosts = another_lab.hosts()
    assert [ssh(host, "hostname").strip() for host in hosts] == ["lab1", "lab2"]
    another_lab.down(hosts[:1])
    assert [host.name for host in another_lab.hosts() if host.is_up] == ["lab2"]
    assert another_lab.down() == 1
    assert not hosts[1].is_up


def test_down_spares_a_pid_that_was_given_again(another_lab: Lab) -> None:
    """A process that only has the pid of a host that is gone is not ended."""
    (host,) = another_lab.up()
    another_lab.down([host])
    host.folder.mkdir()
    (host.folder / "process").write_text(f"{os.getpid()} 1\n")
    assert another_lab.down() == 1


@pytest.mark.usefixtures("lab")
def test_a_lab_in_any_folder(tmp_path: Path) -> None:
    """A folder's name may have what mount options give a meaning to."""
    with Lab(tmp_path / "a lab, its: folder\\") as lab:
        assert lab.up()[0].run("hostname").stdout == "lab1\n"


def test_a_host_that_does_not_start(another_lab: Lab) -> None:
    """An option that sshd refuses is told in sshd's own words, and nothing of that call is left."""
    (kept,) = another_lab.up()
    with pytest.raises(LabError, match="NoSuchOption"):
        another_lab.up(2, sshd_options=["NoSuchOption yes"])
    assert another_lab.hosts() == [kept]
    with pytest.raises(LabError, match="mount tmpfs"):
        another_lab.up(2, size="many")
    assert another_lab.hosts() == [kept]
    assert kept.is_up


def test_a_script_that_fails(host: Host) -> None:
    """`run` stops at the first command that fails and shows what it wrote, and hides the script from ps."""
    with pytest.raises(LabError, match="No such file"):
        host.run("ls /nowhere; touch /tmp/later")
    assert host.run("[ -e /tmp/later ]; echo $?", check=False).stdout == "1\n"
    assert "a secret" not in host.run("cat /proc/[0-9]*/cmdline; : a secret").stdout


def test_without_root() -> None:
    """Who is not root is told so, and nothing is made."""
    script = (
        "import os, pathlib; from provost.lab import Lab; from provost.core.errors import UsageError\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: Lab(pathlib.Path('/nowhere')).up()\n"
        "except UsageError as error: print(error.code, error.message)\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.startswith("lab_needs_root ")
    assert "sudo" in told


def test_busybox_host(busybox_host: Host) -> None:
    """A BusyBox host has no Debian tools; a user that BusyBox makes logs in with the password that it set."""
    tools = "useradd usermod userdel groupadd getent visudo sudo setpriv runuser bash python3 perl"
    assert busybox_host.run(f"which {tools}", check=False).stdout == ""
    busybox_host.run("adduser -D -s /bin/ash ada; chpasswd", stdin="ada:a password, with #spaces\n")
    who = ssh(busybox_host, "id -un; echo $SHELL", username="ada", password="a password, with #spaces")
    assert who.split() == ["ada", "/bin/ash"]
    assert ssh(busybox_host, "readlink /bin/sh; su - ada -c 'id -un'").split() == ["/usr/bin/busybox", "ada"]


@pytest.mark.usefixtures("lab")
def test_command_line(tmp_path: Path) -> None:
    """`provost lab` starts, lists and ends hosts, and prints no password."""
    provost = Path(sys.executable).parent / "provost"
    environment = {**os.environ, "PROVOST_HOME": str(tmp_path)}

    def run(*words: str) -> dict[str, object]:
        done = subprocess.run(
            [provost, "lab", *words, "--json"], capture_output=True, check=True, env=environment
        )
        found: dict[str, object] = json.loads(done.stdout)
        return found

    try:
        started = run("up", "2")
        hosts = Lab(tmp_path / "lab").hosts()
        assert started["hosts"] == [
            {"name": host.name, "address": host.address, "port": host.port, "state": "up"} for host in hosts
        ]
        hosts[0].stop_sshd()
        listed = run("list")
        assert [host["state"] for host in listed["hosts"]] == ["down", "up"]
        assert Path(listed["root_key"]).stat().st_mode & 0o777 == 0o600
        assert not [host for host in hosts if host.root_password in json.dumps([started, listed])]
        assert run("down") == {"ended": 2}
        assert run("list")["hosts"] == []
    finally:
        Lab(tmp_path / "lab").down()

"""Starts hosts, and sshd in them.

A program of its own that needs only the standard library: a host is forked, and it must be forked from a small
process with one thread.  It reads one JSON request from standard input, and writes a JSON object to standard
output: what went wrong, by host name.

    {"descriptors": [int, ...], "hosts": [...]}                                  make these hosts
    {"descriptors": [int, ...], "sshd": {"name": ..., "process": int, "log": ...}}  start sshd in this one

`descriptors` are the ones that the caller has passed on; `process` is a pidfd (pidfd_open(2)) among them.
"""

import ctypes
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)

# <linux/sched.h>, <sys/mount.h>, <linux/prctl.h>
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID = 0x00020000, 0x04000000, 0x08000000, 0x20000000
NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_CAPBSET_DROP = 24

DROPPED = (12, 16, 17, 21, 22, 25, 27, 34)
"""What nobody who logs in may do, since it would reach the machine: capabilities(7) NET_ADMIN, SYS_MODULE,
SYS_RAWIO, SYS_ADMIN, SYS_BOOT, SYS_TIME, MKNOD, SYSLOG."""

DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def main() -> None:
    """Do what the request says."""
    request = json.load(sys.stdin)
    for descriptor in request["descriptors"]:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # positional only
    actions = {host["name"]: partial(boot, host) for host in request.get("hosts", ())}
    if sshd := request.get("sshd"):
        actions[sshd["name"]] = partial(restart, sshd)
    pipes = {name: run_apart(action) for name, action in actions.items()}
    problems = {}
    for name, (child, pipe) in pipes.items():
        with os.fdopen(pipe) as reader:
            if problem := reader.read():
                problems[name] = problem
        os.waitpid(child, 0)
    json.dump(problems, sys.stdout)


def run_apart(action: Callable[[], None]) -> tuple[int, int]:
    """Run `action` in a child; return its pid, and a pipe that tells what went wrong, or just ends."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        action()
    except BaseException as error:  # noqa: BLE001  # nobody else is there to hear it
        os.write(writer, f"{error}".encode())
    os._exit(1)


def boot(host: dict[str, Any]) -> None:
    """Become two processes in namespaces of their own: one that only waits, as process 1, and sshd."""
    call("unshare", NAMESPACES)
    if os.fork():
        os._exit(0)
    os.setsid()
    os.umask(0)
    folder = Path(host["folder"])
    # First of all, so that `down` finds this process whatever happens next.  /proc is still the machine's.
    pid, _, rest = Path("/proc/self/stat").read_text().partition(" ")
    start_time = rest.rpartition(")")[2].split()[19]
    (folder / "process").write_text(f"{pid} {start_time}\n")
    log = open_log(folder / "sshd.log")
    make_root(folder / "root", host["size"], host["image"])
    socket.sethostname(host["name"])
    os.umask(0o022)
    drop_capabilities()
    start_sshd(log)
    os.set_inheritable(host["claim"], True)  # noqa: FBT003  # positional only
    redirect(os.open("/dev/null", os.O_RDWR))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # survives execve(2): orphans are reaped by the kernel
    os.execve("/bin/sleep", ["sleep", "2147483647"], ENVIRONMENT)  # noqa: S606


def restart(sshd: dict[str, Any]) -> None:
    """Enter a host and start sshd there."""
    log = open_log(Path(sshd["log"]))
    call("setns", sshd["process"], NAMESPACES)
    os.chdir("/")
    os.umask(0o022)
    drop_capabilities()
    # Its parent must be in the host too: the host's process 1 then inherits it, and can end with it.
    parent = os.fork()
    if parent:
        os.waitpid(parent, 0)
    else:
        start_sshd(log)
    os._exit(0)


def start_sshd(log: int) -> None:
    """Fork a child that becomes sshd and writes to `log`."""
    if os.fork():
        return
    redirect(os.open("/dev/null", os.O_RDWR), log)
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    os.execve("/usr/sbin/sshd", ["/usr/sbin/sshd", "-D", "-e"], ENVIRONMENT)  # noqa: S606


def open_log(path: Path) -> int:
    """Open a log that sshd writes to from where its path cannot be reached."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def redirect(null: int, errors: int | None = None) -> None:
    """Put `null` in the place of the standard streams, and `errors` in that of standard error."""
    for stream, descriptor in enumerate((null, null, null if errors is None else errors)):
        os.dup2(descriptor, stream)


def drop_capabilities() -> None:
    """Give up, for every program from here on, what would reach the machine."""
    for capability in DROPPED:
        call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)


def make_root(mount_point: Path, size: str, image: dict[str, Any]) -> None:
    """Make the machine's root file system, under a layer of the host's own, the root of this process."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", str(mount_point), "tmpfs", 0, f"size={size},mode=0755")
    os.chdir(mount_point)
    for name in ("upper", "work", "merged"):
        Path(name).mkdir(mode=0o755)
    lay(image, Path("upper"))
    # The paths are relative, since the options have no way to quote one.
    mount("overlay", "merged", "overlay", 0, "lowerdir=/,upperdir=upper,workdir=work")
    os.chdir("merged")
    mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for path in ("proc/sys", "proc/sysrq-trigger"):  # the machine's own, not the host's
        if Path(path).exists():
            mount(path, path, None, MS_BIND)
            mount(None, path, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5")
    call("pivot_root", ".", ".")  # pivot_root(2), "pivot_root(".", ".")"
    call("umount2", ".", MNT_DETACH)
    os.chdir("/")


def lay(image: dict[str, Any], upper: Path) -> None:
    """Write an image (see `provost.lab.image`) into the upper layer of an overlay."""
    for path in image["hidden"]:
        make_parents(upper, path)
        os.mknod(upper / path, stat.S_IFCHR, 0)  # a whiteout: the kernel's overlayfs documentation
    for path, mode in image["directories"]:
        make_parents(upper, path)
        (upper / path).mkdir()
        (upper / path).chmod(mode)
        os.setxattr(upper / path, "trusted.overlay.opaque", b"y")
    for path, mode, group, text in image["files"]:
        make_parents(upper, path)
        (upper / path).write_text(text)
        os.chown(upper / path, 0, group)
        (upper / path).chmod(mode)
    for path, mode, source in image["copies"]:
        (upper / path).write_bytes(Path(source).read_bytes())
        (upper / path).chmod(mode)
    for path, target in image["links"]:
        (upper / path).symlink_to(target)
    for name, (major, minor) in DEVICES.items():
        os.mknod(upper / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))


def make_parents(upper: Path, path: str) -> None:
    """Make the folders above `path`, which keep what the machine has in them, with the machine's modes."""
    for parent in reversed(Path(path).parents):
        if not (upper / parent).exists():
            (upper / parent).mkdir(mode=stat.S_IMODE(Path("/", parent).stat().st_mode))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Attach a file system."""
    call("mount", source, target, kind, flags, options)


def call(function: str, *arguments: str | int | None) -> None:
    """Call a function of the C library that answers -1 for an error.

    Raises:
        OSError: it did.
    """
    encoded = (os.fsencode(argument) if isinstance(argument, str) else argument for argument in arguments)
    if getattr(LIBC, function)(*encoded) == -1:
        number = ctypes.get_errno()
        about = " ".join(argument for argument in arguments if isinstance(argument, str) and argument)
        raise OSError(number, os.strerror(number), f"{function} {about}".rstrip())


if __name__ == "__main__":
    main()

"""A Redis server of its own, and a bench of it with a privileged account."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.kinds.authority import Authority

from provost.conformance import Bench
from provost.core.job import Login, Target
from provost.core.secrets import Password, Secret

SERVER: Final = "redis-server"
RIGHTS: Final = (
    "-@all", "+acl|getuser", "+acl|setuser", "+acl|deluser", "+acl|list", "+acl|save", "+client|kill",
    "+config|rewrite",
)  # fmt: skip
"""What docs/redis.md grants the privileged account."""
_PATIENCE: Final = 20.0


class RedisServer:
    """One process on loopback: with TLS on `port`, without on `plain_port`; a socket for its administrator."""

    def __init__(self, folder: Path, *settings: str, acl_file: bool = True, config_file: bool = True) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        certified = self.authority.certify("127.0.0.1")
        self.port, self.plain_port = find_free_ports(2)
        self._socket = folder / "socket"
        self._log = folder / "log"
        self._acl = folder / "users.acl"
        lines = [
            "bind 127.0.0.1",
            f"port {self.plain_port}",
            f"tls-port {self.port}",
            f"tls-cert-file {certified.certificate}",
            f"tls-key-file {certified.key}",
            f"tls-ca-cert-file {self.authority.file}",
            "tls-auth-clients no",
            f"unixsocket {self._socket}",
            f"dir {folder}",
            'save ""',
            f"logfile {self._log}",
            "loglevel debug",
            "slowlog-log-slower-than 0",
            "slowlog-max-len 100000",
            *settings,
        ]
        if acl_file:
            self._acl.touch()
            lines.append(f"aclfile {self._acl}")
        self.config = folder / "redis.conf"
        self.config.write_text("\n".join(lines) + "\n")
        words = [word for line in lines for word in self._split(line)]
        self._command = [SERVER, str(self.config)] if config_file else [SERVER, *words]
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: subprocess.Popen[bytes] | None = None

    @staticmethod
    def _split(line: str) -> list[str]:
        name, value = line.split(" ", 1)
        return [f"--{name}", value.strip('"')]

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{SERVER} did not start:\n{self._log.read_text()}")
            time.sleep(0.05)
        with (self.folder / "monitor").open("ab") as seen:
            self._monitor = subprocess.Popen(
                ["redis-cli", "-s", str(self._socket), "monitor"], stdout=seen, stderr=subprocess.DEVNULL
            )

    def _answers(self) -> bool:
        if not self._socket.exists():
            return False
        words = ["redis-cli", "-s", str(self._socket), "ping"]
        return subprocess.run(words, capture_output=True, check=False).stdout == b"PONG\n"

    def stop(self) -> None:
        """Kill it: what was not saved by then is lost."""
        for process in (self._process, self._monitor):
            if process is not None:
                process.kill()
                process.wait()
        self._socket.unlink(missing_ok=True)

    def run(self, *words: str, given: str | None = None) -> str:
        """Run a command as the administrator; what is `given` is its last word, and in no argument list."""
        done = subprocess.run(
            ["redis-cli", "-s", str(self._socket), "-e", *(["-x"] if given is not None else []), *words],
            input=given or "", capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stdout} {done.stderr}")
        return done.stdout

    def read_log(self) -> str:
        """Return all that anybody who may look at the server can see of commands."""
        looks = (self.run("SLOWLOG", "GET", "-1"), self.run("ACL", "LOG"), self.run("ACL", "LIST"))
        return "".join((self._log.read_text(), (self.folder / "monitor").read_text(), *looks))


@contextmanager
def run_redis(folder: Path, *settings: str, **options: bool) -> Iterator[RedisServer]:
    """Run a server with further lines of redis.conf, and with the options of `RedisServer`."""
    server = RedisServer(folder, *settings, **options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def has_redis() -> bool:
    """Tell whether a server is installed."""
    return all(map(shutil.which, (SERVER, "redis-cli")))


def find_free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class RedisBench(Bench):
    """A running server, reached by TLS."""

    hostile = (
        "cf;flushall",
        "cf$(id)",
        "cf>pw",
        "cf#hash",
        "cf~*",
        "cf+@all",
        "cf\\n",
        "cf-名",
        "CF",
        "(cf",
        "nopass",
    )

    def __init__(self, server: RedisServer, gateway: Target | None = None) -> None:
        self.server = server
        self.gateway = gateway
        password = Password("provost's own Secret 1")
        self.make("provost", password)
        server.run("ACL", "SETUSER", "provost", *RIGHTS)
        server.run("ACL", "SAVE") if "aclfile" in server.config.read_text() else None
        self.target = Target(
            1, "redis-1", "redis", "127.0.0.1", server.port, (Login("provost", password),),
            {"tls_ca": server.authority.pem},
        )  # fmt: skip

    def make(self, username: str, secret: Secret) -> None:
        self.server.run("ACL", "SETUSER", username, "on", given=f">{secret.text}")  # type: ignore[union-attr]

    def has(self, username: str) -> bool:
        return username in self.list_names()

    def list_names(self) -> set[str]:
        return set(self.server.run("ACL", "USERS").splitlines())

    def log_in(self, username: str, secret: Secret) -> bool:
        assert isinstance(secret, Password)
        words = [
            "redis-cli", "-p", str(self.server.port), "--tls", "--cacert", str(self.server.authority.file),
            "--user", username, "PING",
        ]  # fmt: skip
        done = subprocess.run(
            words, env={**os.environ, "REDISCLI_AUTH": secret.text}, capture_output=True, text=True, check=False
        )
        told = done.stdout + done.stderr
        if "AUTH failed: WRONGPASS" in told:
            return False
        if "NOPERM" in told or "PONG" in told:
            return True
        raise RuntimeError(f"{words}: {told}")

    def grant(self, username: str) -> None:
        self.server.run("ACL", "SETUSER", username, "~app:*", "+@read")

    def is_granted(self, username: str) -> bool:
        told = self.server.run("ACL", "GETUSER", username)
        return "~app:*" in told and "+@read" in told

    def read_log(self) -> str:
        return self.server.read_log()

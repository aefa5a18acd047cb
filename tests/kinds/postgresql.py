"""A real PostgreSQL with TLS, at its most verbose, and its bench."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from secrets import token_urlsafe
from types import TracebackType
from typing import Self

from tests.kinds.authority import Authority

from provost.conformance import Bench
from provost.core.job import Login, Target
from provost.core.secrets import Password, Secret

NAME = "db.example"
"""The name that the server's certificate holds."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "ssl": "on",
    "max_connections": "40",
    "log_statement": "all",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_min_messages": "debug5",
    "log_min_duration_statement": "0",
    "log_parameter_max_length": "-1",
    "log_error_verbosity": "verbose",
    "debug_print_parse": "on",
}

HBA = """
local all postgres trust
host all all 127.0.0.1/32 scram-sha-256
"""


def find_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, as Debian has them, or None."""
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return servers[-1].parent if servers else None


class PostgresqlServer:
    """A server of its own on loopback, with a role `provost` that has the least rights; it ends with `stop`.

    `run` is what the administrator does, over a socket that nobody else reaches.
    """

    def __init__(self, programs: Path, environment: Mapping[str, str] | None = None, **settings: str) -> None:
        self.programs = programs
        self.password = token_urlsafe()
        self._settings = SETTINGS | settings
        self._environment = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]} | dict(environment or {})
        self._as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="provost-postgresql-"))
        try:
            self._make()
            self.start()
            self.major = int(self.run("SHOW server_version_num")) // 10000
            self.run(f"CREATE ROLE provost LOGIN CREATEROLE PASSWORD '{self.password}'")
            self._begin = (self.folder / "log").stat().st_size
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder)

    def _make(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self.port = unused.getsockname()[1]
        if self._as_postgres:
            shutil.chown(self.folder, "postgres", "postgres")
        data = self.folder / "data"
        self._command("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        self.authority = Authority(data)
        self.certified = self.authority.certify(NAME)
        if self._as_postgres:
            shutil.chown(self.certified.key, "postgres", "postgres")
        settings = self._settings | {
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "ssl_cert_file": str(self.certified.certificate),
            "ssl_key_file": str(self.certified.key),
        }
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        (data / "pg_hba.conf").write_text(HBA)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._command("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """Stop it at once."""
        self._command("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop")

    def admit(self, *rules: str) -> None:
        """Put rules in front of those of pg_hba.conf, in the place of those that were put there before."""
        (self.folder / "data" / "pg_hba.conf").write_text("\n".join(rules) + HBA)
        self.reload()

    def reload(self) -> None:
        """Have it read its files again, before the next login."""
        told = "received SIGHUP, reloading configuration files"
        before = self.read_log().count(told)
        self.run("SELECT pg_reload_conf()")
        while self.read_log().count(told) == before:
            time.sleep(0.02)

    def run(self, statement: str, database: str = "postgres") -> str:
        """Run SQL as a superuser, and return what it answers, fields separated by |."""
        return self._psql(
            ["-h", str(self.folder), "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-f", "-"],
            statement,
            {},
        ).stdout.strip()

    def log_in(
        self, username: str, password: str, statement: str = "SELECT 1", database: str = "postgres"
    ) -> subprocess.CompletedProcess[str]:
        """Run SQL as somebody who logs in with a password."""
        variables = {"PGPASSWORD": password, "PGSSLMODE": "prefer", "PGCLIENTENCODING": "UTF8"}
        place = ["-h", "127.0.0.1", "-d", database, "-U", username, "-w", "-f", "-"]
        return self._psql(place, statement, variables, check=False)

    def read_log(self) -> str:
        """Return what it has logged since it was set up."""
        with (self.folder / "log").open(errors="replace") as file:
            file.seek(self._begin)
            return file.read()

    def _psql(
        self, words: list[str], statement: str, variables: Mapping[str, str], *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.programs / "psql", "-X", "-q", "-A", "-t", "-p", str(self.port), *words],
            input=statement,
            capture_output=True,
            text=True,
            check=check,
            env=self._environment | {"HOME": "/nonexistent"} | variables,
        )

    def _command(self, program: str, *words: str) -> None:
        subprocess.run(
            [*self._as_postgres, str(self.programs / program), *words],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            env=self._environment,
        )


def quote(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


class PostgresqlBench(Bench):
    """The server's role `provost` acts."""

    hostile = (
        'a"b', "a'b", "a;b", "a b", " a ", "a\\b", "a%b", "a%sb", "%(a)s", "{a}", "$1", "$$", "--", "/*", ":a",
        "@a", "Über", "名前", "🔑", "current_user", "session_user", "user", "A", "x" * 63, "é" * 31,
        '"; DROP ROLE provost; --',
        "-U", "host=evil", "postgresql://evil/", "+provost", "all", "a@b",
    )  # fmt: skip

    def __init__(self, server: PostgresqlServer) -> None:
        self.server = server
        self.target = Target(
            1,
            "db-1",
            "postgresql",
            "127.0.0.1",
            server.port,
            (Login("provost", Password(server.password)),),
            {"tls_ca": server.authority.pem, "tls_name": NAME},
        )

    def make(self, username: str, secret: Secret) -> None:
        assert isinstance(secret, Password)
        self.server.run(f"CREATE ROLE {quote(username)} LOGIN PASSWORD {quote_text(secret.text)}")
        if self.server.major >= 16:
            self.server.run(f"GRANT {quote(username)} TO provost WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")

    def has(self, username: str) -> bool:
        return username in self.list_names()

    def log_in(self, username: str, secret: Secret) -> bool:
        assert isinstance(secret, Password)
        told = self.server.log_in(username, secret.text)
        if "FATAL" in told.stderr or told.returncode == 0:
            return told.returncode == 0
        raise RuntimeError(told.stderr)

    def list_names(self) -> set[str]:
        return set(self.server.run("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'").splitlines())

    def grant(self, username: str) -> None:
        self.server.run(f"GRANT pg_monitor TO {quote(username)}; ALTER ROLE {quote(username)} CREATEDB")

    def is_granted(self, username: str) -> bool:
        asked = "SELECT rolname FROM pg_roles WHERE rolcreatedb AND pg_has_role(oid, 'pg_monitor', 'USAGE')"
        return username in self.server.run(asked).splitlines()

    def read_log(self) -> str:
        return self.server.read_log()

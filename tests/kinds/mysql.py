"""A MariaDB of its own, or a MySQL, and a bench of it."""

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.kinds.authority import Authority

from provost.conformance import Bench
from provost.conformance.reaching import open_session
from provost.core.connector import Session
from provost.core.job import Login, Target
from provost.core.secrets import Password, Secret

PATIENCE: Final = 60.0
_REFUSED: Final = ("ERROR 1045", "ERROR 1698", "ERROR 3118", "ERROR 4151")

MYSQLD: Final = shlex.split(os.environ.get("PROVOST_TEST_MYSQLD", ""))
"""How to start a server of MySQL, which Debian does not have."""


class MariaDb:
    """A server that lasts as long as the context. Its general log says every statement."""

    name = "MariaDB"
    rights: Sequence[str] = (
        "GRANT CREATE USER, PROCESS, CONNECTION ADMIN, SHOW VIEW ON *.* TO {}",
        "GRANT SELECT ON mysql.* TO {}",
    )
    """What docs/mysql.md names."""
    accounts = (
        "SELECT User FROM mysql.global_priv WHERE Host = '%' AND COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) = 0"
    )
    owned = (
        "SELECT CONCAT_WS(' ', ssl_type, max_user_connections) FROM mysql.user WHERE Host = '%' AND User = {}"
    )
    grants = "SELECT Role FROM mysql.roles_mapping WHERE Host = '%' AND User = {}"
    socket_owner = "unix_socket"

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="provost-mysql-"))
        self._options = options

    @classmethod
    def is_installed(cls) -> bool:
        """Tell whether there is a server to start."""
        return shutil.which("mariadbd") is not None

    @property
    def log(self) -> Path:
        """Its general log."""
        return self.folder / "data" / "general.log"

    @property
    def _socket(self) -> Path:
        return self.folder / "data" / "socket"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder)
            data = self.folder / "data"
            if os.geteuid() == 0:
                shutil.chown(self.folder, "mysql")
                self.folder.chmod(0o755)
            self._install(data)
            self.authority = Authority(data)
            certified = self.authority.certify("127.0.0.1")
            if os.geteuid() == 0:
                subprocess.run(["chown", "-R", "mysql", data], check=True)
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
            with (self.folder / "errors").open("w") as errors:
                self._process = subprocess.Popen(
                    [
                        *self._find_program(), *self._as_mysql(), f"--datadir={data}", f"--port={self.port}",
                        "--bind-address=127.0.0.1", f"--socket={self._socket}", f"--pid-file={data}/pid",
                        f"--ssl-ca={self.authority.file}", f"--ssl-cert={certified.certificate}",
                        f"--ssl-key={certified.key}",
                        "--general-log=1", f"--general-log-file={self.log}",
                        "--innodb-flush-log-at-trx-commit=0", *self._options,
                    ],
                    stdout=errors, stderr=errors,
                )  # fmt: skip
            stack.callback(self._stop)
            self._wait()
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        shutil.rmtree(self.folder)

    def _find_program(self) -> list[str]:
        return ["mariadbd", "--no-defaults"]

    def _as_mysql(self) -> list[str]:
        return ["--user=mysql"] if os.geteuid() == 0 else []

    def _install(self, data: Path) -> None:
        subprocess.run(
            [
                "mariadb-install-db", "--no-defaults", *self._as_mysql(), f"--datadir={data}",
                "--auth-root-authentication-method=normal", "--skip-test-db",
            ],
            check=True, stdout=subprocess.DEVNULL,
            # Two that are made at once would take each other's temporary tables.
            env={**os.environ, "TMPDIR": str(self.folder)},
        )  # fmt: skip

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.run("SELECT 1")
            except subprocess.CalledProcessError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self.folder / "errors").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    def run(self, *statements: str) -> list[str]:
        """Carry statements out as root, unlogged; return the rows."""
        done = subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self._socket}", "-uroot", "-N", "-B", "-r",
             "--default-character-set=utf8mb4"],
            input=";\n".join(("SET NAMES utf8mb4, SESSION sql_log_off = 1", *statements)),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    def log_in(self, username: str, password: str, *statements: str) -> subprocess.CompletedProcess[str]:
        """Log in by the network with the stock client."""
        return subprocess.run(
            ["mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={self.port}", f"--user={username}",
             f"--ssl-ca={self.authority.file}", "--ssl-verify-server-cert", "-N", "-B",
             "--default-character-set=utf8mb4"],
            input=";\n".join(statements or ("SELECT CURRENT_USER()",)),
            env={**os.environ, "MYSQL_PWD": password},
            capture_output=True, text=True, check=False,
        )  # fmt: skip


class MySql(MariaDb):
    """A server of MySQL."""

    name = "MySQL"
    rights = (
        "GRANT CREATE USER, PROCESS, CONNECTION_ADMIN ON *.* TO {}",
        "GRANT SELECT ON mysql.* TO {}",
    )
    accounts = "SELECT User FROM mysql.user WHERE Host = '%'"
    grants = "SELECT FROM_USER FROM mysql.role_edges WHERE TO_HOST = '%' AND TO_USER = {}"
    socket_owner = "auth_socket"

    @classmethod
    def is_installed(cls) -> bool:
        """Tell whether there is a server to start."""
        return bool(MYSQLD)

    def _find_program(self) -> list[str]:
        return [MYSQLD[0], "--no-defaults", *MYSQLD[1:], "--mysqlx=OFF", "--secure-file-priv="]

    def _install(self, data: Path) -> None:
        program = [MYSQLD[0], "--no-defaults", "--initialize-insecure", *MYSQLD[1:]]
        words = [*program, *self._as_mysql(), f"--datadir={data}"]
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)


class MysqlBench(Bench):
    """A server, with a privileged account that has the rights that docs/mysql.md names."""

    hostile = ("a'b", 'a"b', "a`b", "a\\b", "a\\'; --", "a%b", "a_b", "a;b", "-- a", "ä")

    def __init__(self, server: MariaDb) -> None:
        self.server = server
        password = Password("provost's own Secret 1")
        self._create("provost", password)
        server.run(*(right.format("'provost'@'%'") for right in server.rights))
        server.run("CREATE ROLE cfrole")
        self.target = Target(
            1, "db1", "mysql", "127.0.0.1", server.port, (Login("provost", password),),
            {"tls_ca": server.authority.pem},
        )  # fmt: skip

    def _create(self, username: str, secret: Secret) -> None:
        assert isinstance(secret, Password)
        self.server.run(f"CREATE USER {quote(username)}@'%' IDENTIFIED BY {quote(secret.text)}")

    def make(self, username: str, secret: Secret) -> None:
        self._create(username, secret)

    def open(self, **changes: object) -> contextlib.AbstractAsyncContextManager[Session]:
        """Open a session, with other options."""
        return open_session(self.open_connector(), self.aim(**changes))

    def has(self, username: str) -> bool:
        return username in self.list_names()

    def list_names(self) -> set[str]:
        return set(self.server.run(self.server.accounts)) - {"cfrole"}

    def log_in(self, username: str, secret: Secret) -> bool:
        assert isinstance(secret, Password)
        done = self.server.log_in(username, secret.text)
        if done.returncode and not done.stderr.startswith(_REFUSED):
            raise RuntimeError(f"mariadb as {username}: {done.stderr}")
        return done.returncode == 0

    def grant(self, username: str) -> None:
        name = f"{quote(username)}@'%'"
        self.server.run(f"GRANT cfrole TO {name}", f"ALTER USER {name} REQUIRE SSL WITH MAX_USER_CONNECTIONS 7")

    def is_granted(self, username: str) -> bool:
        owned = self.server.run(self.server.owned.format(quote(username)))
        return owned == ["ANY 7"] and self.server.run(self.server.grants.format(quote(username))) == ["cfrole"]

    def read_log(self) -> str:
        return self.server.log.read_text(errors="replace") + (self.server.folder / "errors").read_text()


def quote(text: str) -> str:
    """Return a literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

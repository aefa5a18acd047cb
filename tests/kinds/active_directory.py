"""A Samba domain controller of its own, and the bench for the kind `active_directory`."""

import base64
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.kinds.authority import Authority

from provost.conformance import Bench
from provost.core.job import Login, Target
from provost.core.secrets import Password, Secret

DOMAIN: Final = "corp.example"
ROOT: Final = "DC=corp,DC=example"
PEOPLE: Final = f"OU=people,{ROOT}"
GROUPS: Final = f"OU=groups,{ROOT}"
SHARED: Final = f"CN=Users,{ROOT}"

_ADMINISTRATOR: Final = Password("The Administrator's 1")
_WRONG: Final = 49
_PROGRAMS: Final = ("samba", "samba-tool", "ldapsearch", "kinit")

# As docs/active_directory.md has them.
RIGHTS: Final = f"""\
samba-tool dsacl set --objectdn={PEOPLE} --sddl='(OA;CI;CCDC;bf967aba-0de6-11d0-a285-00aa003049e2;;SID)'
samba-tool dsacl set --objectdn={PEOPLE} --sddl='(OA;CIIO;RPWP;;bf967aba-0de6-11d0-a285-00aa003049e2;SID)'
samba-tool dsacl set --objectdn={PEOPLE} \\
  --sddl='(OA;CIIO;CR;00299570-246d-11d0-a768-00aa006e0529;bf967aba-0de6-11d0-a285-00aa003049e2;SID)'
samba-tool dsacl set --objectdn={GROUPS} \\
  --sddl='(OA;CIIO;RPWP;bf9679c0-0de6-11d0-a285-00aa003049e2;bf967a9c-0de6-11d0-a285-00aa003049e2;SID)'
"""

OWN_RIGHT: Final = f"""\
samba-tool dsacl set --objectdn=CN=provost,{SHARED} \\
  --sddl='(OA;;CR;00299570-246d-11d0-a768-00aa006e0529;;PS)'
"""

_SETTINGS: Final = """\
server services = ldap, kdc
log level = 10
old password allowed period = 0
tls certfile = {certificate}
tls keyfile = {key}
tls cafile = {issuer}
pid directory = {folder}
ncalrpc dir = {folder}/ncalrpc
winbindd socket directory = {folder}/winbind
ntp signd socket directory = {folder}/ntp
panic action =
"""


class SambaDomain:
    """A domain controller on an address of loopback of its own, with TLS; it ends with the block."""

    @staticmethod
    def is_installed() -> bool:
        """Tell whether Samba, what provisions a domain, and the clients are there."""
        found = all(shutil.which(program, path="/usr/sbin:/usr/bin") for program in _PROGRAMS)
        return found and Path("/usr/share/samba/setup/ad-schema").exists() and os.geteuid() == 0

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="provost-samba-"))
        self.authority = Authority(self.folder)
        self.address = _find_address()
        self.log = self.folder / "log"
        certified = self.authority.certify("dc1.corp.example", self.address)
        self._config = self.folder / "dc" / "etc" / "smb.conf"
        self._provision()
        words = {
            "certificate": certified.certificate,
            "key": certified.key,
            "issuer": self.authority.file,
            "folder": self.folder,
        }
        lines = self._config.read_text().splitlines()
        kept = [
            line for line in lines if not line.strip().startswith(("server services", "log file", "logging"))
        ]
        at = kept.index("[global]") + 1
        kept[at:at] = _SETTINGS.format_map(words).splitlines()
        self._config.write_text("\n".join(kept) + "\n")
        for name in ("ncalrpc", "winbind", "ntp"):
            (self.folder / name).mkdir()
        self.start()
        self._furnish()
        return self

    def _provision(self) -> None:
        subprocess.run(
            [
                "samba-tool", "domain", "provision", f"--realm={DOMAIN.upper()}", "--domain=CORP",
                "--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", f"--host-ip={self.address}",
                f"--adminpass={_ADMINISTRATOR.text}", f"--targetdir={self.folder / 'dc'}",
                f"--option=interfaces={self.address}/8", "--option=bind interfaces only=yes",
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/usr/sbin/samba", "-i", "-M", "single", "-s", self._config, "--debug-stdout"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        for _ in range(300):
            if self.bind(f"administrator@{DOMAIN}", _ADMINISTRATOR) == 0:
                return
            time.sleep(0.2)
        raise RuntimeError(self.log.read_text(errors="replace")[-5000:])

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _furnish(self) -> None:
        unit = "objectClass: organizationalUnit\n"
        group = "objectClass: group\nsAMAccountName: "
        self.add(
            f"dn: {PEOPLE}\n{unit}\ndn: {GROUPS}\n{unit}\n"
            f"dn: CN=ops,{GROUPS}\n{group}ops\n\ndn: CN=staff,{GROUPS}\n{group}staff\n"
        )
        self.make_user("provost", Password("Provost's own 1"), SHARED)
        told = self.tool("user", "show", "provost", "--attributes=objectSid")
        sid = next(line.split()[1] for line in told.splitlines() if line.startswith("objectSid"))
        for line in (RIGHTS + OWN_RIGHT).replace("\\\n", "").splitlines():
            where, sddl = (word.partition("=")[2].strip("'") for word in line.split()[3:])
            self.tool("dsacl", "set", f"--objectdn={where}", f"--sddl={sddl.replace('SID)', f'{sid})')}")

    def tool(self, *words: str) -> str:
        """Run samba-tool on the domain's database, as it does for root there."""
        done = subprocess.run(
            ["samba-tool", *words, "-s", self._config, "-d", "0"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done
        return done.stdout

    def run(self, program: str, *words: str, told: str = "") -> subprocess.CompletedProcess[str]:
        """Run a stock client as the domain's administrator."""
        return self._ask(f"administrator@{DOMAIN}", _ADMINISTRATOR, program, *words, told=told)

    def _ask(
        self, name: str, password: Password, program: str, *words: str, told: str = ""
    ) -> subprocess.CompletedProcess[str]:
        file = self.folder / f"secret{time.monotonic_ns()}"
        file.touch(mode=0o600)
        file.write_text(password.text)
        return subprocess.run(
            [program, "-H", f"ldaps://{self.address}", "-x", "-D", name, "-y", file, *words],
            env={**os.environ, "LDAPTLS_CACERT": str(self.authority.file)},
            input=told,
            text=True,
            capture_output=True,
            check=False,
        )

    def bind(self, name: str, password: Password) -> int:
        """Return the result of a login by the stock client, over TLS."""
        return self._ask(name, password, "ldapsearch", "-b", "", "-s", "base", "1.1").returncode

    def take_ticket(self, username: str, password: Password) -> bool:
        """Tell whether Kerberos lets an account in, by the stock client."""
        config = self.folder / "krb5.conf"
        config.write_text(
            f"[libdefaults]\ndefault_realm = {DOMAIN.upper()}\ndns_lookup_kdc = false\n"
            f"[realms]\n{DOMAIN.upper()} = {{\n kdc = {self.address}\n}}\n"
        )
        done = subprocess.run(
            ["kinit", "-c", f"FILE:{self.folder / 'cache'}", username],
            env={**os.environ, "KRB5_CONFIG": str(config)},
            input=f"{password.text}\n",
            text=True,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def add(self, ldif: str) -> None:
        """Have the administrator add entries."""
        done = self.run("ldapadd", told=ldif)
        assert done.returncode == 0, done

    def change(self, dn: str, *lines: str) -> None:
        """Have the administrator change an entry."""
        done = self.run("ldapmodify", told="\n".join([f"dn:: {_encode(dn)}", "changetype: modify", *lines, ""]))
        assert done.returncode == 0, done

    def make_user(self, username: str, password: Password, place: str) -> None:
        """Have the administrator make a user."""
        quoted = base64.b64encode(f'"{password.text}"'.encode("utf-16-le")).decode()
        self.add(
            f"dn:: {_encode(f'CN={escape(username)},{place}')}\nobjectClass: user\n"
            f"sAMAccountName:: {_encode(username)}\nuserAccountControl: 512\nunicodePwd:: {quoted}\n"
        )

    def find(self, test: str, *attributes: str, base: str = ROOT) -> str:
        """Return what the administrator sees, as LDIF."""
        done = self.run("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", base, test, *attributes)
        assert done.returncode in {0, 10, 32}, done
        return done.stdout


class ActiveDirectoryBench(Bench):
    """Users in an organizational unit, and a privileged account that has what the kind's page delegates."""

    hostile = ("a'b", "a`b", "a b", "#a", "a$b", "ä", "名", "a(b)", "-a", "a%b")
    policy_refusals = ("password_refused",)

    def __init__(self, server: SambaDomain) -> None:
        self.server = server
        self.target = Target(
            1,
            "domain",
            "active_directory",
            server.address,
            636,
            (Login("provost", Password("Provost's own 1")),),
            {"domain": DOMAIN, "container": PEOPLE, "tls_ca": server.authority.pem},
        )

    def find(self, username: str, *attributes: str) -> str:
        return self.server.find(f"(sAMAccountName={escape(username)})", *attributes)

    def name(self, username: str) -> str:
        return f"CN={escape(username)},{PEOPLE}"

    def make(self, username: str, secret: Secret) -> None:
        assert isinstance(secret, Password)
        self.server.make_user(username, secret, PEOPLE)

    def has(self, username: str) -> bool:
        return "sAMAccountName:" in self.find(username, "sAMAccountName")

    def log_in(self, username: str, secret: Secret) -> bool:
        assert isinstance(secret, Password)
        code = self.server.bind(f"CORP\\{username}", secret)
        if code not in {0, _WRONG}:
            raise RuntimeError(f"ldapsearch ended with {code}")
        return code == 0

    def list_names(self) -> set[str]:
        names = set()
        for line in self.server.find(
            "(&(objectCategory=person)(objectClass=user))", "sAMAccountName"
        ).splitlines():
            if line.startswith("sAMAccountName:: "):
                names.add(base64.b64decode(line[17:]).decode())
            elif line.startswith("sAMAccountName: "):
                names.add(line[16:])
        return names

    def grant(self, username: str) -> None:
        self.server.change(self.name(username), "add: telephoneNumber", "telephoneNumber: 123")
        self.server.change(f"CN=ops,{GROUPS}", "add: member", f"member: {self.name(username)}")

    def is_granted(self, username: str) -> bool:
        told = self.find(username, "telephoneNumber", "memberOf")
        return "telephoneNumber: 123" in told and f"memberOf: CN=ops,{GROUPS}" in told

    def read_log(self) -> str:
        return self.server.log.read_text(errors="replace")


def escape(text: str) -> str:
    """Return a text as it can stand in the name of an entry, and in a filter."""
    return "".join(
        c if c.isascii() and c.isalnum() else "".join(f"\\{byte:02x}" for byte in c.encode()) for c in text
    )


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _find_address() -> str:
    """Return an address of loopback where nothing has the ports of a domain controller."""
    while True:
        address = f"127.9.{secrets.randbelow(254)}.{1 + secrets.randbelow(253)}"
        with socket.socket() as probe:
            try:
                probe.bind((address, 636))
            except OSError:
                continue
            return address

"""An OpenLDAP server of its own, and the bench for the kind `ldap`."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from tests.kinds.authority import Authority

from provost.conformance import Bench
from provost.core.job import Login, Target
from provost.core.model import SecretType
from provost.core.secrets import Password, Secret, SshKey

SUFFIX: Final = "dc=example,dc=org"
PEOPLE: Final = f"ou=people,{SUFFIX}"
GROUPS: Final = f"ou=groups,{SUFFIX}"
PROVOST: Final = f"cn=provost,ou=services,{SUFFIX}"
POLICY: Final = f"cn=default,ou=policies,{SUFFIX}"
STRICT: Final = f"cn=strict,ou=policies,{SUFFIX}"
"""A policy of accounts that name it, for tests to make strict."""
ROOT: Final = "gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth"

ALL_BUT_PACKETS: Final = 0x7FFF & ~(2 | 16)
"""Every level of slapd's log but `packets` and `BER`, which are what goes over the wire."""

_WRONG: Final = 49

# As docs/ldap.md has them.
ACCESS: Final = f"""\
olcLimits: {{0}}dn.exact="{PROVOST}" size=unlimited
olcAccess: {{0}}to dn.subtree="{PEOPLE}" attrs=userPassword
  by dn.exact="{PROVOST}" =w by anonymous auth by * none
olcAccess: {{1}}to dn.exact="{PROVOST}" attrs=userPassword
  by self =w by anonymous auth by * none
olcAccess: {{2}}to dn.subtree="{PEOPLE}"
  by dn.exact="{PROVOST}" write by users read by * none
olcAccess: {{3}}to dn.subtree="{GROUPS}" attrs=member,memberUid,uniqueMember
  by dn.exact="{PROVOST}" write by users read by * none
olcAccess: {{4}}to dn.subtree="{SUFFIX}"
  by users read by * none
"""

_CONFIG = """\
dn: cn=config
objectClass: olcGlobal
cn: config
olcPidFile: {{folder}}/pid
olcArgsFile: {{folder}}/args
{tls}
dn: cn=module,cn=config
objectClass: olcModuleList
cn: module
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb
olcModuleLoad: ppolicy

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif

include: file:///etc/ldap/schema/cosine.ldif

include: file:///etc/ldap/schema/nis.ldif

include: file:///etc/ldap/schema/inetorgperson.ldif

include: file:///etc/ldap/schema/namedobject.ldif

{keys}
dn: olcDatabase=config,cn=config
objectClass: olcDatabaseConfig
olcDatabase: config
olcRootDN: {{root}}

dn: olcDatabase=mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: mdb
olcSuffix: {{suffix}}
olcDbDirectory: {{folder}}/data
olcDbNoSync: TRUE
olcDbIndex: uid eq
olcRootDN: {{root}}
{{access}}
{overlay}"""

_TLS = """\
olcTLSCertificateFile: {certificate}
olcTLSCertificateKeyFile: {key}
"""

_KEYS = """\
dn: cn=openssh-lpk,cn=schema,cn=config
objectClass: olcSchemaConfig
cn: openssh-lpk
olcAttributeTypes: ( 1.3.6.1.4.1.24552.500.1.1.1.13 NAME 'sshPublicKey' DESC 'OpenSSH public key'
  EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
olcObjectClasses: ( 1.3.6.1.4.1.24552.500.1.1.2.0 NAME 'ldapPublicKey' SUP top AUXILIARY
  MUST ( sshPublicKey $ uid ) )
"""

_OVERLAY = """
dn: olcOverlay=ppolicy,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcPPolicyConfig
olcOverlay: ppolicy
olcPPolicyDefault: {policy}
"""

_BASE = f"""\
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: {PEOPLE}
objectClass: organizationalUnit

dn: {GROUPS}
objectClass: organizationalUnit

dn: ou=services,{SUFFIX}
objectClass: organizationalUnit

dn: ou=policies,{SUFFIX}
objectClass: organizationalUnit

dn: {POLICY}
objectClass: namedObject
objectClass: pwdPolicy
pwdAttribute: userPassword

dn: {STRICT}
objectClass: namedObject
objectClass: pwdPolicy
pwdAttribute: userPassword

dn: {PROVOST}
objectClass: organizationalRole
objectClass: simpleSecurityObject
userPassword: provost's own secret

dn: cn=ops,{GROUPS}
objectClass: posixGroup
gidNumber: 500

dn: cn=staff,{GROUPS}
objectClass: groupOfNames
member: {PROVOST}
"""


def escape(text: str) -> str:
    """Return a text as it can stand in the name of an entry, and in a filter."""
    return "".join(
        c if c.isascii() and c.isalnum() else "".join(f"\\{byte:02x}" for byte in c.encode()) for c in text
    )


class OpenLdap:
    """A slapd on loopback, with TLS by `authority` and an administrator by a socket; it ends with the block."""

    def __init__(self, *, policy: bool = True, keys: bool = True, tls: bool = True) -> None:
        self._parts = _CONFIG.format(
            tls=_TLS if tls else "", keys=_KEYS if keys else "", overlay=_OVERLAY if policy else ""
        )
        self._with_tls = tls

    @staticmethod
    def is_installed() -> bool:
        """Tell whether slapd and its clients are there."""
        return all(shutil.which(program, path="/usr/sbin:/usr/bin") for program in ("slapd", "ldapwhoami"))

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="provost-slapd-"))
        self.authority = Authority(self.folder)
        certified = self.authority.certify("ldap.example", "127.0.0.1")
        for name in ("config", "data"):
            (self.folder / name).mkdir()
        words = {
            "folder": self.folder,
            "certificate": certified.certificate,
            "key": certified.key,
            "root": ROOT,
            "suffix": SUFFIX,
            "policy": POLICY,
            "access": ACCESS,
        }
        self._load(0, self._parts.format_map(words))
        self._load(1, _BASE)
        self.log = self.folder / "log"
        self.port, self.plain_port = _find_port(), _find_port()
        self._ldapi = f"ldapi://{quote(str(self.folder / 'socket'), safe='')}"
        self.start()
        return self

    def start(self) -> None:
        """Start it, and wait until it answers."""
        addresses = f"ldap://127.0.0.1:{self.plain_port} {self._ldapi}"
        if self._with_tls:
            addresses += f" ldaps://127.0.0.1:{self.port}"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/usr/sbin/slapd", "-F", self.folder / "config", "-h", addresses, "-d", str(ALL_BUT_PACKETS)],
                stdout=log,
                stderr=log,
            )
        for _ in range(600):
            if self.run("ldapwhoami").returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(self.log.read_text(errors="replace"))

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _load(self, database: int, ldif: str) -> None:
        subprocess.run(
            ["/usr/sbin/slapadd", "-n", str(database), "-F", self.folder / "config"],
            input=ldif,
            text=True,
            check=True,
            capture_output=True,
        )

    def run(self, program: str, *words: str, told: str = "") -> subprocess.CompletedProcess[str]:
        """Run a stock client as the administrator."""
        return subprocess.run(
            [program, "-H", self._ldapi, "-Y", "EXTERNAL", "-Q", *words],
            input=told,
            text=True,
            capture_output=True,
            check=False,
        )

    def tell(self, ldif: str, program: str = "ldapmodify") -> None:
        """Have the administrator make a change."""
        done = self.run(program, told=ldif)
        assert done.returncode == 0, done

    def change(self, dn: str, *lines: str) -> None:
        """Have the administrator change an entry."""
        self.tell("\n".join([f"dn: {dn}", "changetype: modify", *lines]))

    def find(self, test: str, *attributes: str, base: str = SUFFIX) -> str:
        """Return what the administrator sees, as LDIF."""
        done = self.run("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", base, test, *attributes)
        assert done.returncode in {0, 32}, done.stderr
        return done.stdout

    def set_password(self, dn: str, password: Password) -> None:
        """Have the administrator set a password."""
        file = self._write(password)
        done = self.run("ldappasswd", "-T", str(file), dn)
        assert done.returncode == 0, done

    def bind(self, dn: str, password: Password) -> int:
        """Return the result of a login by the stock client, over TLS."""
        file = self._write(password)
        done = subprocess.run(
            ["ldapwhoami", "-H", f"ldaps://127.0.0.1:{self.port}", "-x", "-D", dn, "-y", str(file)],
            env={**os.environ, "LDAPTLS_CACERT": str(self.authority.file)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode

    def _write(self, password: Password) -> Path:
        file = self.folder / f"secret{time.monotonic_ns()}"
        file.touch(mode=0o600)
        file.write_text(password.text)
        return file


class LdapBench(Bench):
    """Accounts below ou=people, and a privileged account that has what docs/ldap.md grants."""

    proves = (SecretType.PASSWORD,)
    hostile = (
        "a)(uid=*",
        "a,b",
        "a=b",
        "a+b",
        "a\\b",
        'a"b',
        "a<b>;c",
        "#a",
        "a*b",
        "ä",
        "名",
        "a/b",
        "a\\2ab",
    )

    def __init__(self, server: OpenLdap) -> None:
        self.server = server
        self.target = Target(
            1,
            "directory",
            "ldap",
            "127.0.0.1",
            server.port,
            (Login(PROVOST, Password("provost's own secret")),),
            {
                "base_dn": PEOPLE,
                "groups_dn": GROUPS,
                "password_policy": POLICY,
                "tls_ca": server.authority.pem,
            },
        )

    def aim_plain(self, **changes: object) -> Target:
        """Return the target on the port that is not TLS from the start."""
        return replace(self.aim(**changes), port=self.server.plain_port)

    def name(self, username: str) -> str:
        return username if username.endswith(f",{SUFFIX}") else f"uid={escape(username)},{PEOPLE}"

    def make(self, username: str, secret: Secret) -> None:
        escaped = self.name(username)
        ldif = f"dn: {escaped}\nobjectClass: inetOrgPerson\nuid: {username}\ncn: {username}\nsn: {username}\n"
        if isinstance(secret, SshKey):
            ldif += f"objectClass: ldapPublicKey\nsshPublicKey: {secret.public} hers\n"
        self.server.tell(ldif, "ldapadd")
        if isinstance(secret, Password):
            self.server.set_password(escaped, secret)

    def has(self, username: str) -> bool:
        return bool(self.server.find("(objectClass=*)", "1.1", base=self.name(username)))

    def log_in(self, username: str, secret: Secret) -> bool:
        if isinstance(secret, SshKey):  # as sshd's AuthorizedKeysCommand asks
            test = f"(uid={escape(username)})"
            return f" {secret.public.split()[1]} " in self.server.find(test, "sshPublicKey", base=PEOPLE)
        code = self.server.bind(self.name(username), secret)
        if code not in {0, _WRONG}:
            raise RuntimeError(f"ldapwhoami ended with {code}")
        return code == 0

    def list_names(self) -> set[str]:
        """Read as Python does: ldapsearch writes some names in base64."""
        import base64

        names = {PROVOST}
        for line in self.server.find("(uid=*)", "uid", base=PEOPLE).splitlines():
            if line.startswith("uid:: "):
                names.add(base64.b64decode(line[6:]).decode())
            elif line.startswith("uid: "):
                names.add(line[5:])
        return names

    def grant(self, username: str) -> None:
        self.server.change(self.name(username), "add: telephoneNumber", "telephoneNumber: 123")
        self.server.change(f"cn=ops,{GROUPS}", "add: memberUid", f"memberUid: {username}")

    def is_granted(self, username: str) -> bool:
        return "telephoneNumber: 123" in self.server.find(
            "(objectClass=*)", base=self.name(username)
        ) and f"memberUid: {username}\n" in self.server.find("(cn=ops)", "memberUid", base=GROUPS)

    def read_log(self) -> str:
        return self.server.log.read_text(errors="replace")


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

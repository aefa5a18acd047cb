"""SSH connections for every kind that is reached by SSH: trust in host keys, logins, gateways.

The underscore keeps this module out of the list of kinds.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import asyncssh

from provost.connectors._logins import explain_silence
from provost.connectors._network import explain_failure
from provost.core.connector import Timeouts, Verification, Witness
from provost.core.errors import HostKeyRefused, LoginRefused, LoginUnanswered, TargetError, Unreachable
from provost.core.job import HostTrust, Login, Target
from provost.core.model import Verdict
from provost.core.secrets import Password, Secret, SshKey

_SSH_PORT = 22
_SAYS_TOO_MANY = "Too many authentication failures"
"""How sshd answers the last of MaxAuthTries refused logins."""

PLAIN_ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_CERTIFICATE_ALGORITHMS = tuple(f"{name}-cert-v01@openssh.com" for name in PLAIN_ALGORITHMS)


class _Client(asyncssh.SSHClient):
    """One login attempt: gives each secret once, and remembers what the server asked for."""

    def __init__(self, target: Target, login: Login, seen: dict[int, str], witness: Witness | None) -> None:
        self._target = target
        self._login = login
        self._seen = seen
        self._witness = witness
        self.password_given = False
        self.known_otherwise = False
        self.refusal: HostKeyRefused | None = None
        self.methods: set[str] = set()

    def validate_host_public_key(self, _host: str, _addr: str, _port: int, key: asyncssh.SSHKey) -> bool:
        line = " ".join(key.export_public_key().decode().split()[:2])
        trust = self._target.trust
        name, asset_id = self._target.asset, self._target.asset_id
        if line in trust.pinned or line == self._seen.get(asset_id):
            return True
        if trust.pinned or self.known_otherwise or asset_id in self._seen:
            self.refusal = HostKeyRefused(
                f"{name} shows an unexpected host key, {key.get_fingerprint()}. "
                f"If it was reinstalled, run: provost asset trust {name}. If not, somebody may be in between."
            )
        elif trust.strict:
            self.refusal = HostKeyRefused(
                f"{name}'s host key ({key.get_fingerprint()}) is unknown, and strict mode pins none. "
                "Add it to the known_hosts file.",
                code="host_key_unknown",
            )
        else:
            self._seen[asset_id] = line
            if self._witness:
                self._witness.see_host_key(asset_id, line)
            return True
        return False

    def public_key_auth_requested(self) -> None:
        # asyncssh asks here only when the server takes keys and the login's own key is used up.
        self.methods.add("ssh_key")

    def password_auth_requested(self) -> str | None:
        self.methods.add("password")
        return self._give_password()

    def kbdint_auth_requested(self) -> str | None:
        self.methods.add("password")
        return None if self.password_given or self._login.password is None else ""

    def kbdint_challenge_received(
        self, _name: str, _instructions: str, _lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        if not prompts:
            return []
        if len(prompts) == 1 and not prompts[0][1] and (text := self._give_password()) is not None:
            return [text]
        return None  # a second factor or a forced change: nothing that Provost could answer

    def _give_password(self) -> str | None:
        if self.password_given or self._login.password is None:
            return None
        self.password_given = True
        return self._login.password.text


@lru_cache(maxsize=256)
def _read_private_key(text: str) -> asyncssh.SSHKey:
    return asyncssh.import_private_key(text)


@lru_cache(maxsize=4)
def _read_known_hosts(path: str, changed: float) -> asyncssh.SSHKnownHosts:  # noqa: ARG001  # a cache key
    return asyncssh.read_known_hosts(path)


def _list_known(trust: HostTrust, address: str, port: int) -> tuple[list[asyncssh.SSHKey], ...]:
    """Return the known_hosts file's host keys, certificate authorities and revoked keys for an address."""
    if trust.known_hosts is None:
        return [], [], []
    try:
        known = _read_known_hosts(trust.known_hosts, Path(trust.known_hosts).stat().st_mtime)
    except (OSError, ValueError) as error:
        raise HostKeyRefused(
            f"The known_hosts file {trust.known_hosts} cannot be read: {error}.", code="known_hosts_unreadable"
        ) from error
    keys, authorities, revoked, *_ = known.match(address, "", None if port == _SSH_PORT else port)
    return list(keys), list(authorities), list(revoked)


def shows(algorithm: str, lines: Iterable[str]) -> bool:
    """Tell whether a host with this algorithm shows one of these keys (OpenSSH lines)."""
    kinds = {line.split()[0] for line in lines}
    return algorithm in kinds or ("ssh-rsa" in kinds and "rsa" in algorithm)


def _order_algorithms(target: Target, *, certificates: bool) -> list[str]:
    """Ask first for the kind of key that is pinned: a host with several is not a changed host."""
    first = [name for name in PLAIN_ALGORITHMS if shows(name, target.trust.pinned)]
    return [
        *(_CERTIFICATE_ALGORITHMS if certificates else ()),
        *first,
        *(name for name in PLAIN_ALGORITHMS if name not in first),
    ]


def _explain(error: BaseException, target: Target) -> TargetError:
    """Turn what asyncssh or the system raised while connecting into an error for the operator."""
    if isinstance(error, asyncssh.ConnectionLost | OSError | asyncssh.ChannelOpenError):
        return explain_failure(error, target)
    name, place = target.asset, f"{target.address} port {target.port}"
    return TargetError(f"SSH with {name} ({place}) failed: {error}.", code="ssh_failed")


def _explain_login(error: BaseException, target: Target, login: Login, client: _Client) -> TargetError:
    """As `_explain`, of a login that ended without an answer: it may have been refused all the same."""
    told = _explain(error, target)
    if isinstance(error, asyncssh.ProtocolError) and _SAYS_TOO_MANY in error.reason:
        if login.password is None or client.password_given:
            return LoginRefused(f"{target.asset} refused the login of {login.username} (MaxAuthTries).")
        return LoginRefused(
            f"{target.asset} refused the key of {login.username}, and then took no password (MaxAuthTries).",
            code="login_method_unavailable",
        )
    if client.password_given:
        return explain_silence(target, login.username, told.message)
    return told


class Routes:
    """The ways to the targets of one run: each gateway is logged in to once, and shared.

    A host key that is pinned at first contact is the only one that is believed for the rest of the run.
    """

    def __init__(self) -> None:
        self._gateways: dict[int, asyncio.Task[asyncssh.SSHClientConnection]] = {}
        self._tunnels: dict[int, tuple[asyncssh.SSHClientConnection, asyncssh.SSHListener]] = {}
        self._seen: dict[int, str] = {}
        self._refusals: dict[tuple[int, Login], str] = {}
        """Why gateways did not let logins in. None is tried twice in a run."""

    async def connect(
        self, target: Target, login: Login, timeouts: Timeouts, witness: Witness | None
    ) -> asyncssh.SSHClientConnection:
        """Log in to `target`, through its gateways.

        Raises:
            Unreachable: no connection, or a gateway that cannot be passed.
            LoginRefused: the credential was heard and refused; the code is `login_method_unavailable` when the
                server never asked for it.
            LoginUnanswered: a password was given, and the connection ended or no answer came in time.
            HostKeyRefused: the host's key is not trusted.
        """
        tunnel = await self._reach_gateway(target.via, timeouts, witness) if target.via else None
        client = _Client(target, login, self._seen, witness)
        keys, authorities, revoked = _list_known(target.trust, target.address, target.port)
        client.known_otherwise = bool(keys)
        try:
            async with asyncio.timeout(timeouts.connect):
                return await asyncssh.connect(
                    target.address,
                    target.port,
                    tunnel=tunnel,
                    client_factory=lambda: client,
                    config=None,
                    known_hosts=lambda _host, _addr, _port: (keys, authorities, revoked, [], [], [], []),
                    server_host_key_algs=_order_algorithms(target, certificates=bool(authorities)),
                    x509_trusted_certs=None,
                    encryption_algs="^aes128-gcm@openssh.com,aes256-gcm@openssh.com",  # a third of chacha's CPU
                    username=login.username,
                    client_keys=[_read_private_key(login.key.private)]
                    if login.key and login.key.private
                    else None,
                    public_key_auth=login.key is not None,
                    password_auth=login.password is not None,
                    kbdint_auth=login.password is not None,
                    host_based_auth=False,
                    gss_host=None,
                    agent_path=None,
                    preferred_auth="publickey,password,keyboard-interactive",
                    keepalive_interval=15,
                )
        except asyncssh.PermissionDenied as error:
            if not client.methods:
                raise LoginRefused(
                    f"{target.asset} offers {login.username} no way to log in with this type of secret.",
                    code="login_method_unavailable",
                ) from error
            raise LoginRefused(f"{target.asset} refused the login of {login.username}.") from error
        except asyncssh.HostKeyNotVerifiable as error:
            raise client.refusal or HostKeyRefused(f"{target.asset}: {error}.") from error
        except (OSError, asyncssh.Error) as error:
            raise _explain_login(error, target, login, client) from error
        except asyncio.CancelledError:
            if client.password_given and witness:
                witness.see_refusal(target.asset_id, login.username)
            raise

    async def reach(self, target: Target, timeouts: Timeouts, witness: Witness | None) -> tuple[str, int]:
        """Return the address and port to connect to for a target whose driver makes its own connections.

        Behind a gateway that is a port on loopback, which leads through it until `close`.  A target that the
        gateway does not reach is seen as a connection that ends at once.

        Raises:
            TargetError: the gateway cannot be passed.
        """
        if target.via is None:
            return target.address, target.port
        gateway = await self._reach_gateway(target.via, timeouts, witness)
        through, tunnel = self._tunnels.get(target.asset_id, (None, None))
        if tunnel is None or through is not gateway:
            try:
                tunnel = await gateway.forward_local_port("127.0.0.1", 0, target.address, target.port)
            except (OSError, asyncssh.Error) as error:
                raise _explain(error, target.via) from error
            self._tunnels[target.asset_id] = gateway, tunnel
        return "127.0.0.1", tunnel.get_port()

    async def _reach_gateway(
        self, gateway: Target, timeouts: Timeouts, witness: Witness | None
    ) -> asyncssh.SSHClientConnection:
        task = self._gateways.get(gateway.asset_id)
        if task is None or (task.done() and self._is_stale(task)):
            task = asyncio.create_task(self._open_gateway(gateway, timeouts, witness))
            self._gateways[gateway.asset_id] = task
        try:
            return await asyncio.shield(task)
        except TargetError as error:
            raise (Unreachable if not error.permanent else TargetError)(
                f"The gateway {gateway.asset} cannot be passed: {error.message}", code="gateway_failed"
            ) from error

    @staticmethod
    def _is_stale(task: asyncio.Task[asyncssh.SSHClientConnection]) -> bool:
        """Tell whether to log in again: not after a refusal, which another attempt would only repeat."""
        if task.cancelled():
            return True
        error = task.exception()
        if error is None:
            return task.result().is_closed()
        return not (isinstance(error, TargetError) and error.permanent)

    async def _open_gateway(
        self, gateway: Target, timeouts: Timeouts, witness: Witness | None
    ) -> asyncssh.SSHClientConnection:
        if not gateway.logins:
            raise LoginRefused(f"{gateway.asset} has no account to log in with.", code="no_privileged_account")
        refusals = []
        for login in gateway.logins:
            if (gateway.asset_id, login) in self._refusals:
                refusals.append(self._refusals[gateway.asset_id, login])
                continue
            account = gateway.asset_id, login.username
            if login.tries <= sum(account == (asset_id, one.username) for asset_id, one in self._refusals):
                refusals.append(f"{login.username} on {gateway.asset} was refused too often in the last hour.")
                continue
            try:
                return await self.connect(gateway, login, timeouts, witness)
            except LoginRefused as error:
                if witness and error.code in {LoginRefused.code, LoginUnanswered.code}:
                    witness.see_refusal(*account)
                refusals.append(error.message)
                self._refusals[gateway.asset_id, login] = error.message
        raise LoginRefused(" ".join(refusals))

    async def verify(
        self, target: Target, username: str, secret: Secret, timeouts: Timeouts, witness: Witness
    ) -> Verification:
        """Log in once as `username`, and tell what that told."""
        if isinstance(secret, Password):
            login = Login(username, password=secret)
        elif secret.private is None:
            return Verification(
                Verdict.UNKNOWN, "no_private_half", "Provost holds only the public half of this key."
            )
        else:
            login = Login(username, key=SshKey(secret.public, secret.private))
        try:
            connection = await self.connect(target, login, timeouts, witness)
        except TargetError as error:
            return Verification.from_error(error)
        connection.close()
        return Verification(Verdict.ACCEPTED)

    async def close(self) -> None:
        """End the gateways' connections."""
        for task in self._gateways.values():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                (await task).close()


def judge_host_key(
    target: Target, line: str, seen: dict[int, str], witness: Witness | None
) -> HostKeyRefused | None:
    """Tell why a host key (an OpenSSH line) that another driver met is not believed; None: it is.

    `seen` are the keys that were pinned in this run, by asset; the witness is told of a new one.
    """
    keys, _, revoked = _list_known(target.trust, target.address, target.port)
    key = asyncssh.import_public_key(line)
    client = _Client(target, Login(""), seen, witness)
    client.known_otherwise = bool(keys)
    if key in revoked:
        return HostKeyRefused(f"{target.asset} shows a host key that the known_hosts file revokes.")
    if key in keys or client.validate_host_public_key("", "", 0, key):
        return None
    return client.refusal

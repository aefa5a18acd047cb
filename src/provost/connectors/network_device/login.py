"""Logins to a device by Paramiko: whose host key is believed, and what a failure means. All of it blocks."""

from typing import Final

import netmiko
import paramiko

from provost.connectors._network import explain_failure
from provost.connectors._ssh import judge_host_key
from provost.core.connector import Timeouts
from provost.core.errors import HostKeyRefused, LoginRefused, LoginUnanswered, TargetError, Unreachable
from provost.core.job import Login, Target

_REFUSED: Final = frozenset({"Authentication failed.", "Authentication failed"})
"""Paramiko has the same exception for a connection that ended, and for one that was silent."""

_RSA: Final = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
_KEY_TYPES: Final = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", *_RSA
)  # fmt: skip


class HostKeys(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # Paramiko ships no types
    """Judges every host key: Paramiko itself is told of none. Keeps what is to be told the witness."""

    def __init__(self, target: Target, seen: dict[int, str]) -> None:
        self.refusal: HostKeyRefused | None = None
        self.met: list[tuple[int, str]] = []
        self._target = target
        self._seen = seen

    def missing_host_key(self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey) -> None:
        """Raise for a key that is not believed."""
        try:
            line = f"{key.get_name()} {key.get_base64()}"
            self.refusal = judge_host_key(self._target, line, self._seen, self)
        except HostKeyRefused as error:
            self.refusal = error
        if self.refusal:
            raise paramiko.SSHException("host key refused")

    def see_host_key(self, asset_id: int, key: str) -> None:
        """Keep a key that is new."""
        self.met.append((asset_id, key))

    def see_refusal(self, asset_id: int, username: str) -> None:
        """Do nothing: no gateway is asked here."""

    def list_unwanted(self) -> dict[str, list[str]]:
        """Return the algorithms to leave out: a host with several keys shows the one that is pinned."""
        lines = (*self._target.trust.pinned, *filter(None, [self._seen.get(self._target.asset_id)]))
        pinned = {line.split()[0] for line in lines}
        wanted = pinned | (set(_RSA) if "ssh-rsa" in pinned else set())
        return {"keys": [name for name in _KEY_TYPES if name not in wanted]} if pinned else {}


def log_in(target: Target, place: tuple[str, int], login: Login, timeouts: Timeouts, keys: HostKeys) -> None:
    """Log in and out again.

    Raises:
        TargetError: as `explain` says.
    """
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(keys)
    try:
        client.connect(
            *place,
            username=login.username,
            password=login.password.text if login.password else "",
            look_for_keys=False,
            allow_agent=False,
            timeout=timeouts.connect,
            banner_timeout=timeouts.connect,
            auth_timeout=timeouts.connect,
            disabled_algorithms=keys.list_unwanted(),
        )
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise explain(error, target, login.username, keys) from error
    finally:
        client.close()


def explain(  # noqa: PLR0911  # one for each case
    error: BaseException, target: Target, username: str, keys: HostKeys
) -> TargetError:
    """Turn what Paramiko or Netmiko raised while logging in into an error for the operator."""
    name = target.asset
    if keys.refusal:
        return keys.refusal
    if isinstance(error, netmiko.NetmikoAuthenticationException | netmiko.NetmikoTimeoutException):
        error = error.__context__ or error
    if isinstance(error, paramiko.BadAuthenticationType):
        return LoginRefused(
            f"{name} offers {username} no way to log in with a password.", code="login_method_unavailable"
        )
    if isinstance(error, paramiko.AuthenticationException):
        if str(error) in _REFUSED:
            return LoginRefused(f"{name} refused the login of {username}.")
        return LoginUnanswered(
            f"{name} was given the password of {username}, and what it said to that was not heard: {error}"
        )
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        error = next(iter(error.errors.values()))
    if isinstance(error, OSError):
        return explain_failure(error, target)
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return TargetError(f"SSH with {name} failed: {error}.", code="ssh_failed")
    return Unreachable(f"The connection to {name} ended before the login: {error}.")

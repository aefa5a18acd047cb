"""Logins to a device by Paramiko: whose host key is believed, and what a failure means. All of it blocks."""

from typing import Final

import netmiko
import paramiko

from provost.connectors._logins import explain_silence
from provost.connectors._network import explain_failure
from provost.connectors._ssh import PLAIN_ALGORITHMS, judge_host_key, shows
from provost.core.connector import Timeouts
from provost.core.errors import HostKeyRefused, LoginRefused, TargetError, Unreachable
from provost.core.job import Login, Target

_REFUSED: Final = frozenset({"Authentication failed.", "Authentication failed"})
"""Paramiko has the same exception for a connection that ended, and for one that was silent."""

_ALGORITHMS: Final = (*PLAIN_ALGORITHMS, "ssh-rsa")
"""With what old devices have alone."""


class HostKeys(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # Paramiko ships no types
    """Judges every host key: Paramiko itself is told of none. Keeps what is to be told the witness."""

    def __init__(self, target: Target, seen: dict[int, str]) -> None:
        self.refusal: HostKeyRefused | None = None
        self.believed = False
        """The host has shown a key that is believed: what comes next is the password."""
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
        self.believed = True

    def see_host_key(self, asset_id: int, key: str) -> None:
        """Keep a key that is new."""
        self.met.append((asset_id, key))

    def see_refusal(self, asset_id: int, username: str) -> None:
        """Do nothing: no gateway is asked here."""

    def list_unwanted(self) -> dict[str, list[str]]:
        """Return the algorithms to leave out: a host with several keys shows the one that is pinned."""
        lines = (*self._target.trust.pinned, *filter(None, [self._seen.get(self._target.asset_id)]))
        return {"keys": [name for name in _ALGORITHMS if not shows(name, lines)]} if lines else {}


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
        raise explain(error, target, login.username, keys, given=keys.believed) from error
    finally:
        client.close()


def explain(  # noqa: PLR0911  # one for each case
    error: BaseException, target: Target, username: str, keys: HostKeys, *, given: bool
) -> TargetError:
    """Turn what Paramiko or Netmiko raised while logging in into an error for the operator.

    `given`: the password may have been given, and was not answered before.
    """
    name = target.asset
    if keys.refusal:
        return keys.refusal
    if isinstance(error, netmiko.NetmikoAuthenticationException | netmiko.NetmikoTimeoutException):
        error = error.__context__ or error
    if isinstance(error, paramiko.BadAuthenticationType):
        return LoginRefused(
            f"{name} offers {username} no way to log in with a password.", code="login_method_unavailable"
        )
    if isinstance(error, paramiko.AuthenticationException) and str(error) in _REFUSED:
        return LoginRefused(f"{name} refused the login of {username}.")
    if given:
        return explain_silence(target, username, f"{str(error).rstrip('.')}.")
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        error = next(iter(error.errors.values()))
    if isinstance(error, OSError):
        return explain_failure(error, target)
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return TargetError(f"SSH with {name} failed: {error}.", code="ssh_failed")
    return Unreachable(f"The connection to {name} ended before the login: {error}.")

"""The kind `redis`: Redis 6 and newer, and Valkey, with accounts as ACL users."""

from typing import TYPE_CHECKING

from provost.connectors._logins import take_password
from provost.connectors._ssh import Routes
from provost.connectors.redis.parameters import PROTECTED, RedisOptions, RedisParameters, RedisRemoval
from provost.core.connector import Timeouts, Witness
from provost.core.errors import Refused, TargetError
from provost.core.job import Login, Target
from provost.core.model import Become, Capability, SecretType
from provost.core.passwords import PasswordLimits

if TYPE_CHECKING:
    from provost.connectors.redis.session import RedisSession

_LONGEST_USERNAME = 255
_NOT_IN_USERNAMES = " \"'"  # CONFIG REWRITE quotes no username: the server could not start again


class RedisConnector:
    """Serves one run; gateways are shared within it."""

    kind = "redis"
    default_port = 6379
    secret_types = frozenset({SecretType.PASSWORD})
    capabilities = frozenset(Capability)
    protected = PROTECTED
    passwords = PasswordLimits(longest=1024)
    becomes = frozenset({Become.NONE})
    options = RedisOptions
    parameters = RedisParameters
    removal = RedisRemoval

    def __init__(self) -> None:
        self._routes = Routes()

    def check_username(self, username: str) -> None:
        """Take what the server takes, its ACL file and its configuration can hold, and people can see."""
        if not username.isprintable() or any(c in _NOT_IN_USERNAMES for c in username):
            raise Refused(
                f"{username!r} cannot be a username on Redis: no space, quote or control character.",
                code="username_refused",
            )
        if not 0 < len(username.encode()) <= _LONGEST_USERNAME:
            raise Refused(
                f"A username on Redis has 1 to {_LONGEST_USERNAME} bytes, not {len(username.encode())}.",
                code="username_refused",
            )

    async def open(self, target: Target, login: Login, timeouts: Timeouts, witness: Witness) -> "RedisSession":
        """Log in, and look whether the account may run what sessions run."""
        try:  # forms are made of this kind where redis-py is not installed, too
            from provost.connectors.redis.session import RedisSession  # noqa: PLC0415
            from provost.connectors.redis.wire import Wire  # noqa: PLC0415
        except ImportError as missing:
            raise TargetError(
                "Redis servers need redis-py: pip install 'provost[redis]'.", code="kind_not_found"
            ) from missing
        password = take_password(target, login)
        options = RedisOptions.model_validate(dict(target.options))
        place = await self._routes.reach(target, timeouts, witness)
        wire = await Wire.open(target, place, options, timeouts)
        session = RedisSession(target, login.username, options, wire, place, timeouts)
        try:
            await wire.log_in(login.username, password)
            await session.check_rights()
        except BaseException:
            await session.close()
            raise
        return session

    async def close(self) -> None:
        """End the gateways."""
        await self._routes.close()


connector = RedisConnector

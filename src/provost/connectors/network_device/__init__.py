"""The kind `network_device`: switches, routers and whatever else has a command line over SSH, by Netmiko."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from provost.connectors._logins import take_password
from provost.connectors._ssh import Routes
from provost.connectors.network_device.families import choose_family
from provost.connectors.network_device.parameters import (
    PROTECTED,
    DeviceOptions,
    DeviceParameters,
    DeviceRemoval,
)
from provost.core.connector import Timeouts, Witness
from provost.core.errors import Refused, TargetError
from provost.core.job import Login, Target
from provost.core.model import Become, Capability, SecretType
from provost.core.passwords import PasswordLimits

if TYPE_CHECKING:
    from provost.connectors.network_device.session import DeviceSession

_USERNAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


class DeviceConnector:
    """Serves one run; gateways, and the host keys that it met, are shared within it."""

    kind = "network_device"
    default_port = 22
    secret_types = frozenset({SecretType.PASSWORD})
    capabilities = frozenset({Capability.DISCOVER, Capability.REMOVE})
    protected = PROTECTED
    passwords = PasswordLimits(longest=127)
    becomes = frozenset(Become)
    options = DeviceOptions
    parameters = DeviceParameters
    removal = DeviceRemoval

    def __init__(self) -> None:
        self._routes = Routes()
        self._seen: dict[int, str] = {}

    def check_username(self, username: str) -> None:
        """Take what no command line could read as anything else."""
        if not _USERNAME.fullmatch(username):
            raise Refused(
                f"{username!r} cannot be a username on a network device: up to 64 letters, digits, dots, "
                "_ and -, beginning with a letter, a digit or _.",
                code="username_refused",
            )

    async def open(self, target: Target, login: Login, timeouts: Timeouts, witness: Witness) -> "DeviceSession":
        """Log in, become privileged if need be, and look whether the account may configure."""
        try:  # forms are made of this kind where Netmiko is not installed, too
            from provost.connectors.network_device.device import Device  # noqa: PLC0415
            from provost.connectors.network_device.login import HostKeys  # noqa: PLC0415
            from provost.connectors.network_device.session import DeviceSession  # noqa: PLC0415
            from provost.connectors.network_device.wire import Wire  # noqa: PLC0415
        except ImportError as missing:
            raise TargetError(
                "Network devices need Netmiko: pip install 'provost[network]'.", code="kind_not_found"
            ) from missing
        take_password(target, login)
        options = DeviceOptions.model_validate(dict(target.options))
        family = choose_family(options)
        place = await self._routes.reach(target, timeouts, witness)
        keys = HostKeys(target, self._seen)
        wire = Wire(target, login, family, timeouts, keys)
        device = Device(wire, target.asset, login.username, family)
        thread = ThreadPoolExecutor(1, thread_name_prefix="device")
        session = DeviceSession(target, login.username, family, device, place, timeouts, self._seen, thread)
        try:
            await asyncio.get_running_loop().run_in_executor(thread, device.open, place, options.device_type)
        except BaseException:
            await session.close()
            raise
        finally:
            for asset_id, key in keys.met:
                witness.see_host_key(asset_id, key)
        return session

    async def close(self) -> None:
        """End the gateways."""
        await self._routes.close()


connector = DeviceConnector

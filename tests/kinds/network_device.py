"""A simulated network device, and benches of it for each family of commands."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.kinds import simulated_device
from tests.kinds.redis import find_free_ports
from tests.kinds.simulated_device import open_state

from provost.conformance import Bench
from provost.connectors._crypt import hash_cisco_scrypt
from provost.core.job import Login, Target
from provost.core.secrets import Password, Secret

_PATIENCE: Final = 30.0

OTHER: Final = {
    "device_type": "generic",
    "look_up": "user list",
    "entry": r"(?m)^user (?P<name>\S+) level (?P<level>\d+)",
    "create": "user add {username} level {privilege}\n/New password:/ {password}\n/Again:/ {password}",
    "set_password": "user password {username}\n/New password:/ {password}\n/Again:/ {password}",
    "remove": "user del {username}",
    "save": "copy running startup\n/Proceed/ y",
    "saved": "Saved",
}
"""The options of a device that Provost knows nothing of."""

OPTIONS: Final[dict[str, dict[str, str]]] = {
    "cisco": {"device_type": "cisco_ios"},
    "huawei": {"device_type": "huawei"},
    "juniper": {"device_type": "juniper_junos"},
    "other": OTHER,
}
_LEAVE: Final = {"huawei": "quit\n"}
_LEVELS: Final = {"juniper": ("read-only", "operator", "super-user")}


class SimulatedDevice:
    """A process that simulates one device."""

    def __init__(self, family: str, folder: Path) -> None:
        self.family = family
        self.folder = folder
        [self.port] = find_free_ports(1)
        words = [sys.executable, simulated_device.__file__, family, str(self.port), str(folder)]
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The simulator did not start:\n{(folder / 'log').read_text()}")
            time.sleep(0.05)

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def set_flaws(self, *flaws: str) -> None:
        """Have things go wrong on it."""
        with open_state(self.folder) as state:
            state["flaws"] = list(flaws)

    def read(self, what: str = "users") -> dict[str, dict[str, Any]]:
        """Return the accounts in force, or those that were `saved`."""
        with open_state(self.folder) as state:
            return dict(state[what])

    def read_typed(self) -> str:
        """Return all that was typed on it but for answers to its questions."""
        file = self.folder / "typed"
        return file.read_text() if file.exists() else ""


@contextmanager
def run_device(family: str, folder: Path) -> Iterator[SimulatedDevice]:
    """Run a device of a family: cisco, huawei, juniper, other."""
    device = SimulatedDevice(family, folder)
    try:
        yield device
    finally:
        device.stop()


class DeviceBench(Bench):
    """A running device."""

    hostile = ("cf.a", "cf-b_c", "CFx", "cf_", "0cf")

    def __init__(self, device: SimulatedDevice, gateway: Target | None = None) -> None:
        self.device = device
        self.gateway = gateway
        if device.family not in {"cisco", "juniper"}:
            self.policy_refusals = ("password_refused",)  # what cannot be typed is not tried
        self._levels = _LEVELS.get(device.family, ("1", "7", "15"))
        password = Password("provost's-own-Secret-1")
        self.make("provost", password)
        self._set("provost", level=self._levels[2])
        self.target = Target(
            1, "switch-1", "network_device", "127.0.0.1", device.port, (Login("provost", password),),
            OPTIONS[device.family],
        )  # fmt: skip

    def _set(self, username: str, **values: str) -> None:
        with open_state(self.device.folder) as state:
            state["users"].setdefault(username, {}).update(values)

    def make(self, username: str, secret: Secret) -> None:
        assert isinstance(secret, Password)
        kept = {
            "cisco": lambda: hash_cisco_scrypt(secret.text),
            "juniper": lambda: self._hash(secret.text),
        }.get(self.device.family, lambda: f"plain:{secret.text}")
        self._set(username, password=kept(), level=self._levels[0], service="ssh")

    @staticmethod
    def _hash(password: str) -> str:
        words = ["openssl", "passwd", "-6", "-stdin"]
        return subprocess.run(words, input=password, capture_output=True, text=True, check=True).stdout.strip()

    def has(self, username: str) -> bool:
        return username in self.list_names()

    def list_names(self) -> set[str]:
        return set(self.device.read())

    def log_in(self, username: str, secret: Secret) -> bool:
        """By OpenSSH: a device gives a shell, and runs no command beside it."""
        assert isinstance(secret, Password)
        words = [
            "ssh", "-tt", "-F/dev/null", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null",
            "-oLogLevel=ERROR", "-oIdentityAgent=none", "-oPubkeyAuthentication=no",
            "-oNumberOfPasswordPrompts=1", f"-p{self.device.port}", "-l", username, "127.0.0.1",
        ]  # fmt: skip
        leave = _LEAVE.get(self.device.family, "exit\n")
        done = subprocess.run(
            ["sshpass", "-e", *words], env={**os.environ, "SSHPASS": secret.text}, input=leave,
            capture_output=True, text=True, check=False, timeout=_PATIENCE,
        )  # fmt: skip
        if simulated_device.NAME in done.stdout:
            return True
        if "Permission denied" in done.stderr:
            return False
        raise RuntimeError(f"ssh to {username}: {done}")

    def grant(self, username: str) -> None:
        self._set(username, level=self._levels[1])

    def is_granted(self, username: str) -> bool:
        return bool(self.device.read()[username]["level"] == self._levels[1])

    def read_log(self) -> str:
        return self.device.read_typed()

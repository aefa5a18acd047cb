"""Benches of every kind that is reached by a network, for tests that want several at once."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from tests.conftest import do_without
from tests.kinds.active_directory import ActiveDirectoryBench, SambaDomain
from tests.kinds.ldap import LdapBench, OpenLdap
from tests.kinds.linux import LinuxBench
from tests.kinds.mysql import MariaDb, MysqlBench
from tests.kinds.network_device import DeviceBench, run_device
from tests.kinds.postgresql import PostgresqlBench, PostgresqlServer, find_programs
from tests.kinds.redis import RedisBench, run_redis

from provost.conformance import Bench
from provost.core.secrets import Password
from provost.lab import Lab


@contextmanager
def open_linux(folder: Path) -> Iterator[Bench]:
    with Lab(folder / "lab") as lab:
        yield LinuxBench(lab.up(1, prefix="mixed")[0])


@contextmanager
def open_postgresql(_folder: Path) -> Iterator[Bench]:
    if (programs := find_programs()) is None:
        do_without("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    with PostgresqlServer(programs) as server:
        yield PostgresqlBench(server)


@contextmanager
def open_mysql(_folder: Path) -> Iterator[Bench]:
    with MariaDb() as server:
        yield MysqlBench(server)


@contextmanager
def open_redis(folder: Path) -> Iterator[Bench]:
    (folder / "redis").mkdir()
    with run_redis(folder / "redis") as server:
        yield RedisBench(server)


@contextmanager
def open_ldap(_folder: Path) -> Iterator[Bench]:
    with OpenLdap() as server:
        yield LdapBench(server)


@contextmanager
def open_active_directory(_folder: Path) -> Iterator[Bench]:
    with SambaDomain() as server:
        yield ActiveDirectoryBench(server)


@contextmanager
def open_network_device(folder: Path) -> Iterator[Bench]:
    (folder / "device").mkdir()
    with run_device("cisco", folder / "device") as device:
        yield DeviceBench(device)


BENCHES: dict[str, Callable[[Path], AbstractContextManager[Bench]]] = {
    "linux": open_linux,
    "postgresql": open_postgresql,
    "mysql": open_mysql,
    "redis": open_redis,
    "ldap": open_ldap,
    "active_directory": open_active_directory,
    "network_device": open_network_device,
}


@contextmanager
def open_benches(folder: Path, kinds: Collection[str] = tuple(BENCHES)) -> Iterator[dict[str, Bench]]:
    """Start a target of each kind."""
    with ExitStack() as stack:
        yield {kind: stack.enter_context(BENCHES[kind](folder)) for kind in kinds}


def write_inventory(benches: dict[str, Bench], node: str, file: Path) -> None:
    """Write what `provost import` takes: an asset for each bench, named after its kind, with who acts there."""
    assets, accounts = [], []
    for name, bench in benches.items():
        target, login = bench.target, bench.target.logins[0]
        asset: dict[str, Any] = {"name": name, "kind": target.kind, "address": target.address, "nodes": [node]}
        assets.append(asset | {"port": target.port, "options": dict(target.options)})
        assert isinstance(login.password, Password)
        account = {"username": login.username, "asset": name, "privileged": True, "become": login.become.value}
        accounts.append(account | {"password": login.password.text})
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump({"assets": assets, "accounts": accounts}))

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from provost import connectors
from provost.connectors.memory import (
    HOSTS,
    Account,
    Host,
    MemoryConnector,
    Options,
    Parameters,
    RemovalParameters,
)
from provost.core.connector import Change, Removal, Timeouts
from provost.core.errors import HostKeyRefused, NotFound, Refused
from provost.core.job import HostTrust, Login, Target
from provost.core.model import Decision, Presence, Verdict
from provost.core.secrets import Password, SshKey


def make_target(address: str, *, trust: HostTrust | None = None, **options: str) -> Target:
    return Target(1, "host-1", "memory", address, 0, (ROOT,), options, trust or HostTrust())


class Noted:
    """A witness that keeps what it is told."""

    def __init__(self) -> None:
        self.host_keys: list[tuple[int, str]] = []

    def see_host_key(self, asset_id: int, key: str) -> None:
        self.host_keys.append((asset_id, key))

    def see_refusal(self, asset_id: int, username: str) -> None:
        """There are no gateways here."""


ROOT = Login("root")


def test_every_shipped_kind_can_be_loaded() -> None:
    """The kinds are what lies in the folder, and each carries its own name and typed options."""
    assert "memory" in connectors.list_kinds()
    assert list(connectors.list_kinds()) == sorted(connectors.list_kinds())
    for kind in connectors.list_kinds():
        connector = connectors.load(kind)
        assert connector.kind == kind
        assert connector.secret_types
        assert connector.options.model_json_schema()["type"] == "object"
        assert connector.parameters.model_json_schema()["type"] == "object"
        assert connector.removal.model_json_schema()["type"] == "object"


def test_each_run_gets_a_connector_of_its_own() -> None:
    """Nothing is shared between runs."""
    assert connectors.load("memory") is not connectors.load("memory")


def test_only_the_kind_that_is_asked_for_is_imported() -> None:
    """Listing imports no driver, and loading one kind imports no other's."""
    code = (
        "import sys; from provost import connectors; connectors.list_kinds(); connectors.load('memory');"
        "print([name for name in sys.modules if name.startswith('provost.connectors.') or name == 'asyncssh'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['provost.connectors.memory']"


@pytest.mark.parametrize("kind", ["lunix", "_ssh", "", "memory.connector", "../memory", "__init__"])
def test_an_unknown_kind_says_what_there_is(kind: str) -> None:
    """What is no kind is never imported, whatever it looks like."""
    with pytest.raises(NotFound, match=r"memory") as caught:
        connectors.load(kind)
    assert caught.value.code == "unknown_kind"


def test_others_add_kinds_but_do_not_replace_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package brings a kind by its entry point; a shipped kind stays what it is."""
    value = "provost.connectors.memory:Host"
    points = EntryPoints(EntryPoint(name, value, connectors.GROUP) for name in ("mine", "memory"))
    monkeypatch.setattr(connectors, "entry_points", points.select)
    assert "mine" in connectors.list_kinds()
    assert connectors.list_kinds().count("memory") == 1
    assert isinstance(connectors.load("mine"), Host)
    assert isinstance(connectors.load("memory"), MemoryConnector)


def test_memory_refuses_what_it_cannot_set() -> None:
    """Empty names and passwords, and options or parameters that it does not know."""
    connector = MemoryConnector({})
    connector.check_username("a")
    connector.passwords.check("x", "memory")
    with pytest.raises(Refused):
        connector.check_username("")
    with pytest.raises(Refused):
        connector.passwords.check("", "memory")
    for model in (Options, Parameters, RemovalParameters):
        with pytest.raises(ValueError, match="extra"):
            model(**{"shell": "/bin/sh"})  # noqa: PIE804  # not a field that the model has


async def test_memory_hosts_come_into_being_and_stay() -> None:
    """A host holds the accounts that its options name, and what was pushed to it, until the process ends."""
    target = make_target("test_connectors", present="app,db")
    try:
        session = await connectors.load("memory").open(target, ROOT, Timeouts(), Noted())
        assert await session.observe(["app", "new"]) == {"app": Presence.PRESENT, "new": Presence.ABSENT}
        change = Change("new", Decision.CREATE, Password("x"), Parameters())
        assert [applied.error async for applied in session.apply([change])] == [None]
        again = await connectors.load("memory").open(target, ROOT, Timeouts(), Noted())
        assert await again.observe(["new"]) == {"new": Presence.PRESENT}
        assert (await again.verify("new", Password("x"))).verdict is Verdict.ACCEPTED
        assert (await again.verify("new", Password("y"))).verdict is Verdict.REJECTED
        assert (await again.verify("nobody", Password("y"))).verdict is Verdict.REJECTED
    finally:
        HOSTS.pop("test_connectors", None)


async def test_memory_believes_no_other_host_key() -> None:
    """The contract's three ways: noted at first contact, refused when it changed, refused when strict."""
    connector = MemoryConnector({"a": Host(key="ssh-ed25519 NEW")})
    noted = Noted()
    await connector.open(make_target("a"), ROOT, Timeouts(), noted)
    assert noted.host_keys == [(1, "ssh-ed25519 NEW")]
    for trust, code in (
        (HostTrust(pinned=("ssh-ed25519 OLD",)), "host_key_changed"),
        (HostTrust(strict=True), "host_key_unknown"),
    ):
        with pytest.raises(HostKeyRefused) as caught:
            await connector.open(make_target("a", trust=trust), ROOT, Timeouts(), noted)
        assert caught.value.code == code


def test_memory_replaces_only_the_key_that_it_put_there() -> None:
    """Other keys of an account stay."""
    account = Account(keys={"ssh-ed25519 HERS"})
    for public in ("ssh-ed25519 ONE", "ssh-ed25519 TWO"):
        account.set_secret(SshKey(public, "private"))
    assert account.keys == {"ssh-ed25519 HERS", "ssh-ed25519 TWO"}


def test_memory_keeps_what_overlaps() -> None:
    """With overlap, the key before stays until it is withdrawn."""
    account = Account(keys={"ssh-ed25519 HERS"})
    account.set_secret(SshKey("ssh-ed25519 ONE", "private"))
    account.set_secret(SshKey("ssh-ed25519 TWO", "private"), overlap=True)
    assert account.keys == {"ssh-ed25519 HERS", "ssh-ed25519 ONE", "ssh-ed25519 TWO"}
    account.withdraw(["ssh-ed25519 ONE"])
    assert account.keys == {"ssh-ed25519 HERS", "ssh-ed25519 TWO"}
    assert account.managed == {"ssh-ed25519 TWO"}


async def test_memory_tells_of_accounts_and_ends_them() -> None:
    """What can be told of an account; disabled it lets nobody in, removed it is gone; who is needed stays."""
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMDLqcTxrBpO0ljUykrn/DSYFaEcCP1gbz1DvqYFLjkz"
    host = Host(
        {"root": Account(uid=0), "app": Account("x", keys={public}, groups=("ops",)), "me": Account("mine")}
    )
    session = await MemoryConnector({"a": host}).open(
        make_target("a"), Login("me", Password("mine")), Timeouts(), Noted()
    )
    app, me, root = await session.discover()
    assert (app.username, app.can_log_in, app.superuser, app.groups) == ("app", True, False, ("ops",))
    assert [key.algorithm for key in app.keys or ()] == ["ssh-ed25519"]
    assert (me.can_log_in, root.can_log_in, root.superuser) == (True, False, True)
    for _ in range(2):
        told = [one.error and one.error.code async for one in session.disable(["app", "me", "root"])]
        assert told == [None, "acting_account", "protected_account"]
    assert (await session.verify("app", Password("x"))).verdict is Verdict.REJECTED
    for _ in range(2):
        removals = [Removal(name, RemovalParameters()) for name in ("app", "me", "root")]
        told = [one.error and one.error.code async for one in session.remove(removals)]
        assert told == [None, "acting_account", "protected_account"]
    assert host.accounts.keys() == {"me", "root"}

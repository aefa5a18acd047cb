"""An account on a host in memory, with a past: what the cases of an account's life have in common."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.server.test_runs import BY

from provost.connectors import memory
from provost.core.errors import (
    ChangeRefused,
    ChangeUnknown,
    LoginRefused,
    LookupFailed,
    TargetError,
    Unreachable,
)
from provost.core.keys import KeyAlgorithm
from provost.core.model import SecretState, SecretType, Strategy, Sync
from provost.core.passwords import PasswordRules
from provost.core.secrets import Secret
from provost.core.specs import SPECS
from provost.vault.keys import generate_key
from provost.vault.passwords import generate_password

PLACES = {"alice": "alice", "root": "root", "ops": "ops", "sudo": "ops", "su": "ops"}
"""The account's name, by who it is in the cases."""

FAULTS: dict[str, Callable[[], Exception]] = {
    "down": lambda: Unreachable("down"),
    "lost": lambda: ChangeUnknown("lost"),
    "refuses": lambda: ChangeRefused("no"),
    "no_lookup": lambda: LookupFailed("sssd is down"),
    "policy": lambda: TargetError("no shell", code="policy_forbids_login"),
    "rejects": lambda: LoginRefused("no"),
    "bug": lambda: RuntimeError("a fault of the test's"),
}


def make_secret(secret_type: SecretType) -> Secret:
    """Return a secret as Provost makes it."""
    if secret_type is SecretType.PASSWORD:
        return generate_password(PasswordRules())
    return generate_key(KeyAlgorithm.ED25519)


@dataclass
class Scene:
    """One asset with its accounts, the subject among them, and the host that it is."""

    who: str
    secret_type: SecretType
    asset: str = "db1"
    host: memory.Host = field(default_factory=memory.Host)
    known: dict[str, Secret] = field(default_factory=dict)
    """The subject's secrets by the names that the cases give them."""

    def __post_init__(self) -> None:
        """Make the asset with its privileged account; the subject comes by `add`."""
        from provost.server.services.assets import add_asset
        from provost.server.services.checks import AssetFields

        memory.HOSTS[self.asset] = self.host
        self.row = add_asset(by=BY, fields=AssetFields(self.asset, "memory", self.asset, nodes=("/all",)))
        self.username = PLACES[self.who]
        if self.who in {"alice", "ops"}:
            self.add("root", privileged=True, priority=1)
        elif self.who == "su":
            self.add("root")

    def add(self, username: str, *, secret_type: SecretType = SecretType.PASSWORD, **fields: Any) -> Secret:
        """Add an account with a secret that is in force."""
        from provost.server.models import Account
        from provost.server.services import secrets

        secret = make_secret(secret_type)
        account = Account.objects.create(asset=self.row, username=username, **fields)
        secrets.set_current(secrets=[(account.id, secret)])
        there = self.host.accounts.setdefault(username, memory.Account())
        there.set_secret(secret)
        return secret

    def add_secret(self, username: str, secret_type: SecretType) -> None:
        """Give an account that is there another secret, of another type."""
        from provost.server.models import Account
        from provost.server.services import secrets

        secret = make_secret(secret_type)
        account = Account.objects.get(asset=self.row, username=username)
        secrets.set_current(secrets=[(account.id, secret)])
        self.host.accounts[username].set_secret(secret)

    def add_subject(self, on_target: str, *, left: bool = False, checked: bool = False) -> None:
        """Add the account that the case is about."""
        from django.utils import timezone

        from provost.server.models.secrets import SecretVersion
        from provost.server.services import secrets

        become = self.who if self.who in {"sudo", "su"} else "none"
        privileged = self.who != "alice"
        self.known["listed"] = self.add(
            self.username, secret_type=self.secret_type, privileged=privileged, become=become
        )
        self.known["other"] = make_secret(self.secret_type)
        if left:
            self.known["left"] = make_secret(self.secret_type)
            staged = [(self.account.id, self.known["left"])]
            secrets.stage(run_id=None, secrets=staged, origin=Strategy.RANDOM)
        if checked:
            SecretVersion.objects.filter(account=self.account, state=SecretState.CURRENT).update(
                sync=Sync.OUT_OF_SYNC, checked_at=timezone.now() - timedelta(minutes=50)
            )
        if on_target == "absent":
            del self.host.accounts[self.username]
        else:
            self.host.accounts[self.username].set_secret(self.known[on_target])

    @property
    def account(self) -> Any:
        """The subject's row."""
        from provost.server.models import Account

        return Account.objects.get(asset=self.row, username=self.username)

    def misbehave(self, told: str) -> None:
        """Have the host do as `told`: STEP: FAULT once, or STEP! FAULT always, for the subject."""
        step, always, fault = told.replace("!", " always").replace(":", " once").split()
        left = [fault] * (1000 if always == "always" else 1)

        async def play(at: memory.Step, username: str) -> None:
            # A rotation's proof opens a session anew: that is the one that goes wrong.
            proof = at is memory.Step.OPEN and self.who == "ops" and username == "ops"
            if at != step or username != self.username or not left or (self.who == "ops" and not proof):
                return
            await misbehave(left.pop())

        self.host.script = play

    def is_manageable(self, username: str) -> bool:
        """Tell whether a secret that is kept of an account, current or pending, logs in."""
        from provost.server.models.secrets import SecretVersion
        from provost.server.services import secrets

        rows = SecretVersion.objects.filter(account__asset=self.row, account__username=username)
        kept = [secrets.decrypt(row) for row in rows.exclude(state="retired")]
        return any(self.host.accounts[username].accept(secret) for secret in kept)

    def count_states(self, username: str, secret_type: SecretType) -> dict[str, int]:
        """Count the secrets of an account by their state."""
        from provost.server.models.secrets import SecretVersion

        rows = SecretVersion.objects.filter(account__asset=self.row, account__username=username)
        return dict(Counter(rows.filter(secret_type=secret_type).values_list("state", flat=True)))

    def is_current_in_force(self, username: str, secret_type: SecretType) -> bool:
        """Tell whether the secret in the list logs in."""
        from provost.server.models import Account
        from provost.server.services import secrets

        account = Account.objects.get(asset=self.row, username=username)
        secret = secrets.read_current(account_ids=[account.id])[account.id][secret_type]
        return self.host.accounts[username].accept(secret)

    def name(self, secret: Secret) -> str:
        """Return what the cases call a secret of the subject."""
        return next((name for name, known in self.known.items() if known == secret), "new")

    def list_stored(self) -> dict[str, list[str]]:
        """Return the names of the subject's secrets by their state."""
        stored = self.read_stored()
        return {
            state: sorted(self.name(secret) for at, secret in stored if at == state)
            for state in ("current", "pending", "retired")
        }

    def read_stored(self) -> list[tuple[str, Secret]]:
        """Return every secret of the subject with its state."""
        from provost.server.models.secrets import SecretVersion
        from provost.server.services import secrets

        rows = SecretVersion.objects.filter(account=self.account, secret_type=self.secret_type)
        return [(row.state, secrets.decrypt(row)) for row in rows]

    def read_sync(self) -> str:
        """Return what is known of the subject's current secret."""
        from provost.server.models.secrets import SecretVersion

        row = SecretVersion.objects.get(account=self.account, secret_type=self.secret_type, state="current")
        assert (row.checked_at is None) == (row.sync == "")
        return row.sync or "never"

    def list_working(self) -> list[str]:
        """Return the names of the stored secrets that the host lets in."""
        there = self.host.accounts.get(self.username)
        return sorted({self.name(one) for _, one in self.read_stored() if there and there.accept(one)})


async def misbehave(fault: str) -> None:
    """Do what a fault of the cases is."""
    if fault == "hangs":
        await asyncio.sleep(3600)
    raise FAULTS[fault]()  # noqa: RSE102  # it makes the error


def run(action: str, specified: Secret | None = None, control: Any = None, **fields: Any) -> Any:
    """Do something in /all, and return the run."""
    from provost.server.services.execution import Control, execute
    from provost.server.services.runs import create_run

    if specified is not None:
        fields["strategy"] = "specified"
    where = {} if "assets" in fields else {"nodes": ["/all"]}
    spec = SPECS.validate_python({"action": action, **where, **fields})
    made = create_run(by=BY, spec=spec, specified=specified)
    work: Awaitable[None] = execute(run=made, control=control or Control(), observe=lambda _: None)
    asyncio.run(work)  # type: ignore[arg-type]
    return made


def find_record(made: Any, username: str) -> Any:
    """Return a run's record of an account."""
    return made.records.get(username=username)

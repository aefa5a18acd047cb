"""What people and programs are told of: the events, what is told of each, and how a webhook is signed.

A webhook is sent as the Standard Webhooks specification says (https://www.standardwebhooks.com/): a delivery
keeps its id over all attempts, and a signature covers the id, the moment of the attempt, and the body.
"""

import base64
import hmac
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from provost.core.errors import Refused
from provost.core.model import SecretType, Status

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # what comes before every signing secret
_SECRET_BYTES: Final = 32
_LONGEST_ADDRESS: Final = 2000


class Event(StrEnum):
    """What happened. Receivers know it as the `type` of what they get."""

    RUN_FAILED = "run_failed"
    """A run ended, and records of it failed, are uncertain or unverified, or were skipped."""
    OUT_OF_SYNC = "out_of_sync"
    """A target no longer takes the secrets that Provost holds for some accounts."""
    ACCOUNT_EXPIRING = "account_expiring"
    """The lifetime of some accounts ends soon."""
    ACCOUNT_EXPIRED = "account_expired"
    """The lifetime of some accounts is over: they were disabled, or removed."""
    UNKNOWN_ACCOUNTS = "unknown_accounts"
    """Targets have accounts that Provost did not know."""
    TEST = "test"
    """Somebody tries a channel."""


SUBJECTS: Final = tuple(event for event in Event if event is not Event.TEST)
"""What a channel may be told of; a test comes when it is asked for."""


class ChannelKind(StrEnum):
    """The ways to tell."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class DeliveryState(StrEnum):
    """Where a delivery stands: to be tried (again), taken by the receiver, or given up."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"


class Payload(BaseModel):
    """What is told: names, reasons, counts and times; never a secret, and no more than a receiver takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def keep(self, assets: Collection[str]) -> Self | None:
        """Return what of it is about some assets, by name; None: nothing is."""
        del assets
        return self

    def cut(self, most: int) -> Self:
        """Return it with so many single things at most, and how many more there are."""
        del most
        return self


class Trial(Payload):
    """A test: who asked for it."""

    requested_by: str


class Problem(BaseModel):
    """Records of a run that ended alike: how many, and the first assets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status
    reason: str
    count: int
    assets: tuple[str, ...]


class RunFailed(Payload):
    """A run that did not end well: its records by status, and what went wrong, the most frequent first.

    A channel that is limited to a node is told of the records in there alone.
    """

    run: UUID
    action: str
    task: str | None
    requested_by: str
    state: str
    reason: str
    finished: datetime | None
    counts: dict[str, int]
    problems: tuple[Problem, ...]


class AccountTold(BaseModel):
    """An account that something is told of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset: str
    username: str


class OutOfSyncAccount(AccountTold):
    """An account whose secret the target refused; `since` is when that was first seen."""

    secret_type: SecretType
    since: datetime | None = None
    reason: str = ""


class ExpiryAccount(AccountTold):
    """An account whose lifetime ends; `done` is what was done: nothing yet, `disabled`, or `removed`."""

    expires: datetime
    done: str = ""


class UnknownAccount(AccountTold):
    """An account that was found on a target. None: could not be told."""

    can_log_in: bool | None = None
    superuser: bool | None = None


class _Accounts(Payload):
    """What is told of accounts; `more` are those that are not listed. `run` is the one that found out."""

    accounts: tuple[Any, ...]
    more: int = 0
    run: UUID | None = None

    def keep(self, assets: Collection[str]) -> Self | None:
        """Return what of it is about some assets, by name; None: nothing is."""
        kept = tuple(one for one in self.accounts if one.asset in assets)
        return self.model_copy(update={"accounts": kept}) if kept else None

    def cut(self, most: int) -> Self:
        """Return it with so many accounts at most, and how many more there are."""
        rest = len(self.accounts) - most
        if rest <= 0:
            return self
        return self.model_copy(update={"accounts": self.accounts[:most], "more": self.more + rest})


class OutOfSync(_Accounts):
    """Accounts that are out of sync."""

    accounts: tuple[OutOfSyncAccount, ...]


class Expiry(_Accounts):
    """Accounts whose lifetime ends soon, or is over."""

    accounts: tuple[ExpiryAccount, ...]


class UnknownAccounts(_Accounts):
    """Accounts that were not known."""

    accounts: tuple[UnknownAccount, ...]


def make_signing_secret(randomness: bytes) -> str:
    """Return a signing secret as receivers are given it.

    Raises:
        ValueError: there are not 32 bytes of randomness.
    """
    if len(randomness) != _SECRET_BYTES:
        raise ValueError
    return SECRET_PREFIX + base64.b64encode(randomness).decode()


def write_body(event: str, created: datetime, payload: Mapping[str, Any]) -> bytes:
    """Return what a webhook sends: the same bytes at every attempt."""
    document = {"type": event, "timestamp": created.astimezone(UTC).isoformat(), "data": payload}
    return json.dumps(document, separators=(",", ":")).encode()


def sign(secret: str, *, delivery: UUID, at: int, body: bytes) -> dict[str, str]:
    """Return the headers that prove where a body comes from; `at` is when it is sent, in Unix seconds."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.digest(key, f"{delivery}.{at}.".encode() + body, "sha256")
    return {
        "webhook-id": str(delivery),
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def check_url(url: str) -> None:
    """Raise `Refused` for what is no address of a webhook: http or https, with a host, without credentials."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not url.isascii() or not url.isprintable() or " " in url or len(url) > _LONGEST_ADDRESS:
        raise Refused(
            "The address of a webhook is a URL like https://hooks.example.org/provost.", code="address_refused"
        )
    if "@" in parts.netloc or parts.fragment:
        raise Refused(
            "The address of a webhook holds no user, password or fragment: the signature tells who sends.",
            code="address_refused",
        )


PAUSES: Final[Sequence[timedelta]] = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=15),
)
"""How long is waited after each attempt that failed; after the one that follows the last, it is given up."""

_JITTER: Final = 0.2


def find_pause(attempts: int, chance: float) -> timedelta | None:
    """Return how long to wait after so many attempts; None: it is given up.

    `chance`, from 0 to 1, shortens it by up to a fifth: what failed together does not come back together.
    """
    if attempts > len(PAUSES):
        return None
    return PAUSES[attempts - 1] * (1 - _JITTER * chance)

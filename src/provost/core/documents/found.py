"""Accounts that discoveries have found, and the rules for them."""

from datetime import datetime

from provost.core.documents.base import Document
from provost.core.facts import FactChange, Facts
from provost.core.onboarding import Hindrance, Onboarding, Standing
from provost.core.push import PushSpec
from provost.core.rights import Right


class FoundDocument(Document):
    """An account that a discovery has found, where it stands, and whether it is `listed`.

    Of what it may do, null is "could not be told", or what its kind has no such thing of.  `keys` is how many
    SSH keys let somebody in.  `changes` are since it was accepted, and `rule` is the one that has taken it.
    """

    username: str
    asset: str
    standing: Standing
    listed: bool
    uid: int | None
    system: bool | None
    can_log_in: bool | None
    locked: bool | None
    superuser: bool | None
    powerful: bool | None
    privileges: list[str] | None
    keys: int | None
    last_login: datetime | None
    changes: list[FactChange]
    changed_at: datetime | None
    first_seen: datetime
    last_seen: datetime
    vanished_at: datetime | None
    rule: str | None


class FoundDetailDocument(FoundDocument):
    """An account with all that was found of it, what was accepted, and the caller's `rights` there.

    `own_keys` are the fingerprints of keys that Provost has made for it.
    """

    facts: Facts
    accepted: Facts
    own_keys: list[str]
    rights: list[Right]


class StandingCountsDocument(Document):
    """How many accounts stand where."""

    known: int
    unknown: int
    changed: int
    vanished: int
    ignored: int


class NamedDocument(Document):
    """Accounts that something was done to, each as USERNAME@ASSET."""

    accounts: list[str]


class RuleDocument(Document):
    """What becomes of unknown accounts that fit; `kind` and `node` of null: of every one."""

    name: str
    priority: int
    pattern: str
    kind: str | None
    node: str | None
    onboarding: Onboarding
    spec: PushSpec | None
    active: bool
    comment: str
    created: datetime
    version: int


class LeftDocument(Document):
    """An account that a rule fits and leaves alone, and why."""

    username: str
    asset: str
    reason: Hindrance


class RulePreviewDocument(Document):
    """What a rule would take of the accounts found so far: how many, and the first.

    `left` are those that fit and are left alone, by reason, and `first_left` the first.  `flooded` are assets
    with more than a rule takes at once: it takes none there.
    """

    taken: int
    accounts: list[FoundDocument]
    left: dict[Hindrance, int]
    first_left: list[LeftDocument]
    flooded: dict[str, int]

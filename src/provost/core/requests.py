"""What people and programs say to Provost: the bodies and queries of the API, and of the command line."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from provost.core.model import Become, Decision, SecretType, Status, Sync
from provost.core.notices import SUBJECTS, ChannelKind, DeliveryState, Event
from provost.core.onboarding import Onboarding, Standing
from provost.core.passwords import PasswordRules
from provost.core.push import LONGEST_LIFE, PushSpec
from provost.core.rights import Right, Role
from provost.core.specs import AnySpec

Text = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(max_length=255)]
Flag = Annotated[bool, Field(strict=True)]
Many = Field(default=(), max_length=100_000)


def _refuse_numbers(given: Any) -> Any:
    """A number, or a text of one, is no instant: seconds and milliseconds are too easily confused."""
    if isinstance(given, int | float) or (isinstance(given, str) and "-" not in given[1:]):
        raise ValueError("an instant is written like 2026-01-31T12:00:00Z")
    return given


Instant = Annotated[AwareDatetime, BeforeValidator(_refuse_numbers)]


class Said(BaseModel):
    """What somebody says. What is not known is refused, so that no misspelt field is lost."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class SecretBody(Said):
    """A secret: a `password`, or an SSH `key` (private, or public alone) with its `passphrase`."""

    password: SecretStr | None = Field(None, min_length=1, max_length=4096)
    key: SecretStr | None = Field(None, min_length=1, max_length=65536)
    passphrase: SecretStr | None = Field(None, max_length=4096)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.password is None) == (self.key is None):
            raise ValueError("a secret is either a password or a key")
        return self


class AssetBody(Said):
    """A new asset. Without a `port`, it has the kind's own."""

    name: Name
    kind: Name
    address: Name
    port: int | None = Field(None, strict=True, ge=1, le=65535)
    nodes: tuple[Text, ...] = Many
    via: Name | None = None
    options: dict[str, str] = {}
    comment: Text = ""


class AssetPatch(Said):
    """What is to change of an asset; what is not given stays. `via` of null: reached directly."""

    name: Name | None = None
    address: Name | None = None
    port: int | None = Field(None, strict=True, ge=1, le=65535)
    nodes: tuple[Text, ...] | None = None
    via: Name | None = None
    options: dict[str, str] | None = None
    comment: Text | None = None


class PageQuery(Said):
    """Which part of a list: at most `limit`, from the `cursor` on that the page before gave."""

    limit: int = Field(100, ge=1, le=1000)
    cursor: str | None = Field(None, max_length=4096)


class AssetQuery(PageQuery):
    """Which assets; `node`: in it and below, `search`: a part of the name, address or comment.

    With `unprivileged`, those that have no privileged account: nothing can be done on them.
    """

    node: Text | None = None
    kind: Name | None = None
    via: Name | None = None
    search: Name | None = None
    unprivileged: bool = False


class NodeBody(Said):
    """A new node, with those above it."""

    path: Text


class NodePatch(Said):
    """Another name for a node, or another place: `into` is the node that it moves into, "/" the top."""

    name: Name | None = None
    into: Text | None = None


class AccountBody(Said):
    """An account with a secret that is in force; with `replace`, in the place of the one that is held."""

    username: Name
    asset: Name
    secret: SecretBody
    privileged: Flag | None = None
    priority: int | None = Field(None, strict=True, ge=-(2**31), le=2**31 - 1)
    become: Become | None = None
    replace: Flag = False


class AccountPatch(Said):
    """What is to change of an account; what is not given stays.

    It lives until `expires_at` (null: for good), or for a `lifetime` from now; `grace` later it is removed.
    Both in seconds.
    """

    privileged: Flag | None = None
    priority: int | None = Field(None, strict=True, ge=-(2**31), le=2**31 - 1)
    become: Become | None = None
    reconcile: Flag | None = None
    expires_at: Instant | None = None
    lifetime: int | None = Field(None, strict=True, ge=1, le=LONGEST_LIFE)
    grace: int | None = Field(None, strict=True, ge=0, le=LONGEST_LIFE)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.lifetime is not None and "expires_at" in self.model_fields_set:
            raise ValueError("an account lives until an instant, or for so long, not both")
        return self


class AccountQuery(PageQuery):
    """Which accounts; with `pending`, those that only hold a secret of an unsettled push.

    With `secret_type`, those that hold such a secret.  `older_than`: those with a current secret (of that type)
    that is at least so many days old, `newer_than`: less than so many.  `sync`: those with a current secret (of
    that type) whose last check told that, or that was `never` checked.
    """

    asset: Name | None = None
    node: Text | None = None
    username: Name | None = None
    privileged: bool | None = None
    pending: bool = False
    search: Name | None = None
    secret_type: SecretType | None = None
    older_than: int | None = Field(None, ge=0, le=36500)
    newer_than: int | None = Field(None, ge=0, le=36500)
    sync: Sync | Literal["never"] | None = None


class RevealBody(Said):
    """Which secret: the current one, or that of a `version`. The type is needed when it has several."""

    secret_type: SecretType | None = None
    version: int | None = Field(None, strict=True, ge=1, le=2**31 - 1)


class ForgetQuery(Said):
    """With `forget`, all secrets go, with their history."""

    forget: bool = False


class PairBody(Said):
    """Two accounts of an asset, by username, that are to take turns: the `active` one is in use now."""

    name: Name
    asset: Name
    active: Name
    idle: Name


class PairQuery(PageQuery):
    """Which pairs: all, or those on an asset."""

    asset: Name | None = None


class PairRotationBody(Said):
    """What of a pair is rotated. The type is needed when its accounts have secrets of several."""

    secret_type: SecretType | None = None


class TargetsBody(Said):
    """Assets by name, and nodes with all below them."""

    assets: tuple[Name, ...] = Many
    nodes: tuple[Text, ...] = Many


class SampleBody(Said):
    """The rules to make a password by."""

    rules: PasswordRules = PasswordRules()


class PushBody(Said):
    """Something to be done, or with `dry_run` looked at. A `secret` of the caller's own, or a random one.

    With `accounts`, each a USERNAME@ASSET, it is about these alone, whatever `spec` says of where and who.
    """

    spec: AnySpec
    accounts: tuple[Text, ...] = Field(default=(), max_length=10_000)
    secret: SecretBody | None = None
    dry_run: Flag = False


class RunQuery(PageQuery):
    """Which runs; `asset`: those with a record of it, `cause`: those that rules made for what it has found."""

    state: Literal["queued", "running", "finished", "cancelled", "interrupted", "skipped"] | None = None
    action: Name | None = None
    task: Name | None = None
    dry_run: bool | None = None
    asset: Name | None = None
    cause: UUID | None = None


class RecordQuery(PageQuery):
    """Which records; `status` may be `open`. `search`: a part of the asset's name or of the username."""

    status: Status | Literal["open"] | None = None
    decision: Decision | None = None
    reason: Name | None = None
    search: Name | None = None


class ScheduleBody(Said):
    """Either `every` or `cron`, in a time zone; `since` is now unless it is given."""

    every: Name | None = None
    cron: Name | None = None
    zone: Name = "UTC"
    window: Name | None = None
    since: Instant | None = None


class FoundQuery(PageQuery):
    """Which accounts that discoveries have found; `node`: in it and below.

    `search`: a part of the username or of the asset's name.  `since`: those that appeared, changed or vanished
    at that instant or later.
    """

    asset: Name | None = None
    node: Text | None = None
    standing: Standing | None = None
    can_log_in: bool | None = None
    powerful: bool | None = None
    search: Name | None = None
    since: Instant | None = None


class FoundBody(Said):
    """Accounts that were found, each as USERNAME@ASSET."""

    accounts: tuple[Text, ...] = Field(max_length=1000)


class AcceptBody(FoundBody):
    """Accounts to accept as they are; `seen` is when they were looked at: what has changed since is refused."""

    seen: Instant | None = None


class IgnoreBody(FoundBody):
    """Accounts of which nobody is to be told; with `ignored` of false, again."""

    ignored: Flag = True


def _name_nobody(given: Any) -> Any:
    """Whom it is about, an adoption says elsewhere."""
    return {"usernames": (), **given} if isinstance(given, dict) else given


Adoption = Annotated[PushSpec, BeforeValidator(_name_nobody)]
"""With what secret accounts are adopted: a push without assets, nodes and usernames."""


class AdoptBody(FoundBody):
    """Accounts to give a new secret, each a random one of its own, and to put into the list."""

    spec: Adoption


class RuleBody(Said):
    """What becomes of unknown accounts whose username fits `pattern`, on assets of a `kind` ("": any).

    Those in `node` and below, or (null) everywhere.  The first rule that fits, the least `priority` first, is
    the one that counts.  `spec` is needed to adopt.
    """

    name: Name
    pattern: Name
    onboarding: Onboarding
    priority: int = Field(10, strict=True, ge=-(2**31), le=2**31 - 1)
    kind: Name = ""
    node: Text | None = None
    spec: Adoption | None = None
    active: Flag = True
    comment: Text = ""


class RulePatch(Said):
    """What is to change of a rule; what is not given stays. A `node` of null: everywhere."""

    name: Name | None = None
    pattern: Name | None = None
    onboarding: Onboarding | None = None
    priority: int | None = Field(None, strict=True, ge=-(2**31), le=2**31 - 1)
    kind: Name | None = None
    node: Text | None = None
    spec: Adoption | None = None
    active: Flag | None = None
    comment: Text | None = None


class TaskBody(Said):
    """Something to be saved. A `secret` of the caller's own, or a random one, as `spec.strategy` says.

    With `new_assets`, it is also done for each asset that is added to its nodes.
    """

    name: Name
    spec: AnySpec
    schedule: ScheduleBody | None = None
    active: Flag = True
    comment: Text = ""
    new_assets: Flag = False
    secret: SecretBody | None = None


class TaskPatch(Said):
    """What is to change of a task; what is not given stays. A `schedule` of null: never by the clock."""

    name: Name | None = None
    spec: AnySpec | None = None
    schedule: ScheduleBody | None = None
    active: Flag | None = None
    comment: Text | None = None
    new_assets: Flag | None = None
    secret: SecretBody | None = None


class TaskQuery(PageQuery):
    """Which tasks; `search`: a part of the name or the comment."""

    search: Name | None = None


class GrantBody(Said):
    """A role in a node and below (null: everywhere), with or without the right to reveal."""

    role: Role
    node: Text | None = None
    reveal: Flag = False


class UserBody(Said):
    """A new user. Without a password, they have tokens alone."""

    username: Annotated[str, Field(max_length=150)]
    email: Annotated[str, Field(max_length=254)] = ""
    password: SecretStr | None = Field(None, max_length=4096)
    grants: tuple[GrantBody, ...] = Field((), max_length=1000)


class UserPatch(Said):
    """What is to change of a user; what is not given stays. Grants are replaced as a whole."""

    email: Annotated[str, Field(max_length=254)] | None = None
    password: SecretStr | None = Field(None, max_length=4096)
    active: Flag | None = None
    grants: tuple[GrantBody, ...] | None = Field(None, max_length=1000)


class SessionQuery(Said):
    """Which sessions end: all but the one to `keep`."""

    keep: int | None = Field(None, ge=1, le=2**62)


class TokenBody(Said):
    """A new token of a user (null: the caller's), with some of their rights (null: all), for some days."""

    name: Annotated[str, Field(max_length=150)]
    user: Annotated[str, Field(max_length=150)] | None = None
    rights: frozenset[Right] | None = None
    days: int = Field(90, strict=True, ge=1, le=3650)


class TokenQuery(Said):
    """Whose tokens (null: everybody's, or the caller's own)."""

    user: Annotated[str, Field(max_length=150)] | None = None


class SetupBody(Said):
    """The first administrator, for whoever has the token that the server printed when it started."""

    setup_token: SecretStr = Field(max_length=255)
    username: Annotated[str, Field(max_length=150)]
    password: SecretStr | None = Field(None, max_length=4096)


class AuditQuery(PageQuery):
    """Which entries; an `action` that ends with a dot means all that begin with it."""

    who: Name | None = None
    action: Annotated[str, Field(max_length=50)] | None = None
    subject: Annotated[str, Field(max_length=600)] | None = None
    since: Instant | None = None
    until: Instant | None = None


class ProofQuery(Said):
    """An entry that was noted before, by number and digest, to be found as it was."""

    number: int | None = Field(None, ge=1, le=2**62)
    digest: Annotated[str, Field(max_length=64)] | None = None


class ChannelBody(Said):
    """A new channel: an e-mail address or a webhook's URL, what it is told of, and where (null: everywhere)."""

    name: Name
    kind: ChannelKind
    address: Text
    events: tuple[Event, ...] = Field(SUBJECTS, min_length=1, max_length=20)
    node: Text | None = None
    active: Flag = True
    comment: Text = ""


class ChannelPatch(Said):
    """What is to change of a channel; what is not given stays. A `node` of null: everywhere."""

    name: Name | None = None
    address: Text | None = None
    events: tuple[Event, ...] | None = Field(None, min_length=1, max_length=20)
    node: Text | None = None
    active: Flag | None = None
    comment: Text | None = None


class DeliveryQuery(PageQuery):
    """Which deliveries of a channel."""

    state: DeliveryState | None = None


class KeyRotationBody(Said):
    """With `master`, a new master key as well."""

    master: Flag = False


class ImportedAccount(Said):
    """An account of an inventory; what is not given stays as it is, or is as usual for a new one."""

    username: Name
    asset: Name
    password: SecretStr | None = Field(None, max_length=4096)
    key: SecretStr | None = Field(None, max_length=65536)
    privileged: Flag | None = None
    priority: int | None = Field(None, strict=True, ge=-(2**31), le=2**31 - 1)
    become: Become | None = None
    replace: Flag | None = None


class ImportedAsset(Said):
    """An asset of an inventory; of one that is there already, what is not given stays."""

    name: Name
    kind: Name | None = None
    address: Name | None = None
    port: int | None = Field(None, strict=True, ge=1, le=65535)
    nodes: tuple[Text, ...] | None = None
    via: Name | None = None
    options: dict[str, str] | None = None
    comment: Text | None = None


class ImportBody(Said):
    """An inventory: all of it is brought in, or nothing; with `dry_run`, nothing, and told as if it were."""

    nodes: tuple[Text, ...] = Many
    assets: tuple[ImportedAsset, ...] = Many
    accounts: tuple[ImportedAccount, ...] = Many
    name: Name = "inventory"
    dry_run: Flag = False


def list_given(said: Said) -> dict[str, Any]:
    """Return the fields that were given, by name: null was said, too, and is not the same as nothing."""
    return {name: getattr(said, name) for name in said.model_fields_set}

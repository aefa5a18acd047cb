"""What Provost tells of things: the JSON of the API and of `--json`. A public contract, and never a secret.

`version` counts the changes of a thing: who changes it can say which one was seen.
"""

from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from provost.core.model import Become, Decision, SecretState, SecretType, Status, Strategy
from provost.core.push import PushSpec
from provost.core.rights import Face, Right, Role

T = TypeVar("T")


class Document(BaseModel):
    """What is told of one thing."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class PageDocument(Document, Generic[T]):
    """One page of a list; `next` is the cursor of the next one, null on the last."""

    items: list[T]
    next: str | None = None


class NodeDocument(Document):
    """A folder of assets; `assets` are those in it, `within` those in it and below it, each once."""

    path: str
    assets: int
    within: int


class HostKeyDocument(Document):
    """A host key, trusted now or before; `key` is an OpenSSH line."""

    fingerprint: str
    state: str
    first_seen: datetime
    key: str


class PrivilegedDocument(Document):
    """A privileged account of an asset; `usable`: a secret to log in with is held."""

    username: str
    priority: int
    become: Become
    usable: bool


class AssetDocument(Document):
    """A target system; `via` is the asset that it is reached through.

    Nodes and a gateway that the caller does not see are left out.  `privileged` are its privileged accounts in
    the order in which they are tried; without a usable one, nothing is attempted on it.
    """

    name: str
    kind: str
    address: str
    port: int
    nodes: list[str]
    via: str | None
    options: dict[str, str]
    comment: str
    privileged: list[PrivilegedDocument]
    created: datetime
    version: int


class AssetDetailDocument(AssetDocument):
    """An asset, with how many accounts of it are in the list, and with what it is known by.

    `unlisted` counts the accounts that are not in the list, and of which secrets are kept; `secrets` are all
    that are kept of its accounts, with their history.
    """

    accounts: int
    unlisted: int
    secrets: int
    host_keys: list[HostKeyDocument]


class SecretDocument(Document):
    """What is known of a stored secret, besides the secret itself; `run` staged it."""

    secret_type: SecretType
    version: int
    state: SecretState
    origin: Strategy
    public_key: str | None
    fingerprint: str | None
    public_only: bool
    run: UUID | None
    created: datetime
    promoted_at: datetime | None
    retired_at: datetime | None


class AccountDocument(Document):
    """A username on an asset; in the list since `listed_at`, or not (null)."""

    username: str
    asset: str
    privileged: bool
    priority: int
    become: Become
    created_by_provost: bool
    listed_at: datetime | None
    created: datetime
    version: int
    secrets: list[SecretDocument]


class AccountDetailDocument(AccountDocument):
    """An account, with those of the caller's `rights` that extend to it."""

    rights: list[Right]


class HistoryDocument(Document):
    """Every secret that an account has or had, the newest first."""

    username: str
    asset: str
    versions: list[SecretDocument]


class RevealedDocument(Document):
    """A secret, for who asked for it: a password, or an SSH key's private half."""

    username: str
    asset: str
    secret_type: SecretType
    secret: str = Field(repr=False)


class RunDocument(Document):
    """One execution; `counts` are its records by status, those without one yet as `open`.

    `usernames` are the first few that it pushes.  Records and a task that the caller does not see are left out.
    """

    id: UUID
    state: str
    action: str
    dry_run: bool
    usernames: list[str]
    task: str | None
    requested_by: str
    reason: str
    message: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    counts: dict[str, int]


class RecordDocument(Document):
    """The result for one account in a run; `status` is null until it is settled."""

    asset: str
    username: str
    secret_type: SecretType
    decision: Decision | None
    status: Status | None
    reason: str
    message: str
    seconds: float
    actor: str


class ActivityDocument(RecordDocument):
    """What a run did, or would have done, about an account; `at` is null until it is settled."""

    run: UUID
    action: str
    dry_run: bool
    created: datetime
    at: datetime | None


class RecordCountDocument(Document):
    """How many records of a run ended alike; `status` is null for those that are not settled."""

    decision: Decision | None
    status: Status | None
    reason: str
    count: int


class RunDetailDocument(RunDocument):
    """A run with what was asked for: of assets and nodes, those that the caller sees.

    `cancel_requested`: it was asked to stop, and ends when what has begun is finished.
    """

    spec: PushSpec
    cancel_requested: bool


class ReasonDocument(Document):
    """The records of a run that ended in the same way: how many, the message of one, and the first assets."""

    status: Status
    reason: str
    count: int
    message: str
    assets: list[str]


class ScheduleDocument(Document):
    """When a task is due: as it was given, and in words."""

    every: str | None
    cron: str | None
    zone: str
    window: str | None
    since: datetime
    words: str


class TaskDocument(Document):
    """A saved push; `latest` is how its last run went."""

    name: str
    spec: PushSpec
    schedule: ScheduleDocument | None
    active: bool
    next_due: datetime | None
    last_run: UUID | None
    latest: RunDocument | None
    comment: str
    created: datetime
    updated: datetime
    version: int


class TaskDetailDocument(TaskDocument):
    """A saved push with its next five times and its last five runs."""

    next_times: list[datetime]
    runs: list[RunDocument]


class TimesDocument(Document):
    """A schedule in words, and its next times."""

    words: str
    next_times: list[datetime]


class AccountCountsDocument(Document):
    """How many accounts are in the list; of these, the privileged and those made by Provost; the unsettled."""

    listed: int
    privileged: int
    created_by_provost: int
    unsettled: int


class DayDocument(Document):
    """The runs that began on a day (UTC), and their records by status, those without one yet as `open`."""

    day: date
    runs: int
    counts: dict[str, int]


class FailureDocument(Document):
    """A reason that records, or runs, ended badly for: how many, and the newest runs of it."""

    status: str
    reason: str
    count: int
    runs: list[UUID]


class DueDocument(Document):
    """When a task is due next."""

    task: str
    at: datetime


class WantingDocument(Document):
    """How many assets lack something, and the names of the first few."""

    count: int
    assets: list[str]


class AgeDocument(Document):
    """How many secrets in force are at least, and less than, so many days old (null: however old)."""

    least: int
    below: int | None
    count: int


class StepsDocument(Document):
    """What has been done already: an asset with a privileged account, a push, a saved task."""

    asset: bool
    push: bool
    task: bool


class OverviewDocument(Document):
    """What there is, what goes on, and what went wrong, of all that the caller sees.

    `days` are the last 30.  `failures` are of the records of the last 7 days, and `stopped` of runs that did
    not begin or could not go on.  `wanting` are assets without a privileged account: no push can work there.
    """

    steps: StepsDocument
    assets: int
    accounts: AccountCountsDocument
    days: list[DayDocument]
    failures: list[FailureDocument]
    stopped: list[FailureDocument]
    running: list[RunDocument]
    due: list[DueDocument]
    wanting: WantingDocument
    ages: list[AgeDocument]


class GrantDocument(Document):
    """A role in a node and below (null: everywhere), with or without the right to reveal."""

    role: Role
    node: str | None
    reveal: bool


class UserDocument(Document):
    """Someone who may use Provost."""

    username: str
    email: str
    active: bool
    grants: list[GrantDocument]
    has_password: bool
    has_second_factor: bool
    last_login: datetime | None
    created: datetime
    version: int


class SessionDocument(Document):
    """A browser that a user is signed in with; `browser` is what it says of itself."""

    id: int
    source: str
    browser: str
    started: datetime
    last_seen: datetime


class TokenDocument(Document):
    """A program's way in, on behalf of a user; `rights` are those of the user's that it may use."""

    name: str
    user: str
    rights: list[Right]
    expires: datetime
    created: datetime
    last_used: datetime | None
    revoked: datetime | None


class NewTokenDocument(TokenDocument):
    """A token that was made just now: the only time that its text is shown."""

    token: str = Field(repr=False)


class WhoDocument(Document):
    """Who the caller is, and what they may do."""

    name: str
    face: Face
    token: str
    rights: list[Right]
    grants: list[GrantDocument]


class KindDocument(Document):
    """A kind of target, with the JSON schemas of an asset's options and of a push's parameters."""

    kind: str
    default_port: int
    secret_types: list[SecretType]
    options: dict[str, Any]
    parameters: dict[str, Any]


class TargetsDocument(Document):
    """How many assets are meant, of which kinds, and how many of them cannot be logged in to.

    `skipped` have no privileged account whose secret is held: a push does not touch them.
    """

    assets: int
    skipped: int
    kinds: dict[str, int]


class SampleDocument(Document):
    """A password made by rules, for somebody to look at: it is not kept, and nothing is set to it."""

    sample: str


class ImportChangesDocument(Document):
    """What an inventory changed, by name: of what was there, each field with what was and what is."""

    nodes_added: list[str]
    assets_added: list[str]
    assets_changed: dict[str, dict[str, list[Any]]]
    accounts_added: list[str]
    accounts_changed: dict[str, dict[str, list[Any]]]
    secrets_set: list[str]


class ImportDocument(Document):
    """How many nodes, assets, accounts and secrets were changed, and how; of a dry run, would be."""

    dry_run: bool
    imported: dict[str, dict[str, int]]
    changes: ImportChangesDocument


class TrustDocument(Document):
    """The fingerprints of an asset's host keys that are no longer trusted."""

    asset: str
    forgotten: list[str]


class RotationDocument(Document):
    """How many secrets were encrypted anew, and the ids of the keys in use from now on."""

    secrets: int
    data_key: int
    master_key: int


class SettingDocument(Document):
    """A setting: its variable, what it says, and the value in force, but for passwords (null: none).

    `given`: it was set, and is not as usual.
    """

    variable: str
    meaning: str
    value: str | None
    given: bool


class VaultDocument(Document):
    """The keys in use, by their ids; those of the vault that cannot be opened are null."""

    master_key_file: str
    master_key: int | None
    data_key: int | None
    created: datetime | None
    rotated: datetime | None


class SettingsDocument(Document):
    """The configuration in force. It is changed in the environment of the server, and read when it starts."""

    version: str
    database: str
    settings: list[SettingDocument]
    vault: VaultDocument


class FindingDocument(Document):
    """Something that the check-up found: how bad it is, what it is, and what to do (empty: nothing)."""

    level: Literal["ok", "warning", "problem"]
    code: str
    message: str
    advice: str


class AuditDocument(Document):
    """One entry of the audit trail."""

    number: int
    at: datetime
    who: str
    token: str
    face: Face
    source: str
    request_id: str
    action: str
    subject: str
    details: dict[str, Any]
    digest: str


class ProofDocument(Document):
    """Whether the audit trail is whole; `broken` is the number of the first entry that is not."""

    whole: bool
    entries: int
    digest: str
    broken: int | None
    why: str


class ProblemDocument(Document):
    """What went wrong (RFC 9457), with a stable `code`; `errors` are one for each place in what was sent."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str = ""
    errors: list[dict[str, str]] = []

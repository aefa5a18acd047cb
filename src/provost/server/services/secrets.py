"""Every secret of an account. Beside held, keyring, rotation and sync, no module sees their tables or cipher.

Functions take any number of accounts and work in chunks, each with a fixed number of queries.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from provost.core.errors import NotFound, Refused, VaultError
from provost.core.model import SecretState, SecretType, Strategy, Sync
from provost.core.rights import Reach
from provost.core.secrets import Secret, SshKey
from provost.server.models import Account
from provost.server.models.secrets import SecretVersion
from provost.server.services import keyring
from provost.server.services.chunks import split
from provost.server.services.reach import limit_many
from provost.vault import cipher
from provost.vault.keyset import Keyset


@dataclass(frozen=True, slots=True)
class PendingVersion:
    """A staged secret, where it came from, and the run that staged it (None when that run was deleted)."""

    id: UUID
    secret: Secret
    origin: Strategy
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class Version:
    """What is known of a stored secret without decrypting it.

    `public_key` is an SSH key's public half; with `public_only`, Provost holds no private half.  `sync` is what
    its last check told, at `checked_at`; None: it was never checked.
    """

    id: UUID
    account_id: UUID
    secret_type: SecretType
    version: int
    state: SecretState
    origin: Strategy
    public_key: str
    public_only: bool
    run_id: UUID | None
    created: datetime
    promoted_at: datetime | None
    retired_at: datetime | None
    sync: Sync | None
    checked_at: datetime | None
    reason: str
    message: str


def read_current(*, account_ids: Iterable[UUID]) -> dict[UUID, dict[SecretType, Secret]]:
    """Decrypt the current secrets of accounts; an account without one is not in the answer.

    Raises:
        VaultError: the master key is missing or wrong, or one of the secrets does not decrypt.
    """
    found: dict[UUID, dict[SecretType, Secret]] = defaultdict(dict)
    for chunk in split(account_ids):
        for row in SecretVersion.objects.filter(account_id__in=chunk, state=SecretState.CURRENT):
            found[row.account_id][SecretType(row.secret_type)] = decrypt(row)
    return dict(found)


def read_pending(
    *, account_ids: Iterable[UUID], secret_types: Collection[SecretType] = tuple(SecretType)
) -> dict[tuple[UUID, SecretType], list[PendingVersion]]:
    """Decrypt the staged secrets of accounts by account and type, the newest first; what has none is not told.

    Raises:
        VaultError: as `read_current`.
    """
    found: dict[tuple[UUID, SecretType], list[PendingVersion]] = defaultdict(list)
    for chunk in split(account_ids):
        rows = SecretVersion.objects.filter(
            account_id__in=chunk, secret_type__in=secret_types, state=SecretState.PENDING
        ).order_by("-version")
        for row in rows:
            staged = PendingVersion(row.id, decrypt(row), Strategy(row.origin), row.run_id)
            found[row.account_id, SecretType(row.secret_type)].append(staged)
    return dict(found)


def stage(
    *, run_id: UUID | None, secrets: Sequence[tuple[UUID, Secret]], origin: Strategy, epoch: int = 0
) -> list[UUID]:
    """Store secrets as pending, each as its account's next version. Returns their ids in the same order.

    `epoch` is that of the run's holder.

    Raises:
        VaultError: the master key is missing or wrong.
    """
    ids: list[UUID] = []
    now = timezone.now()
    with transaction.atomic():
        keyset = keyring.share_keyset()
        for chunk in split(secrets):
            latest = defaultdict(
                int,
                {
                    (account_id, secret_type): version
                    for account_id, secret_type, version in SecretVersion.objects.filter(
                        account_id__in={account_id for account_id, _ in chunk}
                    )
                    .values_list("account_id", "secret_type")
                    .annotate(latest=Max("version"))
                },
            )
            rows = []
            for account_id, secret in chunk:
                latest[account_id, secret.secret_type] += 1
                version = latest[account_id, secret.secret_type]
                rows.append(
                    SecretVersion(
                        account_id=account_id,
                        secret_type=secret.secret_type,
                        version=version,
                        state=SecretState.PENDING,
                        ciphertext=cipher.encrypt_secret(
                            keyset, secret, account_id=account_id, version=version
                        ),
                        key_id=keyset.primary_key_id,
                        public_key=secret.public if isinstance(secret, SshKey) else "",
                        public_only=isinstance(secret, SshKey) and secret.private is None,
                        origin=origin,
                        run_id=run_id,
                        epoch=epoch,
                        created=now,
                    )
                )
            ids += [row.id for row in SecretVersion.objects.bulk_create(rows)]
    return ids


def promote(*, version_ids: Iterable[UUID], sparing: UUID | None = None) -> None:
    """Make secrets that are in force on a target current, and put their accounts in the list.

    What was current, and every other secret that was pending for the same account and type, is retired; but not
    what the run `sparing` has staged, and has yet to set.  A secret that was retired while it was on its way to
    the target comes back: the target has it.
    """
    now = timezone.now()
    with transaction.atomic():
        for chunk in split(version_ids):
            accounts = defaultdict(list)
            pending = SecretVersion.objects.filter(id__in=chunk).exclude(state=SecretState.CURRENT)
            promoted = []
            for version_id, account_id, secret_type in pending.values_list("id", "account_id", "secret_type"):
                accounts[secret_type].append(account_id)
                promoted.append(version_id)
            for secret_type, account_ids in accounts.items():
                others = SecretVersion.objects.filter(
                    account_id__in=account_ids,
                    secret_type=secret_type,
                    state__in=[SecretState.CURRENT, SecretState.PENDING],
                ).exclude(id__in=promoted)
                if sparing is not None:
                    others = others.exclude(state=SecretState.PENDING, run_id=sparing)
                others.update(state=SecretState.RETIRED, retired_at=now)
                Account.objects.filter(id__in=account_ids, listed_at=None).update(listed_at=now)
            SecretVersion.objects.filter(id__in=promoted).update(
                state=SecretState.CURRENT, promoted_at=now, retired_at=None
            )


def discard(*, run_id: UUID, epoch: int, account_ids: Iterable[UUID], secret_type: SecretType) -> None:
    """Delete what a run's holder staged for accounts; then the accounts not in the list that hold nothing.

    Only for secrets that are certainly not on a target.  What an earlier holder of the run staged may be on
    one, and stays.
    """
    with transaction.atomic():
        for chunk in split(account_ids):
            SecretVersion.objects.filter(
                run_id=run_id,
                epoch=epoch,
                account_id__in=chunk,
                secret_type=secret_type,
                state=SecretState.PENDING,
            ).delete()
            Account.objects.filter(id__in=chunk, listed_at=None, versions=None).delete()


def find_staged_before(
    *, run_id: UUID, epoch: int, account_ids: Iterable[UUID], secret_type: SecretType
) -> set[UUID]:
    """Return those of the accounts that hold a pending secret of the run's earlier holders."""
    if epoch <= 1:
        return set()
    return {
        account_id
        for chunk in split(account_ids)
        for account_id in SecretVersion.objects.filter(
            run_id=run_id,
            epoch__lt=epoch,
            account_id__in=chunk,
            secret_type=secret_type,
            state=SecretState.PENDING,
        ).values_list("account_id", flat=True)
    }


def set_current(*, secrets: Sequence[tuple[UUID, Secret]]) -> None:
    """Store secrets that the operator says are in force, and put their accounts in the list.

    Raises:
        VaultError: the master key is missing or wrong.
    """
    with transaction.atomic():
        promote(version_ids=stage(run_id=None, secrets=secrets, origin=Strategy.SPECIFIED))


def retire_current(*, account_id: UUID) -> None:
    """Retire every current secret of an account that leaves the list."""
    SecretVersion.objects.filter(account_id=account_id, state=SecretState.CURRENT).update(
        state=SecretState.RETIRED, retired_at=timezone.now()
    )


def retire_all(*, account_ids: Iterable[UUID]) -> None:
    """Retire every current and pending secret of accounts that are gone from their targets."""
    now = timezone.now()
    for chunk in split(account_ids):
        SecretVersion.objects.filter(
            account_id__in=chunk, state__in=[SecretState.CURRENT, SecretState.PENDING]
        ).update(state=SecretState.RETIRED, retired_at=now)


def list_own_keys(*, asset_id: int) -> dict[str, set[str]]:
    """Return the public keys (OpenSSH lines) that Provost holds or held of an asset, by username."""
    found = defaultdict(set)
    rows = SecretVersion.objects.filter(account__asset_id=asset_id, secret_type=SecretType.SSH_KEY)
    for username, key in rows.values_list("account__username", "public_key"):
        found[username].add(key)
    return dict(found)


def reveal(*, account_id: UUID, secret_type: SecretType, version: int | None = None) -> Secret:
    """Decrypt one secret of an account: the current one, or that of a `version`.

    Raises:
        NotFound: there is none.
        VaultError: as `read_current`.
    """
    rows = SecretVersion.objects.filter(account_id=account_id, secret_type=secret_type)
    row = (
        rows.filter(state=SecretState.CURRENT).first()
        if version is None
        else rows.filter(version=version).first()
    )
    if row is None:
        which = f"current {secret_type}" if version is None else f"{secret_type} version {version}"
        raise NotFound(
            f"{Account.objects.select_related('asset').get(id=account_id)} has no {which}. "
            "See what there is: provost account history",
            code="secret_not_found",
        )
    return decrypt(row)


def choose_type(*, account_id: UUID, name: str) -> SecretType:
    """Return the one type of secret that an account has, had or may have: a password where there is none.

    Raises:
        Refused: `secret_type_needed`, there are several; `name` is the account's, for the message.
    """
    rows = SecretVersion.objects.filter(account_id=account_id)
    types = sorted(set(rows.values_list("secret_type", flat=True)))
    if len(types) > 1:
        raise Refused(f"{name} has {' and '.join(types)}: say which one.", code="secret_type_needed")
    return SecretType(types[0]) if types else SecretType.PASSWORD


def history(*, account_id: UUID) -> list[Version]:
    """List every secret that an account has or had, the newest first."""
    rows = SecretVersion.objects.filter(account_id=account_id)
    return [_describe(row) for row in rows.defer("ciphertext").order_by("-created", "-version")]


def count_kept(*, asset_id: int) -> int:
    """Count the secrets that the accounts of an asset have or had."""
    return SecretVersion.objects.filter(account__asset_id=asset_id).count()


def list_held(*, account_ids: Iterable[UUID]) -> dict[UUID, list[Version]]:
    """List the current and pending secrets of accounts; an account without one is not in the answer."""
    found = defaultdict(list)
    for chunk in split(account_ids):
        rows = SecretVersion.objects.filter(
            account_id__in=chunk, state__in=[SecretState.CURRENT, SecretState.PENDING]
        )
        for row in rows.defer("ciphertext").order_by("secret_type", "version"):
            found[row.account_id].append(_describe(row))
    return dict(found)


def list_current_types(*, account_ids: Iterable[UUID]) -> dict[UUID, set[SecretType]]:
    """Tell of which types accounts have a current secret; an account without one is not in the answer."""
    found = defaultdict(set)
    for chunk in split(account_ids):
        rows = SecretVersion.objects.filter(account_id__in=chunk, state=SecretState.CURRENT)
        for account_id, secret_type in rows.values_list("account_id", "secret_type"):
            found[account_id].add(SecretType(secret_type))
    return dict(found)


def select_holders(
    *,
    state: SecretState,
    secret_type: SecretType | None = None,
    until: datetime | None = None,
    after: datetime | None = None,
    sync: Sync | Literal["never"] | None = None,
) -> QuerySet[SecretVersion]:
    """Return the secrets in a state, of a type, and current since `until` or before, but later than `after`.

    With `sync`, those whose last check told that.  It is a query to be part of another.
    """
    rows = SecretVersion.objects.filter(state=state)
    if secret_type is not None:
        rows = rows.filter(secret_type=secret_type)
    if until is not None:
        rows = rows.filter(promoted_at__lte=until)
    if after is not None:
        rows = rows.filter(promoted_at__gt=after)
    if sync is not None:
        rows = rows.filter(sync="" if sync == "never" else sync)
    return rows


def count_ages(*, reach: Reach, now: datetime, days: Sequence[int]) -> list[int]:
    """Count the current secrets within reach that are at least so many days old, for each of `days`."""
    rows = SecretVersion.objects.filter(state=SecretState.CURRENT)
    if not reach.everywhere:
        accounts = limit_many(Account.objects.all(), reach, asset="asset_id")
        rows = rows.filter(account_id__in=accounts.values("id"))
    counts = {  # of what the index has, which ids are not
        f"from_{least}": Count("state", filter=Q(promoted_at__lte=now - timedelta(days=least)))
        for least in days
    }
    found = rows.aggregate(**counts)
    return [found[name] for name in counts]


def select_pending_accounts() -> QuerySet[SecretVersion, UUID]:
    """Return the ids of all accounts with a pending secret, as a query to be part of another."""
    return SecretVersion.objects.filter(state=SecretState.PENDING).values_list("account_id", flat=True)


def select_usable() -> QuerySet[SecretVersion]:
    """Return the secrets that somebody can log in with now, of accounts in the list, to be part of a query."""
    return SecretVersion.objects.filter(
        state=SecretState.CURRENT, public_only=False, account__listed_at__isnull=False
    )


def decrypt(row: SecretVersion) -> Secret:
    """Decrypt a row.

    Raises:
        VaultError: the master key is missing or wrong, or `secret_does_not_decrypt`, naming the account.
    """

    def read(keyset: Keyset) -> Secret:
        return cipher.decrypt_secret(
            keyset,
            bytes(row.ciphertext),
            account_id=row.account_id,
            secret_type=SecretType(row.secret_type),
            version=row.version,
        )

    try:
        return keyring.try_keysets(read)
    except VaultError as error:
        if error.code != "secret_does_not_decrypt":
            raise
        account = Account.objects.select_related("asset").get(id=row.account_id)
        raise VaultError(
            f"The {row.secret_type} of {account}, version {row.version}, does not decrypt. {error.message} "
            "Restore the database from a backup, or set the secret anew: provost account add",
            code=error.code,
        ) from None


def _describe(row: SecretVersion) -> Version:
    return Version(
        id=row.id,
        account_id=row.account_id,
        secret_type=SecretType(row.secret_type),
        version=row.version,
        state=SecretState(row.state),
        origin=Strategy(row.origin),
        public_key=row.public_key,
        public_only=row.public_only,
        run_id=row.run_id,
        created=row.created,
        promoted_at=row.promoted_at,
        retired_at=row.retired_at,
        sync=Sync(row.sync) if row.sync else None,
        checked_at=row.checked_at,
        reason=row.reason,
        message=row.message,
    )

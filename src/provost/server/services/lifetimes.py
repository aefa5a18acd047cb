"""Accounts that live for a time: when the clock has to see to them next."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from provost.core.errors import NotFound, Refused
from provost.core.notices import Event, Expiry, ExpiryAccount
from provost.core.push import LONGEST_LIFE
from provost.core.rights import Principal, Right
from provost.server.models import Account
from provost.server.services import notices
from provost.server.services.checks import check_mortal
from provost.server.services.locks import check_not_ended
from provost.server.services.pairs import check_unpaired
from provost.server.services.reach import check_assets

_FIELDS: Final = ("expires_at", "warn_due", "expiry_due", "disabled_at")
_AHEAD: Final = timedelta(days=1)
_PART: Final = 10


@dataclass(frozen=True, slots=True)
class Life:
    """How long an account lives: until an instant, or (None) for good."""

    expires_at: datetime | None


def begin(*, account_ids: Collection[UUID], lifetime: int, grace: int) -> None:
    """Let accounts live for `lifetime` seconds from now, and be removed `grace` seconds after that.

    Those that Provost needs stay: privileged ones, and pairs.
    """
    now = timezone.now()
    ends = now + timedelta(seconds=lifetime)
    mortal = Account.objects.filter(privileged=False, active_in=None, idle_in=None)
    mortal.filter(id__in=account_ids).update(
        expires_at=ends, grace=grace, expiry_due=ends, warn_due=_find_warning(ends, now)
    )


def set_life(*, by: Principal, account: Account, life: Life) -> dict[str, list[Any]]:
    """Let an account live until an instant, or for good; unsaved. Returns by field what was and what is.

    Raises:
        Refused: an account that has to stay, an instant that cannot be meant, or one that is disabled already.
        NotFound: the account is not in the list.
        Conflict: it is being disabled or removed just now.
        Forbidden: Provost did not create it, and the caller may not administer its asset.
    """
    now = timezone.now()
    if account.expires_at == life.expires_at:
        return {}
    if account.disabled_at is not None and account.expires_at is not None:
        raise Refused(
            f"{account} is disabled, and stays so with another lifetime. To let it in again, for good: provost "
            f"enable --account {account.username} --asset {account.asset}. To keep it longer as it is, give it "
            "a longer --grace.",
            code="account_disabled",
        )
    check_not_ended(asset_id=account.asset_id, usernames=[account.username])
    if life.expires_at is not None:
        _check_mortal(by, account)
        if not now < life.expires_at <= now + timedelta(seconds=LONGEST_LIFE):
            raise Refused(
                "A lifetime ends in the future, within ten years, not at "
                f"{life.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC. To end it now: "
                "provost disable, or provost remove",
                code="lifetime_refused",
            )
    before = account.expires_at
    account.expires_at = life.expires_at
    account.warn_due = life.expires_at and _find_warning(life.expires_at, now)
    set_due(account)
    return {"expires_at": [before, life.expires_at]}


def set_due(account: Account) -> None:
    """Work out when the clock has to see to an account next, unsaved."""
    if account.expires_at is None:
        account.expiry_due = None
    elif account.disabled_at is None:
        account.expiry_due = account.expires_at
    else:
        account.expiry_due = find_end(account)


def find_end(account: Account) -> datetime | None:
    """Return when an account is to be removed; None: it lives for good, or is first disabled for its grace."""
    if account.expires_at is None or not account.grace:
        return account.expires_at
    if account.disabled_at is None:
        return None
    return max(account.expires_at, account.disabled_at) + timedelta(seconds=account.grace)


def spare(account: Account) -> dict[str, list[Any]]:
    """Let an account that Provost needs from now on live for good; unsaved. Returns what changed."""
    if account.expires_at is None:
        return {}
    before = account.expires_at
    account.expires_at = account.warn_due = None
    set_due(account)
    return {"expires_at": [before, None]}


def _check_mortal(by: Principal, account: Account) -> None:
    if account.listed_at is None:
        raise NotFound(f"{account} is not in the list.", code="account_not_found")
    if account.privileged or account.username == account.asset.options.get("via_account"):
        raise Refused(
            f"{account} is the account that Provost works there with: it has no lifetime. First make it "
            "unprivileged: provost account set",
            code="account_privileged",
        )
    check_unpaired([account.id], what="give it a lifetime")
    check_mortal(account.asset.kind, [account.username], grace=account.grace)
    _check_creator(by, account, what="give a lifetime to")


def check_grace(*, by: Principal, account: Account, grace: int | None) -> None:
    """Raise `Forbidden`, as `set_life` does, for a grace that brings on the removal of an account."""
    if account.expires_at is not None and grace is not None and grace < account.grace:
        _check_creator(by, account, what="shorten the grace of")


def _check_creator(by: Principal, account: Account, *, what: str) -> None:
    if not account.created_by_provost:
        what = f"{what} accounts that Provost did not create"
        check_assets(by, Right.ADMINISTER, [account.asset], what=what)


def tell(*, event: Event, accounts: Sequence[Account], done: str = "") -> None:
    """Tell of accounts whose lives end soon, or are over; `done` is what was done to them."""
    if accounts:
        told = tuple(
            ExpiryAccount(asset=one.asset.name, username=one.username, expires=one.expires_at, done=done)
            for one in accounts
            if one.expires_at is not None
        )
        assets = {one.asset_id for one in accounts}
        notices.tell(event=event, payload=Expiry(accounts=told), asset_ids=assets)


def _tell_over(accounts: Iterable[Account], done: str) -> None:
    now = timezone.now()
    over = [one for one in accounts if one.expires_at is not None and one.expires_at <= now]
    tell(event=Event.ACCOUNT_EXPIRED, accounts=over, done=done)


def note_disabled(*, account_ids: Collection[UUID]) -> None:
    """Write down that accounts are disabled; one that has a lifetime is due again when its grace ends."""
    now = timezone.now()
    accounts = list(Account.objects.filter(id__in=account_ids, disabled_at=None).select_related("asset"))
    for account in accounts:
        account.disabled_at = now
        set_due(account)
    _save(accounts)
    _tell_over(accounts, "disabled")


def note_enabled(*, account_ids: Collection[UUID], for_good: bool) -> None:
    """Write down that accounts let in again. With `for_good`, a lifetime that is over counts no longer."""
    now = timezone.now()
    accounts = list(Account.objects.filter(id__in=account_ids).exclude(disabled_at=None))
    for account in accounts:
        account.disabled_at = None
        if for_good and account.expires_at is not None and account.expires_at <= now:
            account.expires_at = account.warn_due = None
        set_due(account)
    _save(accounts)


def _save(accounts: Sequence[Account]) -> None:
    Account.objects.bulk_update(accounts, _FIELDS)


def end(*, account_ids: Collection[UUID]) -> None:
    """Write down that accounts are gone: nothing is due any more."""
    _tell_over(Account.objects.filter(id__in=account_ids).select_related("asset"), "removed")
    Account.objects.filter(id__in=account_ids).update(**dict.fromkeys(_FIELDS))


def _find_warning(ends: datetime, now: datetime) -> datetime:
    """Return when to tell that a lifetime ends: a day ahead, or a tenth of it where that is less."""
    return ends - min(_AHEAD, (ends - now) / _PART)

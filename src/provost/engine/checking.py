"""A verification looks whether the secrets in the list are those in force; a reconciliation makes them so."""

import asyncio
from collections.abc import Mapping
from typing import Final

from provost.core.connector import Change, Verification
from provost.core.errors import LoginRefused
from provost.core.job import Login, Staged, Wanted
from provost.core.model import Decision, Presence, SecretType, Status, Verdict
from provost.core.secrets import Secret, SshKey
from provost.engine.job import GUARD, Work
from provost.engine.ways import BECOME

_RESERVE: Final = 1
"""Refused logins that looking leaves an account: one that is put right is logged in to once more."""


async def verify(work: Work) -> None:
    """Log in to every account of the job with the secret in the list, and settle it by what that told."""
    await _look(work, await _observe(work), repair=False)


async def reconcile(work: Work) -> None:
    """As `verify`; where the target refuses the secret in the list, set it there again, and prove it."""
    refused = await _look(work, await _observe(work), repair=True)
    for secret_type in SecretType:  # an answer names its account alone
        await _repair(
            work, [one for one in refused if (one.secret_type, one.login) == (secret_type, None)], refused
        )
    for wanted in refused:
        if wanted.login is not None:
            await _repair(work, [wanted], refused)


async def _repair(work: Work, accounts: list[Wanted], changes: Mapping[Wanted, Change]) -> None:
    if not accounts:
        return
    await work.tell(accounts, lambda session: session.apply([changes[wanted] for wanted in accounts]))
    async with asyncio.TaskGroup() as group:
        for wanted in work.ledger.list_acknowledged():
            group.create_task(_prove(work, wanted, changes[wanted].secret))


async def _observe(work: Work) -> Mapping[str, Presence]:
    """Observe; if no privileged account is let in, settle those that were refused themselves.

    Raises:
        TargetError: nothing could be looked up.
    """
    try:
        return await work.observe()
    except LoginRefused:
        for wanted in work.job.wanted:
            if wanted.login is not None and _is_meant(
                wanted, wanted.login, work.ways.find_refusal(wanted.login)
            ):
                _settle(work, wanted, Verification(Verdict.REJECTED))
        raise


def _is_meant(wanted: Wanted, login: Login, refusal: str) -> bool:
    """Tell whether it is this account's secret that was refused as the login was."""
    if refusal == BECOME:
        # A password that has let its account in is right, whatever sudo says.
        let_in = login.username == wanted.username and login.key is None
        return wanted.secret_type is SecretType.PASSWORD and wanted.username == login.asked and not let_in
    return refusal == LoginRefused.code and wanted.username == login.username


async def _look(work: Work, presence: Mapping[str, Presence], *, repair: bool) -> dict[Wanted, Change]:
    """Settle what the target tells of each account, but for those to repair: return what is to be set there."""
    refused: dict[Wanted, Change] = {}

    async def look(wanted: Wanted, secret: Secret) -> None:
        if work.is_cancelled():
            return
        if proven := work.find_proven(wanted):
            _settle_found(work, wanted, proven)
            return
        if repair and wanted.out_of_sync:
            verification = Verification(Verdict.REJECTED)
        else:
            verification = await _check(work, wanted, secret)
        if work.ledger.is_settled(wanted):
            return
        if repair and verification.verdict is Verdict.REJECTED:
            key = secret if isinstance(secret, SshKey) else None
            refused[wanted] = Change(
                wanted.username,
                Decision.ADOPT,
                secret,
                work.job.parameters,
                overlap=key is not None,
                replaces=key,  # what is left of its line keeps its options
            )
        else:
            _settle(work, wanted, verification)

    async with asyncio.TaskGroup() as group:
        for wanted in work.job.wanted:
            if _is_to_look_at(work, wanted, presence) and wanted.current is not None:
                group.create_task(look(wanted, wanted.current))
    work.stop_if_cancelled()
    return refused


def _is_to_look_at(work: Work, wanted: Wanted, presence: Mapping[str, Presence]) -> bool:
    """Tell whether a login can tell something of an account, and settle it if not."""
    if work.ledger.is_settled(wanted):
        return False
    if presence[wanted.username] is not Presence.PRESENT:
        work.ledger.settle(
            wanted,
            Status.FAILED,
            "account_absent",
            f"{wanted.username} is not on {work.asset} any more. A push creates it again.",
            verdict=Verdict.REJECTED,
        )
    elif wanted.current is None:
        work.ledger.settle(
            wanted,
            Status.SKIPPED,
            "no_secret",
            f"Provost holds no {wanted.secret_type} of {wanted.username} on {work.asset}.",
        )
    elif work.job.dry_run:
        work.ledger.settle(wanted, Status.UNCHANGED, "dry_run")
    else:
        return True
    return False


async def _check(work: Work, wanted: Wanted, secret: Secret) -> Verification:
    """Log in with the current secret, and if that is refused with those that an earlier run left pending."""
    first = await work.log_in(wanted, secret, spare=_RESERVE)
    if first.verdict is not Verdict.REJECTED:
        return first
    for staged in wanted.pending:
        verification = await work.log_in(wanted, staged.secret)
        if verification.verdict is Verdict.ACCEPTED:
            _settle_found(work, wanted, staged)
            break
    return first


def _settle_found(work: Work, wanted: Wanted, staged: Staged) -> None:
    work.ledger.note(wanted, None, staged.id)
    work.ledger.settle(
        wanted,
        Status.SUCCEEDED,
        "settled",
        f"A newer secret had been set on {work.asset} before Provost was cut off; a login proved it, "
        "and it is the current one now.",
        verdict=Verdict.ACCEPTED,
    )


def _settle(work: Work, wanted: Wanted, verification: Verification) -> None:
    match verification.verdict:
        case Verdict.ACCEPTED:
            work.ledger.settle(wanted, Status.SUCCEEDED, "", "", verdict=Verdict.ACCEPTED)
        case Verdict.REJECTED:
            work.ledger.settle(
                wanted,
                Status.FAILED,
                "out_of_sync",
                f"{work.asset} refuses the {wanted.secret_type} that the list holds of {wanted.username}: it "
                "was changed there. To set it again: provost reconcile "
                f"--account {wanted.username} --asset {work.asset}",
                verdict=Verdict.REJECTED,
            )
        case Verdict.UNKNOWN if verification.reason == GUARD:
            work.ledger.settle(wanted, Status.SKIPPED, GUARD, verification.message)
        case Verdict.UNKNOWN:
            work.ledger.settle(
                wanted,
                Status.UNVERIFIED,
                verification.reason,
                verification.message,
                verdict=Verdict.UNKNOWN,
            )


async def _prove(work: Work, wanted: Wanted, secret: Secret) -> None:
    verification = await work.prove(wanted, secret)
    match verification.verdict:
        case Verdict.ACCEPTED:
            work.ledger.settle(
                wanted,
                Status.SUCCEEDED,
                "reconciled",
                f"It was out of sync: the {wanted.secret_type} in the list was set on {work.asset} again.",
                verdict=Verdict.ACCEPTED,
            )
        case Verdict.REJECTED:
            work.ledger.settle(
                wanted,
                Status.UNCERTAIN,
                "login_rejected",
                f"{work.asset} acknowledged the change, then refused the login. {verification.message}",
                verdict=Verdict.REJECTED,
            )
        case Verdict.UNKNOWN:
            work.ledger.settle(
                wanted,
                Status.UNVERIFIED,
                verification.reason,
                verification.message,
                verdict=Verdict.UNKNOWN,
            )

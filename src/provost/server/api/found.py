from collections.abc import Iterable

from provost.core.documents import (
    FoundDetailDocument,
    FoundDocument,
    NamedDocument,
    PageDocument,
    RunDetailDocument,
    StandingCountsDocument,
)
from provost.core.facts import FactChange, Facts
from provost.core.names import split_account
from provost.core.onboarding import Standing
from provost.core.requests import AcceptBody, AdoptBody, FoundBody, FoundQuery, IgnoreBody
from provost.core.rights import Principal
from provost.server.api.describe_runs import describe_run_detail
from provost.server.api.paging import each, make_page, read_page
from provost.server.models import FoundAccount
from provost.server.services import found
from provost.server.services.discoveries import list_own
from provost.server.services.found import FoundFilter, StandingAccount
from provost.server.services.reach import list_rights


def list_found(by: Principal, query: FoundQuery) -> PageDocument[FoundDocument]:
    """List the accounts that discoveries have found, by asset and username."""
    accounts = found.list_found(by=by, filters=_read_filter(query), page=read_page(query))
    return make_page(accounts, each(describe_found))


def count_found(by: Principal, query: FoundQuery) -> StandingCountsDocument:
    """Count the accounts that discoveries have found by where they stand, whatever standing is asked for."""
    counts = found.count_found(by=by, filters=_read_filter(query))
    return StandingCountsDocument(**{standing.value: counts[standing] for standing in Standing})


def _read_filter(query: FoundQuery) -> FoundFilter:
    return FoundFilter(**query.model_dump(exclude={"limit", "cursor"}))


def show_found(by: Principal, account: str) -> FoundDetailDocument:
    """Show all that was found of an account, and what was accepted before."""
    username, asset = split_account(account)
    one = found.find_found(by=by, username=username, asset=asset)
    return FoundDetailDocument(
        **describe_found(one).model_dump(),
        facts=Facts.model_validate(one.row.facts),
        accepted=Facts.model_validate(one.row.accepted),
        own_keys=sorted(list_own(one.row.asset_id).get(username, ())),
        rights=list_rights(by, one.row.asset),
    )


def describe_found(one: StandingAccount) -> FoundDocument:
    """Tell of an account that was found."""
    row, facts = one.row, Facts.model_validate(one.row.facts)
    return FoundDocument(
        username=row.username,
        asset=row.asset.name,
        standing=one.standing,
        listed=one.listed,
        uid=facts.uid,
        system=facts.system,
        can_log_in=facts.can_log_in,
        locked=facts.locked,
        superuser=facts.superuser,
        powerful=row.powerful,
        privileges=None if facts.privileges is None else list(facts.privileges),
        keys=None if facts.keys is None else len(facts.keys),
        last_login=facts.last_login,
        changes=[FactChange.model_validate(change) for change in row.changes],
        changed_at=row.changed_at,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        vanished_at=row.vanished_at,
        rule=row.rule or None,
    )


def accept(by: Principal, body: AcceptBody) -> NamedDocument:
    """Take what was found of accounts for what is right: later changes are told against it."""
    return _name(found.accept(by=by, accounts=body.accounts, seen=body.seen))


def ignore(by: Principal, body: IgnoreBody) -> NamedDocument:
    """Let nobody be told of accounts any more, until one gets other rights; or again."""
    return _name(found.ignore(by=by, accounts=body.accounts, ignored=body.ignored))


def forget(by: Principal, body: FoundBody) -> NamedDocument:
    """Forget accounts that are gone from their assets. What is in the list stays there."""
    return _name(found.forget(by=by, accounts=body.accounts))


def enlist(by: Principal, body: FoundBody) -> NamedDocument:
    """Put accounts into the list as they are, without a secret. Nothing is contacted."""
    return _name(found.enlist(by=by, accounts=body.accounts))


def adopt(by: Principal, body: AdoptBody) -> RunDetailDocument:
    """Begin a push that gives accounts new secrets, and puts them into the list. A server works it off."""
    return describe_run_detail(by, found.adopt(by=by, accounts=body.accounts, spec=body.spec))


def _name(rows: Iterable[FoundAccount]) -> NamedDocument:
    return NamedDocument(accounts=[str(row) for row in rows])

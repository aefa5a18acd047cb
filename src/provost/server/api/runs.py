from collections.abc import Sequence

from provost.core.documents import (
    PageDocument,
    ReasonDocument,
    RecordCountDocument,
    RecordDocument,
    RunDetailDocument,
    RunDocument,
)
from provost.core.errors import Refused
from provost.core.model import Decision, Status
from provost.core.names import split_account
from provost.core.requests import PushBody, RecordQuery, RunQuery
from provost.core.rights import Principal
from provost.core.secrets import Secret
from provost.core.specs import DiscoverSpec, Spec
from provost.server.api.describe_runs import describe_record, describe_run_detail, describe_runs
from provost.server.api.paging import each, make_page, read_page
from provost.server.api.reading import match_strategy, read_secret
from provost.server.models import Run
from provost.server.services import accounts, idempotency, reasons, runs, tasks
from provost.server.services.selection import Places


def list_runs(by: Principal, query: RunQuery) -> PageDocument[RunDocument]:
    """List runs, the newest first."""
    if query.task is not None:
        tasks.find_task(by=by, name=query.task)
    filters = runs.RunFilter(query.state, query.action, query.task, query.dry_run, query.asset, query.cause)
    found = runs.list_runs(by=by, filters=filters, page=read_page(query))
    return make_page(found, lambda rows: describe_runs(by, rows))


def push(by: Principal, body: PushBody, key: str | None = None) -> RunDetailDocument:
    """Begin a push or another action, or with `dry_run` a look at what it would do. A server works it off.

    With an idempotency key, the same request again is answered with the same run.
    """
    run = idempotency.once(
        by=by,
        key=key,
        asked=body.model_dump_json(exclude={"secret"}),
        secret=read_secret(body.secret),
        begin=lambda secret: _begin(by, body, secret),
    )
    return describe_run_detail(by, run)


def _begin(by: Principal, body: PushBody, secret: Secret | None) -> Run:
    spec, places = match_strategy(body.spec, secret), None
    if body.accounts:
        spec, places = _aim(by, spec, body.accounts)
    return runs.create_run(
        by=by, spec=spec, specified=secret, attended=False, dry_run=body.dry_run, places=places
    )


def _aim(by: Principal, spec: Spec, names: Sequence[str]) -> tuple[Spec, Places]:
    """Return what is to be done about accounts by name, with their usernames and assets, and where they are."""
    if isinstance(spec, DiscoverSpec):
        raise Refused("A discovery is about assets, and not about accounts.", code="option_refused")
    places = accounts.find_places(by=by, names=names)
    pairs = [split_account(name) for name in names]
    where = {
        "usernames": tuple(dict.fromkeys(username for username, _ in pairs)),
        "assets": tuple(dict.fromkeys(asset for _, asset in pairs)),
        "nodes": (),
    }
    return spec.model_copy(update=where), places


def show_run(by: Principal, run: str) -> RunDetailDocument:
    """Show a run: how far it is, and what was asked for."""
    return describe_run_detail(by, runs.find_run(by=by, run_id=run))


def list_records(by: Principal, run: str, query: RecordQuery) -> PageDocument[RecordDocument]:
    """List a run's records by asset and username."""
    filters = runs.RecordFilter(query.status, query.decision, query.reason, query.search)
    found = runs.list_records(
        by=by, run=runs.find_run(by=by, run_id=run), filters=filters, page=read_page(query)
    )
    return make_page(found, each(describe_record))


def count_records(by: Principal, run: str) -> list[RecordCountDocument]:
    """Count a run's records by decision, status and reason, the most first."""
    return [
        RecordCountDocument(
            decision=Decision(decision) if decision else None,
            status=Status(status) if status else None,
            reason=reason,
            count=count,
        )
        for decision, status, reason, count in runs.count_alike(by=by, run=runs.find_run(by=by, run_id=run))
    ]


def list_reasons(by: Principal, run: str) -> list[ReasonDocument]:
    """List how the records of a run ended: by status and reason, the most frequent first."""
    found = reasons.list_reasons(by=by, run=runs.find_run(by=by, run_id=run))
    return [
        ReasonDocument(
            status=Status(one.status),
            reason=one.reason,
            count=one.count,
            message=one.message,
            assets=list(one.assets),
        )
        for one in found
    ]


def retry_run(by: Principal, run: str) -> RunDetailDocument:
    """Do again, in a new run, whatever did not end well."""
    retry = runs.create_retry(by=by, run=runs.find_run(by=by, run_id=run), attended=False)
    return describe_run_detail(by, retry)


def cancel_run(by: Principal, run: str) -> RunDetailDocument:
    """Ask for a run to stop: what has begun is finished, the rest is cancelled."""
    runs.request_cancel(by=by, run=runs.find_run(by=by, run_id=run))
    return show_run(by, run)

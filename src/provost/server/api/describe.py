"""From what services return to documents, many at a time."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.utils import timezone

from provost.core import documents as told
from provost.core import schedule as schedules
from provost.core.model import Become, Decision, SecretType, Status
from provost.core.push import PushSpec
from provost.core.rights import Face, Principal, Right, Role
from provost.core.schedule import Schedule
from provost.server.models import Account, Asset, AuditEntry, Grant, Record, Run, Task, Token, User
from provost.server.services import assets, nodes, runs, secrets, tasks
from provost.server.services.pages import Page
from provost.server.services.secrets import Version
from provost.vault.keys import fingerprint

_LAST_RUNS = 5


def describe_assets(by: Principal, found: Sequence[Asset]) -> list[told.AssetDocument]:
    """Tell of assets, but for nodes and gateways that the caller does not see."""
    gateways = assets.find_seen_gateways(by=by, assets=found)
    return [
        told.AssetDocument(
            name=asset.name,
            kind=asset.kind,
            address=asset.address,
            port=asset.port,
            nodes=sorted(node.full_path for node in assets.list_seen_nodes(by, asset)),
            via=asset.via.name if asset.via and asset.via.id in gateways else None,
            options=asset.options,
            comment=asset.comment,
            created=asset.created,
            version=asset.version,
        )
        for asset in found
    ]


def describe_asset_detail(by: Principal, asset: Asset) -> told.AssetDetailDocument:
    """Tell of an asset all that the caller sees."""
    listed = asset.accounts.exclude(listed_at=None)
    return told.AssetDetailDocument(
        **describe_assets(by, [asset])[0].model_dump(),
        privileged=[
            told.PrivilegedDocument(username=one.username, priority=one.priority, become=Become(one.become))
            for one in listed.filter(privileged=True).order_by("priority", "username")
        ],
        accounts=listed.count(),
        unlisted=asset.accounts.filter(listed_at=None).count(),
        host_keys=[
            told.HostKeyDocument(
                fingerprint=one.fingerprint, state=one.state, first_seen=one.first_seen, key=one.key
            )
            for one in asset.host_keys.order_by("-first_seen")
        ],
    )


def describe_accounts(accounts: Sequence[Account]) -> list[told.AccountDocument]:
    """Tell of accounts, with what is known of the secrets that they hold."""
    held = secrets.list_held(account_ids=[account.id for account in accounts])
    return [
        told.AccountDocument(
            username=account.username,
            asset=account.asset.name,
            privileged=account.privileged,
            priority=account.priority,
            become=Become(account.become),
            created_by_provost=account.created_by_provost,
            listed_at=account.listed_at,
            created=account.created,
            version=account.version,
            secrets=describe_secrets(held.get(account.id, ())),
        )
        for account in accounts
    ]


def describe_secrets(versions: Iterable[Version]) -> list[told.SecretDocument]:
    """Tell of stored secrets, without the secrets."""
    return [
        told.SecretDocument(
            secret_type=version.secret_type,
            version=version.version,
            state=version.state,
            origin=version.origin,
            public_key=version.public_key or None,
            fingerprint=fingerprint(version.public_key) if version.public_key else None,
            public_only=version.public_only,
            run=version.run_id,
            created=version.created,
            promoted_at=version.promoted_at,
            retired_at=version.retired_at,
        )
        for version in versions
    ]


def describe_runs(by: Principal, found: Sequence[Run]) -> list[told.RunDocument]:
    """Tell of runs: of their records and tasks, those that the caller sees."""
    counts = runs.count_records(by=by, runs=found)
    seen = tasks.find_seen(by=by, ids=[run.task_id for run in found if run.task_id is not None])
    return [
        told.RunDocument(
            id=run.id,
            state=run.state,
            action=run.action,
            dry_run=run.dry_run,
            task=run.task.name if run.task and run.task.id in seen else None,
            requested_by=_tell_requester(by, run, seen),
            reason=run.reason,
            message=run.message,
            created=run.created,
            started=run.started,
            finished=run.finished,
            counts=dict(counts[run.id]),
        )
        for run in found
    ]


def _tell_requester(by: Principal, run: Run, seen: Collection[UUID]) -> str:
    """Return who asked for a run; of a task that the caller does not see, that it was one."""
    if run.task_id in seen or by.reach(Right.VIEW).everywhere:
        return run.requested_by
    return tasks.CLOCK.strip() if run.requested_by.startswith(tasks.CLOCK) else run.requested_by


def describe_run_detail(by: Principal, run: Run) -> told.RunDetailDocument:
    """Tell of a run and what was asked for, but for assets and nodes that the caller does not see."""
    spec = PushSpec.model_validate(run.spec)
    if not by.reach(Right.VIEW).everywhere:
        seen_assets = set(assets.limited(by).filter(name__in=spec.assets).values_list("name", flat=True))
        seen_nodes = set(nodes.limited(by).filter(full_path__in=spec.nodes).values_list("full_path", flat=True))
        spec = spec.model_copy(
            update={
                "assets": tuple(name for name in spec.assets if name in seen_assets),
                "nodes": tuple(path for path in spec.nodes if path in seen_nodes),
            }
        )
    return told.RunDetailDocument(**describe_runs(by, [run])[0].model_dump(), spec=spec)


def describe_record(record: Record) -> told.RecordDocument:
    """Tell of one record."""
    return told.RecordDocument(
        asset=record.asset_name,
        username=record.username,
        secret_type=SecretType(record.secret_type),
        decision=Decision(record.decision) if record.decision else None,
        status=Status(record.status) if record.status else None,
        reason=record.reason,
        message=record.message,
        seconds=record.seconds,
        actor=record.actor,
    )


def describe_task(task: Task) -> told.TaskDocument:
    """Tell of a task."""
    schedule = Schedule.model_validate(task.schedule) if task.schedule else None
    return told.TaskDocument(
        name=task.name,
        spec=PushSpec.model_validate(task.spec),
        schedule=told.ScheduleDocument(**schedule.model_dump(), words=schedules.describe(schedule))
        if schedule
        else None,
        active=task.active,
        next_due=task.next_due,
        last_run=task.last_run_id,
        comment=task.comment,
        created=task.created,
        updated=task.updated,
        version=task.version,
    )


def describe_task_detail(by: Principal, task: Task) -> told.TaskDetailDocument:
    """Tell of a task, its next times and its last runs."""
    last, _ = runs.list_runs(by=by, filters=runs.RunFilter(task=task.name), page=Page(_LAST_RUNS))
    schedule = Schedule.model_validate(task.schedule) if task.schedule and task.active else None
    return told.TaskDetailDocument(
        **describe_task(task).model_dump(),
        next_times=schedules.next_times(schedule, timezone.now()) if schedule else [],
        runs=describe_runs(by, last),
    )


def describe_grant(grant: Grant) -> told.GrantDocument:
    """Tell of a grant."""
    return told.GrantDocument(
        role=Role(grant.role), node=grant.node.full_path if grant.node else None, reveal=grant.reveal
    )


def describe_user(user: User) -> told.UserDocument:
    """Tell of a user."""
    return told.UserDocument(
        username=user.username,
        email=user.email,
        active=user.is_active,
        grants=[describe_grant(grant) for grant in user.grants.all()],
        has_password=user.has_usable_password(),
        last_login=user.last_login,
        created=user.created,
        version=user.version,
    )


def describe_token(token: Token) -> told.TokenDocument:
    """Tell of a token."""
    return told.TokenDocument(
        name=token.name,
        user=token.user.username,
        rights=[Right(right) for right in token.rights],
        expires=token.expires,
        created=token.created,
        last_used=token.last_used,
        revoked=token.revoked,
    )


def describe_entry(entry: AuditEntry) -> told.AuditDocument:
    """Tell of an entry of the audit trail."""
    return told.AuditDocument(
        number=entry.number,
        at=entry.at,
        who=entry.who,
        token=entry.token,
        face=Face(entry.face),
        source=entry.source,
        request_id=entry.request_id,
        action=entry.action,
        subject=entry.subject,
        details=entry.details,
        digest=entry.digest,
    )

"""From what services return to documents, many at a time."""

from collections.abc import Iterable, Sequence

from allauth.usersessions.models import UserSession

from provost.core import documents as told
from provost.core.inert import make_inert
from provost.core.keys import fingerprint
from provost.core.model import Become
from provost.core.rights import Face, Principal, Right, Role
from provost.server.models import Account, Asset, AuditEntry, Grant, Token, User
from provost.server.services import assets, secrets
from provost.server.services.accounts import list_privileged
from provost.server.services.secrets import Version


def describe_assets(by: Principal, found: Sequence[Asset]) -> list[told.AssetDocument]:
    """Tell of assets, but for nodes and gateways that the caller does not see."""
    gateways = assets.find_seen_gateways(by=by, assets=found)
    privileged = list_privileged(asset_ids=[asset.id for asset in found])
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
            privileged=[
                told.PrivilegedDocument(
                    username=one.username, priority=one.priority, become=Become(one.become), usable=usable
                )
                for one, usable in privileged.get(asset.id, ())
            ],
            created=asset.created,
            version=asset.version,
        )
        for asset in found
    ]


def describe_asset_detail(by: Principal, asset: Asset) -> told.AssetDetailDocument:
    """Tell of an asset all that the caller sees."""
    return told.AssetDetailDocument(
        **describe_assets(by, [asset])[0].model_dump(),
        accounts=asset.accounts.exclude(listed_at=None).count(),
        unlisted=asset.accounts.filter(listed_at=None).count(),
        secrets=secrets.count_kept(asset_id=asset.id),
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
            reconcile=account.reconcile,
            expires_at=account.expires_at,
            grace=account.grace,
            disabled_at=account.disabled_at,
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
            sync=version.sync,
            checked_at=version.checked_at,
            reason=version.reason,
            message=version.message,
        )
        for version in versions
    ]


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
        has_second_factor=user.has_second_factor,
        last_login=user.last_login,
        created=user.created,
        version=user.version,
    )


def describe_session(session: UserSession) -> told.SessionDocument:
    """Tell of a session."""
    return told.SessionDocument(
        id=session.id,
        source=session.ip,
        browser=make_inert(session.user_agent),
        started=session.created_at,
        last_seen=session.last_seen_at,
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

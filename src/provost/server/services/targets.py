"""Assets as connectors need them: how they are reached, and with which logins."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from provost.core.job import SUPERUSER, HostTrust, Login, Target
from provost.core.model import Become, SecretType
from provost.core.secrets import Password, Secret, SshKey
from provost.server.models import Account, Asset, HostKey
from provost.server.models.inventory import HostKeyState
from provost.server.services import secrets
from provost.server.services.chunks import split
from provost.server.services.guard import count_tries


def build_targets(*, asset_ids: Iterable[int]) -> dict[int, Target]:
    """Return each asset as a connector needs it: its privileged accounts' logins, pinned keys and route.

    The number of queries grows with the nesting of routes, and not with the assets of a chunk of 500.

    Raises:
        VaultError: the master key is missing or wrong, or a login's secret does not decrypt.
    """
    targets: dict[int, Target] = {}
    for chunk in split(asset_ids):
        targets |= _build_chunk(chunk)
    return targets


def list_gateways(*, asset_ids: Iterable[int]) -> dict[int, frozenset[int]]:
    """Return by asset what it is reached through; one that is reached directly is not in the answer."""
    found: dict[int, frozenset[int]] = {}
    for chunk in split(asset_ids):
        assets = _read_routes(chunk)
        for asset_id in chunk:
            route: list[int] = []
            asset = assets.get(asset_id)
            while asset is not None and asset.via_id is not None:
                route.append(asset.via_id)
                asset = assets.get(asset.via_id)
            if route:
                found[asset_id] = frozenset(route)
    return found


def _build_chunk(asset_ids: list[int]) -> dict[int, Target]:
    assets = _read_routes(asset_ids)
    pinned: dict[int, list[str]] = {asset_id: [] for asset_id in assets}
    for asset_id, key in HostKey.objects.filter(asset_id__in=assets, state=HostKeyState.TRUSTED).values_list(
        "asset_id", "key"
    ):
        pinned[asset_id].append(key)
    gateways = {asset.via_id for asset in assets.values() if asset.via_id is not None}
    passing = {assets[gateway].options.get("via_account") for gateway in gateways} - {None}
    accounts: dict[int, list[Account]] = {asset_id: [] for asset_id in assets}
    for account in (
        Account.objects.filter(asset_id__in=assets)
        .exclude(listed_at=None)
        .filter(Q(privileged=True) | Q(username="root") | Q(asset_id__in=gateways, username__in=passing))
        .order_by("priority", "username")
    ):
        accounts[account.asset_id].append(account)
    ids = [one.id for found in accounts.values() for one in found]
    held = secrets.read_current(account_ids=ids)
    left = secrets.read_pending(account_ids=ids)
    tries = count_tries(account_ids=ids)

    def build(asset: Asset, *, as_gateway: bool) -> Target:
        if as_gateway and asset.id in built:
            return built[asset.id]
        name = asset.options.get("via_account") if as_gateway else None
        chosen = [one for one in accounts[asset.id] if (one.username == name if name else one.privileged)]
        target = Target(
            asset_id=asset.id,
            asset=asset.name,
            kind=asset.kind,
            address=asset.address,
            port=asset.port,
            logins=_build_logins(chosen, accounts[asset.id], held, left, tries),
            options=asset.options,
            trust=HostTrust(
                pinned=tuple(pinned[asset.id]),
                known_hosts=settings.KNOWN_HOSTS,
                strict=settings.STRICT_HOST_KEYS,
            ),
            via=None if asset.via_id is None else build(assets[asset.via_id], as_gateway=True),
        )
        if as_gateway:
            built[asset.id] = target
        return target

    built: dict[int, Target] = {}
    return {asset_id: build(assets[asset_id], as_gateway=False) for asset_id in asset_ids if asset_id in assets}


def _read_routes(asset_ids: list[int]) -> dict[int, Asset]:
    """Return these assets and all that they are reached through."""
    assets: dict[int, Asset] = {}
    wanted = set(asset_ids)
    while wanted:
        assets |= {asset.id: asset for asset in Asset.objects.filter(id__in=wanted)}
        wanted = {asset.via_id for asset in assets.values() if asset.via_id is not None} - assets.keys()
    return assets


_Pending = Mapping[tuple[UUID, SecretType], list[secrets.PendingVersion]]


def _build_logins(
    chosen: list[Account],
    accounts: list[Account],
    held: Mapping[UUID, dict[SecretType, Secret]],
    left: _Pending,
    tries: Mapping[UUID, int],
) -> tuple[Login, ...]:
    """Return a login for each account that Provost holds a secret of, and further ones with what is pending.

    A rotation of the account's own secret may have been cut off: then the pending one may be in force.
    """
    passwords = {one.id: _pick_password(held.get(one.id, {})) for one in accounts}
    root = next((one for one in accounts if one.username == SUPERUSER), None)
    root_password = None if root is None else passwords[root.id]
    logins = []
    for account in chosen:
        key = held.get(account.id, {}).get(SecretType.SSH_KEY)
        usable = key if isinstance(key, SshKey) and key.private else None
        password = passwords[account.id]
        if usable or password:
            become = Become(account.become)
            asked = {Become.NONE: None, Become.SUDO: password, Become.SU: root_password}
            login = Login(
                account.username,
                password=password,
                key=usable,
                become=become,
                become_password=asked[become],
                tries=tries[account.id],
                asked_tries=tries[root.id if root and become is Become.SU else account.id],
            )
            logins += [login, *_vary(login, account, accounts, left)]
    return tuple(logins)


def _vary(login: Login, account: Account, accounts: list[Account], left: _Pending) -> Iterator[Login]:
    """Yield the login with pending secrets in the place of current ones, first with one, then with two.

    Each is tried when those before it were refused: so what it has that they have not is proven, if it gets in.
    """
    by_key = [
        (replace(login, key=version.secret, password=None), version.id)
        for version in left.get((account.id, SecretType.SSH_KEY), [])
        if isinstance(version.secret, SshKey) and version.secret.private
    ]
    # Alone: a key that gets in would prove nothing of the password.
    alone = [
        (replace(login.renew(account.username, version.secret), key=None), version.id)
        for version in left.get((account.id, SecretType.PASSWORD), [])
    ]
    for way, staged in [*by_key, *alone]:
        yield replace(way, staged=(staged,))
    asked = [one.id for one in accounts if one.username == login.asked]
    for version in [found for owner in asked for found in left.get((owner, SecretType.PASSWORD), [])]:
        if not isinstance(version.secret, Password):
            continue
        if login.key or login.become is Become.SU:
            yield replace(login, become_password=version.secret, staged=(version.id,))
        for way, staged in by_key if login.become is Become.SUDO else [*by_key, *alone]:
            yield replace(way, become_password=version.secret, staged=(staged, version.id))


def _pick_password(held: dict[SecretType, Secret]) -> Password | None:
    secret = held.get(SecretType.PASSWORD)
    return secret if isinstance(secret, Password) else None

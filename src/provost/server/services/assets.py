"""Assets, their host keys, and how they are reached."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError, Q
from django.utils import timezone

from provost.core.errors import Refused
from provost.core.job import HostTrust, Login, Target
from provost.core.model import Become, SecretType
from provost.core.secrets import Password, Secret, SshKey
from provost.server.models import Account, Asset, AssetLock, HostKey
from provost.server.models.inventory import HostKeyState
from provost.server.services import secrets
from provost.server.services.checks import AssetFields, check_asset, choose_port
from provost.server.services.chunks import split
from provost.server.services.locks import is_gone
from provost.server.services.names import describe_missing
from provost.server.services.nodes import ensure_nodes, find_node
from provost.vault.keys import fingerprint


def add_asset(*, fields: AssetFields) -> Asset:
    """Add an asset, and its nodes where they are new.

    Raises:
        NotFound: there is no such kind, or no such asset to go through.
        Refused: a field cannot be used, or the name is taken.
    """
    fields = check_asset(fields)
    with transaction.atomic():
        if Asset.objects.filter(name=fields.name).exists():
            raise Refused(f"There is an asset {fields.name} already.", code="asset_exists")
        asset = Asset.objects.create(
            name=fields.name,
            kind=fields.kind,
            address=fields.address,
            port=choose_port(fields),
            via=find_asset(name=fields.via) if fields.via else None,
            options=dict(fields.options),
            comment=fields.comment,
        )
        asset.nodes.set(ensure_nodes(paths=fields.nodes).values())
    return asset


def find_asset(*, name: str) -> Asset:
    """Return the asset of that name.

    Raises:
        NotFound: there is none; the message lists what there is.
    """
    return find_assets(names=[name])[0]


def find_assets(*, names: Sequence[str]) -> list[Asset]:
    """Return the assets of these names, in their order.

    Raises:
        NotFound: one is not there; the message lists what there is.
    """
    found = {asset.name: asset for chunk in split(set(names)) for asset in Asset.objects.filter(name__in=chunk)}
    if missing := [name for name in names if name not in found]:
        known = Asset.objects.values_list("name", flat=True)
        raise describe_missing("asset", missing, known, code="asset_not_found")
    return [found[name] for name in names]


def list_assets(*, node: str | None = None) -> list[Asset]:
    """List assets by name: all, or those in a node and below it.

    Raises:
        NotFound: there is no such node.
    """
    assets = Asset.objects.select_related("via").prefetch_related("nodes")
    if node is not None:
        assets = assets.filter(nodes__path__startswith=find_node(path=node).path).distinct()
    return list(assets)


def set_via(*, gateways: Mapping[int, int | None]) -> None:
    """Say through which asset others are reached: {asset id: gateway's id, or None for directly}.

    Raises:
        Refused: an asset would be reached through itself; nothing is changed.
    """
    with transaction.atomic():
        routes: dict[int, int | None] = {**dict(Asset.objects.values_list("id", "via_id")), **gateways}
        for start in gateways:
            seen = [start]
            while (step := routes.get(seen[-1])) is not None:
                if step in seen:
                    names = dict(Asset.objects.filter(id__in=[*seen, step]).values_list("id", "name"))
                    route = " via ".join(names[asset_id] for asset_id in [*seen, step])
                    raise Refused(f"A route may not come back to where it was: {route}.", code="via_loop")
                seen.append(step)
        changed = [Asset(id=asset_id, via_id=gateway_id) for asset_id, gateway_id in gateways.items()]
        Asset.objects.bulk_update(changed, ["via"], batch_size=400)


def count_accounts(*, name: str) -> int:
    """Count the accounts of an asset that hold or held a secret, in the list or not.

    Raises:
        NotFound: there is no such asset.
    """
    return find_asset(name=name).accounts.count()


def remove_asset(*, name: str) -> None:
    """Remove an asset with its accounts and their secrets. Records of runs stay.

    Raises:
        NotFound: there is no such asset.
        Refused: others are reached through it, or a run works on it.
    """
    with transaction.atomic():
        asset = find_asset(name=name)
        check_unlocked(asset)
        try:
            asset.delete()
        except ProtectedError:
            behind = ", ".join(asset.behind.order_by("name").values_list("name", flat=True)[:10])
            raise Refused(
                f"Other assets are reached through {name}: {behind}. Reroute or remove them first.",
                code="asset_is_gateway",
            ) from None


def check_unlocked(asset: Asset) -> None:
    """Raise `Refused` while a run works on an asset."""
    lock = AssetLock.objects.filter(asset=asset, expires__gt=timezone.now()).first()
    if lock is not None and not is_gone(lock.owner):
        raise Refused(f"Run {lock.run_id} works on {asset}. Try again when it is over.", code="asset_locked")


def trust_asset(*, name: str) -> list[HostKey]:
    """Forget the pinned host keys of an asset, so that the next contact pins anew. Returns what was pinned.

    Raises:
        NotFound: there is no such asset.
    """
    pinned = HostKey.objects.filter(asset=find_asset(name=name), state=HostKeyState.TRUSTED)
    with transaction.atomic():
        forgotten = list(pinned)
        pinned.update(state=HostKeyState.REPLACED)
    return forgotten


def pin_host_keys(*, keys: Sequence[tuple[int, str]]) -> None:
    """Trust host keys, (asset id, OpenSSH public key line), seen at first contact.

    Where another key was pinned in the meantime, that one stays alone: the next contact will tell.
    """
    with transaction.atomic():
        pinned = set(
            HostKey.objects.filter(
                asset_id__in={asset_id for asset_id, _ in keys}, state=HostKeyState.TRUSTED
            ).values_list("asset_id", flat=True)
        )
        HostKey.objects.bulk_create(
            HostKey(asset_id=asset_id, key=key, fingerprint=fingerprint(key))
            for asset_id, key in dict.fromkeys(keys)
            if asset_id not in pinned
        )


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
    held = secrets.read_current(account_ids=[one.id for found in accounts.values() for one in found])

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
            logins=_build_logins(chosen, accounts[asset.id], held),
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


def _build_logins(
    chosen: list[Account], accounts: list[Account], held: dict[UUID, dict[SecretType, Secret]]
) -> tuple[Login, ...]:
    """Return a login for each account that Provost holds a secret of."""
    passwords = {one.id: _pick_password(held.get(one.id, {})) for one in accounts}
    root_password = next((passwords[one.id] for one in accounts if one.username == "root"), None)
    logins = []
    for account in chosen:
        key = held.get(account.id, {}).get(SecretType.SSH_KEY)
        usable = key if isinstance(key, SshKey) and key.private else None
        password = passwords[account.id]
        if usable or password:
            become = Become(account.become)
            asked = {Become.NONE: None, Become.SUDO: password, Become.SU: root_password}
            logins.append(
                Login(
                    account.username,
                    password=password,
                    key=usable,
                    become=become,
                    become_password=asked[become],
                )
            )
    return tuple(logins)


def _pick_password(held: dict[SecretType, Secret]) -> Password | None:
    secret = held.get(SecretType.PASSWORD)
    return secret if isinstance(secret, Password) else None

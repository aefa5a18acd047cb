"""Assets and their host keys."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, ProtectedError, Q, QuerySet
from django.utils import timezone

from provost.core.errors import Conflict, Refused
from provost.core.keys import fingerprint
from provost.core.rights import Principal, Reach, Right
from provost.server.models import Account, Asset, AssetLock, HostKey, Node
from provost.server.models.inventory import HostKeyState
from provost.server.services import audit
from provost.server.services.arrivals import list_covered, note_arrivals
from provost.server.services.checks import AssetFields, check_asset, choose_port
from provost.server.services.chunks import split
from provost.server.services.locks import check_not_ended, is_gone
from provost.server.services.names import check_version, describe_missing
from provost.server.services.nodes import ensure_nodes, find_node
from provost.server.services.pages import EVERYTHING, Page, Place, cut
from provost.server.services.reach import check_assets, check_gain, check_node, limit
from provost.server.services.renames import drop_asset_from_tasks, rename_asset_in_tasks


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Which assets are wanted; `node`: in it and below, `search`: a part of the name, address or comment.

    With `unprivileged`, those that have no privileged account, so that nothing can be done on them.
    """

    node: str | None = None
    kind: str | None = None
    via: str | None = None
    search: str | None = None
    unprivileged: bool = False


def add_asset(*, by: Principal, fields: AssetFields) -> Asset:
    """Add an asset, and its nodes where they are new.

    Raises:
        NotFound: there is no such kind, or no such asset to go through.
        Refused: a field cannot be used.
        Conflict: the name is taken.
        Forbidden: the caller may not work in one of the nodes, or on the gateway; without a node, everywhere.
    """
    by.require(Right.OPERATE, what="add assets")
    fields = check_asset(fields)
    check_homeless(by, fields)
    with transaction.atomic():
        if Asset.objects.filter(name=fields.name).exists():
            raise Conflict(f"There is an asset {fields.name} already.", code="asset_exists")
        asset = Asset.objects.create(
            name=fields.name,
            kind=fields.kind,
            address=fields.address,
            port=choose_port(fields),
            via=find_gateway(by, fields.via) if fields.via else None,
            options=dict(fields.options),
            comment=fields.comment,
        )
        asset.nodes.set(ensure_nodes(by=by, paths=fields.nodes).values())
        note_arrivals(asset_ids=[asset.id])
        details = {"kind": fields.kind, "address": fields.address, "nodes": fields.nodes, "via": fields.via}
        audit.write(by=by, action="asset.add", subject=f"asset {asset}", details=details)
    return asset


def check_homeless(by: Principal, fields: AssetFields) -> None:
    """Raise `Forbidden` for an asset in no node, unless the caller works everywhere."""
    if not fields.nodes:
        by.require_everywhere(Right.OPERATE, what=f"have asset {fields.name} in no node")


def find_gateway(by: Principal, name: str) -> Asset:
    """Return an asset for others to be reached through: it is logged in to on their way.

    Raises:
        NotFound: there is none that the caller sees.
        Forbidden: the caller may not work on it.
    """
    gateway = find_asset(by=by, name=name)
    check_assets(by, Right.OPERATE, [gateway], what=f"go through {name}")
    return gateway


def edit_asset(*, by: Principal, name: str, fields: AssetFields, version: int | None = None) -> Asset:
    """Give an asset other fields; its kind stays. `version` is the one that the caller saw (None: whichever).

    Nodes and a gateway that the caller does not see stay as they are.

    Raises:
        NotFound: there is no such asset, or none to go through.
        Refused: a field cannot be used, or it would be reached through itself.
        Conflict: the name is taken; or `version_outdated`: it was changed in the meantime; or the account that
            others are to pass through it with is being disabled or removed.
        Forbidden: the caller may not work in a node that it leaves or joins, or may do more in one that it
            joins; or, where it points elsewhere (address, port, route, options), may not administer it: its
            secrets would be sent there.
    """
    fields = check_asset(fields)
    with transaction.atomic():
        asset = find_asset(by=by, name=name, lock=True)
        check_assets(by, Right.OPERATE, [asset], what=f"change asset {name}")
        check_version(asset, version)
        before = describe_fields(by=by, asset=asset)
        changes = list_changes(before, fields)
        check_redirection(by, asset, changes)
        if "kind" in changes:
            raise Refused("The kind of an asset stays: remove it and add another.", code="kind_refused")
        if "name" in changes and Asset.objects.filter(name=fields.name).exists():
            raise Conflict(f"There is an asset {fields.name} already.", code="asset_exists")
        if not changes:
            return asset
        check_passing(asset, fields)
        if "nodes" in changes:
            move_asset(by, asset, fields)
        if "name" in changes:
            rename_asset_in_tasks(old=name, new=fields.name)
        asset.name, asset.address, asset.port = fields.name, fields.address, choose_port(fields)
        asset.options, asset.comment = dict(fields.options), fields.comment
        asset.version += 1
        asset.save()
        if "via" in changes:
            set_via(by=by, gateways={asset.id: find_gateway(by, fields.via).id if fields.via else None})
        audit.write(by=by, action="asset.edit", subject=f"asset {name}", details=changes)
        return Asset.objects.select_related("via").prefetch_related("nodes").get(id=asset.id)


def check_passing(asset: Asset, fields: AssetFields) -> None:
    """Raise `Conflict` where others would pass through an asset with an account that is about to go."""
    name = fields.options.get("via_account")
    if name is not None and name != asset.options.get("via_account"):
        check_not_ended(asset_id=asset.id, usernames=[name])


def move_asset(by: Principal, asset: Asset, fields: AssetFields) -> None:
    """Put an asset into the nodes of `fields`, and out of the others.

    Raises:
        Forbidden: the caller may not work in one that it leaves or joins, or may do more in one that it joins.
    """
    covered = list_covered(asset_ids=[asset.id])
    joined = ensure_nodes(by=by, paths=check_move(by, asset, fields))
    check_gain(by, asset.nodes.all(), joined.values(), what=f"move asset {asset}")
    asset.nodes.remove(*(node for node in list_seen_nodes(by, asset) if node.full_path not in fields.nodes))
    asset.nodes.add(*joined.values())
    note_arrivals(asset_ids=[asset.id], covered=covered)


def check_move(by: Principal, asset: Asset, fields: AssetFields) -> set[str]:
    """Return the paths of the nodes that an asset joins.

    Raises:
        Forbidden: the caller may not take it out of those that it leaves.
    """
    seen = list_seen_nodes(by, asset)
    if len(seen) == len(asset.nodes.all()):
        check_homeless(by, fields)
    for node in seen:
        if node.full_path not in fields.nodes:
            check_node(by, Right.OPERATE, node, what=f"take {asset} out of {node}")
    return set(fields.nodes) - {node.full_path for node in seen}


def list_seen_nodes(by: Principal, asset: Asset) -> list[Node]:
    """Return those of an asset's nodes that somebody sees."""
    reach = by.reach(Right.VIEW)
    return [node for node in asset.nodes.all() if reach.covers(node.path)]


def find_seen_gateways(*, by: Principal, assets: Sequence[Asset]) -> set[int]:
    """Return the ids of the gateways of these assets that somebody sees."""
    gateways = {asset.via_id for asset in assets if asset.via_id is not None}
    return {
        gateway
        for chunk in split(gateways)
        for gateway in limited(by).filter(id__in=chunk).values_list("id", flat=True)
    }


def describe_fields(*, by: Principal, asset: Asset) -> AssetFields:
    """Return what is said of an asset, but for nodes and a gateway that the caller does not see."""
    return AssetFields(
        name=asset.name,
        kind=asset.kind,
        address=asset.address,
        port=asset.port,
        nodes=tuple(sorted(node.full_path for node in list_seen_nodes(by, asset))),
        via=asset.via.name if asset.via and find_seen_gateways(by=by, assets=[asset]) else None,
        options=asset.options,
        comment=asset.comment,
    )


def list_changes(before: AssetFields, after: AssetFields) -> dict[str, list[Any]]:
    """Return by field what was, and what is to be."""
    pairs = {
        field.name: [getattr(before, field.name), getattr(after, field.name)]
        for field in dataclass_fields(before)
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def check_redirection(by: Principal, asset: Asset, changes: Collection[str]) -> None:
    """Raise `Forbidden` where an asset would point elsewhere, for a caller who may not administer it."""
    if redirected := sorted({"address", "port", "via", "options"} & set(changes)):
        check_assets(by, Right.ADMINISTER, [asset], what=f"change the {redirected[0]} of asset {asset}")


def find_asset(*, by: Principal, name: str, lock: bool = False) -> Asset:
    """Return the asset of that name; with `lock`, nobody else changes it before the transaction ends.

    Raises:
        NotFound: there is none that the caller sees; the message lists what there is.
    """
    if lock:
        Asset.objects.select_for_update(no_key=True).filter(name=name).first()
    return find_assets(by=by, names=[name])[0]


def find_assets(*, by: Principal, names: Sequence[str]) -> list[Asset]:
    """Return the assets of these names, in their order.

    Raises:
        NotFound: one is not there, or out of sight; the message lists what there is.
    """
    found = {
        asset.name: asset
        for chunk in split(set(names))
        for asset in limited(by).filter(name__in=chunk).select_related("via").prefetch_related("nodes")
    }
    if missing := [name for name in names if name not in found]:
        known = limited(by).values_list("name", flat=True)
        raise describe_missing("asset", missing, known, code="asset_not_found")
    return [found[name] for name in names]


def limited(by: Principal) -> QuerySet[Asset]:
    """Return the assets that somebody sees, as a query."""
    return limit(Asset.objects.all(), by.require(Right.VIEW, what="see assets"))


def list_assets(
    *, by: Principal, filters: AssetFilter | None = None, page: Page = EVERYTHING
) -> tuple[list[Asset], Place | None]:
    """List assets by name, and where the next page begins.

    Raises:
        NotFound: there is no such node, or no such asset to go through.
    """
    filters = filters or AssetFilter()
    assets = limited(by).select_related("via").prefetch_related("nodes")
    if filters.node is not None:
        node = find_node(by=by, path=filters.node)
        assets = limit(assets, Reach(nodes=frozenset({node.path})))
    if filters.kind is not None:
        assets = assets.filter(kind=filters.kind)
    if filters.via is not None:
        assets = assets.filter(via=find_asset(by=by, name=filters.via))
    if filters.unprivileged:
        assets = assets.filter(lacks_privileged())
    if filters.search:
        text = filters.search
        assets = assets.filter(
            Q(name__icontains=text) | Q(address__icontains=text) | Q(comment__icontains=text)
        )
    return cut(assets, ["name"], page)


def lacks_privileged() -> Q:
    """Return what tells the assets that have no privileged account, to be part of a query."""
    return ~Q(Exists(Account.objects.filter(asset_id=OuterRef("pk"), privileged=True, listed_at__isnull=False)))


def set_via(*, by: Principal, gateways: Mapping[int, int | None]) -> None:
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
                    names = dict(limited(by).filter(id__in=[*seen, step]).values_list("id", "name"))
                    route = " via ".join(names.get(asset_id, "another") for asset_id in [*seen, step])
                    raise Refused(f"A route may not come back to where it was: {route}.", code="via_loop")
                seen.append(step)
        changed = [Asset(id=asset_id, via_id=gateway_id) for asset_id, gateway_id in gateways.items()]
        Asset.objects.bulk_update(changed, ["via"], batch_size=400)


def remove_asset(*, by: Principal, name: str, version: int | None = None) -> None:
    """Remove an asset with its accounts and their secrets. Records of runs stay; tasks name it no longer.

    Raises:
        NotFound: there is no such asset.
        Conflict: others are reached through it, a run works on it, or it is not the `version` that was seen.
        Forbidden: the caller may not administer it.
    """
    with transaction.atomic():
        asset = find_asset(by=by, name=name, lock=True)
        check_assets(by, Right.ADMINISTER, [asset], what=f"remove asset {name}")
        check_version(asset, version)
        check_unlocked([asset.id])
        accounts = sorted(asset.accounts.values_list("username", flat=True))
        drop_asset_from_tasks(name=name)  # first: who starts one has its row, and waits for the asset
        try:
            asset.delete()
        except ProtectedError:
            behind = ", ".join(limited(by).filter(via=asset).values_list("name", flat=True)[:10])
            raise Conflict(
                f"Other assets are reached through {name}: {behind or 'out of your reach'}. Reroute or remove "
                "them first.",
                code="asset_is_gateway",
            ) from None
        audit.write(by=by, action="asset.remove", subject=f"asset {name}", details={"accounts": accounts})


def check_unlocked(asset_ids: Iterable[int]) -> None:
    """Raise `Conflict` while a run works on one of these assets."""
    for chunk in split(asset_ids):
        locks = AssetLock.objects.filter(asset_id__in=chunk, expires__gt=timezone.now())
        for lock in locks.select_related("asset").order_by("asset__name"):
            if not is_gone(lock.owner):
                raise Conflict(
                    f"Run {lock.run_id} works on {lock.asset}. Try again when it is over.", code="asset_locked"
                )


def trust_asset(*, by: Principal, name: str) -> list[HostKey]:
    """Forget the pinned host keys of an asset, so that the next contact pins anew. Returns what was pinned.

    Raises:
        NotFound: there is no such asset.
        Forbidden: the caller may not administer it: whatever host answers next gets to see its secrets.
    """
    with transaction.atomic():
        asset = find_asset(by=by, name=name)
        check_assets(by, Right.ADMINISTER, [asset], what=f"trust another host key of {name}")
        pinned = HostKey.objects.filter(asset=asset, state=HostKeyState.TRUSTED)
        forgotten = list(pinned)
        pinned.update(state=HostKeyState.REPLACED)
        details = {"forgotten": [key.fingerprint for key in forgotten]}
        audit.write(by=by, action="asset.trust", subject=f"asset {name}", details=details)
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

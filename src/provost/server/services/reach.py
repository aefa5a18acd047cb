"""What of the inventory somebody reaches, as queries and as checks."""

from collections.abc import Iterable
from typing import TypeVar

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from provost.core.errors import Forbidden
from provost.core.rights import Principal, Reach, Right
from provost.server.models import Asset, Node
from provost.server.services.chunks import split

M = TypeVar("M", bound=Model)


def limit(rows: QuerySet[M], reach: Reach, *, asset: str = "pk") -> QuerySet[M]:
    """Keep the rows whose asset (`asset` names its id in them) lies in a node within reach."""
    if reach.everywhere:
        return rows
    return rows.filter(
        Exists(Asset.nodes.through.objects.filter(within(reach, "node__"), asset_id=OuterRef(asset)))
    )


def limit_many(rows: QuerySet[M], reach: Reach, *, asset: str = "pk") -> QuerySet[M]:
    """Keep the same rows as `limit`, where all of them are counted: what is within reach is looked up once."""
    if reach.everywhere:
        return rows
    inside = Asset.nodes.through.objects.filter(within(reach, "node__")).values("asset_id")
    return rows.filter(**{f"{asset}__in": inside})


def within(reach: Reach, node: str = "") -> Q:
    """Return what tells nodes within reach: `node` is the way to the node, with its underscores."""
    if reach.everywhere:
        return Q()
    found = Q(pk__in=[])
    for top in sorted(reach.nodes):
        found |= Q(**{f"{node}path__startswith": top})
    return found


def check_assets(by: Principal, right: Right, assets: Iterable[Asset], *, what: str) -> None:
    """Make sure that a right extends to every one of these assets.

    Raises:
        Forbidden: it does not; the message names one of them that the caller sees.
    """
    reach = by.require(right, what=what)
    if reach.everywhere:
        return
    for chunk in split(assets):
        ids = {asset.id for asset in chunk}
        found = Asset.objects.filter(id__in=ids)
        left = ids - set(limit(found, reach).values_list("id", flat=True))
        if left:
            seen = limit(Asset.objects.filter(id__in=left), by.reach(Right.VIEW)).first()
            raise Forbidden(f"{by.name} may not {what}: {seen or 'an asset'} is out of reach for that.")


def list_rights(by: Principal, asset: Asset) -> list[Right]:
    """Return those of somebody's rights that extend to an asset."""
    places = list(asset.nodes.values_list("path", flat=True))
    reaches = {right: by.reach(right) for right in Right}
    return [right for right, reach in reaches.items() if reach.everywhere or any(map(reach.covers, places))]


def check_node(by: Principal, right: Right, node: Node, *, what: str) -> None:
    """Make sure that a right extends to a node and all that is below it.

    Raises:
        Forbidden: it does not.
    """
    if not by.require(right, what=what).covers(node.path):
        raise Forbidden(f"{by.name} may not {what}: {node} is out of reach for that.")


def check_gain(by: Principal, places: Iterable[Node], joined: Iterable[Node], *, what: str) -> None:
    """Make sure that what lies in `places` gives the caller no further right by coming into others.

    Raises:
        Forbidden: it would.
    """
    before, after = list(places), list(joined)
    for right in (Right.ADMINISTER, Right.REVEAL):
        reach = by.reach(right)
        if reach.everywhere or any(reach.covers(node.path) for node in before):
            continue
        if gained := next((node for node in after if reach.covers(node.path)), None):
            raise Forbidden(f"{by.name} may not {what} into {gained}: they would gain the right to {right} it.")

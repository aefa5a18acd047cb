"""Assets that came to where templates are for: noted in the transaction that brings them there.

A template is a saved push that is also done for each asset that is added to its nodes, or moved there.  What
was there before it was saved is left alone.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from provost.server.models import Arrival, Asset, Node, Task
from provost.server.services.chunks import split

EVERYWHERE: Final = "/"
"""Instead of a node: all assets there are, also those in no node."""

Covered = Collection[tuple[int, UUID]]
"""Assets and templates that are for them, by their ids."""


def note_arrivals(*, asset_ids: Collection[int], covered: Covered = ()) -> None:
    """Note assets that have come to where templates are for; `covered` is what `list_covered` told before."""
    now = timezone.now()
    arrived = sorted(set(list_covered(asset_ids=asset_ids)).difference(covered))
    Arrival.objects.bulk_create(
        (Arrival(asset_id=asset_id, task_id=task_id, due=now) for asset_id, task_id in arrived),
        batch_size=1000,
        ignore_conflicts=True,
    )


def list_covered(*, asset_ids: Collection[int]) -> Covered:
    """Return which of the assets are where a template is for, as things are now."""
    templates = list(Task.objects.filter(new_assets=True, active=True)) if asset_ids else []
    if not templates:
        return set()
    where = _read_where(asset_ids)
    tops = _read_tops(templates)
    return {
        (asset_id, task.id)
        for task in templates
        for asset_id, (kind, places) in where.items()
        if _covers(task.spec, tops, kind, places)
    }


def _read_where(asset_ids: Collection[int]) -> dict[int, tuple[str, list[str]]]:
    """Return for each asset its kind, and the places in the tree of the nodes that it is in."""
    where: dict[int, tuple[str, list[str]]] = {}
    for chunk in split(asset_ids):
        kinds = Asset.objects.filter(id__in=chunk).values_list("id", "kind")
        where |= {asset_id: (kind, []) for asset_id, kind in kinds}
        rows = Asset.nodes.through.objects.filter(asset_id__in=chunk)
        for asset_id, place in rows.values_list("asset_id", "node__path"):
            where[asset_id][1].append(place)
    return where


def _read_tops(tasks: Iterable[Task]) -> dict[str, str]:
    """Return the places in the tree of the nodes that tasks name, by path."""
    paths = {path for task in tasks for path in task.spec["nodes"]}
    return {
        path: place
        for chunk in split(paths)
        for path, place in Node.objects.filter(full_path__in=chunk).values_list("full_path", "path")
    }


def _covers(spec: Mapping[str, Any], tops: Mapping[str, str], kind: str, places: Iterable[str]) -> bool:
    if spec.get("kinds") and kind not in spec["kinds"]:
        return False
    if EVERYWHERE in spec["nodes"]:
        return True
    within = [tops[path] for path in spec["nodes"] if path in tops]
    return any(place.startswith(top) for place in places for top in within)

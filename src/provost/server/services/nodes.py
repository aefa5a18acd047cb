"""Folders of assets. A node's full path ("/prod/web") is how people name it; treebeard keeps the tree."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from django.db import connection, transaction
from django.db.models import Count, QuerySet

from provost.core.errors import Conflict, Forbidden, Refused
from provost.core.rights import Principal, Right
from provost.server.models import Asset, Node
from provost.server.services import audit
from provost.server.services.arrivals import list_covered, note_arrivals
from provost.server.services.chunks import split
from provost.server.services.names import describe_missing
from provost.server.services.reach import check_gain, check_node, within
from provost.server.services.renames import drop_node_from_tasks, rename_node_in_tasks

_LONGEST_NAME = 100
_LONGEST = 500
_DEEPEST = 60


def check_path(path: str) -> str:
    """Return a node's path in its one spelling.

    Raises:
        Refused: it is not one.
    """
    names = path.strip("/").split("/")
    if not path.startswith("/") or not all(names):
        raise Refused(f"{path!r} is not a node: write it like /prod/web.", code="node_refused")
    for name in names:
        _check_name(name)
    _check_size(path := "/" + "/".join(names))
    return path


def _check_size(path: str) -> None:
    if len(path) > _LONGEST or path.count("/") > _DEEPEST:
        raise Refused(
            f"{path[:50]!r} is not a node: at most {_DEEPEST} deep, with at most {_LONGEST} characters.",
            code="node_refused",
        )


def _check_name(name: str) -> None:
    if len(name) > _LONGEST_NAME or not name.isprintable() or name != name.strip() or "/" in name or not name:
        raise Refused(
            f"{name!r} cannot be the name of a node: 1 to {_LONGEST_NAME} characters, no / and no control "
            "characters, no space at either end.",
            code="node_refused",
        )


def ensure_nodes(*, by: Principal, paths: Iterable[str]) -> dict[str, Node]:
    """Make the nodes that are not there yet, with those above them. Returns every one by its path.

    Raises:
        Refused: a path is not one.
        Forbidden: the caller may not work in one of them.
    """
    wanted = {check_path(path) for path in paths}
    lineage = {path[:end] for path in wanted for end in _list_ends(path)}
    reach = by.reach(Right.OPERATE)
    with transaction.atomic():
        nodes = _read_nodes(lineage)
        if lineage - nodes.keys():
            _lock_tree()
            nodes = _read_nodes(lineage)
        for path in sorted(wanted):
            above = (nodes.get(path[:end]) for end in reversed(_list_ends(path)))
            nearest = next(filter(None, above), None)
            if not (reach.everywhere or (nearest is not None and reach.covers(nearest.path))):
                raise Forbidden(f"{by.name} may not work in {path}: it is out of reach for that.")
        for path in sorted(lineage - nodes.keys()):
            parent, _, name = path.rpartition("/")
            fields = {"name": name, "full_path": path}
            if parent:
                nodes[path] = Node.objects.add_child(nodes[parent], fields)
            else:
                nodes[path] = Node.objects.add_root(fields)
    return {path: nodes[path] for path in wanted}


def list_missing(*, paths: Iterable[str]) -> list[str]:
    """Return those of these nodes, and of all above them, that are not there yet."""
    lineage = {path[:end] for path in paths for end in _list_ends(path)}
    return sorted(lineage - _read_nodes(lineage).keys())


def _read_nodes(paths: Iterable[str]) -> dict[str, Node]:
    return {node.full_path: node for chunk in split(paths) for node in Node.objects.filter(full_path__in=chunk)}


def _lock_tree() -> None:
    """Let nobody else make, move or remove nodes before the transaction ends.

    A node's place in the tree is text, which the database does not hold together.  SQLite has one writer.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE server_node IN SHARE ROW EXCLUSIVE MODE")


def add_node(*, by: Principal, path: str) -> Node:
    """Make a node, with those above it.

    Raises:
        Refused: the path is not one.
        Conflict: it is there already.
        Forbidden: the caller may not work there.
    """
    path = check_path(path)
    with transaction.atomic():
        if limited(by).filter(full_path=path).exists():
            raise Conflict(f"There is a node {path} already.", code="node_exists")
        node = ensure_nodes(by=by, paths=[path])[path]
        audit.write(by=by, action="node.add", subject=f"node {path}")
    return node


def remove_node(*, by: Principal, path: str) -> None:
    """Remove a node that holds nothing. Grants that are limited to it end, and tasks name it no longer.

    Raises:
        NotFound: there is no such node.
        Conflict: there are assets or nodes in it.
        Forbidden: the caller may not administer it.
    """
    with transaction.atomic():
        _lock_tree()
        node = find_node(by=by, path=path)
        check_node(by, Right.ADMINISTER, node, what=f"remove node {path}")
        if node.numchild or node.assets.exists():
            raise Conflict(f"Node {node} is not empty: move what is in it first.", code="node_not_empty")
        Node.objects.filter(pk=node.pk).delete()
        drop_node_from_tasks(path=node.full_path)
        audit.write(by=by, action="node.remove", subject=f"node {node}")


def _list_ends(path: str) -> list[int]:
    return [index for index, letter in enumerate(path) if letter == "/" and index] + [len(path)]


def limited(by: Principal) -> QuerySet[Node]:
    """Return the nodes that somebody sees, as a query."""
    return Node.objects.filter(within(by.require(Right.VIEW, what="see nodes")))


def find_node(*, by: Principal, path: str) -> Node:
    """Return the node at `path`.

    Raises:
        NotFound: there is none that the caller sees; the message lists what there is.
    """
    return find_nodes(by=by, paths=[path])[0]


def find_nodes(*, by: Principal, paths: Sequence[str]) -> list[Node]:
    """Return the nodes at these paths, in their order.

    Raises:
        NotFound: one is not there, or out of sight; the message lists what there is.
    """
    spelled = {}
    for path in paths:
        with suppress(Refused):
            spelled[path] = check_path(path)
    found = {
        node.full_path: node
        for chunk in split(set(spelled.values()))
        for node in limited(by).filter(full_path__in=chunk)
    }
    if missing := [path for path in paths if spelled.get(path) not in found]:
        known = limited(by).values_list("full_path", flat=True)
        raise describe_missing("node", missing, known, code="node_not_found")
    return [found[spelled[path]] for path in paths]


def list_nodes(*, by: Principal) -> list[tuple[Node, int]]:
    """List the nodes that somebody sees, each followed by those below it, with how many assets are in it."""
    return [(node, node.own) for node in limited(by).annotate(own=Count("assets")).order_by("path")]


def count_within(*, by: Principal) -> Counter[str]:
    """Count the assets in each node that somebody sees and below it, each once, by its place in the tree."""
    through = Asset.nodes.through.objects.filter(within(by.require(Right.VIEW, what="see nodes"), "node__"))
    held: dict[int, tuple[str, ...]] = {}
    for asset_id, place in through.values_list("asset_id", "node__path"):
        held[asset_id] = (*held.get(asset_id, ()), place)
    counts: Counter[str] = Counter()
    for places, number in Counter(held.values()).items():  # many assets are in the same places
        for place in {above for one in places for above in _list_places(one)}:
            counts[place] += number
    return counts


def _list_places(place: str) -> Iterator[str]:
    """Yield a node's place in the tree after those of all nodes above it."""
    return (place[:end] for end in range(Node.steplen, len(place) + 1, Node.steplen))


def list_paths(*, places: Iterable[str]) -> dict[str, str]:
    """Return the paths of nodes by their places in the tree."""
    return dict(Node.objects.filter(path__in=set(places)).values_list("path", "full_path"))


def list_asset_ids(*, nodes: Iterable[Node]) -> set[int]:
    """Return the ids of all assets in these nodes and below them."""
    chosen = {node.path for node in nodes}
    below = [
        pk
        for pk, place in Node.objects.values_list("pk", "path")
        if chosen and not chosen.isdisjoint(_list_places(place))
    ]
    through = Asset.nodes.through.objects
    return {
        asset_id
        for chunk in split(below)
        for asset_id in through.filter(node_id__in=chunk).values_list("asset_id", flat=True)
    }


def rename_node(*, by: Principal, path: str, name: str) -> Node:
    """Give a node another name; what is below it moves along, and tasks that name it go on naming it.

    Raises:
        NotFound: there is no such node.
        Refused: the name is not one.
        Conflict: the name is taken.
        Forbidden: the caller may not administer it.
    """
    _check_name(name)
    with transaction.atomic():
        _lock_tree()
        node = find_node(by=by, path=path)
        check_node(by, Right.ADMINISTER, node, what=f"rename node {path}")
        before = node.full_path
        above = before.rpartition("/")[0]
        _give_path(node, f"{above}/{name}")
        node.name = name
        node.save(update_fields=["name"])
        audit.write(by=by, action="node.rename", subject=f"node {before}", details={"to": node.full_path})
    return node


def move_node(*, by: Principal, path: str, into: str | None) -> Node:
    """Move a node, with all that is below it, into another (None: to the top).

    Raises:
        NotFound: one of the two is not there.
        Refused: the place is below the node itself.
        Conflict: the place is taken.
        Forbidden: the caller may not administer both, or may reveal more there than where it is.
    """
    with transaction.atomic():
        _lock_tree()
        node = find_node(by=by, path=path)
        what = f"move node {path}"
        check_node(by, Right.ADMINISTER, node, what=what)
        before = node.full_path
        along = list_asset_ids(nodes=[node])
        covered = list_covered(asset_ids=along)
        if into is None:
            by.require_everywhere(Right.ADMINISTER, what=f"{what} to the top")
            if node.depth > 1:
                _give_path(node, f"/{node.name}")
                Node.objects.move(node, Node.objects.get_last_root_node(), pos="last-sibling")
        else:
            target = find_node(by=by, path=into)
            check_node(by, Right.ADMINISTER, target, what=f"{what} into {into}")
            check_gain(by, [node], [target], what=what)
            if target.path.startswith(node.path):
                raise Refused(f"{path} cannot move into {into}, which is not outside it.", code="node_refused")
            _give_path(node, f"{target.full_path}/{node.name}")
            Node.objects.move(node, target, pos="last-child")
        moved: Node = Node.objects.get(pk=node.pk)
        note_arrivals(asset_ids=along, covered=covered)
        audit.write(by=by, action="node.move", subject=f"node {before}", details={"to": moved.full_path})
    return moved


def _give_path(node: Node, full_path: str) -> None:
    if node.full_path == full_path:
        return
    if Node.objects.filter(full_path=full_path).exists():
        raise Conflict(f"There is a node {full_path} already.", code="node_exists")
    rename_node_in_tasks(old=node.full_path, new=full_path)
    moved = list(Node.objects.get_descendants(node, include_self=True))
    for one in moved:
        one.full_path = full_path + one.full_path.removeprefix(node.full_path)
        _check_size(one.full_path)
    Node.objects.bulk_update(moved, ["full_path"], batch_size=500)
    node.full_path = full_path

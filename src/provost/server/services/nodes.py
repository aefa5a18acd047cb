"""Folders of assets. A node's full path ("/prod/web") is how people name it; treebeard keeps the tree."""

from collections.abc import Iterable, Sequence

from django.db import transaction

from provost.core.errors import Refused
from provost.server.models import Asset, Node
from provost.server.services.chunks import split
from provost.server.services.names import describe_missing

_LONGEST_NAME = 100
_DEEPEST = 60


def check_path(path: str) -> str:
    """Return a node's path in its one spelling.

    Raises:
        Refused: it is not one.
    """
    names = path.strip("/").split("/")
    if not path.startswith("/") or not all(names) or len(names) > _DEEPEST:
        raise Refused(f"{path!r} is not a node: write it like /prod/web.", code="node_refused")
    for name in names:
        _check_name(name)
    return "/" + "/".join(names)


def _check_name(name: str) -> None:
    if len(name) > _LONGEST_NAME or not name.isprintable() or name != name.strip() or "/" in name or not name:
        raise Refused(
            f"{name!r} cannot be the name of a node: 1 to {_LONGEST_NAME} characters, no / and no control "
            "characters, no space at either end.",
            code="node_refused",
        )


def ensure_nodes(*, paths: Iterable[str]) -> dict[str, Node]:
    """Make the nodes that are not there yet, with those above them. Returns every one by its path.

    Raises:
        Refused: a path is not one.
    """
    wanted = {check_path(path) for path in paths}
    lineage = {path[:end] for path in wanted for end in _list_ends(path)}
    with transaction.atomic():
        nodes = {
            node.full_path: node
            for chunk in split(lineage)
            for node in Node.objects.filter(full_path__in=chunk)
        }
        for path in sorted(lineage - nodes.keys()):
            above, _, name = path.rpartition("/")
            fields = {"name": name, "full_path": path}
            if above:
                nodes[path] = Node.objects.add_child(nodes[above], fields)
            else:
                nodes[path] = Node.objects.add_root(fields)
    return {path: nodes[path] for path in wanted}


def _list_ends(path: str) -> list[int]:
    return [index for index, letter in enumerate(path) if letter == "/" and index] + [len(path)]


def find_node(*, path: str) -> Node:
    """Return the node at `path`.

    Raises:
        NotFound: there is none; the message lists what there is.
    """
    try:
        node: Node = Node.objects.get(full_path=check_path(path))
    except (Node.DoesNotExist, Refused):
        known = Node.objects.values_list("full_path", flat=True)
        raise describe_missing("node", [path], known, code="node_not_found") from None
    return node


def list_nodes() -> list[Node]:
    """List all nodes, each followed by those below it."""
    return list(Node.objects.all())


def list_asset_ids(*, paths: Sequence[str]) -> list[int]:
    """Return the ids of all assets in the nodes at `paths` and below them, each once.

    Raises:
        NotFound: a node is not there.
    """
    ids: set[int] = set()
    for path in paths:
        node = find_node(path=path)
        ids.update(Asset.objects.filter(nodes__path__startswith=node.path).values_list("id", flat=True))
    return sorted(ids)


def rename_node(*, path: str, name: str) -> Node:
    """Give a node another name; what is below it moves along.

    Raises:
        NotFound: there is no such node.
        Refused: the name is not one, or is taken.
    """
    _check_name(name)
    with transaction.atomic():
        node = find_node(path=path)
        above = node.full_path.rpartition("/")[0]
        _give_path(node, f"{above}/{name}")
        node.name = name
        node.save(update_fields=["name"])
    return node


def move_node(*, path: str, into: str | None) -> Node:
    """Move a node, with all that is below it, into another (None: to the top).

    Raises:
        NotFound: one of the two is not there.
        Refused: the place is taken, or below the node itself.
    """
    with transaction.atomic():
        node = find_node(path=path)
        if into is None:
            if node.depth > 1:
                _give_path(node, f"/{node.name}")
                Node.objects.move(node, Node.objects.get_last_root_node(), pos="last-sibling")
        else:
            target = find_node(path=into)
            if target.path.startswith(node.path):
                raise Refused(f"{path} cannot move into {into}, which is not outside it.", code="node_refused")
            _give_path(node, f"{target.full_path}/{node.name}")
            Node.objects.move(node, target, pos="last-child")
    moved: Node = Node.objects.get(pk=node.pk)
    return moved


def _give_path(node: Node, full_path: str) -> None:
    if node.full_path == full_path:
        return
    if Node.objects.filter(full_path=full_path).exists():
        raise Refused(f"There is a node {full_path} already.", code="node_refused")
    moved = list(Node.objects.get_descendants(node, include_self=True))
    for one in moved:
        one.full_path = full_path + one.full_path.removeprefix(node.full_path)
    Node.objects.bulk_update(moved, ["full_path"], batch_size=500)
    node.full_path = full_path

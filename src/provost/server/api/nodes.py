from provost.core.documents import NodeDocument
from provost.core.errors import Refused
from provost.core.requests import NodeBody, NodePatch
from provost.core.rights import Principal
from provost.server.models import Node
from provost.server.services import nodes


def list_nodes(by: Principal) -> list[NodeDocument]:
    """List nodes, each followed by those below it."""
    within = nodes.count_within(by=by)
    return [
        NodeDocument(path=node.full_path, assets=own, within=within[node.path])
        for node, own in nodes.list_nodes(by=by)
    ]


def add_node(by: Principal, body: NodeBody) -> NodeDocument:
    """Make a node, with those above it."""
    return _describe(by, nodes.add_node(by=by, path=body.path))


def edit_node(by: Principal, node: str, body: NodePatch) -> NodeDocument:
    """Give a node another name, or move it, with all that is below it, into another."""
    path = f"/{node}"
    if body.name is None and body.into is None:
        raise Refused("Give another name, or the node to move into.", code="nothing_to_do")
    if body.name is not None and body.into is not None:
        raise Refused("Rename it or move it: one at a time.", code="too_much_to_do")
    if body.name is not None:
        return _describe(by, nodes.rename_node(by=by, path=path, name=body.name))
    return _describe(by, nodes.move_node(by=by, path=path, into=None if body.into == "/" else body.into))


def remove_node(by: Principal, node: str) -> None:
    """Remove a node that holds nothing."""
    nodes.remove_node(by=by, path=f"/{node}")


def _describe(by: Principal, node: Node) -> NodeDocument:
    within = nodes.count_within(by=by)[node.path]
    return NodeDocument(path=node.full_path, assets=node.assets.count(), within=within)

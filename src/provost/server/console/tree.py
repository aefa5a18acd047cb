"""The tree of nodes, as pages show it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from provost.core.documents import NodeDocument


@dataclass(slots=True)
class Branch:
    """A node with those below it. `name` is its whole path where what is above it is out of sight."""

    path: str
    name: str
    assets: int
    within: int
    is_chosen: bool
    is_open: bool
    branches: list["Branch"] = field(default_factory=list)


def build_tree(nodes: Sequence[NodeDocument], chosen: Collection[str] = ()) -> list[Branch]:
    """Return the nodes as a tree, each level by name; what leads to a chosen one is open."""
    way = {path[:end] for path in chosen for end, letter in enumerate(path) if letter == "/" and end}
    made: dict[str, Branch] = {}
    roots: list[Branch] = []
    for node in sorted(nodes, key=lambda one: one.path.split("/")):
        above, _, name = node.path.rpartition("/")
        branch = Branch(
            path=node.path,
            name=name if above in made else node.path,
            assets=node.assets,
            within=node.within,
            is_chosen=node.path in chosen,
            is_open=node.path in way,
        )
        made[node.path] = branch
        (made[above].branches if above in made else roots).append(branch)
    return roots

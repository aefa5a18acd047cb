import pytest

from provost.core.errors import NotFound, Refused
from provost.core.rights import make_local

pytestmark = pytest.mark.usefixtures("database")

BY = make_local("tester")


def list_paths() -> list[str]:
    from provost.server.services.nodes import list_nodes

    return [node.full_path for node, _ in list_nodes(by=BY)]


def test_nodes_are_made_with_those_above_them() -> None:
    """Ensuring a path makes what is missing of it, once, and tells every node by its path."""
    from provost.server.services.nodes import ensure_nodes

    made = ensure_nodes(by=BY, paths=["/prod/web", "/prod/db/"])
    assert sorted(made) == ["/prod/db", "/prod/web"]
    again = ensure_nodes(by=BY, paths=["/prod/web", "/test"])
    assert again["/prod/web"] == made["/prod/web"]
    assert sorted(list_paths()) == ["/prod", "/prod/db", "/prod/web", "/test"]


@pytest.mark.parametrize("path", ["", "/", "prod", "//", "/a//b", "/a/ b", "/a\nb", "/" + "x" * 101, "/a" * 61])
def test_what_is_no_path_is_refused(path: str) -> None:
    """A path that could not be shown or told apart is refused before anything is made."""
    from provost.server.services.nodes import ensure_nodes

    with pytest.raises(Refused) as caught:
        ensure_nodes(by=BY, paths=["/fine", path])
    assert caught.value.code == "node_refused"
    assert list_paths() == []


def test_assets_of_a_node_are_those_below_it_too() -> None:
    """A node means all assets in it and below it, each once, and nobody else's, also after it has moved."""
    from provost.server.models import Asset
    from provost.server.services.nodes import ensure_nodes, find_nodes, list_asset_ids, move_node

    nodes = ensure_nodes(by=BY, paths=["/prod/web", "/prod/db", "/production"])

    def list_ids(*paths: str) -> set[int]:
        return list_asset_ids(nodes=find_nodes(by=BY, paths=paths))

    ids = {}
    for name, places in {
        "web": ["/prod/web"],
        "both": ["/prod/web", "/prod/db"],
        "other": ["/production"],
        "none": [],
    }.items():
        asset = Asset.objects.create(name=name, kind="memory", address=name, port=1)
        asset.nodes.set([nodes[path] for path in places])
        ids[name] = asset.id
    assert list_ids("/prod") == {ids["web"], ids["both"]}
    assert list_ids("/prod/db", "/production") == {ids["both"], ids["other"]}
    move_node(by=BY, path="/prod/web", into="/production")
    assert list_ids("/prod") == {ids["both"]}
    assert list_ids("/production") == {ids["web"], ids["both"], ids["other"]}


def test_unknown_node_is_not_found_and_lists_the_closest() -> None:
    """The error for a node that is not there names the nearest ones first."""
    from provost.server.services.nodes import ensure_nodes, find_nodes

    ensure_nodes(by=BY, paths=["/prod/web", "/a", "/b"])
    with pytest.raises(NotFound, match=r"no node '/prod/wep'\. There is: /prod/web, ") as caught:
        find_nodes(by=BY, paths=["/prod", "/prod/wep"])
    assert caught.value.code == "node_not_found"


def test_renaming_a_node_renames_what_is_below_it() -> None:
    """After a rename, the node and all below it are found by their new paths, and no others changed."""
    from provost.server.services.nodes import ensure_nodes, rename_node

    ensure_nodes(by=BY, paths=["/prod/web/eu", "/prod/webshop", "/prod/db"])
    rename_node(by=BY, path="/prod/web", name="front")
    assert sorted(list_paths()) == ["/prod", "/prod/db", "/prod/front", "/prod/front/eu", "/prod/webshop"]
    with pytest.raises(Refused, match="/prod/db already"):
        rename_node(by=BY, path="/prod/front", name="db")


def test_moving_a_node_takes_all_below_it_along() -> None:
    """A node moves into another or to the top with its children; never into itself or onto another."""
    from provost.server.services.nodes import ensure_nodes, move_node

    ensure_nodes(by=BY, paths=["/prod/web/eu", "/test/web", "/old"])
    with pytest.raises(Refused, match="/test/web already"):
        move_node(by=BY, path="/prod/web", into="/test")
    with pytest.raises(Refused, match="not outside it"):
        move_node(by=BY, path="/prod", into="/prod/web")
    move_node(by=BY, path="/prod/web", into="/old")
    move_node(by=BY, path="/old/web/eu", into=None)
    assert sorted(list_paths()) == ["/eu", "/old", "/old/web", "/prod", "/test", "/test/web"]
    from provost.server.models import Node

    assert Node.objects.find_problems() == ([], [], [], [], [])

"""Saved tasks follow what they name; parameters go to the kinds that they are meant for."""

from dataclasses import replace
from typing import Any

import pytest

from provost.core.errors import Refused
from provost.core.model import SecretType
from provost.core.push import PushSpec
from provost.core.rights import make_local

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.once]

BY = make_local("tester")


def add_asset(name: str, *nodes: str, kind: str = "memory") -> None:
    from provost.server.services.assets import add_asset
    from provost.server.services.checks import AssetFields

    add_asset(by=BY, fields=AssetFields(name, kind, name, nodes=nodes))


def describe(**fields: Any) -> PushSpec:
    return PushSpec(usernames=("alice",), secret_type=SecretType.PASSWORD, **fields)


def create(name: str, **fields: Any) -> None:
    from provost.server.services.tasks import TaskFields, create_task

    create_task(by=BY, fields=TaskFields(name, describe(**fields)), specified=None)


def show(name: str) -> tuple[list[str], list[str], int]:
    from provost.server.services.tasks import find_task

    task = find_task(by=BY, name=name)
    return task.spec["assets"], task.spec["nodes"], task.version


def list_targets(name: str) -> list[str]:
    """Return the assets that a task would push to now."""
    from provost.server.services.expansion import expand
    from provost.server.services.tasks import find_task, read_fields

    spec = read_fields(task=find_task(by=BY, name=name)).spec
    return [item.asset.name for item in expand(by=BY, spec=spec, specified=None).items]


def test_tasks_follow_a_renamed_asset() -> None:
    """A task names an asset by its new name, in its place; those of similar names stay."""
    from provost.server.services.assets import describe_fields, edit_asset, find_asset

    for name in ("web1", "web11", "web2"):
        add_asset(name, "/all")
    create("both", assets=("web2", "web1"), nodes=("/all",))
    create("other", assets=("web11",))
    fields = describe_fields(by=BY, asset=find_asset(by=BY, name="web1"))
    edit_asset(by=BY, name="web1", fields=replace(fields, name="front"))
    assert show("both") == (["web2", "front"], ["/all"], 2)
    assert show("other") == (["web11"], [], 1)
    assert list_targets("both") == ["front", "web11", "web2"]


def test_tasks_follow_renamed_and_moved_nodes() -> None:
    """A task names a node, and those below it, by their new paths; what only begins alike does not change."""
    from provost.server.services.nodes import ensure_nodes, move_node, rename_node

    add_asset("web1", "/prod/web/eu")
    add_asset("web2", "/prod/webshop")
    ensure_nodes(by=BY, paths=["/old"])
    create("eu", nodes=("/prod/web/eu", "/prod/webshop"))
    create("web", nodes=("/prod/web",))
    rename_node(by=BY, path="/prod/web", name="front")
    assert show("eu") == ([], ["/prod/front/eu", "/prod/webshop"], 2)
    move_node(by=BY, path="/prod/front", into="/old")
    assert show("web") == ([], ["/old/front"], 3)
    move_node(by=BY, path="/old/front", into=None)
    assert show("eu")[1] == ["/front/eu", "/prod/webshop"]
    assert (list_targets("eu"), list_targets("web")) == (["web1", "web2"], ["web1"])


def test_tasks_forget_what_is_removed() -> None:
    """A task goes on with the rest; one that names nothing any more cannot start, whatever is added."""
    from provost.server.services.assets import remove_asset
    from provost.server.services.nodes import ensure_nodes, remove_node

    add_asset("web1", "/all")
    add_asset("web2", "/all")
    ensure_nodes(by=BY, paths=["/empty"])
    create("both", assets=("web1", "web2"), nodes=("/empty",))
    create("one", assets=("web1",))
    remove_asset(by=BY, name="web1")
    remove_node(by=BY, path="/empty")
    assert list_targets("both") == ["web2"]
    assert show("one") == ([], [], 2)
    add_asset("web1", "/all")
    with pytest.raises(Refused) as caught:
        list_targets("one")
    assert caught.value.code == "no_assets"


def test_refused_rename_changes_no_task() -> None:
    """A name that is taken leaves nodes and tasks as they were."""
    from provost.server.services.nodes import ensure_nodes, rename_node

    ensure_nodes(by=BY, paths=["/prod/web", "/prod/db"])
    create("web", nodes=("/prod/web",))
    with pytest.raises(Refused):
        rename_node(by=BY, path="/prod/web", name="db")
    assert show("web") == ([], ["/prod/web"], 1)


@pytest.mark.parametrize("deep", [False, True])
def test_path_that_grows_too_long_is_refused(deep: bool) -> None:
    """Also by moving a node below another, a path stays one that can be stored and written down."""
    from provost.server.models import Node
    from provost.server.services.nodes import ensure_nodes, move_node, rename_node

    long = "/a" * 40 if deep else "/" + "/".join(["a" * 100] * 3)
    ensure_nodes(by=BY, paths=[long, long.replace("a", "b")])
    before = set(Node.objects.values_list("full_path", flat=True))
    top = "/b" if deep else "/" + "b" * 100
    with pytest.raises(Refused) as caught:
        move_node(by=BY, path=top, into=long)
    assert caught.value.code == "node_refused"
    assert set(Node.objects.values_list("full_path", flat=True)) == before
    rename_node(by=BY, path=top, name="c" * 100)


def read(parameters: dict[str, str], *kinds: str) -> Any:
    from provost.server.services.expansion import read_parameters

    return read_parameters(describe(parameters=parameters), kinds)


def test_parameter_goes_to_the_kinds_that_know_it() -> None:
    """Without a kind, every kind that knows it gets it; KIND.NAME is that kind's alone, and goes first."""
    both = read({"shell": "/bin/sh"}, "linux", "memory")
    assert both["linux"].shell == "/bin/sh"
    assert not hasattr(both["memory"], "shell")
    assert read({"shell": "/bin/sh", "linux.shell": "/bin/zsh"}, "linux")["linux"].shell == "/bin/zsh"


@pytest.mark.parametrize(
    ("parameters", "kinds"),
    [
        ({"memory.shell": "/bin/sh"}, ["linux", "memory"]),
        ({"linux.shell": "/bin/sh"}, ["memory"]),
        ({"linux.linux.shell": "/bin/sh"}, ["linux"]),
        ({"linux.": "/bin/sh"}, ["linux"]),
        ({".shell": "/bin/sh"}, ["linux"]),
        ({"shell": "/bin/sh"}, ["memory"]),
        ({"linux.shell": "sh:x"}, ["linux", "memory"]),
    ],
)
def test_parameter_of_no_kind_is_refused(parameters: dict[str, str], kinds: list[str]) -> None:
    """What none of the kinds pushed to knows is refused, whatever stands before its name."""
    with pytest.raises(Refused) as caught:
        read(parameters, *kinds)
    assert caught.value.code == "parameter_refused"


def test_parameter_goes_to_its_kind_in_a_push() -> None:
    """A task over two kinds keeps a parameter of one of them."""
    add_asset("host", "/all", kind="linux")
    add_asset("db", "/all")
    create("both", nodes=("/all",), parameters={"linux.shell": "/bin/zsh"})
    assert list_targets("both") == ["db", "host"]
    with pytest.raises(Refused):
        create("wrong", nodes=("/all",), parameters={"postgresql.shell": "/bin/zsh"})

"""Who may do what: tests/cases/rights.yaml, over every operation that there is."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from tests.server.asked import ASKED, describe_push, find_run

from provost.core import requests as said
from provost.core.errors import Forbidden, NotFound, ProvostError
from provost.core.operations import OPERATIONS, Operation
from provost.core.rights import Granted, Principal, Right, Role

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "rights.yaml").read_text())


def make_callers(world: Any, *, reveal: bool) -> list[Principal]:
    """Return who asks, in the order of the cases' columns."""
    roles = [Role.AUDITOR, Role.OPERATOR, Role.ADMINISTRATOR]
    return [
        world.enter("nobody"),
        *(world.enter(f"{role}", Granted(role, reveal=reveal)) for role in roles),
        *(world.enter(f"{role}-of-prod", Granted(role, "/prod", reveal)) for role in roles),
        world.enter("robot", Granted(Role.ADMINISTRATOR, reveal=reveal), limit=frozenset({Right.VIEW})),
    ]


def ask(operation: Operation[Any], by: Principal, given: dict[str, Any]) -> tuple[str, str]:
    """Ask, undo what was done, and return what became of it with all that was told."""
    from django.db import transaction

    function = getattr(import_module(f"provost.server.api.{operation.room}"), operation.name)
    try:
        with transaction.atomic():
            answer = function(by, **given)
            transaction.set_rollback(True)
    except Forbidden as error:
        return "F", f"{error.code}: {error.message}"
    except NotFound as error:
        return "N", f"{error.code}: {error.message}"
    return "A", answer.model_dump_json() if isinstance(answer, BaseModel) else repr(answer)


def test_every_operation_has_its_case() -> None:
    """An operation that is added to the table needs its line in the cases, and what it is asked with."""
    names = {(operation.room, operation.name) for operation in OPERATIONS}
    assert {(room, name) for room, cases in CASES.items() for name in cases} == names
    assert {tuple(name.split(".")) for name in ASKED} == names


@pytest.mark.parametrize("reveal", [False, True])
@pytest.mark.parametrize("room", CASES)
def test_rights(world: Any, room: str, reveal: bool) -> None:
    """Everybody may do what the cases say, and hears nothing of what is out of reach, not even that it is."""
    callers = make_callers(world, reveal=reveal)
    for operation in OPERATIONS:
        if operation.room != room:
            continue
        case = CASES[room][operation.name]
        case = case["revealing"] if reveal and "revealing" in case else case
        for place in case.keys() - {"revealing"}:
            check_place(world, operation, callers, place, case[place].replace(" ", ""))


def check_place(
    world: Any, operation: Operation[Any], callers: list[Principal], place: str, expected: str
) -> None:
    """Ask for an operation about a place as everybody, and compare what becomes of it."""
    asked = ASKED[f"{operation.room}.{operation.name}"]
    told = [ask(operation, by, asked(place, world)) for by in callers]
    assert "".join(outcome for outcome, _ in told) == expected, (operation.name, place)
    for by, (outcome, text) in zip(callers, told, strict=True):
        if not by.name.endswith("-of-prod"):
            continue
        check_unseen(text, place)
        if place == "outside":
            elsewhere = ask(operation, by, asked("nowhere", world))
            assert (outcome, hide(text, "outside", world)) == (
                elsewhere[0],
                hide(elsewhere[1], "nowhere", world),
            )


def check_unseen(text: str, place: str) -> None:
    """Make sure that a text holds no name from out of reach, but where the caller said it."""
    assert "unseen" not in text
    if place != "outside":
        assert "outside" not in text


def hide(text: str, place: str, world: Any) -> str:
    for name in (place, find_run(world.runs, place), find_run(world.over, place)):
        text = text.replace(name, "PLACE")
    return text


def test_nobody_is_told_of_names_by_conflicts(world: Any) -> None:
    """Who may add nothing is not told whether a name is taken."""
    asset = said.AssetBody(name="outside1", kind="memory", address="a", nodes=("/outside",))
    task = said.TaskBody(name="outside-task", spec=describe_push("outside"))
    operations = {(one.room, one.name): one for one in OPERATIONS}
    for by in (world.enter("nobody"), world.enter("auditor", Granted(Role.AUDITOR, "/prod"))):
        assert ask(operations["assets", "add_asset"], by, {"body": asset})[0] == "F"
        assert ask(operations["tasks", "create_task"], by, {"body": task})[0] == "F"


def test_lists_hold_what_is_in_reach(world: Any) -> None:
    """Each list of somebody in /prod is that of everybody less what lies elsewhere."""
    by = world.enter("alice", Granted(Role.OPERATOR, "/prod"))
    lists = [one for one in OPERATIONS if one.name in {
        "list_nodes", "list_assets", "list_accounts", "list_runs", "list_tasks", "list_pairs"
    }]  # fmt: skip
    for operation in lists:
        given = ASKED[f"{operation.room}.{operation.name}"]("inside", world)
        mine, all_of_them = (ask(operation, who, given)[1] for who in (by, world.local))
        assert "outside" not in mine
        if operation.name == "list_runs":
            assert all(run in mine for run in (world.runs["inside"], world.over["inside"]))
            assert world.runs["outside"] not in mine
            assert world.runs["outside"] in all_of_them
        else:
            assert "outside" in all_of_them
            assert "prod" in mine or "inside" in mine


def test_errors_that_are_no_matter_of_rights_are_told(world: Any) -> None:
    """Who may do a thing hears why it cannot be done."""
    operations = {(one.room, one.name): one for one in OPERATIONS}
    with pytest.raises(ProvostError, match="is not empty"):
        ask(operations["nodes", "remove_node"], world.local, {"node": "prod/web"})

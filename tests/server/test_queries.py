"""How many queries each question takes: the same for few rows as for many."""

import pytest

from provost.core.push import PushSpec
from provost.core.requests import (
    AccountQuery,
    AssetQuery,
    AuditQuery,
    FoundQuery,
    RecordQuery,
    RunQuery,
    TaskQuery,
)
from provost.core.rights import Face, Granted, Principal, Role, make_local
from provost.core.secrets import Password

BY = make_local("tester")

QUESTIONS = {
    # room, function, query: queries for who reaches everything, and for who reaches a node
    ("assets", "list_assets", AssetQuery(search="web")): (3, 3),
    ("assets", "list_assets", AssetQuery(node="/prod")): (4, 4),
    ("accounts", "list_accounts", AccountQuery(search="root")): (2, 2),
    ("accounts", "list_accounts", AccountQuery(node="/prod")): (3, 3),
    ("accounts", "list_accounts", AccountQuery(secret_type="password", newer_than=9)): (2, 2),
    ("found", "list_found", FoundQuery()): (3, 3),
    ("found", "list_found", FoundQuery(node="/prod", standing="unknown")): (4, 4),
    ("found", "count_found", FoundQuery()): (2, 2),
    ("rules", "list_rules", None): (1, 1),
    ("runs", "list_runs", RunQuery()): (3, 3),
    ("runs", "list_runs", RunQuery(asset="web1")): (5, 5),
    ("tasks", "list_tasks", TaskQuery()): (2, 4),
    ("nodes", "list_nodes", None): (2, 2),
    ("users", "list_users", None): (3, 1),
    ("audit", "list_entries", AuditQuery()): (1, None),
    ("overview", "show_overview", None): (16, 20),
}


def fill(first: int, last: int) -> None:
    """Bring in assets with an account each, and runs and tasks of them."""
    from provost.core.facts import Facts
    from provost.server.services import accounts, assets, discoveries, runs, tasks, users
    from provost.server.services.checks import AccountFields, AssetFields
    from provost.server.services.tasks import TaskFields
    from provost.server.services.users import UserFields

    for number in range(first, last):
        name = f"web{number}"
        fields = AssetFields(name, "memory", "192.0.2.1", nodes=("/prod", "/all"))
        made = assets.add_asset(by=BY, fields=fields)
        discoveries.record_found(asset_id=made.id, found=[Facts(username="root"), Facts(username="carol")])
        accounts.add_account(by=BY, fields=AccountFields("root", name), secret=Password("Correct-horse-1"))
        spec = PushSpec(assets=(name,), usernames=("alice",), secret_type="password")
        runs.create_run(by=BY, spec=spec, specified=None, attended=False)
        tasks.create_task(by=BY, fields=TaskFields(f"task{number}", spec), specified=None)
        users.add_user(by=BY, username=f"user{number}", fields=UserFields(grants=(Granted(Role.OPERATOR),)))


@pytest.mark.usefixtures("database")
def test_the_number_of_queries_does_not_grow_with_the_rows():
    """A fixed number for each list and search, whether the caller reaches everything or one node."""
    from importlib import import_module

    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from provost.server.models import Node

    def count(by: Principal) -> dict[object, int | None]:
        counts: dict[object, int | None] = {}
        for room, name, query in QUESTIONS:
            function = getattr(import_module(f"provost.server.api.{room}"), name)
            if room == "audit" and by is not BY:  # takes reach everywhere
                counts[room, name, query] = None
                continue
            with CaptureQueriesContext(connection) as queries:
                function(by, **({"query": query} if query else {}))
            counts[room, name, query] = len(queries)
        return counts

    fill(0, 2)
    node = Granted(Role.OPERATOR, Node.objects.get(full_path="/prod").path)
    limited = Principal("ben", Face.API, (node,))
    few = count(BY), count(limited)
    fill(2, 30)
    many = count(BY), count(limited)
    assert few == many
    assert many[0] == {question: number for question, (number, _) in QUESTIONS.items()}
    assert many[1] == {question: number for question, (_, number) in QUESTIONS.items()}


@pytest.mark.usefixtures("database")
def test_the_records_of_a_run_take_three_queries_and_their_reasons_four():
    """However many there are."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from provost.server.api.runs import list_reasons, list_records
    from provost.server.services import runs

    fill(0, 20)
    spec = PushSpec(nodes=("/prod",), usernames=("alice", "bob"), secret_type="password")
    run = runs.create_run(by=BY, spec=spec, specified=None, attended=False)
    with CaptureQueriesContext(connection) as queries:
        page = list_records(BY, str(run.id), RecordQuery())
    assert len(page.items) == 40
    assert len(queries) == 3
    run.records.update(status="failed", reason="unreachable")
    with CaptureQueriesContext(connection) as queries:
        (reason,) = list_reasons(BY, str(run.id))
    assert reason.count == 40
    assert len(queries) == 4

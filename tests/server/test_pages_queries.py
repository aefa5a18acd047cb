"""How many queries each page of the console takes: the same for few rows as for many."""

import pytest
from tests.server.test_queries import BY, fill

from provost.core.secrets import Password

PASSWORD = Password("what-nobody-guesses-1")

PAGES = {
    # address: queries, with those of the session and the visitor
    "/": 21,
    "/assets": 9,
    "/assets?node=/prod": 10,
    "/assets?search=web": 9,
    "/assets/web0": 24,
    "/accounts": 8,
    "/accounts?older_than=30": 7,
    "/accounts?search=web": 8,
    "/found": 11,
    "/found?standing=unknown": 11,
    "/found/carol@web0": 10,
    "/onboarding": 5,
    "/onboarding/new": 6,
    "/accounts?sync=never": 8,
    "/accounts/root@web0": 19,
    "/accounts/root@web0/rotate": 10,
    "/accounts/root@web0/remove-there": 10,
    "/push": 7,
    "/push?node=/prod": 11,
    "/push?action=verify&node=/prod": 11,
    "/push?heartbeat": 13,
    "/push/assets?asset_search=web": 7,
    "/tasks": 6,
    "/tasks/task0": 7,
    "/runs": 9,
    "/runs/{run}": 14,
    "/runs/{run}/progress": 7,
    "/runs/{run}/records": 14,
    "/audit": 5,
    "/users": 7,
    "/tokens": 8,
    "/settings": 5,
    "/import": 4,
}


@pytest.mark.usefixtures("database")
def test_the_queries_of_a_page_do_not_grow_with_the_rows() -> None:
    """A fixed number for each page, as somebody sees it who has signed in."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from provost.core.push import PushSpec
    from provost.core.rights import Granted, Role
    from provost.server.services import runs, users
    from provost.server.services.users import UserFields

    fields = UserFields(password=PASSWORD, grants=(Granted(Role.ADMINISTRATOR),))
    users.add_user(by=BY, username="ada", fields=fields)
    client = Client()
    signed_in = client.post("/sign-in/login/", {"login": "ada", "password": PASSWORD.text})
    assert signed_in.status_code == 302

    def count() -> dict[str, int]:
        spec = PushSpec(nodes=("/prod",), usernames=("alice", "bob"), secret_type="password")
        run = runs.create_run(by=BY, spec=spec, specified=None, attended=False)
        run.records.update(status="failed", reason="unreachable")
        counts = {}
        for address in PAGES:
            asked = address.format(run=run.id)
            client.get(asked)  # what a process reads once, and that somebody was seen, is read
            with CaptureQueriesContext(connection) as queries:
                assert client.get(asked).status_code == 200
            counts[address] = len(queries)
        return counts

    fill(0, 2)
    few = count()
    fill(2, 30)
    many = count()
    assert many == few
    assert few == PAGES

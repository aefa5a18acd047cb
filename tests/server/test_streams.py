"""What is longer than one answer, with somebody who reads slowly or may read no more."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

from provost.core import requests as said
from provost.core.rights import Granted, Right, Role
from provost.server.services import pages

pytestmark = pytest.mark.once


def ask(token: str = "") -> HttpRequest:
    request = HttpRequest()
    request.META["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return request


@pytest.mark.parametrize("what", ["revoked", "grants", "inactive"])
async def test_watching_ends_with_the_right_to(world: Any, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Events of a run end when the token is void, or its user is not active or not granted any more."""
    from provost.server.api import streams
    from provost.server.services import tokens, users
    from provost.server.web.authentication import authenticate

    def enter() -> HttpRequest:
        world.enter("ada", Granted(Role.OPERATOR))
        made = tokens.create_token(by=world.local, user="ada", name="ci", rights=frozenset(Right), days=1)
        request = ask(made.text)
        request.auth = authenticate(request)  # type: ignore[attr-defined]  # as ninja does
        return request

    def end() -> None:
        match what:
            case "revoked":
                tokens.revoke_token(by=world.local, user="ada", name="ci")
            case "grants":
                users.edit_user(by=world.local, username="ada", fields=users.UserFields(grants=()))
            case "inactive":
                users.edit_user(by=world.local, username="ada", fields=users.UserFields(active=False))

    monkeypatch.setattr(streams, "_PAUSE", 0.01)
    response = await streams.watch_run(await sync_to_async(enter)(), world.runs["inside"])
    parts = aiter(response)
    assert (await anext(parts)).startswith(b"event: progress")
    await sync_to_async(end)()
    assert [part async for part in parts] == []


@pytest.mark.parametrize("what", ["audit", "run"])
async def test_exports_hold_no_connection_meanwhile(
    world: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """While somebody reads an export slowly, the database is free; nothing is left out."""
    from provost.server.api import streams
    from provost.server.api.audit import list_entries
    from provost.server.models import Record, Run

    def ask_for() -> tuple[HttpRequest, int]:
        request = ask()
        request.auth = world.local  # type: ignore[attr-defined]  # as ninja does
        run = Run.objects.get(id=world.over["inside"])
        first = run.records.get()
        Record.objects.bulk_create(
            Record(
                run=run, asset=first.asset, asset_name=first.asset_name, username=name, secret_type="password"
            )
            for name in "acdefgh"
        )
        return request, len(list_entries(world.local, said.AuditQuery(limit=1000)).items) + 1

    request, entries = await sync_to_async(ask_for)()
    monkeypatch.setattr(streams, "_AT_ONCE", 2)
    monkeypatch.setattr(pages, "_AT_ONCE", 3)
    response: StreamingHttpResponse
    if what == "audit":
        response = await streams.export_audit(request)
    else:
        response = await streams.export_run(request, world.over["inside"], streams.ExportQuery(format="json"))
        entries = 8
    lines: list[bytes] = []
    async for part in response:
        lines += part.splitlines()
        assert await sync_to_async(lambda: connection.connection)() is None
    assert len(set(lines)) == len(lines) == entries

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from provost.server.services import context
from provost.server.services.metrics import REGISTRY
from provost.server.web import gate as module
from provost.server.web.gate import Gate

LIMIT = 10_000


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body that was sent."""
    body = b""
    while True:
        event = await receive()
        body += event["body"]
        if not event["more_body"]:
            break
    kind = dict(scope["headers"]).get(b"x-kind", b"text/plain")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})


def ask(gate: Gate, *, peer: str = "192.0.2.7") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(gate, client=(peer, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://server")


async def test_bodies_are_bounded() -> None:
    """A body that is too large is refused, whether its length is told or not; others pass."""

    async def drip() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 1000

    async with ask(Gate(echo, trusted=[], body_limit=LIMIT)) as client:
        assert (await client.post("/", content=b"x" * LIMIT)).content == b"x" * LIMIT
        assert (await client.post("/", content=b"x" * (LIMIT + 1))).status_code == 413
        refused = await client.post("/", content=drip())
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


async def test_memory_for_bodies_is_bounded() -> None:
    """However many send bodies at once, four of the largest are held, and small ones are taken beside them."""
    release = asyncio.Event()

    async def hold(scope: Any, receive: Any, send: Any) -> None:
        event = await receive()
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": event["body"]})
        del scope

    gate = Gate(hold, trusted=[], body_limit=LIMIT)
    async with ask(gate) as client:
        held = [asyncio.create_task(client.post("/", content=b"x" * LIMIT)) for _ in range(4)]
        await asyncio.sleep(0.1)
        assert (await client.post("/", content=b"x" * 100)).status_code == 503
        small = asyncio.create_task(client.post("/", content=b"x" * 9))
        await asyncio.sleep(0.1)
        release.set()
        assert [(await one).status_code for one in (*held, small)] == [200] * 5
        assert gate.held == 0
        assert (await client.post("/", content=b"x")).status_code == 200


async def test_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who begins a body and sends no more of it is refused, and what was held of it is free again."""
    monkeypatch.setattr(module, "_BODY_PATIENCE", 0.1)
    never = asyncio.Event()

    async def stall() -> AsyncIterator[bytes]:
        yield b"x" * LIMIT
        await never.wait()

    gate = Gate(echo, trusted=[], body_limit=LIMIT)
    async with ask(gate) as client:
        refused = await client.post("/", content=stall())
    assert (refused.status_code, refused.json()["code"]) == (408, "body_too_slow")
    assert gate.held == 0


async def test_headers_are_on_every_response() -> None:
    """A page gets a policy of its own, and HSTS goes with TLS alone."""
    async with ask(Gate(echo, trusted=[], body_limit=LIMIT)) as client:
        plain = (await client.get("/")).headers
        page = (await client.get("/", headers={"x-kind": "text/html; charset=utf-8"})).headers
        by_tls = (await client.get("https://server/")).headers
        refused = (await client.post("/", content=b"x" * 2000)).headers
    assert plain["content-security-policy"].startswith("default-src 'none'; frame-ancestors")
    assert "script-src 'self'" in page["content-security-policy"]
    assert "unsafe" not in page["content-security-policy"]
    assert "strict-transport-security" not in plain
    assert "strict-transport-security" in by_tls
    for headers in (plain, page, by_tls, refused):
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["x-request-id"]


async def test_line_of_the_log_tells_who_and_not_what(caplog: pytest.LogCaptureFixture) -> None:
    """The line has method, path, status, time, principal and address: no query, no body, no header."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        context.note_principal("alice")
        await echo(scope, receive, send)

    caplog.set_level(logging.DEBUG, logger="provost")
    gate = Gate(app, trusted=[], body_limit=LIMIT)
    headers = {"Authorization": "Bearer hush", "X-Request-ID": "forged"}
    async with ask(gate) as client:
        await client.post("/a%1b%5b31mb?token=hush", content=b"hush", headers=headers)
    (record,) = [one for one in caplog.records if one.name == "provost.request"]
    facts = record.facts  # type: ignore[attr-defined]  # the gate's own
    assert record.getMessage() == "POST /a\\x1b[31mb 200"
    assert (facts["principal"], facts["source"], facts["status"]) == ("alice", "192.0.2.7", 200)
    assert "hush" not in str(record.__dict__)
    assert context.request.get() is None


async def test_methods_that_nobody_knows_are_one_label() -> None:
    """A client cannot make as many series as it likes."""
    async with ask(Gate(echo, trusted=[], body_limit=LIMIT)) as client:
        for number in range(3):
            await client.request(f"BREW{number}", f"/{number}")
    labels = {"route": "unmatched", "method": "other", "status": "200"}
    assert (REGISTRY.get_sample_value("provost_requests_total", labels) or 0) >= 3


async def test_event_streams_end_when_the_server_stops() -> None:
    """A stop ends a stream of events in good order, and lets other responses finish."""
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kind = b"text/event-stream" if scope["path"] == "/stream" else b"text/plain"
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        gone = asyncio.create_task(receive())
        await asyncio.wait({gone}, timeout=None if scope["path"] == "/stream" else 0.3)
        if not gone.done():
            gone.cancel()
            await send({"type": "http.response.body", "body": b"all", "more_body": False})
        ended.set()

    gate = Gate(app, trusted=[], body_limit=LIMIT)

    async def ask_once(path: str) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        requests = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if requests:
                return requests.pop()
            await asyncio.sleep(3600)
            raise AssertionError

        async def send(event: Any) -> None:
            sent.append(event)

        scope = {"type": "http", "client": None, "scheme": "http", "method": "GET", "path": path, "headers": []}
        await gate(scope, receive, send)  # type: ignore[arg-type]  # as much of them as is used
        return sent

    stream, other = asyncio.create_task(ask_once("/stream")), asyncio.create_task(ask_once("/other"))
    await asyncio.sleep(0.1)
    assert not stream.done()
    gate.stopping.set()
    assert (await asyncio.wait_for(stream, 60))[-1] == {
        "type": "http.response.body",
        "body": b"",
        "more_body": False,
    }
    assert (await other)[-1]["body"] == b"all"

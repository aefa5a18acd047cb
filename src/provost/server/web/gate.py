"""The outermost layer of the server, around Django: what holds for every request, whatever becomes of it."""

import asyncio
import logging
import time
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Final
from uuid import uuid4

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

from provost.core.documents import ProblemDocument
from provost.core.inert import make_inert
from provost.server.services import context
from provost.server.services.metrics import REQUEST_SECONDS, REQUESTS
from provost.server.web.headers import add_headers
from provost.server.web.proxies import find_origin

logger = logging.getLogger("provost.request")

PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked again and again by machines: told in the log when they fail."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SHOWN: Final = 500
_BODIES_AT_ONCE: Final = 4
_SMALL: Final = 1024
"""A body counts as small up to such a part of the largest: it is taken however many large ones are held."""
_BODY_PATIENCE: Final = 120.0
_TOO_LARGE: Final = (413, "body_too_large", "The body is larger than this server takes.")
_TOO_MUCH: Final = (503, "busy", "The server is busy with other large bodies. Try again.")
_TOO_SLOW: Final = (408, "body_too_slow", "The body did not come within two minutes.")
_FAULT: Final = 500


class Gate:
    """Tells who asks, bounds the body, adds the headers, writes the log's line, counts, and ends streams.

    Once `stopping` is set, responses of type text/event-stream end in good order; all others are finished.
    `held` is how many bytes of bodies are in memory; four of the largest fit.
    """

    def __init__(
        self, app: ASGI3Application, *, trusted: Sequence[IPv4Network | IPv6Network], body_limit: int
    ) -> None:
        self.app = app
        self.trusted = trusted
        self.body_limit = body_limit
        self.stopping = asyncio.Event()
        self.held = 0

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve what comes: HTTP, and nothing else."""
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()


class _Refused(Exception):
    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text


class _Exchange:
    """One request and its response."""

    def __init__(
        self, gate: Gate, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        self._gate = gate
        self._receive_outside = receive
        self._send_outside = send
        peer = scope["client"][0] if scope["client"] else ""
        origin = find_origin(
            peer, secure=scope["scheme"] == "https", headers=scope["headers"], trusted=gate.trusted
        )
        self._facts = context.Request(origin.request_id or uuid4().hex, origin.source, origin.secure)
        self._scope = scope
        scope["client"] = (origin.source, 0)
        scope["scheme"] = "https" if origin.secure else "http"
        self._received = 0
        self._body_ends: float | None = None
        """When all of the body must have come, by the loop's clock; None: nobody reads it yet."""
        self._body_came = False
        self._status = 0
        self._complete = False
        self._streaming = asyncio.Event()

    async def run(self) -> None:
        began = time.perf_counter()
        token = context.request.set(self._facts)
        try:
            try:
                self._check_length()
                await self._gate.app(self._scope, self._receive, self._send)
            except _Refused as refused:
                await self._refuse(refused)
            if self._status and not self._complete and self._gate.stopping.is_set():
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._gate.held -= self._received
            self._report(time.perf_counter() - began)
            context.request.reset(token)

    def _check_length(self) -> None:
        for name, value in self._scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._gate.body_limit:
                raise _Refused(*_TOO_LARGE)

    async def _receive(self) -> ASGIReceiveEvent:
        now = asyncio.get_running_loop().time()
        if self._body_ends is None:
            self._body_ends = now + _BODY_PATIENCE
        patience = None if self._body_came else self._body_ends - now
        coming = asyncio.ensure_future(self._receive_outside())
        ending = asyncio.ensure_future(self._wait_for_end())
        try:
            await asyncio.wait({coming, ending}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                if not ending.done():
                    raise _Refused(*_TOO_SLOW)
                return {"type": "http.disconnect"}
            event = coming.result()
        finally:
            coming.cancel()
            ending.cancel()
        if event["type"] == "http.request":
            self._body_came = not event.get("more_body", False)
            size = len(event.get("body", b""))
            self._received += size
            self._gate.held += size
            if self._received > self._gate.body_limit:
                raise _Refused(*_TOO_LARGE)
            is_small = self._received * _SMALL <= self._gate.body_limit
            if self._gate.held > _BODIES_AT_ONCE * self._gate.body_limit and not is_small:
                raise _Refused(*_TOO_MUCH)
        return event

    async def _wait_for_end(self) -> None:
        await self._gate.stopping.wait()
        await self._streaming.wait()

    async def _send(self, event: ASGISendEvent) -> None:
        if event["type"] == "http.response.start":
            self._status = event["status"]
            headers = list(event["headers"])
            if any(
                name.lower() == b"content-type" and value.startswith(b"text/event-stream")
                for name, value in headers
            ):
                self._streaming.set()
            event["headers"] = add_headers(headers, request_id=self._facts.id, secure=self._facts.secure)
        elif event["type"] == "http.response.body":
            self._complete = not event.get("more_body", False)
        await self._send_outside(event)

    async def _refuse(self, refused: _Refused) -> None:
        if self._status:
            return
        problem = ProblemDocument(
            type=f"urn:provost:problem:{refused.code}",
            title="Refused",
            status=refused.status,
            detail=refused.text,
            code=refused.code,
            request_id=self._facts.id,
        )
        headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
        await self._send(
            {"type": "http.response.start", "status": refused.status, "headers": headers, "trailers": False}
        )
        await self._send(
            {"type": "http.response.body", "body": problem.model_dump_json().encode(), "more_body": False}
        )

    def _report(self, seconds: float) -> None:
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        route = self._facts.route or "unmatched"
        REQUESTS.labels(route, method, str(self._status)).inc()
        REQUEST_SECONDS.labels(route, method).observe(seconds)
        path = make_inert(self._scope["path"])[:_SHOWN]
        quiet = path in PROBES and 0 < self._status < _FAULT
        logger.log(
            logging.DEBUG if quiet else logging.INFO,
            "%s %s %s",
            method,
            path,
            self._status or "unanswered",
            extra={
                "facts": {
                    "method": method,
                    "path": path,
                    "status": self._status,
                    "milliseconds": round(seconds * 1000, 1),
                    "principal": self._facts.principal,
                    "source": self._facts.source,
                }
            },
        )

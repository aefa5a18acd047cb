"""A real receiver of webhooks, which checks signatures by itself: the rule is written down here once more."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What came, and what is answered: by turns what `answers` holds, then 204."""

    url: str
    server: ThreadingHTTPServer
    answers: list[int] = field(default_factory=list)
    got: list[dict[str, Any]] = field(default_factory=list)
    hold: Callable[[], object] = lambda: None

    def verify(self, index: int, secret: str) -> dict[str, Any]:
        """Check the signature of what came as the specification says, and return what it says."""
        headers, body = self.got[index]["headers"], self.got[index]["body"]
        key = base64.b64decode(secret.split("_", 1)[1])
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        signatures = [one.split(",", 1) for one in headers["webhook-signature"].split(" ")]
        assert ["v1", wanted] in signatures
        assert abs(time.time() - int(headers["webhook-timestamp"])) < 300
        document: dict[str, Any] = json.loads(body)
        return document


@contextmanager
def receive(port: int = 0) -> Iterator[Receiver]:
    """Serve on the loopback address until this ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): text for name, text in self.headers.items()}
            receiver.got.append({"headers": headers, "body": body, "path": self.path})
            receiver.hold()
            status = receiver.answers.pop(0) if receiver.answers else 204
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{receiver.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the base
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hush-hook", server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

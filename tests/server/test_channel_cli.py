"""`provost channel` as an operator runs it, on the data folder, and through a server that is killed."""

import json
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.receiver import Receiver, receive

pytestmark = pytest.mark.once

Provost = Callable[..., subprocess.CompletedProcess[str]]
Serve = Callable[..., Any]

PATIENCE = 60.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receive() as receiver:
        yield receiver


def read(provost: Provost, *words: str, **more: Any) -> Any:
    return json.loads(provost(*words, "--json", **more).stdout)


def wait_for(what: Callable[[], Any]) -> Any:
    ends = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.1)
    return found


def test_a_channel_is_made_tried_changed_and_removed(ready: Provost, receiver: Receiver) -> None:
    """`add` prints the signing secret, alone; `test` and `send` say whether it came; no other verb has it."""
    added = ready(
        "channel", "add", "pager", "--webhook", receiver.url, "--event", "run_failed", "--node", "/prod"
    )
    secret = added.stdout.strip()
    assert secret.startswith("whsec_")
    assert "not shown again" in added.stderr
    assert ready("channel", "test", "pager").stdout == "It was delivered to pager.\n"
    assert receiver.verify(0, secret)["type"] == "test"
    receiver.answers.append(500)
    failed = ready("channel", "test", "pager", status=1)
    assert failed.stdout == "It was not delivered: The receiver answered 500.\n"
    waiting = read(ready, "channel", "deliveries", "pager", "--state", "queued")["deliveries"]
    assert [one["attempts"] for one in waiting] == [1]
    assert read(ready, "channel", "send", "pager", waiting[0]["id"])["delivery"]["state"] == "delivered"
    shown = read(ready, "channel", "show", "pager")["channel"]
    assert (shown["node"], shown["events"], shown["latest"]["state"]) == ("/prod", ["run_failed"], "delivered")
    edited = read(ready, "channel", "edit", "pager", "--everywhere", "--inactive", "--rename", "night")[
        "channel"
    ]
    assert (edited["name"], edited["node"], edited["active"]) == ("night", None, False)
    ready("channel", "add", "mail", "--email", "ops@example.org")
    everything = "".join(
        ready("channel", *words).stdout
        for words in (("list",), ("list", "--json"), ("show", "night"), ("deliveries", "night"))
    )
    assert secret not in everything
    assert "ops@example.org" in everything
    failed = ready("channel", "test", "mail", status=1)
    assert "PROVOST_SMTP_URL" in failed.stdout
    ready("channel", "remove", "night")
    assert [one["name"] for one in read(ready, "channel", "list")["channels"]] == ["mail"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("add", "pager"), "usage"),
        (("add", "pager", "--webhook", "https://a.example", "--email", "a@example.org"), "usage"),
        (("add", "pager", "--webhook", "gopher://a.example"), "address_refused"),
        (("add", "pager", "--email", "a@example.org", "--event", "run"), "option_refused"),
        (("show", "pager"), "channel_not_found"),
        (("deliveries", "pager"), "channel_not_found"),
    ],
)
def test_what_is_refused(ready: Provost, words: tuple[str, ...], code: str) -> None:
    """Each says why by its code, and changes nothing."""
    assert json.loads(ready("channel", *words, "--json", status=2).stdout)["error"]["code"] == code


def test_a_failed_run_is_told_by_the_server(ready: Provost, serve: Serve, receiver: Receiver) -> None:
    """A push in the foreground that fails is told by the server beside it, with the first retry of its own."""
    secret = ready("channel", "add", "pager", "--webhook", receiver.url).stdout.strip()
    receiver.answers.append(500)
    serve()
    push = ("push", "--account", "alice", "--asset", "web1", "--secret-type", "password")
    run = read(ready, *push, status=1)["run"]
    wait_for(lambda: len(receiver.got) > 1)
    for index in range(2):
        told = receiver.verify(index, secret)
        assert (told["type"], told["data"]["run"]) == ("run_failed", run["id"])
        assert told["data"]["counts"] == {"skipped": 1}
        assert [one["reason"] for one in told["data"]["problems"]] == ["no_privileged_account"]


def test_a_server_killed_while_it_sends(
    ready: Provost, serve: Serve, receiver: Receiver, environment: dict[str, str], tmp_path: Path
) -> None:
    """What it had claimed comes at least once: the next server sends it when its time is over."""
    secret = ready("channel", "add", "pager", "--webhook", receiver.url).stdout.strip()
    ready("user", "add", "ann", "--grant", "administrator")
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(ready("token", "create", "cli", "--user", "ann").stdout)
    opened = threading.Event()
    receiver.hold = lambda: opened.wait(30)
    server = serve()
    elsewhere = ("--server", server.url, "--token-file", str(token))
    asked = subprocess.Popen(
        [*ready(*("--version",)).args[:1], *elsewhere, "channel", "test", "pager"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: receiver.got)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    opened.set()
    asked.communicate()
    (delivery,) = read(ready, "channel", "deliveries", "pager")["deliveries"]
    assert (delivery["state"], delivery["attempts"]) == ("queued", 1)
    with sqlite3.connect(Path(environment["PROVOST_HOME"]) / "provost.sqlite3") as database:
        database.execute("UPDATE server_delivery SET held_until = '2026-01-01 00:00:00'")  # its time is over
    database.close()
    serve()
    wait_for(lambda: read(ready, "channel", "deliveries", "pager", "--state", "delivered")["deliveries"])
    assert receiver.verify(0, secret) == receiver.verify(1, secret)
    assert len(receiver.got) == 2

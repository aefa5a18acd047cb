"""The same commands, through a real server instead of on the data folder."""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import PROVOST, keep_environment
from tests.server.test_serve import make_certificate

pytestmark = pytest.mark.once

Provost = Callable[..., subprocess.CompletedProcess[str]]
Prepare = Callable[[dict[str, str]], Provost]
Serve = Callable[..., Any]

PUSH = ("push", "--account", "alice", "--secret-type", "password", "--connect-timeout", "3")


def read(provost: Provost, *words: str, **more: Any) -> Any:
    return json.loads(provost(*words, "--json", **more).stdout)


@pytest.fixture
def token(ready: Provost, tmp_path: Path) -> Path:
    """A file with a token of an administrator who may reveal."""
    ready("user", "add", "ann", "--grant", "administrator+reveal")
    return write_token(ready, tmp_path / "token", "ann")


def write_token(ready: Provost, file: Path, user: str) -> Path:
    file.touch(0o600)
    file.write_text(ready("token", "create", "cli", "--user", user).stdout)
    return file


@pytest.fixture
def elsewhere(tmp_path: Path, token: Path) -> dict[str, str]:
    """The environment of another machine: no data folder, and the token."""
    return keep_environment() | {"PROVOST_HOME": str(tmp_path / "none"), "PROVOST_TOKEN_FILE": str(token)}


@pytest.fixture
def remote(serve: Serve, elsewhere: dict[str, str], prepare: Prepare) -> Provost:
    """The program on another machine, with a server."""
    elsewhere["PROVOST_SERVER"] = serve().url
    return prepare(elsewhere)


@contextmanager
def hold() -> Iterator[int]:
    """Listen, and never say a word: what connects there waits. Gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def answer(status: int, headers: dict[str, str], content: bytes = b"") -> Iterator[str]:
    """A web server that says the same to everything. Gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_same_commands_print_the_same(
    ready: Provost, remote: Provost, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    """What was made through the server reads the same there and on its data folder, as JSON and as text."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", key], check=True)
    inventory = tmp_path / "inventory.csv"
    inventory.write_text("name,kind,address,nodes\nweb2,linux,10.0.0.2,/prod/web;/eu\nweb3,memory,m,/eu\n")
    secret = "  hush $(id) \N{KEY} "
    remote("asset", "add", "jump", "--kind", "linux", "--address", "10.0.0.1", "--option", "via_account=x")
    remote("asset", "edit", "jump", "--comment", "a/b?c#d %2F", "--node", "/a b/ü?x")
    remote("account", "add", "root", "--asset", "web1", "--privileged", "--password-stdin", stdin=secret)
    add_key = ("account", "add", "root", "--asset", "web1", "--key", str(key), "--passphrase-stdin")
    remote(*add_key, stdin="open sesame\n")
    remote("account", "edit", "root@web1", "--priority", "3")
    assert read(remote, "import", str(inventory))["imported"]["assets"] == {"added": 2}
    remote("account", "add", "o/ps@x", "--asset", "web3", "--password-stdin", stdin="x")
    remote("node", "add", "/prod/spare")
    remote("node", "rename", "/a b/ü?x", "y")
    create = ("task", "create", "nightly", "--account", "a", "--node", "/prod", "--secret-type", "password")
    remote(*create, "--secret-stdin", "--cron", "30 2 * * *", "--zone", "Europe/Paris", stdin="hush-hush")
    remote("task", "edit", "nightly", "--window", "sat 22:00-04:00", "--length", "40", "--comment", "why")
    remote("user", "add", "bob", "--grant", "operator+reveal:/a b/y", "--password-stdin", stdin="long-pass-42")
    remote("token", "create", "ci", "--user", "bob", "--right", "view")
    for words in (
        ["asset", "list"],
        ["asset", "list", "--node", "/eu"],
        ["asset", "show", "jump"],
        ["account", "list"],
        ["account", "show", "o/ps@x@web3"],
        ["account", "history", "root@web1"],
        ["account", "reveal", "root@web1", "--secret-type", "password"],
        ["account", "reveal", "root@web1", "--secret-type", "ssh_key"],
        ["node", "list"],
        ["task", "list"],
        ["task", "show", "nightly"],
        ["run", "list"],
        ["user", "list"],
        ["user", "show", "bob"],
        ["token", "list"],
        ["kind", "list"],
        ["audit", "list"],
        ["audit", "verify"],
    ):
        for form in ([], ["--json"]):
            assert remote(*words, *form).stdout == ready(*words, *form).stdout, words
    assert ready("account", "reveal", "root@web1", "--secret-type", "password").stdout == secret + "\n"
    assert remote("audit", "export").stdout == ready("audit", "export").stdout
    who = read(remote, "whoami")["who"]
    assert (who["name"], who["face"], who["token"]) == ("ann", "api", "cli")
    assert not Path(elsewhere["PROVOST_HOME"]).exists()
    remote("account", "remove", "root@web1")
    remote("account", "remove", "root@web1", "--forget", "--yes")
    remote("task", "delete", "nightly")
    remote("token", "revoke", "ci", "--user", "bob")
    remote("user", "remove", "bob")
    remote("asset", "remove", "web1", "--yes")
    remote("node", "remove", "/prod/spare")
    assert read(remote, "key", "rotate")["rotation"]["secrets"] == 3  # and the trail's and the console's keys


def test_same_errors_are_told(ready: Provost, remote: Provost, tmp_path: Path) -> None:
    """Bad input ends with the same exit status, code and message, there and here."""
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(
        "assets:\n- {name: web2, kind: linux, address: a}\n- {name: x, kind: linus, address: a}\n"
    )
    ready("user", "add", "bob", "--grant", "operator")
    for words in (
        ["asset", "show", "web2"],
        ["asset", "show", ".."],
        ["asset", "add", "web1", "--kind", "linux", "--address", "a"],
        ["asset", "add", "x", "--kind", "linus", "--address", "a"],
        ["asset", "add", "x", "--kind", "linux", "--address", "a", "--port", "0"],
        ["asset", "add", "x", "--kind", "linux", "--address", "a b"],
        ["asset", "edit", "web1", "--via", "web1"],
        ["account", "show", "root"],
        ["account", "reveal", "root@web1"],
        ["node", "rename", "/prod/../x", "y"],
        ["node", "remove", "/prod"],
        ["import", str(inventory)],
        ["task", "show", "nosuch"],
        ["task", "run", "nosuch"],
        ["run", "show", "0"],
        ["push", "--account", "a", "--asset", "nosuch", "--secret-type", "password"],
        ["push", "--account", "a", "--asset", "web1", "--secret-type", "password", "--param", "no=x"],
        ["user", "add", "bob"],
        ["user", "show", "nobody"],
        ["token", "create", "a b", "--user", "bob"],
    ):
        assert read(remote, *words, status=2) == read(ready, *words, status=2), words
    assert "line 3: " in remote("import", str(inventory), status=2).stderr


def test_push_is_followed(ready: Provost, remote: Provost) -> None:
    """A push through the server ends as a local one: records and exit status; a dry run and a retry do, too."""
    ready("asset", "edit", "web1", "--port", "1")
    ready("account", "add", "root", "--asset", "web1", "--privileged", "--password-stdin", stdin="x")
    done = read(remote, *PUSH, "--asset", "web1", "--secret-stdin", status=1, stdin="hush-hush")
    assert (done["run"]["state"], done["run"]["requested_by"]) == ("finished", "ann")
    assert [record["reason"] for record in done["records"]] == ["connection_refused"]
    assert read(ready, "run", "show", done["run"]["id"]) == done
    retried = read(remote, "run", "retry", done["run"]["id"], status=1)
    assert retried["run"]["spec"] == done["run"]["spec"]
    assert read(remote, *PUSH, "--node", "/prod", "--dry-run", status=1)["run"]["dry_run"]
    left = read(remote, *PUSH, "--asset", "web1", "--detach")["run"]
    assert left["state"] == "queued"
    ready("task", "create", "nightly", "--account", "a", "--node", "/prod", "--secret-type", "password")
    told = remote("task", "run", "nightly", status=1).stdout
    assert "1 failed" in told
    exported = ("run", "export", done["run"]["id"])
    assert remote(*exported).stdout == ready(*exported).stdout


def follow(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROVOST, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def wait_for_run(provost: Provost) -> str:
    """Wait until the newest run is being worked off, and return its id."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = read(provost, "run", "list")["runs"]
        if found and found[0]["state"] == "running":
            return str(found[0]["id"])
        time.sleep(0.2)
    pytest.fail("no run began")


@pytest.mark.usefixtures("remote")
def test_interrupt_cancels_the_run_and_twice_leaves_it(ready: Provost, elsewhere: dict[str, str]) -> None:
    """Ctrl-C asks the server to stop, and the run is followed to its end; a second one leaves at once."""
    with hold() as port:
        ready("asset", "edit", "web1", "--port", str(port))
        ready("account", "add", "root", "--asset", "web1", "--privileged", "--password-stdin", stdin="x")
        for times in (1, 2):
            process = follow(elsewhere, *PUSH, "--asset", "web1")
            run = wait_for_run(ready)
            time.sleep(2)  # it is being followed
            for _ in range(times):
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)
            told, errors = process.communicate(timeout=90)
            assert process.returncode == 130, errors
            assert ("The run goes on at the server" in errors) == (times == 2)
            if times == 1:
                assert "the server finishes what has begun" in errors
                assert f"Run {run} is " in told
            deadline = time.monotonic() + 60
            while read(ready, "run", "show", run)["run"]["state"] == "running":
                assert time.monotonic() < deadline
                time.sleep(0.5)


def test_server_that_is_started_anew_meanwhile(
    ready: Provost, serve: Serve, elsewhere: dict[str, str], prepare: Prepare
) -> None:
    """Whoever follows a run waits for a server that is away for a moment, and learns how the run ended."""
    server = serve()
    elsewhere["PROVOST_SERVER"] = server.url
    with hold() as port:
        ready("asset", "edit", "web1", "--port", str(port))
        ready("account", "add", "root", "--asset", "web1", "--privileged", "--password-stdin", stdin="x")
        process = follow(elsewhere, *PUSH, "--asset", "web1", "--json")
        wait_for_run(prepare(elsewhere))
        server.stop()
    serve("--port", server.url.rpartition(":")[2])
    told, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert json.loads(told)["run"]["state"] == "finished"


def test_rights_are_the_servers(ready: Provost, remote: Provost, tmp_path: Path) -> None:
    """An auditor sees and changes nothing; a token that is revoked, or that is none, is not taken."""
    ready("user", "add", "bob", "--grant", "auditor")
    bob = str(write_token(ready, tmp_path / "bob", "bob"))
    assert read(remote, "--token-file", bob, "asset", "list")["assets"]
    for words in (
        ["asset", "remove", "web1", "--yes"],
        ["node", "add", "/x"],
        ["key", "rotate"],
        ["user", "add", "eve"],
        [*PUSH, "--asset", "web1"],
    ):
        assert read(remote, "--token-file", bob, *words, status=2)["error"]["code"] == "forbidden"
    ready("token", "revoke", "cli", "--user", "bob")
    error = read(remote, "--token-file", bob, "asset", "list", status=2)["error"]
    assert error["code"] == "unauthenticated"
    assert bob in error["message"]


def test_token_file_is_checked(remote: Provost, token: Path, elsewhere: dict[str, str]) -> None:
    """A token that others may read is not used, and without a file none is asked for elsewhere."""
    text = token.read_text()
    token.chmod(0o640)
    error = read(remote, "asset", "list", status=2)["error"]
    assert error["code"] == "token_exposed"
    assert text.strip() not in error["message"]
    token.chmod(0o600)
    token.write_text("two words\n")
    assert read(remote, "asset", "list", status=2)["error"]["code"] == "token_unreadable"
    token.unlink()
    assert read(remote, "asset", "list", status=2)["error"]["code"] == "token_unreadable"
    del elsewhere["PROVOST_TOKEN_FILE"]
    assert read(remote, "asset", "list", status=2)["error"]["code"] == "token_needed"


@pytest.mark.parametrize("verb", ["init", "serve", "check", "lab"])
def test_what_is_about_this_machine_takes_no_server(
    elsewhere: dict[str, str], prepare: Prepare, verb: str
) -> None:
    """Commands that work here alone say so, instead of leaving the server out of it."""
    words = [verb, "list"] if verb == "lab" else [verb]
    done = prepare(elsewhere)("--server", "https://127.0.0.1:9", *words, status=2)
    assert "works on this machine alone" in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "http://provost.example.org",
        "ftp://127.0.0.1",
        "https://ann:hush-hush@127.0.0.1",
        "https://127.0.0.1/?hush-hush",
        "https://127.0.0.1:port",
        "https://",
        "provost.example.org",
    ],
)
def test_address_that_cannot_be_used(elsewhere: dict[str, str], prepare: Prepare, url: str) -> None:
    """The token goes nowhere in the clear, and a password in an address is not shown."""
    error = read(prepare(elsewhere), "--server", url, "asset", "list", status=2)["error"]
    assert error["code"] == "server_refused"
    assert "hush" not in error["message"]


def test_what_answers_is_no_server(elsewhere: dict[str, str], prepare: Prepare) -> None:
    """Nothing there, another program, another address, a proxy whose server is away: each has its code."""
    remote = prepare(elsewhere)

    def ask(url: str, status: int) -> Any:
        return read(remote, "--server", url, "asset", "list", status=status)["error"]

    assert ask("http://127.0.0.1:9", 1)["code"] == "server_unreachable"
    assert "Connection refused" in ask("http://127.0.0.1:9", 1)["message"]
    with answer(200, {"Content-Type": "text/html"}, b"<p>Hello</p>") as url:
        assert ask(url, 1)["code"] == "server_not_provost"
    with answer(404, {"Content-Type": "text/html"}, b"<p>Hello</p>") as url:
        assert ask(url, 1)["code"] == "server_not_provost"
    with answer(302, {"Location": "https://elsewhere.example.org/secret?x=hush"}) as url:
        error = ask(url, 2)
        assert error["code"] == "server_redirects"
        assert "https://elsewhere.example.org" in error["message"]
        assert "hush" not in error["message"]
    with answer(502, {"Content-Type": "text/html"}, b"<p>Bad gateway</p>") as url:
        assert ask(url, 1)["code"] == "server_unreachable"
    asset = {
        "name": "web1",
        "kind": "linux",
        "address": "a",
        "port": 22,
        "nodes": [],
        "via": None,
        "options": {},
        "comment": "",
        "privileged": [],
        "created": "2026-01-01T00:00:00Z",
        "version": 1,
    }
    newer = json.dumps({"items": [asset | {"colour": "red"}], "next": None, "more": 1}).encode()
    with answer(200, {"Content-Type": "application/json"}, newer) as url:
        listed = read(remote, "--server", f"{url}/", "asset", "list")["assets"]
        assert [one["name"] for one in listed] == ["web1"]
        assert "colour" not in listed[0]


def test_certificate_of_a_private_authority(
    serve: Serve, elsewhere: dict[str, str], prepare: Prepare, tmp_path: Path
) -> None:
    """A certificate that nobody known signed is refused before the token is sent, and taken with --ca-file."""
    certificate, key = make_certificate(tmp_path, "Provost")
    server = serve("--tls-cert", str(certificate), "--tls-key", str(key))
    remote = prepare(elsewhere)
    error = read(remote, "--server", server.url, "asset", "list", status=1)["error"]
    assert error["code"] == "server_not_trusted"
    assert "--ca-file" in error["message"]
    words = ("--server", server.url, "--ca-file")
    assert [one["name"] for one in read(remote, *words, str(certificate), "asset", "list")["assets"]] == [
        "web1"
    ]
    assert read(remote, *words, str(key), "asset", "list", status=2)["error"]["code"] == "ca_file_refused"
    assert read(remote, *words, "/none", "asset", "list", status=2)["error"]["code"] == "ca_file_refused"

"""The program's verbs for nodes, users, tokens and the audit trail, and those that change what is there."""

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.once

Provost = Callable[..., subprocess.CompletedProcess[str]]


def read(ready: Provost, *words: str, **more: Any) -> Any:
    return json.loads(ready(*words, "--json", **more).stdout)


def test_nodes(ready: Provost) -> None:
    """A node is made with those above it, renamed, moved with what is in it, and removed when it is empty."""
    assert read(ready, "node", "add", "/eu/spare")["node"] == {"path": "/eu/spare", "assets": 0, "within": 0}
    assert read(ready, "node", "rename", "/prod/web", "www")["node"] == {
        "path": "/prod/www",
        "assets": 1,
        "within": 1,
    }
    assert ready("node", "move", "/prod/www", "/eu").stdout == "/prod/www is /eu/www now.\n"
    assert read(ready, "asset", "show", "web1")["asset"]["nodes"] == ["/eu/www"]
    assert read(ready, "node", "move", "/eu/www", "/")["node"]["path"] == "/www"
    assert read(ready, "node", "remove", "/eu/spare") == {"removed": {"node": "/eu/spare"}}
    assert read(ready, "node", "list")["nodes"] == [
        {"path": "/prod", "assets": 0, "within": 0},
        {"path": "/eu", "assets": 0, "within": 0},
        {"path": "/www", "assets": 1, "within": 1},
    ]
    assert ready("node", "list").stdout.splitlines()[-1].split() == ["/www", "1"]


def test_asset_is_edited(ready: Provost) -> None:
    """What is given of an asset changes, what is not stays, and what it had can be taken away."""
    ready("asset", "add", "jump", "--kind", "linux", "--address", "10.0.0.1")
    changed = read(
        ready,
        *("asset", "edit", "web1", "--rename", "web9", "--address", "10.0.0.9", "--port", "2222"),
        *("--node", "/eu", "--via", "jump", "--option", "via_account=x", "--comment", "why"),
    )["asset"]
    assert {
        name: changed[name] for name in ("name", "address", "port", "nodes", "via", "options", "comment")
    } == {
        "name": "web9",
        "address": "10.0.0.9",
        "port": 2222,
        "nodes": ["/eu"],
        "via": "jump",
        "options": {"via_account": "x"},
        "comment": "why",
    }
    assert changed["version"] == 2
    assert "Changed web9" in ready("asset", "edit", "web9", "--no-via", "--no-options", "--no-nodes").stdout
    shown = read(ready, "asset", "show", "web9")["asset"]
    assert (shown["via"], shown["options"], shown["nodes"], shown["port"]) == (None, {}, [], 2222)


def test_account_is_edited(ready: Provost) -> None:
    """Whether an account is privileged, its priority and how it becomes root change; its secret does not."""
    ready("account", "add", "ops", "--asset", "web1", "--password-stdin", stdin="s3cret")
    edit = ("account", "edit", "ops@web1")
    changed = read(ready, *edit, "--privileged", "--priority", "3", "--become", "sudo")["account"]
    assert (changed["privileged"], changed["priority"], changed["become"]) == (True, 3, "sudo")
    changed = read(ready, *edit, "--not-privileged")["account"]
    assert (changed["privileged"], changed["priority"], changed["version"]) == (False, 3, 3)
    assert ready("account", "reveal", "ops@web1").stdout == "s3cret\n"


def test_accounts_are_listed_by_what_their_last_check_told(ready: Provost) -> None:
    """Who was never checked is found as that, and said to be; what there is not is no answer."""
    ready("account", "add", "ops", "--asset", "web1", "--password-stdin", stdin="s3cret")
    never = read(ready, "account", "list", "--sync", "never")["accounts"]
    assert [f"{one['username']}@{one['asset']}" for one in never] == ["ops@web1"]
    assert "never checked" in ready("account", "list").stdout
    assert "never checked" in ready("account", "show", "ops@web1").stdout
    assert ready("account", "list", "--sync", "out_of_sync").stdout == "No account is like that.\n"
    assert json.loads(ready("account", "list", "--sync", "x", "--json", status=2).stdout)["error"]["code"]


def test_secrets_off_the_list_are_not_lost_unasked(ready: Provost) -> None:
    """An asset whose accounts are all off the list still holds their secrets: its removal is asked about."""
    ready("account", "add", "bob", "--asset", "web1", "--password-stdin", stdin="x")
    ready("account", "remove", "bob@web1")
    shown = read(ready, "asset", "show", "web1")["asset"]
    assert (shown["accounts"], shown["unlisted"]) == (0, 1)
    assert "nothing was done" in ready("asset", "remove", "web1", stdin="n\n", status=1).stderr
    assert read(ready, "asset", "remove", "web1", "--yes") == {"removed": {"asset": "web1", "accounts": 1}}


def test_users_and_their_grants(ready: Provost) -> None:
    """Grants are said as they are shown; a password comes by standard input and is never shown."""
    made = read(
        ready,
        *("user", "add", "ann", "--grant", "administrator", "--grant", "operator+reveal:/prod"),
        *("--email", "ann@example.org", "--password-stdin"),
        stdin="correct-horse-battery\n",
    )["user"]
    assert made["grants"] == [
        {"role": "administrator", "node": None, "reveal": False},
        {"role": "operator", "node": "/prod", "reveal": True},
    ]
    assert (made["email"], made["has_password"], made["active"]) == ("ann@example.org", True, True)
    ready("user", "add", "bob")
    shown = ready("user", "show", "ann").stdout
    assert "operator+reveal:/prod" in shown
    assert "horse" not in shown
    changed = read(ready, "user", "edit", "bob", "--grant", "auditor", "--inactive")["user"]
    assert (changed["grants"][0]["role"], changed["active"], changed["has_password"]) == (
        "auditor",
        False,
        False,
    )
    assert read(ready, "user", "edit", "bob", "--no-grants")["user"]["grants"] == []
    assert "second factors of bob" in ready("user", "remove-factors", "bob").stdout
    assert read(ready, "user", "end-sessions", "bob") == {"ended": {"sessions_of": "bob"}}
    assert ready("user", "remove", "bob").stdout == "Removed bob.\n"
    assert [one["username"] for one in read(ready, "user", "list")["users"]] == ["ann"]
    assert "ann" in ready("user", "list").stdout


def test_token_is_printed_once_alone(ready: Provost) -> None:
    """`token create` writes the text and nothing else to standard output; `list` never has it."""
    ready("user", "add", "ann", "--grant", "operator")
    made = ready("token", "create", "ci", "--user", "ann", "--right", "view", "--days", "7")
    assert made.stdout.startswith("provost_")
    assert len(made.stdout.split()) == 1
    assert "not shown again" in made.stderr
    assert made.stdout.strip() not in ready("token", "list", "--json").stdout
    token = read(ready, "token", "list", "--user", "ann")["tokens"][0]
    assert (token["name"], token["rights"], token["revoked"]) == ("ci", ["view"], None)
    assert read(ready, "token", "create", "other", "--user", "ann")["token"]["token"].startswith("provost_")
    assert "void" in ready("token", "revoke", "ci", "--user", "ann").stdout
    assert [one["revoked"] is None for one in read(ready, "token", "list")["tokens"]] == [True, False]
    assert "other" in ready("token", "list").stdout


def test_audit_trail_is_listed_exported_and_proven(ready: Provost) -> None:
    """Entries are filtered and paged; the proof holds, and says what to note; a wrong note ends with 1."""
    ready("node", "add", "/a")
    ready("node", "add", "/b")
    listed = read(ready, "audit", "list", "--action", "node.", "--limit", "1")["entries"]
    assert [(one["action"], one["subject"]) for one in listed] == [("node.add", "node /b")]
    assert listed[0]["face"] == "cli"
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    assert read(ready, "audit", "list", "--until", past)["entries"] == []
    assert "node /a" in ready("audit", "list", "--since", past).stdout
    lines = ready("audit", "export", "--action", "node.add").stdout.splitlines()
    assert [json.loads(line)["subject"] for line in lines] == ["node /b", "node /a"]
    proof = read(ready, "audit", "verify")["proof"]
    assert proof["whole"]
    note = f"{proof['entries']}:{proof['digest']}"
    assert f"--expect {note}" in ready("audit", "verify").stdout
    ready("node", "add", "/c")
    ready("audit", "verify", "--expect", note)
    wrong = ready("audit", "verify", "--expect", f"{proof['entries']}:{'0' * 64}", status=1)
    assert f"broken at entry {proof['entries']}" in wrong.stdout


def test_run_is_exported(ready: Provost) -> None:
    """CSV has one line a record, and JSON is what `run show` writes."""
    ready("account", "add", "root", "--asset", "web1", "--password-stdin", stdin="x")
    words = ("--account", "alice", "--account", "bob", "--asset", "web1", "--secret-type", "password")
    run = read(ready, "push", *words, status=1)["run"]["id"]
    rows = list(csv.DictReader(io.StringIO(ready("run", "export", run[:8]).stdout)))
    assert [(row["asset"], row["username"], row["status"]) for row in rows] == [
        ("web1", "alice", "skipped"),
        ("web1", "bob", "skipped"),
    ]
    assert ready("run", "export", run, "--format", "json").stdout == ready("run", "show", run, "--json").stdout


def test_run_is_reported(ready: Provost, tmp_path: Path) -> None:
    """A page that loads nothing and in which nothing acts, or CSV without formulas; into a file, or printed."""
    words = ["--account", "alice", "--secret-type", "password"]
    for name in ("=HYPERLINK(A1)", "<img>"):
        ready("asset", "add", name, "--kind", "memory", "--address", "x")
        words += ["--asset", name]
    run = read(ready, "push", *words, status=1)["run"]["id"]
    file = tmp_path / "report.html"
    assert ready("run", "report", run[:8], "--output", str(file)).stdout == ""
    page = file.read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "no_privileged_account" in page
    assert "&lt;img&gt;" in page
    assert not re.search(r"https?://|src=|href=|<script|<img", page)
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"content=\"default-src 'none'; style-src 'sha256-{digest}'; " in page
    rows = list(csv.DictReader(io.StringIO(ready("run", "report", run, "--format", "csv").stdout)))
    assert [row["asset"] for row in rows] == ["<img>", "'=HYPERLINK(A1)"]
    assert ready("run", "report", run).stdout.startswith("<!DOCTYPE html>")


def test_who_and_kinds(ready: Provost) -> None:
    """Who works on the data folder itself has every right; kinds are listed with their schemas."""
    who = read(ready, "whoami")["who"]
    assert (who["face"], who["token"]) == ("cli", "")
    assert who["rights"] == ["view", "operate", "administer", "audit", "reveal"]
    assert "administrator+reveal" in ready("whoami").stdout
    kinds = {one["kind"]: one for one in read(ready, "kind", "list")["kinds"]}
    assert kinds["linux"]["default_port"] == 22
    assert "shell" in kinds["linux"]["parameters"]["properties"]
    assert "authorized_keys_file" in ready("kind", "list").stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["node", "add", "prod"], "node_refused"),
        (["node", "add", "/prod"], "node_exists"),
        (["node", "rename", "prod", "x"], "node_refused"),
        (["node", "rename", "/", "x"], "node_refused"),
        (["node", "remove", "/prod"], "node_not_empty"),
        (["node", "move", "/prod", "/prod/web"], "node_refused"),
        (["asset", "edit", "web2"], "asset_not_found"),
        (["asset", "edit", "web1", "--port", "0"], "port_refused"),
        (["asset", "edit", "web1", "--via", "web1"], "via_loop"),
        (["asset", "edit", "web1", "--via", "web1", "--no-via"], "usage"),
        (["account", "edit", "bob@web1", "--privileged"], "account_not_found"),
        (["account", "edit", "bob", "--privileged"], "usage"),
        (["user", "add", "a b"], "name_refused"),
        (["user", "add", "ann", "--grant", "root"], "grant_refused"),
        (["user", "add", "ann", "--grant", "operator:prod"], "grant_refused"),
        (["user", "add", "ann", "--grant", "operator+everything"], "grant_refused"),
        (["user", "add", "ann", "--grant", "operator:/nosuch"], "node_not_found"),
        (["user", "edit", "ann", "--grant", "operator", "--no-grants"], "usage"),
        (["user", "show", "ann"], "user_not_found"),
        (["token", "create", "ci", "--user", "ann"], "user_not_found"),
        (["token", "create", "ci"], "user_not_found"),
        (["token", "revoke", "ci"], "user_not_found"),
        (["token", "create", "ci", "--days", "0"], "option_refused"),
        (["audit", "verify", "--expect", "12"], "option_refused"),
        (["audit", "list", "--since", "yesterday"], "option_refused"),
        (["run", "cancel", "0"], "run_not_found"),
        (["push", "--detach", "--account", "a", "--asset", "web1", "--secret-type", "password"], "usage"),
    ],
)
def test_what_cannot_be_is_refused(ready: Provost, words: list[str], code: str) -> None:
    """Bad input ends with 2 and a stable code."""
    assert read(ready, *words, status=2)["error"]["code"] == code


def test_import_tells_lines(ready: Provost, environment: dict[str, str]) -> None:
    """What is wrong with a file is told by its lines: first what cannot be read, then what cannot be."""
    file = environment["PROVOST_HOME"] + "/inventory.yaml"
    with open(file, "w") as opened:  # noqa: PTH123  # the path is text
        opened.write(
            "assets:\n- {name: web2, kind: linux, address: a}\n- {name: web3, kind: linus, address: a}\n"
            "accounts:\n- {username: root, asset: nosuch, password: hush-hush}\n"
        )
    error = read(ready, "import", file, status=2)["error"]
    assert error["code"] == "import_refused"
    lines = error["message"].splitlines()
    assert lines[0] == "Nothing was brought in: inventory.yaml has 2 errors."
    assert lines[1].startswith("line 3: There is no kind 'linus'") or lines[1].startswith("line 5: ")
    assert {line.split(":")[0] for line in lines[1:]} == {"line 3", "line 5"}
    with open(file, "a") as opened:  # noqa: PTH123  # as above
        opened.write("- {username: bob, asset: web2, password: hush-hush, priority: 99999999999}\n")
    error = read(ready, "import", file, status=2)["error"]
    assert "line 6: priority: " in error["message"]
    assert "hush" not in error["message"]

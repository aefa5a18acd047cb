"""The REST API of a real server, over HTTP."""

import csv
import io
import json
import re
import threading

import pytest
from tests.server.conftest import wait_for

from provost.core.operations import OPERATIONS

SPEC = {"nodes": ["/prod"], "usernames": ["alice"], "secret_type": "password", "connect_timeout": 1}


def list_routes() -> list[tuple[str, str]]:
    return [
        (operation.method, re.sub(r"{.*?}", "x@y" if "account" in operation.path else "x", operation.path))
        for operation in OPERATIONS
        if not operation.public
    ] + [
        ("GET", "/runs/x/events"),
        ("GET", "/runs/x/export"),
        ("GET", "/runs/x/report"),
        ("GET", "/audit/export"),
    ]


@pytest.mark.parametrize(("method", "path"), list_routes())
def test_nobody_gets_in_without_a_valid_token(api, method, path):
    """Every route refuses a request with no token, a made-up one, or another scheme, alike."""
    for headers in ({}, {"Authorization": "Bearer provost_nonsense"}, {"Authorization": "Basic YTpi"}):
        answer = api.server.ask(method, f"/api/v1{path}", headers=headers)
        assert answer.status_code == 401, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["code"] == "unauthenticated"


def test_the_setup_token_works_once(api):
    """Nobody makes a second first administrator."""
    body = {"setup_token": api.server.setup_token, "username": "mallory"}
    answer = api.server.ask("POST", "/api/v1/setup", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "setup_refused")


def test_a_token_is_kept_to_its_rights(api, client):
    """A token with the right to view sees, and changes nothing."""
    made = client.post("tokens", json={"name": "viewer", "rights": ["view"], "days": 1}).json()
    with api.connect(made["token"]) as viewer:
        assert [one["name"] for one in viewer.get("assets").json()["items"]] == ["dev1", "web1"]
        refused = viewer.post("nodes", json={"path": "/new"})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        client.delete("tokens/ada/viewer").raise_for_status()
        assert viewer.get("assets").status_code == 401


def test_an_operator_of_a_subtree_sees_and_changes_that_alone(api, client):
    """What is out of reach is not there: in no list, count or message, and 404 where it is asked for."""
    grants = [{"role": "operator", "node": "/prod"}]
    client.post("users", json={"username": "ben", "grants": grants}).raise_for_status()
    token = client.post("tokens", json={"name": "ben", "user": "ben", "days": 1}).json()["token"]
    with api.connect(token) as ben:
        assert [one["name"] for one in ben.get("assets").json()["items"]] == ["web1"]
        assert [one["asset"] for one in ben.get("accounts").json()["items"]] == ["web1"]
        assert [one["path"] for one in ben.get("nodes").json()] == ["/prod"]
        unseen = ben.get("assets/dev1")
        assert (unseen.status_code, unseen.json()["code"]) == (404, "asset_not_found")
        assert unseen.json()["detail"] == ben.get("assets/devX").json()["detail"].replace("devX", "dev1")
        assert ben.post("runs", json={"spec": {**SPEC, "nodes": ["/dev"]}}).status_code == 404
        assert ben.post("accounts/root@web1/reveal", json={}).status_code == 403
        assert ben.patch("assets/web1", json={"address": "192.0.2.1"}).status_code == 403
        assert ben.patch("assets/web1", json={"comment": "seen by ben"}).status_code == 200
        assert ben.get("audit").status_code == 403


def test_a_change_of_something_that_changed_meanwhile_is_refused(client):
    """If-Match carries the ETag that was seen: whoever is slower is told, and changes nothing."""
    seen = client.get("assets/dev1").headers["etag"]
    first = client.patch("assets/dev1", json={"comment": "first"}, headers={"If-Match": seen})
    second = client.patch("assets/dev1", json={"comment": "second"}, headers={"If-Match": seen})
    assert (first.status_code, second.status_code) == (200, 412)
    assert second.json()["code"] == "version_outdated"
    assert client.get("assets/dev1").json()["comment"] == "first"
    assert client.get("assets/dev1").headers["etag"] == first.headers["etag"] != seen


def test_a_run_is_begun_once_for_one_idempotency_key(client):
    """The same request again is answered with the same run, at once or later; another request is refused."""
    body = {"spec": SPEC, "dry_run": True}
    headers = {"Idempotency-Key": "one"}
    runs: list[str] = []

    def ask() -> None:
        runs.append(client.post("runs", json=body, headers=headers).raise_for_status().json()["id"])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ask()
    assert len(set(runs)) == 1
    reused = client.post("runs", json={**body, "dry_run": False}, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")
    wait_for(client, runs[0])


def test_a_run_is_worked_off_and_told_as_it_goes(client):
    """A push to a host that does not answer: events to the end, records, both exports, a retry."""
    run = client.post("runs", json={"spec": SPEC}).raise_for_status()
    assert run.status_code == 202
    run_id = run.json()["id"]
    with client.stream("GET", f"runs/{run_id}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        text = "".join(events.iter_text())
    last = text.rstrip().rpartition("\n\n")[2] or text
    assert last.startswith("event: end\ndata: ")
    over = json.loads(last.partition("data: ")[2])
    assert (over["state"], over["counts"]) == ("finished", {"failed": 1})
    records = client.get(f"runs/{run_id}/records", params={"status": "failed"}).json()["items"]
    assert [(one["asset"], one["reason"]) for one in records] == [("web1", "connection_refused")]
    rows = list(csv.DictReader(io.StringIO(client.get(f"runs/{run_id}/export").text)))
    assert [(row["asset"], row["status"]) for row in rows] == [("web1", "failed")]
    lines = client.get(f"runs/{run_id}/export", params={"format": "json"}).text.splitlines()
    assert [json.loads(line) for line in lines] == records
    retry = client.post(f"runs/{run_id}/retry").raise_for_status().json()
    client.post(f"runs/{retry['id']}/cancel")
    assert wait_for(client, retry["id"])["state"] in {"cancelled", "finished"}


def test_a_watcher_whose_token_is_revoked_sees_no_more(client):
    """A stream of events ends with the token that asked for it, though the run goes on."""
    asset = {"name": "far1", "kind": "linux", "address": "192.0.2.1", "nodes": ["/far"]}
    client.post("assets", json=asset).raise_for_status()
    account = {
        "username": "root",
        "asset": "far1",
        "privileged": True,
        "secret": {"password": "root-of-far1-Xy7"},
    }
    client.post("accounts", json=account).raise_for_status()
    made = client.post("tokens", json={"name": "watcher", "days": 1}).raise_for_status().json()
    body = {"spec": {**SPEC, "nodes": ["/far"], "connect_timeout": 20}}
    run = client.post("runs", json=body).raise_for_status().json()["id"]
    headers = {"Authorization": f"Bearer {made['token']}"}
    with client.stream("GET", f"runs/{run}/events", headers=headers) as events:
        parts = events.iter_text()
        text = next(parts)
        client.delete(f"tokens/{made['user']}/watcher").raise_for_status()
        text += "".join(parts)
    assert "event: end" not in text
    assert client.get(f"runs/{run}").json()["state"] in {"queued", "running"}
    client.post(f"runs/{run}/cancel").raise_for_status()
    wait_for(client, run)


def test_lists_come_in_pages(client):
    """Cursors lead through a whole list, each thing once; a cursor of another list is refused."""
    for number in range(7):
        client.post("nodes", json={"path": f"/pages/{number}"}).raise_for_status()
        body = {"name": f"page{number}", "kind": "linux", "address": "192.0.2.9", "nodes": [f"/pages/{number}"]}
        client.post("assets", json=body).raise_for_status()
    names: list[str] = []
    query: dict[str, object] = {"node": "/pages", "limit": 3}
    while True:
        page = client.get("assets", params=query).raise_for_status().json()
        names += [one["name"] for one in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert names == [f"page{number}" for number in range(7)]
    wrong = client.get("accounts", params={"cursor": query["cursor"]})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "cursor_refused")


def test_ten_thousand_assets_come_in_with_one_call_or_none(client):
    """All or nothing, with the place of each fault."""
    assets = [
        {"name": f"bulk{number:05}", "kind": "linux", "address": "192.0.2.1", "nodes": [f"/bulk/{number % 50}"]}
        for number in range(10_000)
    ]
    broken = [*assets[:9_998], {**assets[9_998], "kind": "toaster"}, {**assets[9_999], "port": 0}]
    refused = client.post("import", json={"assets": broken[:-1]})
    assert (refused.status_code, refused.json()["code"]) == (422, "import_refused")
    assert [fault["where"] for fault in refused.json()["errors"]] == ["assets[9998]"]
    assert client.get("assets", params={"search": "bulk"}).json()["items"] == []
    done = client.post("import", json={"assets": assets}).raise_for_status().json()
    assert done["imported"]["assets"] == {"added": 10_000}
    again = client.post("import", json={"assets": assets}).raise_for_status().json()
    assert again["imported"]["assets"] == {"unchanged": 10_000}


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "request_invalid"),
        (b"{", 400, "body_unreadable"),
        (b'{"path": "/a", "path": "/b"}', 400, "body_unreadable"),
        (b'{"path": "/a\\u0000"}', 400, "body_unreadable"),
        (b'{"path": "/a\\ud800"}', 400, "body_unreadable"),
        (b'{"path": NaN}', 400, "body_unreadable"),
        (b"[" * 100_000, 400, "body_unreadable"),
        (b'{"path": "/a", "owner": "me"}', 422, "request_invalid"),
        (b'{"path": 7}', 422, "request_invalid"),
    ],
)
def test_a_body_that_cannot_be_used_is_a_clear_refusal(client, content, status, code):
    """Whatever is sent: a problem with a code, never a fault."""
    answer = client.post("nodes", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_that_is_not_understood_is_told_so(client):
    """Another media type, another method, a parameter that nobody knows: problems, too."""
    body = b'{"path": "/a"}'
    plain = client.post("nodes", content=body, headers={"Content-Type": "text/plain"})
    assert (plain.status_code, plain.json()["code"]) == (415, "media_type_refused")
    wrong = client.put("nodes", content=body)
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_refused")
    assert set(wrong.headers["allow"].split(", ")) >= {"GET", "POST"}
    for path in ("assets?nodes=/prod", "whoami?verbose=1", "runs?state=odd"):
        unknown = client.get(path)
        assert (unknown.status_code, unknown.json()["code"]) == (422, "request_invalid")


def test_the_document_and_its_page_need_no_token_and_nothing_from_elsewhere(api):
    """OpenAPI 3.1, and a page that loads scripts and styles from this server alone."""
    document = api.server.ask("GET", "/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    told = {one["operationId"] for path in document["paths"].values() for one in path.values()}
    assert {operation.name for operation in OPERATIONS} <= told
    page = api.server.ask("GET", "/api/v1/docs")
    assert "unsafe" not in page.headers["content-security-policy"]
    for address in re.findall(r'(?:src|href)="(.*?)"', page.text):
        assert address.startswith("/static/")
        assert api.server.ask("GET", address).status_code == 200

"""How long the API's lists and the console's pages take with 100,000 accounts on 20,000 assets in 500 nodes.

It brings them in through `POST /import`, then asks each question as an administrator of everything and as an
operator of one node in ten, and prints the median and the slowest answer in milliseconds, over HTTP.  Then the
same with 20,000 and with 100,000 accounts that discoveries have found.
usage: lists.py [postgresql URL of an empty database]
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

ASSETS = 20_000
NODES = 500
ACCOUNTS = 5
RUNS = 20
ASKED = 20
LIMIT = 200.0
PAGE_LIMIT = 300.0
PASSWORD = "what-nobody-guesses-1"

QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "assets, first page": ("assets", {}),
    "assets of a node": ("assets", {"node": "/region3"}),
    "assets, search, many": ("assets", {"search": "host1"}),
    "assets, search, one": ("assets", {"search": "host19999"}),
    "assets, search, none": ("assets", {"search": "nothing like it"}),
    "an asset": ("assets/host12345", {}),
    "an asset that is not there": ("assets/host123456", {}),
    "accounts, first page": ("accounts", {}),
    "accounts of a node": ("accounts", {"node": "/region3/site7"}),
    "accounts of a name": ("accounts", {"username": "user3"}),
    "accounts, privileged": ("accounts", {"privileged": True}),
    "accounts, search, many": ("accounts", {"search": "user4"}),
    "accounts, search, one": ("accounts", {"search": "host19999"}),
    "accounts, search, none": ("accounts", {"search": "nothing like it"}),
    "accounts that wait": ("accounts", {"pending": True}),
    "nodes": ("nodes", {}),
    "runs": ("runs", {}),
    "records of a run": ("runs/{run}/records", {}),
    "records, failed": ("runs/{run}/records", {"status": "failed"}),
    "tasks": ("tasks", {}),
    "audit trail": ("audit", {}),
}

PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "home": ("", {}),
    "assets": ("assets", {}),
    "assets of a node": ("assets", {"node": "/region3/site7"}),
    "assets, search": ("assets", {"search": "host19999"}),
    "an asset": ("assets/host12343", {}),
    "accounts": ("accounts", {}),
    "accounts, old": ("accounts", {"older_than": 30}),
    "accounts, search": ("accounts", {"search": "host19999"}),
    "an account": ("accounts/user1@host12343", {}),
    "push": ("push", {}),
    "push to a node": ("push", {"node": "/region3"}),
    "push, assets found": ("push/assets", {"asset_search": "host1"}),
    "tasks": ("tasks", {}),
    "runs": ("runs", {}),
    "a run of 10,000 records": ("runs/{run}", {}),
    "its cancelled records": ("runs/{run}", {"status": "cancelled"}),
    "its records, search": ("runs/{run}", {"search": "host00013"}),
    "its progress, by htmx": ("runs/{run}/progress", {}),
    "its records, by htmx": ("runs/{run}/records", {}),
    "audit": ("audit", {}),
    "users": ("users", {}),
    "tokens": ("tokens", {}),
    "settings": ("settings", {}),
    "import": ("import", {}),
}

FOUND: dict[str, tuple[str, dict[str, Any]]] = {
    "found, first page": ("found", {}),
    "found, counts": ("found/counts", {}),
    "found, unknown": ("found", {"standing": "unknown"}),
    "found, changed": ("found", {"standing": "changed"}),
    "found, vanished": ("found", {"standing": "vanished"}),
    "found, powerful, unknown": ("found", {"standing": "unknown", "powerful": True}),
    "found, of a node": ("found", {"node": "/region3"}),
    "found, counts of a node": ("found/counts", {"node": "/region3"}),
    "found, search, none": ("found", {"search": "nothing like it"}),
}

FOUND_PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "discovered": ("found", {}),
    "discovered, unknown": ("found", {"standing": "unknown"}),
    "discovered, can log in": ("found", {"can_log_in": "true"}),
    "discovered, search": ("found", {"search": "found42"}),
    "a discovered account": ("found/found2@host00003", {}),
    "an asset with 100 of them": ("assets/host00003", {}),
}


@contextmanager
def serve(home: Path, url: str | None) -> Iterator[tuple[str, str]]:
    """Run a server, and give its URL and its setup token."""
    environment = {**os.environ, "PROVOST_HOME": str(home), **({"PROVOST_DATABASE_URL": url} if url else {})}
    command = [Path(sys.executable).parent / "provost", "serve", "--port", "0"]
    with (home.parent / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        told = []
        for line in process.stdout or ():
            told.append(line.split()[-1])
            if line.startswith("Provost listens on "):
                break
        yield told[-1], told[0]
    finally:
        process.terminate()
        process.wait(30)


def bring_in(client: httpx.Client) -> None:
    """Bring the inventory in, as many calls as its size needs."""
    step = 5_000
    for first in range(0, ASSETS, step):
        numbers = range(first, first + step)
        assets = [
            {
                "name": f"host{number:05}",
                "kind": "linux",
                "address": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
                "nodes": [f"/region{number % 10}/site{number % NODES // 10}"],
            }
            for number in numbers
        ]
        accounts = [
            {
                "username": "root" if count == 0 else f"user{count}",
                "asset": f"host{number:05}",
                "password": f"pass-{number}-{count}",
                "privileged": count == 0,
            }
            for number in numbers
            for count in range(ACCOUNTS)
        ]
        client.post("import", json={"assets": assets, "accounts": accounts}).raise_for_status()


def make_found(home: Path, url: str | None, assets: int) -> None:
    """Let 100 accounts be found on each of so many more assets."""
    environment = {
        **os.environ,
        "PROVOST_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "provost.config.settings",
        **({"PROVOST_DATABASE_URL": url} if url else {}),
    }
    script = Path(__file__).with_name("found_rows.py")
    subprocess.run([sys.executable, script, str(assets)], env=environment, check=True)


def make_runs(client: httpx.Client) -> str:
    """Make runs of 2,000 records each and cancel them, and one of 10,000; return the id of that one."""
    made = ""
    for regions in [[3]] * RUNS + [[1, 2, 3, 4, 5]]:
        spec = {
            "nodes": [f"/region{region}" for region in regions],
            "usernames": ["user1"],
            "secret_type": "password",
            "connect_timeout": 0.1,
        }
        made = client.post("runs", json={"spec": spec, "dry_run": True}).raise_for_status().json()["id"]
        client.post(f"runs/{made}/cancel").raise_for_status()
    while any(run["state"] in {"queued", "running"} for run in client.get("runs").json()["items"]):
        time.sleep(0.5)
    return made


def ask(client: httpx.Client, path: str, query: dict[str, Any], *, by_htmx: bool) -> list[float]:
    """Return how many milliseconds each answer took; `by_htmx`: it is asked for as a part of a page."""
    headers = {"HX-Request": "true"} if by_htmx else {}
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        answer = client.get(path, params=query, headers=headers)
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code not in {200, 286, 403, 404}:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:300]}")
    return took


def sign_in(url: str, username: str) -> httpx.Client:
    """Return a client with the session of a user, as a browser has it."""
    client = httpx.Client(base_url=url, timeout=600)
    page = client.get("/sign-in/login/")
    form = re.search('name="csrfmiddlewaretoken" value="(.+?)"', page.text)
    if form is None:
        raise SystemExit(f"There is no form to sign in with: {page.status_code}")
    said = {"csrfmiddlewaretoken": form[1], "login": username, "password": PASSWORD}
    answer = client.post("/sign-in/login/", data=said)
    if answer.status_code != HTTPStatus.FOUND:
        raise SystemExit(f"{username} cannot sign in: {answer.status_code}")
    return client


def measure(
    what: str, questions: dict[str, tuple[str, dict[str, Any]]], limit: float, run: str, *clients: httpx.Client
) -> None:
    """Ask each question by each client, and print a table."""
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"{what:<28}{'everywhere':>12}{'slowest':>10}{'one node':>12}{'slowest':>10}")
    over = 0
    for name, (path, query) in questions.items():
        by_htmx = name.endswith("by htmx")
        took = [ask(one, path.format(run=run), query, by_htmx=by_htmx) for one in clients]
        over += max(statistics.median(one) for one in took) > limit
        print(f"{name:<28}" + "".join(f"{statistics.median(one):>12.0f}{max(one):>10.0f}" for one in took))
    print(f"{over} of {len(questions)} above {limit:.0f} ms\n")


def main() -> None:
    """Measure, and print tables."""
    with tempfile.TemporaryDirectory(prefix="provost-lists-") as folder:
        home = Path(folder) / "home"
        database = sys.argv[1] if len(sys.argv) > 1 else None
        with serve(home, database) as (url, setup_token):
            base = f"{url}/api/v1/"
            body = {"setup_token": setup_token, "username": "ada", "password": PASSWORD}
            token = httpx.post(f"{base}setup", json=body, timeout=60).raise_for_status().json()["token"]
            client = httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=600)
            began = time.monotonic()
            bring_in(client)
            print(f"{ASSETS * ACCOUNTS} accounts on {ASSETS} assets in {time.monotonic() - began:.0f} s")
            run = make_runs(client)
            grants = [{"role": "operator", "node": "/region3"}]
            body = {"username": "ben", "password": PASSWORD, "grants": grants}
            client.post("users", json=body).raise_for_status()
            body = {"name": "ben", "user": "ben", "days": 1}
            limited = httpx.Client(
                base_url=base,
                headers={"Authorization": f"Bearer {client.post('tokens', json=body).json()['token']}"},
                timeout=600,
            )
            pages = sign_in(url, "ada"), sign_in(url, "ben")
            measure("API, milliseconds", QUESTIONS, LIMIT, run, client, limited)
            measure("pages, milliseconds", PAGES, PAGE_LIMIT, run, *pages)
            for more, all_told in ((200, 20_000), (800, 100_000)):
                make_found(home, database, more)
                measure(f"API, {all_told} found", FOUND, LIMIT, run, client, limited)
                measure(f"pages, {all_told} found", FOUND_PAGES, PAGE_LIMIT, run, *pages)


main()

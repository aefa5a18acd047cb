"""Pictures of the console for the documentation, taken from a real server with five real hosts.

The inventory is made up, and most of it points nowhere.  No picture shows a secret.
"""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Page, expect, sync_playwright

from provost.lab import Host, Lab

ROOT: Final = Path(__file__).parents[1]
PICTURES: Final = ROOT / "docs" / "images"
PROVOST: Final = Path(sys.executable).parent / "provost"
SIZE: Final = {"width": 1280, "height": 800}
MOST_BYTES: Final = 100_000
SWITCHES: Final = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
USERNAME: Final = "ada"
PASSWORD: Final = "ada-of-the-pictures-1"
NOBODY: Final = "192.0.2"
"""A network for documentation (RFC 5737): nothing answers there."""

REAL: Final = ("web1", "web2", "web3", "db1", "app1")
NODES: Final = {"web": "/prod/web", "db": "/prod/db", "app": "/staging"}
USERNAMES: Final = ("monitor", "alice", "backup")
PAST: Final = (27, 24, 20, 19, 15, 13, 9, 8)
"""So many days ago there was a push."""
HOW_MANY: Final = {"web": 12, "db": 8, "app": 10}


def describe_inventory(hosts: Sequence[Host]) -> dict[str, Any]:
    """Thirty assets: five are lab hosts, and one of the others has no privileged account."""
    real = dict(zip(REAL, hosts, strict=True))
    assets: list[dict[str, Any]] = []
    accounts: list[dict[str, Any]] = []
    for prefix, count in HOW_MANY.items():
        for number in range(1, count + 1):
            name = f"{prefix}{number}"
            host = real.get(name)
            address = {"address": host.address, "port": host.port} if host else {}
            asset = {
                "name": name,
                "kind": "linux",
                "nodes": [NODES[prefix]],
                "address": f"{NOBODY}.{len(assets) + 1}",
            }
            assets.append(asset | address)
            if name != "db2":
                password = host.root_password if host else "a secret that opens nothing"
                accounts.append({"username": "root", "asset": name, "privileged": True, "password": password})
    # Where nothing listens a push fails at once; elsewhere it would wait for an answer that never comes.
    next(one for one in assets if one["name"] == "web4").update(address="127.0.0.1", port=1)
    return {"assets": assets, "accounts": accounts}


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[tuple[str, str]]:
    """Run a server on an empty folder; give its address and its setup token."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PROVOST_", "DJANGO_"))}
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [PROVOST, "serve", "--port", "0"],
            env=kept | {"PROVOST_HOME": str(folder / "home")},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        told = ""
        for line in server.stdout or ():
            told += line
            if line.startswith("Provost listens on "):
                break
        else:
            raise SystemExit(f"provost serve ended with {server.wait()}: {told}")
        yield line.split()[-1], told.splitlines()[0].split()[-1]
    finally:
        server.terminate()
        server.wait()
        if server.stdout:
            server.stdout.close()


class Photographer:
    """A page, signed in, and the API beside it."""

    def __init__(self, page: Page, url: str, api: httpx.Client) -> None:
        self._page = page
        self._url = url
        self._api = api

    def go(self, path: str) -> Page:
        """Open a page of the console."""
        self._page.goto(f"{self._url}{path}")
        return self._page

    def sign_in(self) -> None:
        """Sign in."""
        page = self.go("/sign-in/login/")
        page.get_by_label("Username").fill(USERNAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()

    def push(self, secret_type: str, usernames: Sequence[str], **where: Sequence[str]) -> str:
        """Push, wait until it is over, and return the run's number."""
        spec = {"usernames": usernames, "secret_type": secret_type, "connect_timeout": 2} | where
        run = str(self._api.post("runs", json={"spec": spec}).raise_for_status().json()["id"])
        page = self.go(f"/runs/{run}")
        expect(page.locator("#run-progress .badge").first).to_have_text("finished")
        return run

    def take(self, name: str) -> None:
        """Keep a small picture of what is to be seen now."""
        self._page.mouse.move(0, 0)
        path = PICTURES / f"console-{name}.png"
        self._page.screenshot(path=path, animations="disabled")
        small = [
            "pngquant",
            "--force",
            "--skip-if-larger",
            "--strip",
            "--speed",
            "1",
            "--output",
            path,
            "64",
            path,
        ]
        subprocess.run(small, check=True)
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise SystemExit(f"{path} has {size} bytes, more than {MOST_BYTES}.")
        print(f"{path.relative_to(ROOT)}  {size // 1000} kB")


def age(database: Path, run: str, days: int) -> None:
    """Have a run begun so many days earlier, so that the chart has a past."""
    moved = ", ".join(
        f"{name} = strftime('%Y-%m-%d %H:%M:%f', {name}, :earlier)"
        for name in ("created", "started", "finished")
    )
    values = {"earlier": f"-{days} days", "run": run.replace("-", "")}
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.execute(f"UPDATE server_run SET {moved} WHERE id = :run", values)  # noqa: S608  # constants


def take_all(photographer: Photographer, api: httpx.Client, hosts: Sequence[Host], database: Path) -> None:
    """Let a good deal happen, and take the pictures."""
    # Rows of the table: one account was made by hand, one is in the list alone, one is both.
    hosts[1].run("useradd -m deploy")
    hosts[2].run("useradd -m deploy")
    for name in ("web3", "db1"):
        listed = {"username": "deploy", "asset": name, "secret": {"password": "what the list says 1"}}
        api.post("accounts", json=listed).raise_for_status()

    for number, days in enumerate(PAST):
        secret_type = "ssh_key" if number % 4 == 3 else "password"  # noqa: PLR2004  # now and then
        usernames = USERNAMES[: number % 3 + 1]
        assets = REAL if number % 2 else [*REAL[: number // 2 + 1], "web4"]
        age(database, photographer.push(secret_type, usernames, assets=assets), days)
    photographer.push("password", USERNAMES, assets=REAL)
    failed = photographer.push("password", ["alice", "carol"], assets=[*REAL, "web4", "db2"])
    spec = {"nodes": ["/prod"], "usernames": ["monitor"], "secret_type": "ssh_key"}
    for name, cron in (("nightly-monitor", "30 2 * * *"), ("weekly-backup", "0 4 * * sun")):
        task = {"name": name, "spec": spec, "schedule": {"cron": cron}}
        api.post("tasks", json=task).raise_for_status()

    page = photographer.go("/")
    page.locator("section", has=page.locator(".chart")).evaluate("one => one.scrollIntoView({ block: 'end' })")
    photographer.take("home")
    photographer.go(f"/runs/{failed}")
    photographer.take("run")
    photographer.go("/assets?node=/prod/web")
    photographer.take("assets")

    page = photographer.go("/push?" + "&".join(f"asset={name}" for name in (*REAL, "db2")))
    page.get_by_label("Usernames").fill("deploy")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("accounts were looked at")
    page.locator("#preview").evaluate("one => one.scrollIntoView({ block: 'start' })")
    photographer.take("push")

    page = photographer.go("/accounts/monitor@web1")
    page.get_by_role("button", name="Reveal").click()
    page.get_by_role("button", name=re.compile("Show it")).hover()
    photographer.take("account")


def main() -> None:
    """Start hosts and a server, and take the pictures."""
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="provost-pictures-") as name,
        Lab(Path(name) / "lab") as lab,
        serve(Path(name)) as (url, token),
        sync_playwright() as playwright,
    ):
        hosts = lab.up(len(REAL), prefix="picture")
        body = {"setup_token": token, "username": USERNAME, "password": PASSWORD}
        made = httpx.post(f"{url}/api/v1/setup", json=body, timeout=60).raise_for_status().json()
        headers = {"Authorization": f"Bearer {made['token']}"}
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=SWITCHES)
        context = browser.new_context(viewport=SIZE, locale="en-GB", reduced_motion="reduce")
        with httpx.Client(base_url=f"{url}/api/v1/", headers=headers, timeout=60) as api:
            api.post("import", json=describe_inventory(hosts)).raise_for_status()
            photographer = Photographer(context.new_page(), url, api)
            photographer.sign_in()
            take_all(photographer, api, hosts, next((Path(name) / "home").glob("*.sqlite3")))
        browser.close()


if __name__ == "__main__":
    main()

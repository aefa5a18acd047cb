"""Runs: watched, explained, retried, cancelled, exported."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.conftest import LabHosts
from tests.console.conftest import Desk, OpenDesk, Site

from provost.lab import Host


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that takes connections and says nothing, until it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def add_asset(site: Site, name: str, port: int, node: str = "/prod", **account: Any) -> None:
    asset = {"name": name, "kind": "linux", "address": "127.0.0.1", "port": port, "nodes": [node]}
    site.api.post("assets", json=asset).raise_for_status()
    if account:
        body = {"username": "root", "asset": name, "privileged": True} | account
        site.api.post("accounts", json=body).raise_for_status()


def point(site: Site, name: str, host: Host) -> None:
    """Have an asset mean a lab host, with the password of its root."""
    address = {"address": host.address, "port": host.port}
    site.api.patch(f"assets/{name}", json=address).raise_for_status()
    secret = {"password": host.root_password}
    body = {"username": "root", "asset": name, "secret": secret, "replace": True}
    site.api.post("accounts", json=body).raise_for_status()


def push(site: Site, *assets: str, **fields: Any) -> str:
    spec = {"assets": assets, "usernames": ["alice", "bob"], "secret_type": "password"} | fields
    return str(site.api.post("runs", json={"spec": spec}).raise_for_status().json()["id"])


def make_many(site: Site, *assets: str) -> tuple[str, str]:
    """Make 10,000 records in the server's database; return the numbers of their run and of a skipped one."""
    settings = {
        "PROVOST_HOME": str(site.server.log_file.parent / "home"),
        "DJANGO_SETTINGS_MODULE": "provost.config.settings",
    }
    command = [sys.executable, Path(__file__).with_name("many_records.py"), *assets]
    made = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True)
    run, skipped = made.stdout.split()
    return run, skipped


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("#run-progress .badge").first).to_have_text(state)


def test_a_run_is_watched_explained_mended_and_retried(
    desk: Desk, site: Site, lab_hosts: LabHosts, silent: socket.socket
) -> None:
    """It ends before one's eyes; each failure says what to do; done, Retry makes all of it well."""
    hosts = lab_hosts(3)
    site.bring_in(*hosts[:2], node="/prod")
    last, late = hosts[2], {"password": "late-7-Xy"}
    add_asset(site, last.name, last.port, secret={"password": "wrong-5-Xy"})
    site.api.patch(f"assets/{last.name}", json={"address": last.address}).raise_for_status()
    add_asset(site, "nobody", 1, secret=late)
    add_asset(site, "silent", silent.getsockname()[1], secret=late)
    names = [host.name for host in hosts]
    page = desk.go(f"/runs/{push(site, *names, 'nobody', 'silent')}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Push alice, bob: 10 accounts")
    page.evaluate("window.isTheSame = true")
    expect_state(page, "running")
    expect(page.get_by_text("8 / 10", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    desk.look("run-running")
    silent.close()
    expect_state(page, "finished")
    assert page.evaluate("window.isTheSame"), "the page was loaded anew"
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.get_by_text("Everything ended well")).to_have_count(0)
    desk.look("run-failed")
    refused = page.locator("section", has_text="privileged_login_refused")
    expect(refused).to_contain_text("Replace the privileged account's secret")
    expect(refused.get_by_role("link", name=last.name)).to_have_attribute("href", f"/assets/{last.name}")
    expect(page.locator("section", has_text="connection_refused")).to_contain_text("Nothing listens")
    refused.get_by_role("link", name="show these 2 alone").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody")).to_contain_text(last.name)

    for name, host in ((last.name, last), *zip(("nobody", "silent"), lab_hosts(2), strict=True)):
        point(site, name, host)
    page.get_by_role("button", name="Retry 6 accounts").click()
    expect(page.get_by_text("This is the retry")).to_be_visible()
    expect_state(page, "finished")
    expect(page.get_by_text("Everything ended well. There is nothing to do.")).to_be_visible()
    desk.look("run-well")
    desk.go("/runs?state=finished")
    expect(page.locator("tbody tr").first).to_contain_text("alice, bob")
    page.get_by_label("State").select_option("skipped")
    expect(page.get_by_text("No run is like that")).to_be_visible()
    expect(page).to_have_url(re.compile("state=skipped"))
    page.get_by_label("State").select_option("")
    expect(page.locator("tbody tr").first).to_contain_text("alice, bob")
    desk.look("runs")


def test_a_run_is_cancelled(desk: Desk, site: Site, silent: socket.socket) -> None:
    """It asks first, and says what will become of it; what was not begun is cancelled, and can be retried."""
    add_asset(site, "a-silent", silent.getsockname()[1], secret={"password": "late-7-Xy"})
    add_asset(site, "b-waiting", 1, secret={"password": "late-7-Xy"})
    page = desk.go(f"/runs/{push(site, 'a-silent', 'b-waiting', concurrency=1)}")
    expect_state(page, "running")
    page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Let it go on")).to_be_focused()
    desk.look("run-cancel")
    dialog.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_text("The run stops as soon as what has begun is finished.")).to_be_visible()
    silent.close()
    expect_state(page, "cancelled")
    expect(page.get_by_role("button", name="Retry 4 accounts")).to_be_visible()
    expect(page.locator("#run-reasons")).to_contain_text("The run was stopped before it changed anything here.")


def test_ten_thousand_records_from_outside_are_paged_filtered_and_inert(
    open_desk: OpenDesk, desk: Desk, site: Site
) -> None:
    """Pages, filters and exports hold them all, names and errors cannot act, and each sees what is in reach."""
    add_asset(site, "in-prod", 1)
    add_asset(site, "in-dev", 1, node="/dev")
    run, skipped = make_many(site, "in-prod", "in-dev")
    page = desk.go(f"/runs/{run}")
    expect(page.get_by_text("10000 / 10000")).to_be_visible()
    expect(page.locator("section", has_text="create_refused")).to_contain_text("1000")
    expect(page.locator("tbody tr")).to_have_count(100)
    first = page.locator("tbody tr").first.text_content()
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("tbody tr").first).not_to_have_text(str(first))
    page.get_by_label("Search hosts and accounts").fill("user00010")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text(r"useradd: <script>document.title='ran'</script>\x1b[31m<img")
    expect(page.locator("tbody")).to_contain_text(r"\u202egnp")
    expect(page).to_have_url(re.compile("search=user00010"))
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Status", exact=True).select_option("succeeded")
    expect(page.get_by_text("No account is like that")).to_be_visible()
    desk.go(f"/runs/{run}?status=failed")
    desk.look("run-hostile")
    assert page.title() != "ran"
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 10_001
    lines = desk.context.request.get(f"{desk.url}/runs/{run}/export.json").text().splitlines()
    assert {json.loads(line)["username"][:9] for line in lines} == {
        f"user{number:05}" for number in range(10_000)
    }
    desk.go(f"/runs/{skipped}")
    expect(page.get_by_text("This run did not begin")).to_be_visible()
    expect(page.get_by_text("Put assets into its nodes")).to_be_visible()
    desk.look("run-skipped")

    site.add_user("ben", {"role": "auditor", "node": "/prod"})
    limited = open_desk()
    limited.enter("ben")
    check_limits(limited, run, skipped)


def check_limits(limited: Desk, run: str, skipped: str) -> None:
    """An auditor of /prod sees the records of it alone, in counts and files too, and may change nothing."""
    limited.go(f"/runs/{run}")
    expect(limited.page.get_by_text("2500 / 2500")).to_be_visible()
    expect(limited.page.locator("main")).not_to_contain_text("in-dev")
    expect(limited.page.get_by_role("button", name=re.compile("Retry|Cancel"))).to_have_count(0)
    text = limited.context.request.get(f"{limited.url}/runs/{run}/export.csv").text()
    assert "in-dev" not in text
    assert len(text.splitlines()) == 2501
    token = json.loads(str(limited.page.locator("body").get_attribute("hx-headers")))
    tried = limited.context.request.post(f"{limited.url}/runs/{run}/retry", headers=token)
    assert "takes the right to operate" in tried.text()
    limited.expected.append("status of 404")
    limited.go(f"/runs/{skipped}")
    expect(limited.page.get_by_text("There is no run")).to_be_visible()

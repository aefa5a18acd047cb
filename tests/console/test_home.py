"""The home page: what to do first, and then what there is, what goes on and what went wrong."""

import re

from playwright.sync_api import expect
from tests.conftest import LabHosts
from tests.console.conftest import Desk, OpenDesk, Site


def test_home_leads_from_nothing_to_what_went_wrong(
    open_desk: OpenDesk, desk: Desk, site: Site, lab_hosts: LabHosts
) -> None:
    """First steps are ticked as they are done; then come figures, failures, and what lacks a login."""
    page = desk.go("/")
    steps = page.locator("section", has=page.get_by_role("heading", name="First steps"))
    expect(steps.get_by_role("link", name="Add an asset")).to_be_visible()
    expect(steps.get_by_text("done", exact=True)).to_have_count(0)
    desk.look("home-empty")
    (host,) = lab_hosts(1)
    site.bring_in(host, node="/prod")
    desk.go("/")
    expect(steps.get_by_text("done", exact=True)).to_have_count(1)
    expect(steps.get_by_role("link", name="Preview and push")).to_be_visible()

    asset = {"kind": "linux", "address": "127.0.0.1", "port": 1}
    for name, node in (("dead", "/prod"), ("lonely", "/dev")):
        site.api.post("assets", json=asset | {"name": name, "nodes": [node]}).raise_for_status()
    account = {"username": "root", "asset": "dead", "privileged": True, "secret": {"password": "root-9-Xy"}}
    site.api.post("accounts", json=account).raise_for_status()
    spec = {"nodes": ["/prod", "/dev"], "usernames": ["alice"], "secret_type": "password"}
    run = site.api.post("runs", json={"spec": spec}).raise_for_status().json()["id"]
    task = {"name": "nightly", "spec": spec, "schedule": {"cron": "0 2 * * *"}}
    site.api.post("tasks", json=task).raise_for_status()
    desk.go(f"/runs/{run}")
    expect(page.locator("#run-progress .badge").first).to_have_text("finished")
    desk.go("/")
    expect(steps).to_have_count(0)
    failures = page.locator("section", has=page.get_by_role("heading", name="What went wrong"))
    expect(failures).to_contain_text("connection_refused")
    expect(failures).to_contain_text("Start its server")
    expect(failures).to_contain_text("no_privileged_account")
    expect(page.get_by_role("heading", name="1 asset cannot be worked on")).to_be_visible()
    expect(page.get_by_role("link", name="lonely")).to_have_attribute("href", "/assets/lonely")
    expect(page.get_by_role("link", name="nightly")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("3.*accounts in the list"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("1 runs with 3 accounts"))).to_be_visible()
    page.get_by_text("As a table").click()
    desk.look("home")
    failures.get_by_role("link", name=f"run {run[:8]}").first.click()
    expect(page).to_have_url(re.compile(f"/runs/{run}.status="))

    site.add_user("ben", {"role": "auditor", "node": "/prod"})
    site.add_user("nobody")
    limited = open_desk()
    limited.enter("ben")
    limited.go("/")
    expect(limited.page.get_by_role("heading", name="What went wrong")).to_be_visible()
    expect(limited.page.locator("main")).not_to_contain_text("lonely")
    expect(limited.page.locator("main")).not_to_contain_text("no_privileged_account")
    expect(limited.page.get_by_role("img", name=re.compile("1 runs with 2 accounts"))).to_be_visible()
    stranger = open_desk()
    stranger.enter("nobody")
    stranger.go("/")
    expect(stranger.page.get_by_text("You may not see anything yet")).to_be_visible()
    stranger.look("home-nothing")

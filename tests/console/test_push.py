"""The page of a push: choosing, checking, previewing, pushing."""

import re
import time
from collections.abc import Sequence
from typing import Any, Final

from playwright.sync_api import Page, Response, expect
from tests.conftest import LabHosts
from tests.console.conftest import Desk, OpenDesk, Site

from provost.lab import Host

OWN: Final = "my-own-Secret-77"
BY_HAND: Final = "made-by-hand-1"
IN_LIST: Final = "what-the-list-says-2"
DECISIONS: Final = ("create", "leave", "adopt", "restore")


def prepare(site: Site, hosts: Sequence[Host], node: str) -> None:
    """Put four hosts into the four rows of the table; the fifth has no privileged account."""
    site.bring_in(*hosts[:4], node=node)
    site.bring_in(hosts[4], node=node, privileged=False)
    for host in hosts[1:3]:
        host.run("useradd -m alice; chpasswd", stdin=f"alice:{BY_HAND}\n")
    for host in (hosts[1], hosts[3]):
        body = {"username": "alice", "asset": host.name, "secret": {"password": IN_LIST}}
        site.api.post("accounts", json=body).raise_for_status()


def read_counts(page: Page) -> dict[str, int]:
    """Return the preview's counts by decision."""
    cells = page.locator("#preview [data-count]").all()
    return {str(one.get_attribute("data-count")): int(one.inner_text()) for one in cells}


def list_decisions(site: Site, run: str) -> dict[str, Any]:
    """Return what was decided for each asset of a run."""
    records = site.api.get(f"runs/{run}/records").raise_for_status().json()["items"]
    return {one["asset"]: one["decision"] for one in records}


def wait_for(site: Site, run: str) -> None:
    """Wait until a run is over."""
    deadline = time.monotonic() + 60
    while site.api.get(f"runs/{run}").json()["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def snapshot(hosts: Sequence[Host]) -> list[str]:
    """Return what tells whether a host's accounts were changed."""
    return [host.run("cat /etc/passwd /etc/shadow; ls /home").stdout for host in hosts]


def test_a_preview_shows_what_the_push_then_does(site: Site, desk: Desk, lab_hosts: LabHosts) -> None:
    """All four decisions and the skip are previewed, nothing changes, and the push does just that.

    The specified secret is in no answer of the server.
    """
    hosts = lab_hosts(5, prefix="table")
    prepare(site, hosts, "/table/web")
    told: list[str] = []

    def listen(response: Response) -> None:
        if "/static/" not in response.url and response.status not in {302, 303}:
            told.append(response.text())

    page = desk.go("/push")
    desk.look("push-empty")
    page.on("response", listen)
    nodes = page.locator("[data-tree]")
    nodes.locator("summary").first.press("Enter")
    nodes.get_by_label("table", exact=False).first.press(" ")
    expect(nodes.get_by_label("web", exact=False)).to_be_disabled()
    expect(page.locator("#targets")).to_contain_text("5 assets")
    expect(page.locator("#targets")).to_contain_text("1 of them has no privileged account")
    page.get_by_label("Usernames").fill("alice")
    page.get_by_text("Specified: one of your own").click()
    page.locator("#secret-password").fill(OWN)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#secret-password")).to_have_value(OWN)
    page.get_by_role("button", name="Show").click()
    before = snapshot(hosts)
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("5 accounts were looked at. Nothing was changed.")
    assert read_counts(page) == dict.fromkeys(DECISIONS, 1) | {"untold": 0, "skipped": 1}
    desk.look("push-preview")
    assert snapshot(hosts) == before
    preview = site.api.get("runs").json()["items"][0]
    assert preview["dry_run"]
    page.get_by_role("button", name="adopt (1)").click()
    expect(page.locator("#preview-records tbody tr")).to_have_count(1)
    expect(page.locator("#preview-records")).to_contain_text(hosts[2].name)

    page.get_by_role("button", name="Push now").click()
    dialog = page.get_by_role("dialog", name="Push now?")
    expect(dialog).to_contain_text("5 assets")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    desk.look("push-now")
    page.remove_listener("response", listen)
    dialog.get_by_role("button", name="Push now").click()
    page.wait_for_url("**/runs/*")
    run = page.url.rpartition("/")[2]
    wait_for(site, run)
    assert list_decisions(site, run) == list_decisions(site, preview["id"])
    counts = site.api.get(f"runs/{run}").json()["counts"]
    assert counts == {"succeeded": 3, "unchanged": 1, "skipped": 1}
    assert told
    assert not any(OWN in text for text in told)


def test_what_is_wrong_is_said_beside_its_field(site: Site, desk: Desk, lab_hosts: LabHosts) -> None:
    """Checks of the server stand where they belong, contact nothing, and leave a typed secret where it is."""
    host = lab_hosts(1, prefix="check")[0]
    site.bring_in(host, node="/checks")
    page = desk.go("/push")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Name at least one asset or node to push to.")).to_be_visible()
    page.get_by_label("Search for an asset").fill(host.name)
    page.locator("[data-picks]").first.wait_for()
    page.get_by_label("Search for an asset").press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("[data-chips]")).to_contain_text(host.name)
    expect(page.locator("#targets")).to_contain_text("1 asset")
    desk.look("push-picked")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Name at least one account to push.")).to_be_visible()
    page.get_by_label("Usernames").fill("alice, bob\ncarol")
    page.get_by_label("Length").fill("9")
    page.get_by_label("Digits").select_option("9")
    expect(page.locator("#sample")).to_contain_text("at least 12 characters by class")
    page.get_by_label("Symbols").select_option("")
    page.get_by_label("Upper-case letters").select_option("")
    page.get_by_label("Lower-case letters").select_option("")
    page.get_by_label("Excluded characters").fill("01234")
    expect(page.locator("#sample output")).to_have_text(re.compile("^[5-9]{9}$"))
    page.get_by_text("For accounts that are created").click()
    page.get_by_label("Shell").fill("zsh")
    page.get_by_text("Specified: one of your own").click()
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".invalid-feedback", has_text="give the secret too").first).to_be_visible()
    page.locator("#secret-password").fill(OWN)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("The parameter shell cannot be used")).to_be_visible()
    desk.look("push-wrong")
    expect(page.locator("#secret-password")).to_have_value(OWN)
    assert OWN not in page.content()
    assert site.api.get("runs", params={"state": "running"}).json()["items"] == []
    page.get_by_label("Shell").fill("/bin/sh")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("3 accounts were looked at")
    assert read_counts(page)["create"] == 3, page.locator("#preview").inner_text()
    page.get_by_label("Usernames").fill("dora")
    expect(page.locator("[data-stale]")).to_be_visible()


def test_what_cannot_be_told_is_shown_with_its_reason(site: Site, desk: Desk) -> None:
    """An asset that nobody answers at is counted as "cannot be told", with what happened."""
    asset = {"name": "gone1", "kind": "linux", "address": "127.0.0.1", "port": 1, "nodes": ["/gone"]}
    account = {"username": "root", "asset": "gone1", "privileged": True, "password": "root-of-gone1-Xy7"}
    site.api.post("import", json={"assets": [asset], "accounts": [account]}).raise_for_status()
    page = desk.go("/push?node=/gone&account=alice")
    expect(page.locator("#targets")).to_contain_text("1 asset")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview-records")).to_contain_text("connection_refused", timeout=60_000)
    assert read_counts(page)["untold"] == 1
    desk.look("push-untold")


def test_one_is_offered_what_one_may_push_to(site: Site, open_desk: OpenDesk) -> None:
    """An operator of /prod is offered /prod alone, though they may look elsewhere; an auditor has no page."""
    assets = [
        {"name": name, "kind": "linux", "address": "127.0.0.1", "port": 1, "nodes": [node]}
        for name, node in (("offer-prod", "/prod/web"), ("offer-dev", "/dev"))
    ]
    site.api.post("import", json={"assets": assets}).raise_for_status()
    site.add_user("olga", {"role": "operator", "node": "/prod"}, {"role": "auditor"})
    site.add_user("aude", {"role": "auditor"})
    desk = open_desk()
    desk.enter("olga")
    page = desk.go("/push?asset=offer-dev")
    expect(page.get_by_text("olga may not work on all of these assets")).to_be_visible()
    page = desk.go("/push")
    expect(page.locator("[data-tree] > li")).to_have_count(1)
    expect(page.locator("[data-tree]")).to_contain_text("/prod")
    page.get_by_label("Search for an asset").fill("offer")
    expect(page.locator("[data-picks]")).to_have_count(1)
    expect(page.locator("#asset-results")).to_contain_text("offer-prod")
    desk = open_desk()
    desk.enter("aude")
    desk.expected.append("status of 403")
    page = desk.go("/push")
    expect(page.get_by_text("aude may not push")).to_be_visible()
    expect(page.get_by_label("Usernames")).to_have_count(0)

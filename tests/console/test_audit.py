"""The audit trail in the console."""

import json
from pathlib import Path

from playwright.sync_api import expect
from tests.console.conftest import Desk, OpenDesk, Site


def test_the_trail_is_read_narrowed_checked_and_exported(desk: Desk, site: Site, tmp_path: Path) -> None:
    """What was and what is, one subject's entries, the proof, and all of it as a file."""
    hostile = "<img src=x onerror=alert(1)>\u202e"
    site.add_user("paula", {"role": "operator", "node": None})
    site.api.patch("users/paula", json={"email": "paula@example.org"}).raise_for_status()
    site.api.post("import", json={"name": hostile, "nodes": ["/x"]}).raise_for_status()
    page = desk.go("/audit")
    expect(page.get_by_text("inventory <img src=x onerror=alert(1)>\\u202e")).to_be_visible()
    desk.look("audit")
    page.get_by_label("Subject").press_sequentially("user paula")
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(2)
    expect(page).to_have_url(f"{desk.url}/audit?subject=user+paula")
    expect(rows.first.locator("del")).to_have_text("nothing")
    expect(rows.first).to_contain_text("paula@example.org")
    page.get_by_label("Since (UTC)").fill("2999-01-01T00:00")
    expect(page.get_by_text("No entry is like that.")).to_be_visible()
    desk.go("/audit?action=user.&until=2999-01-01T00:00")
    expect(rows.first).to_contain_text("user.")
    page.get_by_role("button", name="Check the trail").click()
    expect(page.get_by_text("entries is whole")).to_be_visible()
    desk.look("audit-proof")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    download.value.save_as(tmp_path / "audit")
    entries = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [entry["number"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[-1]["action"] == "audit.export"


def test_who_may_not_read_it_is_refused(open_desk: OpenDesk, site: Site) -> None:
    """Neither the page nor its file: an operator has neither a link nor a look."""
    site.add_user("olaf", {"role": "operator", "node": None})
    desk = open_desk()
    desk.expected += ["status of 403"]
    desk.enter("olaf")
    page = desk.go("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)
    for path in ("/audit", "/audit/proof"):
        desk.go(path)
        expect(page.get_by_role("heading", level=1)).to_contain_text("olaf may not")
    assert page.request.get(f"{desk.url}/audit/export").status == 403

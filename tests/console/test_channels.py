"""Notifications: channels, what became of what they were told, and the report of a run."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from tests.console.conftest import Desk, OpenDesk, Site
from tests.server.receiver import Receiver, receive


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receive() as receiver:
        yield receiver


def test_a_webhook_is_made_tried_and_removed(desk: Desk, site: Site, receiver: Receiver) -> None:
    """Its secret is shown once; a test that fails says why, and is sent again; the log shows both."""
    page = desk.go("/channels")
    expect(page.get_by_text("Nobody is told of anything yet")).to_be_visible()
    desk.look("channels-none")
    page.get_by_role("link", name="Add a channel").first.click()
    page.get_by_label("Name").fill("on-call")
    page.get_by_text("webhook", exact=True).click()
    page.get_by_label("URL of the webhook").fill("ftp://receiver.example.org")
    for box in page.locator("[name=events]").all():
        box.uncheck()
    page.get_by_role("button", name="Add the channel").click()
    expect(page.get_by_text("This is needed.")).to_be_visible()
    page.get_by_label("a run did not end well").check()
    page.get_by_role("button", name="Add the channel").click()
    expect(page.get_by_text("The address of a webhook is a URL")).to_be_visible()
    desk.look("channel-new")
    page.get_by_label("URL of the webhook").fill(receiver.url)
    page.get_by_role("button", name="Add the channel").click()
    secret = page.locator("#signing-secret").inner_text()
    assert secret.startswith("whsec_")
    desk.look("channel-made")
    receiver.answers.append(500)
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("The receiver answered 500.")).to_be_visible()
    assert secret not in page.content()
    desk.look("channel-failed")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("delivered", exact=True)).to_be_visible()
    assert receiver.verify(len(receiver.got) - 1, secret)["type"] == "test"
    page.get_by_role("link", name="Notifications").first.click()
    expect(page.get_by_role("row", name=re.compile("on-call"))).to_contain_text("delivered")
    desk.look("channels")
    page.get_by_role("link", name="on-call").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove the channel").click()
    expect(page.get_by_text("The channel on-call is removed.")).to_be_visible()
    assert site.api.get("channels").json() == []


def test_a_channel_is_changed(desk: Desk, site: Site) -> None:
    """What it is told, where, and whether; somebody else's change is not lost."""
    site.api.post("nodes", json={"path": "/prod"}).raise_for_status()
    body = {"name": "ops", "kind": "email", "address": "ops@example.org"}
    site.api.post("channels", json=body).raise_for_status()
    page = desk.go("/channels/ops/edit")
    page.get_by_label("a target has an account that was not known").uncheck()
    page.get_by_label("Only what lies in this node and below").select_option("/prod")
    page.get_by_label("Active").uncheck()
    desk.look("channel-edit")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The channel is saved.")).to_be_visible()
    expect(page.get_by_text("This channel is not active")).to_be_visible()
    found = site.api.get("channels/ops").json()
    assert (found["node"], found["active"], len(found["events"])) == ("/prod", False, 4)
    page.get_by_role("link", name="Edit").click()
    site.api.patch("channels/ops", json={"comment": "changed meanwhile"}).raise_for_status()
    page.get_by_label("Only what lies in this node and below").select_option("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody else changed this meanwhile.")).to_be_visible()
    assert site.api.get("channels/ops").json()["node"] == "/prod"


def test_only_who_administers_everything_sees_channels(site: Site, open_desk: OpenDesk) -> None:
    """For others there is no such entry in the menu, and no such page."""
    site.add_user("olga", {"role": "operator", "node": None})
    desk = open_desk()
    desk.expected.append("status of 403")
    desk.enter("olga")
    page = desk.go("/")
    expect(page.get_by_role("link", name="Runs", exact=True)).to_be_visible()
    assert page.get_by_role("link", name="Notifications").count() == 0
    desk.go("/channels")
    expect(page.get_by_text("may not manage channels")).to_be_visible()


def test_the_report_of_a_run(desk: Desk, site: Site) -> None:
    """A page of its own, with its own style under its own policy; hostile text is text in it."""
    site.api.post("assets", json={"name": "db1", "kind": "memory", "address": "db1"}).raise_for_status()
    spec = {"assets": ["db1"], "usernames": ["<script>alert(1)</script>"], "secret_type": "password"}
    run = site.api.post("runs", json={"spec": spec}).raise_for_status().json()["id"]
    page = desk.go(f"/runs/{run}")
    expect(page.get_by_text("finished").first).to_be_visible()
    page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Run {run}")
    expect(page.get_by_role("cell", name="<script>alert(1)</script>").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"
    assert page.locator("script").count() == 0
    desk.look("run-report")

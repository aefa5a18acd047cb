"""A secret is shown to who may see it, for half a minute, and is nowhere else."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect
from tests.console.conftest import PASSWORD, Desk, OpenDesk, Site
from tests.e2e.conftest import log_in
from tests.server.conftest import wait_for

from provost.core.secrets import Password, Secret, SshKey
from provost.lab import Host, Lab


@pytest.fixture(scope="module")
def host(site: Site, lab: Lab) -> Iterator[Host]:
    """A lab host with `alice`, pushed with a password and a key."""
    (host,) = lab.up(1)
    site.bring_in(host, node="/prod")
    for secret_type in ("password", "ssh_key"):
        spec = {"nodes": ["/prod"], "usernames": ["alice"], "secret_type": secret_type}
        run = site.api.post("runs", json={"spec": spec}).raise_for_status().json()["id"]
        assert wait_for(site.api, run)["counts"] == {"succeeded": 1}
    yield host
    lab.down([host])


def gets_in(host: Host, secret: Secret) -> bool:
    """Tell whether alice logs in, in a thread: Playwright's loop is in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(log_in(host, "alice", secret))).result()


def reveal(page: Page, which: str, password: str = PASSWORD) -> None:
    page.get_by_role("button", name="Reveal").click()
    page.get_by_label("Which", exact=True).select_option(which)
    page.get_by_label("Your own password").fill(password)
    page.get_by_role("button", name="Show it").click()


def read_audit(site: Site, action: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = site.api.get("audit", params={"action": action}).json()["items"]
    return found


def test_a_secret_is_revealed_for_half_a_minute(desk: Desk, site: Site, host: Host) -> None:
    """A wrong password shows nothing; the right one shows what logs in for its time. All is audited."""
    page = desk.page
    page.clock.install()
    desk.go(f"/accounts/alice@{host.name}")
    reveal(page, "password", "wrong")
    expect(page.get_by_text("This is not your password.")).to_be_visible()
    expect(page.locator("#secret")).to_have_count(0)
    assert read_audit(site, "account.reveal") == []
    (entry,) = read_audit(site, "session.confirm_refused")
    assert entry["who"] == "ada"
    desk.look("reveal-refused")
    page.get_by_role("button", name="Close").click()

    reveal(page, "password")
    secret = page.locator("#secret").text_content()
    assert secret
    desk.look("reveal")
    assert page.locator("dialog input[name=password]").input_value() == ""
    assert secret not in page.url + page.title()
    assert secret not in page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, history.state])"
    )
    assert gets_in(host, Password(secret))
    (entry,) = read_audit(site, "account.reveal")
    assert (entry["who"], entry["face"], entry["subject"]) == ("ada", "console", f"account alice@{host.name}")
    page.clock.run_for(20_000)
    expect(page.locator("#secret")).to_be_visible()
    page.clock.run_for(11_000)
    expect(page.locator("#secret")).to_have_count(0)
    expect(page.locator("#revealed")).to_have_text("The secret is not shown any more.")
    assert secret not in page.content()


def test_a_key_is_shown_as_it_is_and_gone_when_one_leaves(desk: Desk, host: Host) -> None:
    """The key logs in; closing the dialog, another page, and the way back show nothing of it."""
    page = desk.go(f"/accounts/alice@{host.name}")
    reveal(page, "ssh_key")
    private = page.locator("#secret").text_content()
    assert private
    desk.look("reveal-key")
    assert gets_in(host, SshKey(public="", private=private))
    page.keyboard.press("Escape")
    expect(page.locator("dialog#reveal")).to_be_hidden()
    expect(page.locator("#secret")).to_have_count(0)
    assert private.splitlines()[1] not in page.content()

    reveal(page, "password")
    secret = page.locator("#secret").text_content()
    assert secret
    desk.go("/accounts")
    page.go_back()
    expect(page.get_by_role("heading", name=f"alice@{host.name}")).to_be_visible()
    assert secret not in page.content()
    expect(page.locator("#secret")).to_have_count(0)


def test_a_secret_of_any_characters_is_shown_exactly(desk: Desk, site: Site) -> None:
    """Spaces at its ends, markup, quotes and what looks like a template: all as it is."""
    odd = "  <b>&amp;\"'{{ 7 }}</b> \u00e9\u4e2d  "
    body = {"name": "odd1", "kind": "linux", "address": "192.0.2.1"}
    site.api.post("assets", json=body).raise_for_status()
    body = {"username": "odd", "asset": "odd1", "secret": {"password": odd}}
    site.api.post("accounts", json=body).raise_for_status()
    page = desk.go("/accounts/odd@odd1")
    reveal(page, "password")
    expect(page.locator("#secret")).to_be_visible()
    assert page.locator("#secret").text_content() == odd


def test_who_may_not_is_offered_nothing_and_refused(open_desk: OpenDesk, site: Site, host: Host) -> None:
    """An auditor has no button, and what a button would send is refused; without a script nothing is shown."""
    site.add_user("olga", {"role": "auditor", "node": None})
    desk = open_desk()
    desk.expected += ["status of 403"]
    page = desk.enter("olga")
    desk.go(f"/accounts/alice@{host.name}")
    expect(page.get_by_role("heading", name="Secrets")).to_be_visible()
    for name in ("Reveal", "Edit", "Take off the list", "Push"):
        expect(page.locator("main, header").get_by_role("button", name=name)).to_have_count(0)
    token = page.evaluate("JSON.parse(document.body.getAttribute('hx-headers'))['X-CSRFToken']")
    headers = {"X-CSRFToken": token, "Referer": desk.url}
    for also in ({}, {"HX-Request": "true"}):
        answer = page.request.post(
            f"{desk.url}/accounts/alice@{host.name}/reveal",
            headers=headers | also,
            form={"secret": "password", "password": PASSWORD},
        )
        assert answer.status == 403

"""The first minutes with the console."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.conftest import Server, keep_environment, run_servers
from tests.console.conftest import PASSWORD, OpenDesk, Site


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has used yet."""
    with run_servers(keep_environment() | {"PROVOST_HOME": str(tmp_path / "home")}, tmp_path) as start:
        yield start()


def test_the_printed_token_makes_the_first_administrator(open_desk: OpenDesk, fresh: Server) -> None:
    """Whoever comes is led to the form; a wrong token is refused beside its field; the right one signs in."""
    desk = open_desk(fresh.url)
    page = desk.go("/")
    expect(page).to_have_url(f"{fresh.url}/setup")
    desk.look("setup")
    link = fresh.told.splitlines()[1].split()[-1]
    assert link == f"{fresh.url}/setup#{fresh.setup_token}"
    page.goto("about:blank")
    page.goto(link)
    expect(page).to_have_url(f"{fresh.url}/setup")
    expect(page.get_by_label("Setup token")).to_have_value(fresh.setup_token)
    expect(page.get_by_label("Username")).to_be_focused()
    page.get_by_label("Setup token").fill("wrong")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, once more").fill(PASSWORD)
    page.get_by_role("button", name="Make the administrator").click()
    expect(page.get_by_text("This setup token is not valid")).to_be_visible()
    page.get_by_label("Setup token").fill(fresh.setup_token)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, once more").fill(PASSWORD)
    page.get_by_role("button", name="Make the administrator").click()
    expect(page).to_have_url(f"{fresh.url}/")
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    desk.go("/audit")
    expect(page.get_by_role("row").filter(has_text="user.add")).to_contain_text("console")
    assert fresh.setup_token not in fresh.log


def test_a_refused_password_does_not_cost_the_token(open_desk: OpenDesk, fresh: Server) -> None:
    """The link's token is in the form that comes back, whose wrong field has the focus; then it is gone."""
    desk = open_desk(fresh.url)
    token = fresh.setup_token
    page = desk.go(f"/setup#{token}")
    page.get_by_label("Username").fill("ada")
    for password in ("too-short", PASSWORD):
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_label("Password, once more").fill(password)
        expect(page.get_by_label("Setup token")).to_have_value(token)
        page.get_by_role("button", name="Make the administrator").click()
        if password != PASSWORD:
            expect(page.get_by_label("Password", exact=True)).to_be_focused()
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    assert token not in page.url


def test_a_task_without_a_fit_name_leads_to_its_name(open_desk: OpenDesk, site: Site) -> None:
    """What is wrong at the end of a long form is to be seen, and has the focus."""
    site.api.post("nodes", json={"path": "/prod"}).raise_for_status()
    desk = open_desk()
    desk.sign_in()
    page = desk.go("/push")
    page.get_by_label("/prod").check()
    page.get_by_label("Usernames").fill("alice")
    name = page.get_by_label("Name", exact=True)
    name.fill("for all")
    page.get_by_role("button", name="Save as a task").click()
    expect(page.get_by_text("cannot be the name of a task")).to_be_in_viewport()
    expect(name).to_be_focused()

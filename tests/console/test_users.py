"""Users and their roles, tokens, and the settings."""

import re
from contextlib import suppress

import httpx
from playwright.sync_api import Error, expect
from tests.console.conftest import PASSWORD, Desk, OpenDesk, Site


def test_a_user_is_added(desk: Desk, site: Site) -> None:
    """Roles as rows, errors beside them, and one's own password asked for."""
    page = desk.go("/users")
    page.get_by_role("link", name="Add a user").click()
    page.get_by_label("Username").fill("bert")
    page.get_by_label("Password", exact=True).fill("a-long-password-of-bert")
    page.get_by_label("Role", exact=True).select_option("operator")
    page.get_by_label("Your own password").fill(PASSWORD)
    page.get_by_role("button", name="Add the user").click()
    expect(page.get_by_text("Say where each role holds")).to_be_visible()
    page.get_by_label("Node, / for everywhere").fill("/nowhere")
    page.get_by_label("Your own password").fill(PASSWORD)
    page.get_by_role("button", name="Add the user").click()
    expect(page.get_by_text("There is no node '/nowhere'")).to_be_visible()
    page.get_by_label("Node, / for everywhere").fill("/")
    page.get_by_role("button", name="One more role").click()
    expect(page.get_by_label("Role", exact=True)).to_have_count(2)
    page.get_by_label("Role", exact=True).nth(1).select_option("auditor")
    page.get_by_label("Node, / for everywhere").nth(1).fill("/")
    page.get_by_label("Reveal secrets").nth(1).select_option("yes")
    desk.look("user-new")
    page.get_by_label("Password", exact=True).fill("a-long-password-of-bert")
    page.get_by_label("Your own password").fill("wrong")
    page.get_by_role("button", name="Add the user").click()
    expect(page.get_by_text("This is not your password.")).to_be_visible()
    page.get_by_label("Password", exact=True).fill("a-long-password-of-bert")
    page.get_by_label("Your own password").fill(PASSWORD)
    page.get_by_role("button", name="Add the user").click()
    expect(page.get_by_text("bert is a user now.")).to_be_visible()
    assert site.api.get("users/bert").json()["grants"] == [
        {"role": "operator", "node": None, "reveal": False},
        {"role": "auditor", "node": None, "reveal": True},
    ]


def test_a_user_is_changed_and_removed(desk: Desk, site: Site) -> None:
    """Roles are taken away, sessions end, and the last administrator stays."""
    site.add_user("carl", {"role": "operator", "node": None}, {"role": "auditor", "node": None, "reveal": True})
    page = desk.go("/users")
    desk.look("users")
    page.get_by_role("link", name="carl").click()
    page.get_by_role("button", name="Take this role away").nth(1).click()
    page.get_by_label("Active").uncheck()
    page.get_by_label("E-mail address").fill("carl@example.org")
    desk.look("user-edit")
    page.get_by_label("Your own password").fill(PASSWORD)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("carl is changed.")).to_be_visible()
    found = site.api.get("users/carl").json()
    assert (found["active"], found["email"], len(found["grants"])) == (False, "carl@example.org", 1)
    page.get_by_role("link", name="carl").click()
    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("button", name="Sign them out").click()
    expect(page.get_by_text("carl is signed out everywhere.")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    desk.look("user-remove")
    page.get_by_role("button", name="Remove the user").click()
    expect(page.get_by_text("carl is removed.")).to_be_visible()

    page.get_by_role("link", name="ada", exact=True).last.click()
    page.get_by_role("button", name="Take this role away").click()
    page.get_by_label("Your own password").fill(PASSWORD)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Nobody would be left to administer everything")).to_be_visible()
    desk.look("user-last")


def test_a_token_is_shown_once_and_revoked(desk: Desk) -> None:
    """Made with the rights that were chosen, it lets a program in; the way back does not show it again."""
    page = desk.go("/tokens")
    page.get_by_label("Name").fill("robot")
    page.get_by_label("view").uncheck()
    page.get_by_label("Your own password").fill(PASSWORD)
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("Choose at least one.")).to_be_visible()
    page.get_by_label("view").check()
    page.get_by_label("Your own password").fill(PASSWORD)
    page.get_by_role("button", name="Make the token").click()
    text = page.locator("#token").text_content()
    assert text
    desk.look("token-made")
    assert text not in page.url
    headers = {"Authorization": f"Bearer {text}"}
    told = httpx.get(f"{desk.url}/api/v1/whoami", headers=headers, timeout=60).json()
    assert (told["name"], told["token"], told["rights"]) == ("ada", "robot", ["view"])
    desk.go("/tokens")
    with suppress(Error):  # the browser would have to send the form again, and asks first
        page.go_back()
        page.wait_for_load_state()
    expect(page.get_by_text(text)).to_have_count(0)
    desk.go("/tokens")
    assert text not in page.content()
    desk.look("tokens")
    row = page.get_by_role("row").filter(has_text="robot")
    row.get_by_role("button", name="Revoke", exact=True).click()
    page.get_by_role("button", name="Revoke it").locator("visible=true").click()
    expect(page.get_by_text("The token robot of ada is void.")).to_be_visible()
    assert httpx.get(f"{desk.url}/api/v1/whoami", headers=headers, timeout=60).status_code == 401


def test_the_settings_in_force_and_what_is_found(desk: Desk) -> None:
    """Every variable with its value, the findings with what to do, and a new data key."""
    page = desk.go("/settings")
    expect(page.get_by_text("PROVOST_DATABASE_URL")).to_be_visible()
    expect(page.get_by_text("There is an active administrator.")).to_be_visible()
    desk.look("settings")
    page.get_by_role("button", name="Make a new data key").click()
    desk.look("settings-rotate")
    page.get_by_role("button", name="Make a new key").click()
    expect(page.get_by_text(re.compile(r"encrypted anew, by the data key \d+"))).to_be_visible()


def test_who_does_not_administer_has_their_own_tokens_alone(open_desk: OpenDesk, site: Site) -> None:
    """Neither users nor settings; of rights, those that they have."""
    site.add_user("olga", {"role": "operator", "node": None})
    desk = open_desk()
    desk.expected += ["status of 403"]
    page = desk.enter("olga")
    for path in ("/users", "/users/ada", "/users/-/new", "/settings", "/settings/findings"):
        desk.go(path)
        expect(page.get_by_role("heading", level=1)).to_contain_text("olga may not")
    desk.go("/tokens")
    expect(page.get_by_text("No program has a token.")).to_be_visible()
    expect(page.locator("input[name=rights]")).to_have_count(2)
    desk.look("tokens-empty")

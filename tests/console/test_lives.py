"""Lifetimes, pairs, and pushes that are for new assets too, as somebody at a browser says them."""

from playwright.sync_api import expect
from tests.console.conftest import Desk, Site


def bring_in(site: Site, asset: str, *usernames: str) -> None:
    """Bring an asset that nobody answers at in, with accounts."""
    body = {
        "assets": [{"name": asset, "kind": "linux", "address": "127.0.0.1", "port": 1, "nodes": ["/lives"]}],
        "accounts": [{"username": name, "asset": asset, "password": f"secret-of-{name}"} for name in usernames],
    }
    site.api.post("import", json=body).raise_for_status()


def test_an_account_is_given_a_lifetime(desk: Desk, site: Site) -> None:
    """An end and a grace are typed, what is none stands beside its field, and the page tells what is so."""
    bring_in(site, "lives1", "alice")
    page = desk.go("/accounts/alice@lives1/edit")
    expect(page.get_by_label("Lives until")).to_have_value("")
    expect(page.get_by_label("Grace")).to_have_value("7d")
    page.get_by_label("Lives until").fill("2031-12-31T12:00Z")
    page.get_by_label("Grace").fill("a while")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Write it like 15m, 12h or 30d.")).to_be_visible()
    page.get_by_label("Lives until").fill("2001-12-31T12:00Z")
    page.get_by_label("Grace").fill("12h")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("A lifetime ends in the future")).to_be_visible()
    page.get_by_label("Lives until").fill("2031-12-31T12:00Z")
    page.get_by_label("May be reconciled").uncheck()
    desk.look("account-lifetime-edit")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("alice@lives1 is changed.")).to_be_visible()
    desk.look("account-lifetime")
    told = site.api.get("accounts/alice@lives1").json()
    assert (told["expires_at"], told["grace"], told["reconcile"]) == ("2031-12-31T12:00:00Z", 43_200, False)
    page = desk.go("/accounts/alice@lives1/edit")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("alice@lives1 is changed.")).to_be_visible()
    assert site.api.get("accounts/alice@lives1").json()["version"] == told["version"]
    page = desk.go("/accounts/alice@lives1/edit")
    page.get_by_label("Lives until").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("alice@lives1 is changed.")).to_be_visible()
    assert site.api.get("accounts/alice@lives1").json()["expires_at"] is None


def test_two_accounts_are_paired(desk: Desk, site: Site) -> None:
    """A pair is made on the page of the account that is in use, rotated, and removed again."""
    bring_in(site, "lives2", "app_a", "app_b")
    page = desk.go("/accounts/app_a@lives2")
    page.get_by_text("Let it take turns with another account").click()
    page.get_by_label("Name of the pair").fill("app")
    page.get_by_label("Username of the other account").fill("nobody")
    page.get_by_role("button", name="Make the pair").click()
    expect(page.get_by_text("There is no account on lives2 named 'nobody'")).to_be_visible()
    page.get_by_text("Let it take turns with another account").click()
    desk.look("account-pair-new")
    page.get_by_label("Name of the pair").fill("app")
    page.get_by_label("Username of the other account").fill("app_b")
    page.get_by_role("button", name="Make the pair").click()
    expect(page.get_by_text("The accounts are a pair.")).to_be_visible()
    page = desk.go("/accounts/app_b@lives2")
    expect(page.get_by_role("link", name="app_a@lives2")).to_be_visible()
    desk.look("account-pair")
    page.get_by_role("button", name="Rotate the pair").click()
    page.wait_for_url("**/runs/*")
    run = site.api.get(f"runs/{page.url.rpartition('/')[2]}").json()
    assert (run["action"], run["spec"]["usernames"]) == ("rotate", ["app_b"])
    page = desk.go("/accounts/app_b@lives2")
    page.get_by_role("button", name="Remove the pair").click()
    expect(page.get_by_text("The pair is removed.")).to_be_visible()
    assert site.api.get("pairs").json()["items"] == []


def test_a_push_is_saved_for_new_assets(desk: Desk, site: Site) -> None:
    """A push with a lifetime is saved as a template; editing it keeps what the form does not show."""
    bring_in(site, "lives3", "root")
    page = desk.go("/push?node=/lives&account=deploy")
    page.get_by_text("Advanced").click()
    page.get_by_label("Lifetime").fill("soon")
    page.get_by_label("Name", exact=True).fill("usual")
    page.get_by_label("Also for new assets").check()
    page.get_by_role("button", name="Save as a task").click()
    expect(page.get_by_text("Write it like 15m, 12h or 30d.")).to_be_visible()
    page.get_by_label("Lifetime").fill("30d")
    page.get_by_label("Grace").fill("1d")
    page.get_by_role("button", name="Save as a task").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("for new assets")
    desk.look("task-template")
    site.api.patch("tasks/usual", json={"comment": "why"}).raise_for_status()
    told = site.api.get("tasks/usual").json()
    assert (told["new_assets"], told["spec"]["lifetime"], told["spec"]["grace"]) == (True, 2_592_000, 86_400)
    spec = told["spec"] | {"kinds": ["linux"]}
    site.api.patch("tasks/usual", json={"spec": spec}).raise_for_status()
    page = desk.go("/tasks/usual/edit")
    page.locator("#save").get_by_label("Comment").fill("another")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The task is saved.")).to_be_visible()
    told = site.api.get("tasks/usual").json()
    assert (told["comment"], told["new_assets"], told["spec"]) == ("another", True, spec)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("The task is paused")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("paused")

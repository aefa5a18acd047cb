"""Accounts: the list, adding, changing, removing, and what is told of one."""

from playwright.sync_api import expect
from tests.conftest import LabHosts
from tests.console.conftest import Desk, OpenDesk, Site
from tests.server.conftest import wait_for

KEY_TEXT = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


def test_an_account_is_added(desk: Desk, site: Site) -> None:
    """What is wrong stands beside its field, and no secret comes back."""
    page = desk.go("/accounts")
    expect(page.get_by_text("There are no accounts in the list yet.")).to_be_visible()
    desk.look("accounts-empty")
    body = {"name": "web1", "kind": "linux", "address": "192.0.2.1", "nodes": ["/prod"]}
    site.api.post("assets", json=body).raise_for_status()
    desk.go("/accounts/new?asset=web1")
    page.get_by_label("Username").fill("root")
    page.get_by_role("textbox", name="Asset").fill("web2")
    page.get_by_role("textbox", name="Password").fill("secret-of-root-1")
    page.get_by_label("Privileged").check()
    page.get_by_label("How it gets its rights").select_option("sudo")
    page.get_by_role("button", name="Add it to the list").click()
    expect(page.get_by_text("There is no asset 'web2'")).to_be_visible()
    assert page.get_by_role("textbox", name="Password").input_value() == ""
    assert "secret-of-root-1" not in page.content()
    desk.look("account-new-wrong")
    page.get_by_role("textbox", name="Asset").fill("web1")
    page.get_by_role("textbox", name="Password").fill("secret-of-root-1")
    page.get_by_role("button", name="Add it to the list").click()
    expect(page.get_by_text("root@web1 is in the list.")).to_be_visible()

    desk.go("/accounts/new?asset=web1")
    page.get_by_label("Username").fill("root")
    page.get_by_text("SSH key", exact=True).click()
    page.get_by_label("Key", exact=True).fill("nonsense that is secret")
    page.get_by_role("button", name="Add it to the list").click()
    expect(page.locator("[role=alert]").first).to_be_visible()
    assert "nonsense that is secret" not in page.content()
    page.get_by_label("Key", exact=True).fill(KEY_TEXT)
    page.get_by_role("button", name="Add it to the list").click()
    expect(page.get_by_text("Provost holds no private half")).to_be_visible()


def test_an_account_is_edited_and_removed(desk: Desk, site: Site) -> None:
    """Two who edit do not overwrite each other; off the list is not forgotten; each step says what was done."""
    site.api.post("assets", json={"name": "web3", "kind": "linux", "address": "192.0.2.1"}).raise_for_status()
    body = {"username": "root", "asset": "web3", "privileged": True, "become": "sudo"}
    site.api.post("accounts", json=body | {"secret": {"password": "secret-of-root-1"}}).raise_for_status()
    page = desk.go("/accounts/root@web3")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("How it gets its rights")).to_have_value("sudo")
    page.get_by_label("Priority").fill("5")
    desk.look("account-edit")
    site.api.patch("accounts/root@web3", json={"priority": 7}).raise_for_status()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody else changed this meanwhile.")).to_be_visible()
    desk.go("/accounts/root@web3/edit")
    page.get_by_label("Priority").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("root@web3 is changed.")).to_be_visible()
    expect(page.get_by_text("account.edit").first).to_be_visible()

    page.get_by_role("button", name="Take off the list").click()
    expect(page.get_by_role("button", name="Leave it as it is")).to_be_focused()
    desk.look("account-remove")
    page.get_by_role("button", name="Off the list", exact=True).click()
    expect(page.get_by_text("This account is not in the list.")).to_be_visible()
    desk.look("account-unlisted")
    page.get_by_role("button", name="Take off the list").click()
    page.get_by_role("button", name="Forget with all secrets").click()
    expect(page.get_by_text("root@web3 is forgotten")).to_be_visible()
    assert site.api.get("accounts/root@web3").status_code == 404


def test_the_list_is_narrowed_as_one_types(desk: Desk, site: Site) -> None:
    """Search and filters, kept in the address; what there is none of is said; hostile names are inert."""
    names = [f"bulk{number:02}" for number in range(60)]
    assets = [{"name": name, "kind": "linux", "address": "192.0.2.1", "nodes": ["/bulk"]} for name in names]
    accounts = [{"username": "deploy", "asset": name, "password": "secret-of-it-1"} for name in names]
    accounts += [{"username": "root", "asset": name, "privileged": True, "key": KEY_TEXT} for name in names[:3]]
    site.api.post("import", json={"assets": assets, "accounts": accounts}).raise_for_status()
    page = desk.go("/accounts?node=/bulk")
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(50)
    desk.look("accounts")
    page.get_by_role("link", name="Next page").click()
    expect(rows).to_have_count(13)
    desk.go("/accounts")
    page.get_by_role("searchbox", name="Search").press_sequentially("bulk01")
    expect(rows).to_have_count(2)
    expect(page).to_have_url(f"{desk.url}/accounts?search=bulk01")
    page.get_by_label("Holds").select_option("ssh_key")
    expect(rows).to_have_count(1)
    page.get_by_label("Older than (days)").fill("1")
    expect(page.get_by_text("No account is like that.")).to_be_visible()
    desk.go("/accounts?age=0-30")
    expect(page).to_have_url(f"{desk.url}/accounts?newer_than=30")
    expect(rows).to_have_count(50)
    desk.go("/accounts?node=/nowhere&privileged=true")
    expect(page.get_by_text("There is no node '/nowhere'")).to_be_visible()
    desk.look("accounts-refused")


def test_the_activity_of_an_account_leads_to_its_runs(
    desk: Desk, site: Site, open_desk: OpenDesk, lab_hosts: LabHosts
) -> None:
    """Runs about it, newest first; an operator of another node does not see that it is there."""
    (host,) = lab_hosts(1)
    site.bring_in(host, node="/lab")
    spec = {"nodes": ["/lab"], "usernames": ["alice"], "secret_type": "password"}
    runs = [site.api.post("runs", json={"spec": spec}).json()["id"] for _ in range(2)]
    assert [wait_for(site.api, run)["state"] for run in runs] == ["finished"] * 2
    page = desk.go(f"/accounts/alice@{host.name}")
    links = page.locator("section[aria-labelledby=activity-title] tbody a")
    assert {link.get_attribute("href") for link in links.all()} == {f"/runs/{run}" for run in runs}
    desk.look("account")
    desk.go(f"/accounts/alice@{host.name}/activity")
    expect(page.locator("tbody tr")).to_have_count(2)

    site.add_user("otto", {"role": "operator", "node": "/bulk"})
    other = open_desk()
    other.expected += ["status of 404"]
    other.enter("otto")
    page = other.go(f"/accounts/alice@{host.name}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("There is no asset")

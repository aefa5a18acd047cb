"""What discoveries find, on real hosts: shown, decided about, and taken by rules."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import asyncssh
from playwright.sync_api import expect
from tests.conftest import LabHosts
from tests.console.conftest import Desk, OpenDesk, Site
from tests.server.conftest import wait_for

from provost.core.keys import KeyAlgorithm
from provost.lab import Host
from provost.vault.keys import generate_key


def log_in(host: Host, username: str, password: str) -> str:
    """Log in over SSH with a password alone, and return what id(1) says."""

    async def connect() -> str:
        async with asyncssh.connect(
            host.address,
            host.port,
            username=username,
            password=password,
            known_hosts=None,
            client_keys=[],
            agent_path=None,
            config=[],
        ) as connection:
            return str((await connection.run("id -un", check=True)).stdout).strip()

    with ThreadPoolExecutor(1) as elsewhere:  # the browser has a loop here
        return elsewhere.submit(lambda: asyncio.run(connect())).result()


def reveal(site: Site, account: str) -> str:
    """Return the current password of an account."""
    answer = site.api.post(f"accounts/{account}/reveal", json={"secret_type": "password"})
    return str(answer.raise_for_status().json()["secret"])


def wait_for_rules(site: Site, cause: str) -> None:
    """Wait until the discovery is over, and the runs that rules made of it."""
    assert wait_for(site.api, cause)["state"] == "finished"
    for run in site.api.get("runs", params={"cause": cause}).json()["items"]:
        assert wait_for(site.api, run["id"])["state"] == "finished"


def make_rule(desk: Desk, host: Host) -> None:
    """Make a rule, with what it would take before one's eyes."""
    page = desk.page
    desk.go("/onboarding")
    desk.look("found-rules-empty")
    page.get_by_role("link", name="New rule").first.click()
    page.get_by_label("Name", exact=True).fill("services")
    page.get_by_label("Usernames that it fits").fill("mal*")
    expect(page.locator("#preview")).to_contain_text(f"mallory@{host.name}")
    page.get_by_label("Usernames that it fits").fill("*")
    expect(page.locator("#preview")).to_contain_text("the system cannot do without it")
    desk.look("found-rule-new")
    page.get_by_label("Usernames that it fits").fill("svc-*")
    expect(page.locator("#preview")).to_contain_text("0 accounts of those found so far")
    page.get_by_label("Node").fill("/lab")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Rule services is saved.")).to_be_visible()
    desk.look("found-rules")


def adopt_by_rule(desk: Desk, site: Site, host: Host) -> None:
    """A service account that is made by hand gets a secret of Provost's."""
    page = desk.page
    host.run("useradd -m -s /bin/bash svc-web; echo 'svc-web:theirs-1-Xy' | chpasswd")
    desk.go("/assets?node=/lab")
    page.get_by_role("button", name="Discover now").click()
    expect(page).to_have_url(re.compile("/runs/"))
    wait_for_rules(site, page.url.rpartition("/")[2])
    desk.go("/found?search=svc-web")
    expect(page.locator("tbody tr").get_by_text("known", exact=True)).to_be_visible()
    expect(page.locator("tbody tr")).to_contain_text("taken by rule services")
    secret = reveal(site, f"svc-web@{host.name}")
    assert secret != "theirs-1-Xy"
    assert log_in(host, "svc-web", secret) == "svc-web"


def change_by_hand(desk: Desk, site: Site, host: Host, key: str) -> None:
    """A key that is put there by hand is told of until it is accepted."""
    page = desk.page
    host.run(
        "mkdir -p ~svc-web/.ssh; chmod 700 ~svc-web/.ssh\n"
        f"echo '{key} by-hand' > ~svc-web/.ssh/authorized_keys; chown -R svc-web ~svc-web/.ssh\n"
        "chmod 600 ~svc-web/.ssh/authorized_keys"
    )
    desk.go("/found")
    page.get_by_role("button", name="Discover now").click()
    page.get_by_role("dialog").get_by_label("On this asset").fill(host.name)
    page.get_by_role("dialog").get_by_role("button", name="Discover now").click()
    expect(page).to_have_url(re.compile("/runs/"))
    wait_for_rules(site, page.url.rpartition("/")[2])
    desk.go("/found?standing=changed")
    row = page.locator("tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("by-hand")
    desk.look("found-changed")
    row.get_by_role("link").click()
    desk.look("found-changed-account")
    page.get_by_role("button", name="Accept changes").click()
    expect(page.get_by_text("1 account is accepted as it is.")).to_be_visible()
    desk.go("/found?standing=changed")
    expect(page.get_by_text("No account here has changed.")).to_be_visible()


def remove_by_hand(desk: Desk, site: Site, host: Host) -> None:
    """An account that is gone although it is in the list is told of until it is forgotten."""
    page = desk.page
    host.run("userdel -r svc-web")
    site_run = site.api.post("runs", json={"spec": {"action": "discover", "nodes": ["/lab"]}}).json()["id"]
    wait_for_rules(site, site_run)
    desk.go("/found?standing=vanished")
    expect(page.locator("tbody tr")).to_contain_text("still in the list")
    page.locator("tbody tr").get_by_role("link").click()
    expect(page.get_by_text("It is in the list, and gone from its asset.")).to_be_visible()
    desk.look("found-vanished")
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_text("1 account is forgotten.")).to_be_visible()


def decide(desk: Desk, site: Site, host: Host) -> None:
    """Accounts are adopted and ignored as they are ticked."""
    page = desk.page
    desk.go("/found?search=mallory")
    page.get_by_label("All on this page").check()
    expect(page.get_by_text("1 ticked")).to_be_visible()
    page.get_by_role("button", name="Adopt").click()
    desk.look("found-adopt")
    page.get_by_role("button", name="Adopt now").click()
    expect(page).to_have_url(re.compile("/runs/"))
    wait_for_rules(site, page.url.rpartition("/")[2])
    assert log_in(host, "mallory", reveal(site, f"mallory@{host.name}")) == "mallory"

    desk.go("/found?standing=unknown")
    page.get_by_label("All on this page").check()
    page.get_by_role("button", name="Ignore", exact=True).click()
    expect(page.get_by_text("accounts are ignored.")).to_be_visible()


def test_what_was_made_by_hand_is_found_and_decided_about(
    desk: Desk, site: Site, lab_hosts: LabHosts, open_desk: OpenDesk
) -> None:
    """An account with sudo and a key is unknown, and says so; a rule adopts the next; a new key is a change."""
    (host,) = lab_hosts(1)
    page = desk.go("/found")
    expect(page.get_by_text("Nothing was looked for yet.")).to_be_visible()
    desk.look("found-empty")
    site.bring_in(host, node="/lab")
    key = generate_key(KeyAlgorithm.ED25519).public
    host.run(
        "useradd -m -s /bin/bash mallory; usermod -p '*' mallory\n"
        "mkdir -p /etc/sudoers.d ~mallory/.ssh\n"
        "echo 'mallory ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/mallory; chmod 440 /etc/sudoers.d/mallory\n"
        f"echo '{key} mallory@home' > ~mallory/.ssh/authorized_keys; chown -R mallory ~mallory/.ssh\n"
        "chmod 700 ~mallory/.ssh; chmod 600 ~mallory/.ssh/authorized_keys\n"
    )
    desk.go(f"/assets/{host.name}")
    desk.look("asset-found-empty")
    page.get_by_role("button", name="Discover now").click()
    expect(page).to_have_url(re.compile("/runs/"))
    wait_for_rules(site, page.url.rpartition("/")[2])

    desk.go("/found?standing=unknown&search=mallory")
    expect(desk.page.get_by_role("link", name="unknown 1")).to_have_attribute("aria-current", "true")
    row = page.locator("tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("act as others")
    expect(row).to_contain_text("log in")
    expect(row).to_contain_text("1 SSH key")
    desk.look("found")
    row.get_by_role("link").click()
    expect(page.get_by_text("Provost does not know this account.")).to_be_visible()
    expect(page.get_by_text("mallory@home")).to_be_visible()
    desk.look("found-unknown")

    make_rule(desk, host)
    adopt_by_rule(desk, site, host)
    change_by_hand(desk, site, host, key)
    remove_by_hand(desk, site, host)
    decide(desk, site, host)
    site.add_user("vera", {"role": "auditor"})
    other = open_desk()
    other.enter("vera")
    seen = other.go("/found")
    expect(seen.get_by_role("button", name="Ignore", exact=True)).to_have_count(0)
    expect(seen.locator("tbody tr").first).to_be_visible()
    other.go("/onboarding/rules/services")
    expect(seen.get_by_role("button", name="Save")).to_have_count(0)

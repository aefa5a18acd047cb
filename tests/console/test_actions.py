"""What is done by hand about accounts that are in the list: verify, reconcile, rotate, disable, remove."""

import re
import subprocess
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect
from tests.conftest import LabHosts
from tests.console.conftest import Desk, OpenDesk, Site
from tests.server.conftest import wait_for

from provost.lab import Host

OWN = "my-own-Secret-99"


def push(site: Site, host: Host, *usernames: str, secret_type: str = "password") -> None:
    """Have Provost create accounts on a host."""
    spec = {"assets": [host.name], "usernames": usernames, "secret_type": secret_type}
    run = site.api.post("runs", json={"spec": spec}).raise_for_status().json()
    counts = wait_for(site.api, run["id"])["counts"]
    assert counts == {"succeeded": len(usernames)}, site.api.get(f"runs/{run['id']}/reasons").json()


def reveal(site: Site, name: str, secret_type: str = "password") -> str:
    """Return the secret that the list holds of an account."""
    answer = site.api.post(f"accounts/{name}/reveal", json={"secret_type": secret_type}).raise_for_status()
    return str(answer.json()["secret"])


def lets_in(host: Host, username: str, secret: str, folder: Path) -> bool:
    """Tell whether a host lets somebody in, with a password or a private key, by OpenSSH's own client."""
    file = folder / "secret"
    file.write_text(secret if secret.endswith("\n") else f"{secret}\n")
    file.chmod(0o600)
    words = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    words += ["-o", "NumberOfPasswordPrompts=1", "-p", str(host.port)]
    if "PRIVATE KEY" in secret:
        words += ["-i", str(file), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    else:
        words = ["sshpass", "-f", str(file), *words, "-o", "PubkeyAuthentication=no"]
    words += [f"{username}@{host.address}", "true"]
    return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0


def expect_end(page: Page, title: str) -> None:
    """Wait on the page of a run for its end."""
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator("#run-progress .badge").first).to_have_text("finished", timeout=60_000)


def show(site: Site, name: str) -> dict[str, Any]:
    """Return an account as the API has it."""
    found: dict[str, Any] = site.api.get(f"accounts/{name}").raise_for_status().json()
    return found


def test_what_is_changed_behind_ones_back_is_seen_and_put_right(
    site: Site, desk: Desk, lab_hosts: LabHosts, tmp_path: Path
) -> None:
    """Never checked, in sync, out of sync with advice, reconciled: and the list's password logs in again."""
    (host,) = lab_hosts(1, prefix="sync")
    site.bring_in(host, node="/actions")
    push(site, host, "alice")
    name = f"alice@{host.name}"
    secrets = desk.page.locator("section[aria-labelledby=secrets-title]")
    page = desk.go(f"/accounts/{name}")
    page.get_by_role("button", name="Verify now").click()
    expect_end(page, "Verify alice: 1 secret")
    expect(page.get_by_text("Everything ended well.")).to_be_visible()
    desk.look("run-verify")
    desk.go(f"/accounts/{name}")
    expect(secrets).to_contain_text("In sync")
    expect(page.get_by_role("button", name="Reconcile")).to_have_count(0)
    desk.look("account-in-sync")

    host.run("chpasswd", stdin="alice:changed-behind-1\n")
    page.get_by_role("button", name="Verify now").click()
    expect_end(page, "Verify alice: 1 secret")
    reason = page.locator("section", has_text="out_of_sync")
    expect(reason).to_contain_text("Reconcile sets the secret in the list there again")
    expect(reason.get_by_role("button", name="Reconcile 1 secret")).to_be_visible()
    desk.look("run-out-of-sync")
    desk.go("/")
    page.get_by_role("link", name=re.compile("1\\s+Out of sync")).click()
    expect(page).to_have_url(f"{desk.url}/accounts?sync=out_of_sync")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("status").filter(has_text="Out of sync")).to_contain_text(
        "Reconcile sets the secret"
    )
    desk.look("account-out-of-sync")
    assert not lets_in(host, "alice", reveal(site, name), tmp_path)
    page.get_by_role("button", name="Reconcile").click()
    expect_end(page, "Reconcile alice: 1 secret")
    expect(page.locator("#run-reasons")).to_contain_text("reconciled")
    desk.look("run-reconciled")
    desk.go(f"/accounts/{name}")
    expect(secrets).to_contain_text("In sync")
    assert lets_in(host, "alice", reveal(site, name), tmp_path)


def test_a_run_offers_to_put_right_what_it_found(site: Site, desk: Desk, lab_hosts: LabHosts) -> None:
    """From the asset's page, every account is verified; those out of sync alone are reconciled."""
    (host,) = lab_hosts(1, prefix="asset")
    site.bring_in(host, node="/actions")
    push(site, host, "bert", "cora", "dora")
    host.run("chpasswd", stdin="bert:changed-behind-1\ndora:changed-behind-2\n")
    page = desk.go(f"/assets/{host.name}")
    page.get_by_role("button", name="Verify all").click()
    expect_end(page, "Verify: 4 secrets")
    page.get_by_role("button", name="Reconcile 2 secrets").click()
    expect_end(page, "Reconcile bert, dora: 2 secrets")
    desk.go(f"/assets/{host.name}")
    expect(page.get_by_text("In sync")).to_have_count(4)
    desk.look("asset-in-sync")
    page.get_by_role("button", name="Discover now").click()
    expect_end(page, "Discover: 1 asset")
    desk.look("run-discover")


def test_a_secret_is_rotated_by_hand(site: Site, desk: Desk, lab_hosts: LabHosts, tmp_path: Path) -> None:
    """A password by rules and one of one's own, and a key: the new one logs in, the old one no longer does."""
    (host,) = lab_hosts(1, prefix="rotate")
    site.bring_in(host, node="/actions")
    push(site, host, "alice")
    push(site, host, "kate", secret_type="ssh_key")
    name = f"alice@{host.name}"
    first = reveal(site, name)
    page = desk.go(f"/accounts/{name}")
    page.get_by_role("link", name="Rotate…").click()
    page.get_by_label("Length").fill("31")
    desk.look("account-rotate")
    page.get_by_role("button", name="Rotate now").click()
    expect_end(page, "Rotate alice: 1 account")
    second = reveal(site, name)
    assert len(second) == 31
    assert [lets_in(host, "alice", one, tmp_path) for one in (first, second)] == [False, True]

    desk.go(f"/accounts/{name}/rotate")
    page.get_by_text("Specified: one of your own").click()
    page.get_by_role("button", name="Rotate now").click()
    expect(page.locator(".invalid-feedback", has_text="give the secret too").first).to_be_visible()
    page.locator("#secret-password").fill(OWN)
    page.get_by_role("button", name="Rotate now").click()
    expect_end(page, "Rotate alice: 1 account")
    assert OWN not in page.content()
    assert [lets_in(host, "alice", one, tmp_path) for one in (second, OWN)] == [False, True]

    old = reveal(site, f"kate@{host.name}", "ssh_key")
    desk.go(f"/accounts/kate@{host.name}")
    page.get_by_role("link", name="Rotate…").click()
    expect(page.get_by_role("radio", name="SSH key")).to_be_checked()
    page.get_by_role("button", name="Rotate now").click()
    expect_end(page, "Rotate kate: 1 account")
    new = reveal(site, f"kate@{host.name}", "ssh_key")
    assert [lets_in(host, "kate", one, tmp_path) for one in (old, new)] == [False, True]


def test_accounts_are_chosen_in_the_list(site: Site, desk: Desk, lab_hosts: LabHosts) -> None:
    """Those that are ticked, or all that the filters find, and no others, though names and hosts repeat."""
    hosts = lab_hosts(2, prefix="chosen")
    site.bring_in(*hosts, node="/chosen")
    for host in hosts:
        push(site, host, "ann", "bob")
    page = desk.go("/accounts?node=/chosen&privileged=false")
    page.get_by_role("button", name="Verify", exact=True).click()
    expect(page.get_by_text("No account is chosen")).to_be_visible()
    page.get_by_label(f"Choose ann@{hosts[0].name}").check()
    page.get_by_label(f"Choose bob@{hosts[1].name}").check()
    desk.look("accounts-chosen")
    page.get_by_role("button", name="Rotate…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rotate the secrets of 2 accounts")
    desk.look("accounts-rotate")
    before = {(one, host.name): reveal(site, f"{one}@{host.name}") for one in ("ann", "bob") for host in hosts}
    page.get_by_role("button", name="Rotate now").click()
    expect_end(page, "Rotate ann, bob: 2 accounts")
    after = {(one, asset): reveal(site, f"{one}@{asset}") for one, asset in before}
    changed = {place for place, secret in before.items() if after[place] != secret}
    assert changed == {("ann", hosts[0].name), ("bob", hosts[1].name)}
    desk.go("/accounts?node=/chosen&privileged=false")
    page.get_by_label("All on this page").check()
    expect(page.locator("[name=accounts]:checked")).to_have_count(4)
    page.get_by_label("All on this page").uncheck()
    page.get_by_label("All that the filters find").check()
    page.get_by_role("button", name="Verify", exact=True).click()
    expect_end(page, "Verify ann, bob: 4 secrets")


def test_an_account_is_disabled_and_removed(
    site: Site, desk: Desk, lab_hosts: LabHosts, tmp_path: Path
) -> None:
    """Each says what will happen, and wants the username typed; the host then has it no longer."""
    (host,) = lab_hosts(1, prefix="end")
    site.bring_in(host, node="/actions")
    push(site, host, "gone")
    name = f"gone@{host.name}"
    secret = reveal(site, name)
    page = desk.go(f"/accounts/{name}")
    page.get_by_role("link", name="Disable…").click()
    expect(page.get_by_text("Nobody can log in to the account any more")).to_be_visible()
    desk.look("account-disable")
    page.get_by_label("Type its username").fill("gone")
    page.get_by_role("button", name="Disable it").click()
    expect_end(page, "Disable gone: 1 account")
    assert not lets_in(host, "gone", secret, tmp_path)
    desk.look("run-disable")
    desk.go(f"/accounts/{name}")
    page.get_by_role("link", name="Remove…").click()
    expect(page.get_by_text("All that the account has running there is ended")).to_be_visible()
    page.get_by_label("Type its username").fill("gon")
    page.get_by_role("button", name="Remove it from the asset").click()
    expect(page.get_by_text("This is not its username")).to_be_visible()
    desk.look("account-remove-there")
    page.get_by_label("Home", exact=True).select_option("archive")
    page.get_by_label("Type its username").fill("gone")
    page.get_by_role("button", name="Remove it from the asset").click()
    expect_end(page, "Remove gone: 1 account")
    assert host.run("id gone", check=False).returncode
    assert "gone" in host.run("ls /var/lib/provost/archive").stdout
    desk.go(f"/accounts/{name}")
    expect(page.get_by_text("This account is not in the list.")).to_be_visible()


def test_what_provost_did_not_create_takes_an_administrator(
    site: Site, desk: Desk, open_desk: OpenDesk, lab_hosts: LabHosts
) -> None:
    """Without force nothing is removed; an operator is told who may; privileged accounts have no button."""
    (host,) = lab_hosts(1, prefix="force")
    site.bring_in(host, node="/actions")
    host.run("useradd -m ours; chpasswd", stdin="ours:made-by-hand-1\n")
    account = {"username": "ours", "asset": host.name, "secret": {"password": "made-by-hand-1"}}
    site.api.post("accounts", json=account).raise_for_status()
    site.add_user("otto", {"role": "operator", "node": "/actions"})
    other = open_desk()
    other.enter("otto")
    page = other.go(f"/accounts/ours@{host.name}/remove-there")
    expect(page.get_by_text("Only an administrator may do this all the same.")).to_be_visible()
    page.get_by_label("Type its username").fill("ours")
    page.get_by_role("button", name="Remove it from the asset").click()
    expect(page.get_by_text("was not created by Provost")).to_be_visible()
    assert host.run("id ours").returncode == 0
    page = desk.go(f"/accounts/ours@{host.name}/remove-there")
    page.get_by_label("Do it all the same").check()
    page.get_by_label("Type its username").fill("ours")
    desk.look("account-remove-forced")
    page.get_by_role("button", name="Remove it from the asset").click()
    expect_end(page, "Remove ours: 1 account")
    assert host.run("id ours", check=False).returncode
    page = desk.go(f"/accounts/root@{host.name}")
    expect(page.get_by_role("link", name="Remove…")).to_have_count(0)
    assert show(site, f"root@{host.name}")["listed_at"]

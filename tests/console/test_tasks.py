"""Saved tasks: from the form of a push to a run that begins by itself."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from playwright.sync_api import expect
from tests.conftest import LabHosts
from tests.console.conftest import Desk, OpenDesk, Site

OWN: Final = "my-own-Secret-88"


def show(site: Site, name: str) -> dict[str, Any]:
    """Return a task as the API has it."""
    task: dict[str, Any] = site.api.get(f"tasks/{name}").raise_for_status().json()
    return task


def save(site: Site, name: str, **spec: Any) -> None:
    """Save a task through the API."""
    body = {"name": name, "spec": {"usernames": ["deploy"], "secret_type": "password", **spec}}
    site.api.post("tasks", json=body).raise_for_status()


def test_a_task_is_saved_with_a_schedule_and_runs_by_itself(
    site: Site, desk: Desk, lab_hosts: LabHosts
) -> None:
    """From an empty list to a run by the clock: the schedule is told in words, and the run seen on the page."""
    page = desk.go("/tasks")
    expect(page.get_by_text("There are no tasks yet")).to_be_visible()
    desk.look("tasks-empty")
    host = lab_hosts(1, prefix="clock")[0]
    site.bring_in(host, node="/clock")
    page = desk.go("/push?node=/clock&account=deploy")
    page.get_by_text("At certain times (cron)").click()
    page.get_by_label("Cron expression").fill("30 2 * *")
    expect(page.locator("#times")).to_contain_text("is not a cron expression")
    page.get_by_role("button", name="Save as a task").click()
    expect(page.get_by_text("The name of a task has 1 to 255 characters.")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("nightly")
    page.get_by_role("button", name="Save as a task").click()
    expect(page.locator("#times")).to_contain_text("is not a cron expression")
    desk.look("task-wrong")
    page.get_by_label("Cron expression").fill("30 2 * * *")
    page.get_by_label("Time zone").select_option("Europe/Paris")
    page.get_by_label("Maintenance window").fill("sat,sun 22:00-04:00")
    expect(page.locator("#times")).to_contain_text("only Sat and Sun between 22:00 and 04:00")
    expect(page.locator("#times li")).to_have_count(5)
    page.locator("label", has_text="Every so often").click()
    page.get_by_label("Every", exact=True).fill("1")
    page.get_by_label("Unit").select_option("m")
    page.get_by_label("Maintenance window").fill("")
    expect(page.locator("#times")).to_contain_text("every minute from")
    desk.look("task-schedule")
    page.get_by_role("button", name="Save as a task").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("nightly")
    expect(page.get_by_text("every minute from")).to_be_visible()
    since = (datetime.now(UTC) - timedelta(seconds=57)).isoformat()
    patch = {"schedule": {"every": "1m", "since": since}}
    site.api.patch("tasks/nightly", json=patch).raise_for_status()
    expect(page.locator("#last-runs")).to_contain_text("1 succeeded", timeout=60_000)
    page = desk.go("/tasks/nightly")
    desk.look("task")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("The task is paused")).to_be_visible()
    assert show(site, "nightly")["active"] is False
    page = desk.go("/tasks")
    expect(page.locator("tbody tr")).to_contain_text("paused")
    desk.look("tasks")
    page = desk.go("/tasks/nightly")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("The task is active again.")).to_be_visible()


def test_a_heartbeat_is_one_form_and_runs_by_itself(desk: Desk, site: Site, lab_hosts: LabHosts) -> None:
    """It is offered, filled in, saved as it stands; the clock starts it, and then accounts are in sync."""
    (host,) = lab_hosts(1, prefix="beat")
    site.bring_in(host, node="/beat")
    page = desk.go("/push?heartbeat#save")
    expect(page.get_by_role("radio", name="Verify")).to_be_checked()
    expect(page.get_by_label("Name", exact=True)).to_have_value("heartbeat")
    expect(page.get_by_label("beat", exact=False).first).to_be_checked()
    expect(page.locator("#times")).to_contain_text("every 6 hours")
    expect(page.get_by_role("button", name="Preview")).to_be_hidden()
    expect(page.get_by_label("Length")).to_be_hidden()
    desk.look("task-heartbeat")
    page.get_by_role("button", name="Save as a task").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("heartbeat")
    expect(page.get_by_text("Nothing is changed.").first).to_be_visible()
    spec = show(site, "heartbeat")["spec"]
    assert (spec["action"], spec["usernames"], spec["secret_type"]) == ("verify", [], None)
    assert "/beat" in spec["nodes"]
    since = (datetime.now(UTC) - timedelta(seconds=57)).isoformat()
    body = {"schedule": {"every": "1m", "since": since}, "spec": spec | {"nodes": ["/beat"]}}
    site.api.patch("tasks/heartbeat", json=body).raise_for_status()
    expect(page.locator("#last-runs")).to_contain_text("1 succeeded", timeout=60_000)
    desk.go("/tasks/heartbeat")
    desk.look("task-verify")
    found = site.api.get(f"accounts/root@{host.name}").json()
    assert found["secrets"][0]["sync"] == "in_sync"
    site.api.patch("tasks/heartbeat", json={"active": False}).raise_for_status()


def test_a_task_of_any_action_is_saved_and_edited(desk: Desk, site: Site) -> None:
    """Each action shows its own fields alone; what is edited changes, and what is not shown stays."""
    asset = {"name": "any1", "kind": "linux", "address": "127.0.0.1", "port": 1, "nodes": ["/any"]}
    site.api.post("import", json={"assets": [asset]}).raise_for_status()
    page = desk.go("/push?node=/any")
    page.get_by_text("Reconcile", exact=True).click()
    page.get_by_label("Which secrets").select_option("ssh_key")
    expect(page.get_by_label("Length")).to_be_hidden()
    page.get_by_label("Name", exact=True).fill("mends")
    page.get_by_role("button", name="Save as a task").click()
    expect(page.get_by_text("SSH keys alone")).to_be_visible()
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Which secrets")).to_have_value("ssh_key")
    page.get_by_label("Usernames").fill("deploy")
    page.get_by_label("Which secrets").select_option("")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The task is saved.")).to_be_visible()
    spec = show(site, "mends")["spec"]
    assert (spec["action"], spec["usernames"], spec["secret_type"]) == ("reconcile", ["deploy"], None)

    desk.go("/push?node=/any&action=rotate")
    page.get_by_label("Length").fill("33")
    page.get_by_label("Privileged accounts as well").check()
    page.get_by_label("Name", exact=True).fill("turns")
    desk.look("task-rotate")
    page.get_by_role("button", name="Save as a task").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("turns")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Length")).to_have_value("33")
    page.get_by_text("SSH key", exact=True).first.click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The task is saved.")).to_be_visible()
    spec = show(site, "turns")["spec"]
    assert (spec["action"], spec["secret_type"], spec["privileged"]) == ("rotate", "ssh_key", True)
    assert spec["rules"]["length"] == 33

    desk.go("/push?node=/any&action=discover")
    expect(page.get_by_label("Usernames")).to_be_hidden()
    page.get_by_label("Name", exact=True).fill("looks")
    page.get_by_role("button", name="Save as a task").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("looks")
    removal = {"action": "remove", "nodes": ["/any"], "usernames": ["gone"]}
    site.api.post("tasks", json={"name": "parting", "spec": removal}).raise_for_status()
    desk.go("/tasks/parting")
    expect(page.get_by_text("Accounts go from the assets for good").first).to_be_visible()
    expect(page.get_by_role("link", name="Edit")).to_have_count(0)
    desk.go("/tasks")
    for name, action in (
        ("mends", "Reconcile"),
        ("turns", "Rotate"),
        ("looks", "Discover"),
        ("parting", "Remove"),
    ):
        expect(page.get_by_role("row", name=name)).to_contain_text(action)
    desk.look("tasks-of-every-action")


def test_a_task_is_run_by_hand(site: Site, desk: Desk) -> None:
    """Run now asks first, and leads to the run."""
    asset = {"name": "hand1", "kind": "linux", "address": "127.0.0.1", "port": 1, "nodes": ["/hand"]}
    site.api.post("import", json={"assets": [asset]}).raise_for_status()
    save(site, "by-hand", nodes=["/hand"])
    page = desk.go("/tasks/by-hand")
    page.get_by_role("button", name="Run now").click()
    dialog = page.get_by_role("dialog", name="Run it now?")
    expect(dialog).to_contain_text("random password of 24 characters")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    desk.look("task-run")
    dialog.get_by_role("button", name="Run now").click()
    page.wait_for_url("**/runs/*")
    assert site.api.get(f"runs/{page.url.rpartition('/')[2]}").json()["requested_by"] == "ada"


def test_editing_keeps_what_is_not_given(site: Site, desk: Desk) -> None:
    """A specified secret, parameters, and what a schedule counts from stay; two editors do not collide."""
    asset = {"name": "edit1", "kind": "linux", "address": "127.0.0.1", "port": 1, "nodes": ["/edit"]}
    site.api.post("import", json={"assets": [asset]}).raise_for_status()
    body = {
        "name": "shared",
        "spec": {
            "nodes": ["/edit"],
            "usernames": ["deploy"],
            "secret_type": "password",
            "strategy": "specified",
            "parameters": {"shell": "/bin/bash"},
            "rules": {"length": 30, "symbols": None},
        },
        "schedule": {"every": "6h", "since": "2026-01-01T12:00:00Z"},
        "secret": {"password": OWN},
    }
    site.api.post("tasks", json=body).raise_for_status()
    before = show(site, "shared")
    page = desk.go("/tasks/shared/edit")
    expect(page.get_by_label("Shell")).to_have_value("/bin/bash")
    assert OWN not in page.content()
    page.get_by_label("Comment", exact=True).last.fill("for all")
    page.get_by_label("Usernames").fill("deploy\nbackup")
    desk.look("task-edit")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("2 accounts were looked at")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The task is saved.")).to_be_visible()
    after = show(site, "shared")
    assert (after["comment"], after["spec"]["usernames"]) == ("for all", ["deploy", "backup"])
    assert after["spec"]["parameters"] == {"linux.shell": "/bin/bash"}
    assert after["spec"]["rules"] == before["spec"]["rules"]
    same = ("strategy", "nodes", "assets", "verify", "concurrency", "connect_timeout", "command_timeout")
    assert [after["spec"][one] for one in same] == [before["spec"][one] for one in same]
    assert (after["schedule"], after["next_due"]) == (before["schedule"], before["next_due"])

    page = desk.go("/tasks/shared/edit")
    site.api.patch("tasks/shared", json={"comment": "by another"}).raise_for_status()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Somebody else changed this meanwhile.")).to_be_visible()
    assert show(site, "shared")["comment"] == "by another"
    page = desk.go("/tasks/shared")
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete the task?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    desk.look("task-delete")
    desk.expected.append("status of 404")  # the page may be asking for its last runs just then
    dialog.get_by_role("button", name="Delete the task").click()
    expect(page.get_by_text("Task shared is deleted.")).to_be_visible()
    assert site.api.get("tasks/shared").status_code == 404


def test_tasks_are_found_and_only_operators_change_them(site: Site, open_desk: OpenDesk) -> None:
    """The search narrows the list as one types; an auditor sees tasks and is offered no change."""
    assets = [
        {"name": f"{place}-task", "kind": "linux", "address": "127.0.0.1", "port": 1, "nodes": [f"/{place}"]}
        for place in ("here", "there")
    ]
    site.api.post("import", json={"assets": assets}).raise_for_status()
    save(site, "here-daily", nodes=["/here"])
    save(site, "there-daily", nodes=["/there"])
    site.add_user("aude", {"role": "auditor"})
    site.add_user("olga", {"role": "operator", "node": "/here"})
    desk = open_desk()
    desk.enter("aude")
    page = desk.go("/tasks")
    expect(page.get_by_role("link", name="New task")).to_have_count(0)
    page.get_by_label("Search tasks").fill("there")
    expect(page.get_by_role("link", name="here-daily", exact=True)).to_have_count(0)
    expect(page).to_have_url(f"{site.url}/tasks?search=there")
    page.get_by_role("link", name="there-daily").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("there-daily")
    for name in ("Run now", "Delete"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    desk.expected.append("status of 40")
    page = desk.go("/tasks/there-daily/edit")
    expect(page.get_by_text("aude may not push")).to_be_visible()
    desk = open_desk()
    desk.enter("olga")
    page = desk.go("/tasks")
    expect(page.get_by_role("link", name="here-daily")).to_be_visible()
    expect(page.get_by_role("link", name="there-daily")).to_have_count(0)
    desk.expected.append("status of 404")
    desk.go("/tasks/there-daily")
    expect(page.get_by_text("There is no task 'there-daily'")).to_be_visible()

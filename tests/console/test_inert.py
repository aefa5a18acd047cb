"""What comes from targets, imports and users is shown on every page, and acts on none."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page
from tests.console.conftest import Desk, Site

SHOWN = r"\u202egnp{{7|add:70}}"
"""What a right-to-left override looks like, made inert, with a template that was not rendered."""

PAGES = {
    # name: the address, and whether it shows a string from outside
    "home": ("/", True),
    "setup": ("/setup", False),
    "session_list": ("/sessions", False),
    "assets": ("/assets", True),
    "asset": ("/assets/{name}?test={run}", True),
    "asset_add": ("/new-asset?node=/bad/{name}", True),
    "asset_kind": ("/new-asset/kind?kind=memory", False),
    "asset_gateways": ("/new-asset/gateways?via=gate", True),
    "asset_edit": ("/assets/{name}/edit", True),
    "asset_login": ("/assets/{name}/login", True),
    "asset_test_run": ("/assets/{name}/test/{run}", True),
    "asset_node": ("/node?path=/bad/{name}", True),
    "asset_import": ("/import", False),
    "accounts": ("/accounts", True),
    "account_new": ("/accounts/new?asset={name}", False),
    "account_show": ("/accounts/{name}@{name}", True),
    "account_edit": ("/accounts/{name}@{name}/edit", True),
    "account_rotate": ("/accounts/{name}@{name}/rotate", True),
    "account_disable": ("/accounts/{name}@{name}/disable", True),
    "account_end": ("/accounts/{name}@{name}/remove-there", True),
    "account_activity": ("/accounts/{name}@{name}/activity", True),
    "found": ("/found", True),
    "found_account": ("/found/{name}@{name}", True),
    "found_rules": ("/onboarding", True),
    "found_rule_new": ("/onboarding/new?pattern={name}", True),
    "found_rule": ("/onboarding/rules/{name}", True),
    "push": ("/push?asset={name}&node=/bad/{name}&account={name}", True),
    "push_assets": ("/push/assets?asset_search=img", True),
    "push_times": ("/push/times", False),
    "push_preview": ("/push/previews/{preview}", True),
    "push_records": ("/push/previews/{preview}/records", True),
    "tasks": ("/tasks", True),
    "task_show": ("/tasks/{name}", True),
    "task_edit": ("/tasks/{name}/edit", True),
    "runs": ("/runs", True),
    "run_show": ("/runs/{run}", True),
    "run_progress": ("/runs/{run}/progress", False),
    "run_records": ("/runs/{run}/records", True),
    "run_report": ("/runs/{run}/report", True),
    "audit": ("/audit", True),
    "audit_proof": ("/audit/proof", False),
    "users": ("/users", True),
    "user_new": ("/users/-/new", False),
    "user_grant": ("/users/-/grant", False),
    "user_edit": ("/users/{name}", True),
    "tokens": ("/tokens", True),
    "channels": ("/channels", True),
    "channel_new": ("/channels/-/new", True),
    "channel_show": ("/channels/{name}", True),
    "channel_edit": ("/channels/{name}/edit", True),
    "settings": ("/settings", False),
    "setting_findings": ("/settings/findings", False),
}
FILES = {"audit_export", "run_export_csv", "run_export_json"}
"""Addresses that answer with a file."""
MORE = (
    "/assets/gone{name}", "/assets?node=/bad/{name}", "/assets?search={name}",
    "/assets?node=/gone{name}", "/accounts?search={name}",
    "/accounts?asset=gone{name}", "/found?search={name}&standing=known",
    "/found?node=/gone{name}", "/found/gone{name}@{name}", "/onboarding/rules/gone{name}",
    "/accounts/gone{name}@{name}", "/tasks?search={name}", "/tasks/gone{name}",
    "/runs/{run}?search={name}&reason={name}", "/runs/gone{name}", "/push?asset=gone{name}",
    "/push/assets?asset_search=gone{name}", "/push?action=rotate&node=/bad/{name}",
    "/users/gone{name}", "/audit?subject={name}", "/nothing/{name}",
)  # fmt: skip

_ACTS = """() => [
    window.ran === undefined ? [] : ["something ran"],
    [...document.querySelectorAll(
        "[onerror], [onload], [srcdoc], [src=x], [hx-get^=elsewhere], [href^='javascript:' i]"
    )].map((one) => one.outerHTML),
].flat()"""

# What stands in a field goes back as it is, and addresses and values are not seen.
_SEEN = """() => {
    const found = [], walker = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
    while (walker.nextNode())
        if (!walker.currentNode.parentElement.closest("textarea")) found.push(walker.currentNode.data);
    for (const one of document.querySelectorAll("*"))
        for (const name of ["title", "aria-label", "placeholder", "alt", "label"])
            if (one.hasAttribute(name)) found.push(one.getAttribute(name));
    return found.join("\\n");
}"""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def make_rows(site: Site) -> dict[str, Any]:
    settings = {
        "PROVOST_HOME": str(site.server.log_file.parent / "home"),
        "DJANGO_SETTINGS_MODULE": "provost.config.settings",
    }
    command = [sys.executable, Path(__file__).with_name("hostile_rows.py")]
    made = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(made.stdout)
    return told


def find_fault(page: Page, *, shows: bool) -> str:
    """Return what is wrong with how a page shows strings from outside, or nothing."""
    if acts := page.evaluate(_ACTS):
        return f"acts: {acts}"
    seen = page.evaluate(_SEEN)
    if found := _CONTROLS.search(seen):
        return f"control character in {seen[max(0, found.start() - 80) : found.end() + 20]!r}"
    return "" if SHOWN in seen or not shows else "shows none of them"


def test_nothing_from_outside_acts_on_any_page(desk: Desk, site: Site) -> None:
    """Every page is visited; no markup, script, htmx or template of a string works, controls are escapes."""
    rows = make_rows(site)
    asked: list[str] = []
    dialogs: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url))
    desk.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    desk.expected.append("status of 4")
    facts = {name: quote(rows[name], safe="") for name in ("name", "run", "preview")}
    wanted = [*PAGES.values(), *((address, False) for address in MORE)]
    faults = {}
    for address, shows in wanted:
        page = desk.go(address.format(**facts))
        page.wait_for_load_state("networkidle")
        if fault := find_fault(page, shows=shows):
            faults[address] = fault
    assert not faults, "\n".join(f"{address}: {fault}" for address, fault in faults.items())
    assert not dialogs
    others = [url for url in asked if not url.startswith(desk.url) or "/elsewhere" in url or url.endswith("/x")]
    assert not others
    for name, route in rows["urls"].items():
        if name not in PAGES | dict.fromkeys(FILES):
            answer = desk.context.request.get(f"{desk.url}/{re.sub('<.*?>', '1', route)}")
            assert answer.status == 405, f"{name} is a page, and not visited: {answer.status}"


def test_what_a_file_holds_acts_in_no_error(desk: Desk) -> None:
    """Cells and headings are quoted as text where they are refused."""
    hostile = "\u202egnp{{7|add:70}}\"'><img src=x onerror=window.ran=1><script>window.ran=1</script>\x1b[31m"
    texts = io.StringIO(), io.StringIO()
    for text, heading in zip(texts, (hostile, "comment"), strict=True):
        rows = csv.writer(text)
        rows.writerow(["name", "kind", "address", "nodes", heading])
        rows.writerow([hostile] * 5)
    for text in texts:
        page = desk.go("/import")
        file = {"name": f"{hostile}.csv", "mimeType": "text/csv", "buffer": text.getvalue().encode()}
        page.get_by_label("File", exact=True).set_input_files(file)
        page.get_by_role("button", name="Preview").click()
        page.get_by_text("Nothing was brought in").first.wait_for()
        assert not find_fault(page, shows=True)

"""Import in the console: nothing comes in before one has seen what would."""

import json
from pathlib import Path

from playwright.sync_api import expect
from tests.console.conftest import Desk, OpenDesk, Site

MARKUP = "<img src=x onerror=document.title='owned'>"
SECRET = "hush-hush-9"
WRONG = f"""\
assets:
  - {{name: web1, kind: linus, address: a}}
  - name: web2
    kind: linux
    address: "{MARKUP}"
accounts:
  - {{username: root, asset: web9, password: {SECRET}}}
  - {{username: root, asset: web1, key_file: /etc/shadow}}
"""
RIGHT = f"""\
nodes: ["/{MARKUP}"]
assets:
  - name: web1
    kind: linux
    address: 10.0.0.11
    nodes: [/prod/web]
    comment: "{MARKUP} \\x1b[31m"
accounts:
  - {{username: root, asset: web1, privileged: yes, password: {SECRET}}}
"""


def count(site: Site) -> list[int]:
    """Count nodes, assets, accounts, and entries of the audit trail that tell of an import."""
    lists = [site.api.get("nodes").json()]
    lists += [
        site.api.get(path).json()["items"] for path in ("assets", "accounts", "audit?action=inventory.import")
    ]
    return [len(one) for one in lists]


def test_a_file_is_previewed_mended_and_brought_in(desk: Desk, site: Site, tmp_path: Path) -> None:
    """Errors by line, the preview, and the import, all from one form: the file's secrets are in no answer."""
    answers: list[str] = []
    desk.page.on(
        "response",
        lambda one: (
            one.request.method == "POST" and "hx-redirect" not in one.headers and answers.append(one.text())
        ),
    )
    page = desk.go("/import")
    page.get_by_text("What it looks like").click()
    desk.look("import")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Choose a file first")).to_be_visible()
    file = tmp_path / "inventory.yaml"
    file.write_text(WRONG)
    page.get_by_label("File", exact=True).set_input_files(file)
    expect(page.get_by_text("Choose a file first")).to_have_count(0)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Nothing was brought in: 1 error")).to_be_visible()
    expect(page.get_by_role("row").last).to_contain_text("8")
    expect(page.get_by_text("a file beside this one cannot be seen from here")).to_be_visible()
    file.write_text(WRONG.replace("key_file: /etc/shadow", "become: sudo"))
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Nothing was brought in: 4 errors")).to_be_visible()
    assert [row.split("\t")[0] for row in page.locator("#preview tbody tr").all_inner_texts()] == [
        "2",
        "3",
        "7",
        "8",
    ]
    desk.look("import-errors")
    file.write_text(RIGHT)
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Nothing is changed yet")).to_be_visible()
    for text in ("3 made", "1 added, 0 changed, 0 as they are", "1 set, 0 kept as they are"):
        expect(page.get_by_text(text).first).to_be_visible()
    page.get_by_text("Nodes to be made").click()
    expect(page.get_by_text(f"/{MARKUP}")).to_be_visible()
    desk.look("import-preview")
    assert count(site) == [0, 0, 0, 0]
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("Assets added: 1, changed: 0; accounts added: 1; secrets set: 1.")).to_be_visible()
    assert count(site) == [3, 1, 1, 1]
    assert len(answers) == 4
    assert SECRET not in "".join(answers)
    assert SECRET not in site.server.log
    assert "owned" not in page.title()


def test_pasted_text_changes_what_is_there(desk: Desk, site: Site) -> None:
    """The preview tells each field as it is and as it would be; what changes nothing is not offered."""
    before = count(site)
    page = desk.go("/import")
    page.get_by_text("pasted CSV").click()
    page.get_by_label("Text").fill(
        "name,kind,address,comment\nweb1,linux,10.0.0.99,\nweb7,linux,10.0.0.7,new\n"
    )
    page.get_by_role("button", name="Preview").click()
    row = page.get_by_role("row", name="web1")
    expect(row).to_have_text("web1address10.0.0.1110.0.0.99")
    desk.look("import-changes")
    assert count(site) == before
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("Assets added: 1, changed: 1;")).to_be_visible()
    page = desk.go("/import")
    page.get_by_text("pasted YAML").click()
    page.get_by_label("Text").fill("assets: [{name: web7, comment: new}]")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("changes nothing: all of it is there already.")).to_be_visible()
    expect(page.get_by_role("button", name="Import", exact=True)).to_have_count(0)


def test_an_import_keeps_to_what_the_visitor_reaches(open_desk: OpenDesk, site: Site) -> None:
    """An operator of /prod is refused an asset elsewhere, in the preview already; nothing of it comes in."""
    site.add_user("olga", {"role": "operator", "node": "/prod"})
    desk = open_desk()
    desk.expected.append("status of 403")
    page = desk.enter("olga")
    desk.go("/import")
    page.get_by_text("pasted YAML").click()
    page.get_by_label("Text").fill("assets: [{name: dev1, kind: linux, address: a, nodes: [/dev]}]")
    before = count(site)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("out of reach for that")).to_be_visible()
    page.get_by_label("Text").fill(
        json.dumps({"assets": [{"name": "prod9", "kind": "linux", "address": "a", "nodes": ["/prod"]}]})
    )
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("link", name="prod9")).to_be_visible()
    assert count(site)[1] == before[1] + 1


def test_without_a_script_a_file_is_still_previewed(desk: Desk, site: Site, tmp_path: Path) -> None:
    """A browser that runs no script gets whole pages: the preview, and the form for the file once more."""
    file = tmp_path / "more.csv"
    file.write_text(f"username,asset,password\nops,web1,{SECRET}\n")
    cookies = desk.context.cookies()
    context = desk.context.browser.new_context(java_script_enabled=False)
    try:
        context.add_cookies(cookies)
        page = context.new_page()
        page.goto(f"{site.url}/import")
        page.get_by_label("File", exact=True).set_input_files(file)
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("heading", name="Nothing is changed yet")).to_be_visible()
        assert SECRET not in page.content()
        page.get_by_label("File", exact=True).set_input_files(file)
        page.get_by_role("button", name="Import", exact=True).click()
        expect(page.get_by_text("accounts added: 1")).to_be_visible()
    finally:
        context.close()

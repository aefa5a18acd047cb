"""Assets in the console: from the first one to the one that is removed."""

from playwright.sync_api import Page, expect
from tests.conftest import LabHosts
from tests.console.conftest import Desk, OpenDesk, Site

MARKUP = "<img src=x onerror=document.title='owned'>"
ESCAPES = "\x1b[31mred\x1b]0;owned\x07 \u202e"


def fill_in(page: Page, **texts: str) -> None:
    for label, text in texts.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(text)


def test_a_newcomer_adds_a_host_that_can_be_worked_on(desk: Desk, lab_hosts: LabHosts) -> None:
    """From the empty list: the form refuses beside its fields, keeps no secret; the host passes the test."""
    (host,) = lab_hosts(1, prefix="first")
    before = host.run("cat /etc/passwd /etc/shadow").stdout
    page = desk.go("/assets")
    expect(page.get_by_text("There are no assets yet")).to_be_visible()
    desk.look("assets-none")
    page.get_by_role("main").get_by_role("link", name="Add an asset").click()
    expect(page.get_by_label("Username")).to_have_value("root")
    desk.look("asset-add")
    page.get_by_label("Kind").select_option("memory")
    page.get_by_text("Options of memory").click()
    expect(page.get_by_label("Present")).to_be_visible()
    page.get_by_label("Kind").select_option("linux")
    expect(page.get_by_text("Empty: 22, as usual for this kind.")).to_be_visible()
    fill_in(page, Name=host.name, Address="no address", New_nodes="/lab/web\n/lab/eu", Password="hush-hush")
    page.get_by_role("button", name="Add the asset").click()
    expect(page.get_by_text("'no address' is not an address")).to_be_visible()
    expect(page.get_by_label("Password", exact=True)).to_have_value("")
    expect(page.get_by_label("New nodes")).to_have_value("/lab/web\n/lab/eu")
    fill_in(page, Address=host.address, Port=str(host.port))
    page.get_by_role("button", name="Add the asset").click()
    expect(page.get_by_text("This is needed.")).to_be_visible()
    desk.look("asset-add-wrong")
    page.get_by_text("an SSH key").click()
    fill_in(page, Private_key="no key")
    page.get_by_role("button", name="Add the asset").click()
    expect(page.locator("#field-account-key-wrong")).not_to_be_empty()
    expect(page.get_by_label("Private key")).to_have_value("")
    page.get_by_text("a password", exact=True).click()
    fill_in(page, Password=host.root_password)
    page.get_by_role("button", name="Add the asset").click()
    expect(page.get_by_text(f"{host.name} was added, with root as its privileged account.")).to_be_visible()
    page.get_by_role("button", name="Test privileged login").click()
    expect(page.get_by_text("root logged in")).to_be_visible()
    expect(page.get_by_text("Nothing was changed.")).to_be_visible()
    page.get_by_role("link", name="The run").wait_for()
    page.reload()
    expect(page.get_by_text(host.name).first).to_be_visible()
    expect(page.get_by_text("SHA256:")).to_be_visible()
    expect(page.get_by_text("dry run")).to_be_visible()
    desk.look("asset")
    assert host.run("cat /etc/passwd /etc/shadow").stdout == before


def test_a_login_that_fails_says_why_and_what_to_do(desk: Desk, site: Site, lab_hosts: LabHosts) -> None:
    """A refused password leads to its replacement, another host key to its trust, from where it is told."""
    (host,) = lab_hosts(1, prefix="second")
    site.bring_in(host, node="/lab", privileged=False)
    page = desk.go(f"/assets/{host.name}")
    expect(page.get_by_text("Nothing can be done on this asset yet")).to_be_visible()
    desk.look("asset-unprivileged")
    page.get_by_role("link", name="Add its privileged account").click()
    fill_in(page, Username="root", Password="not-the-password")
    desk.look("asset-login")
    page.get_by_role("button", name="Add it").click()
    page.get_by_role("button", name="Test privileged login").click()
    expect(page.get_by_text("The login failed")).to_be_visible()
    desk.look("asset-login-failed")
    page.get_by_role("link", name="Replace its secret").click()
    fill_in(page, Username="root", Password=host.root_password)
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("root@").first).to_be_visible()
    page.get_by_label("Replace the secret that it has").check()
    fill_in(page, Password=host.root_password)
    page.get_by_role("button", name="Add it").click()
    page.get_by_role("button", name="Test privileged login").click()
    expect(page.get_by_text("root logged in")).to_be_visible()
    page.get_by_role("button", name="Trust the next key").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Leave it")).to_be_focused()
    desk.look("asset-trust")
    dialog.get_by_role("button", name="Trust the next key").click()
    expect(page.get_by_text("1 host key is no longer trusted.")).to_be_visible()
    page.get_by_role("button", name="Test privileged login").click()
    expect(page.get_by_text("root logged in")).to_be_visible()
    page.reload()
    expect(page.locator("section", has_text="Host keys").get_by_text("no longer trusted")).to_be_visible()


def test_an_asset_is_edited_and_removed(desk: Desk, site: Site) -> None:
    """Of two who edit, the second is told; what is emptied is empty; what goes with a removal is counted."""
    for name in ("gate1", "edit1"):
        body = {"name": name, "kind": "linux", "address": "192.0.2.1", "nodes": ["/edit"], "comment": "old"}
        site.api.post("assets", json=body).raise_for_status()
    secret = {"password": "root-of-edit1-Xy7"}
    body = {"username": "root", "asset": "edit1", "privileged": True, "secret": secret}
    site.api.post("accounts", json=body).raise_for_status()
    page = desk.go("/assets/edit1/edit")
    expect(page.get_by_label("edit", exact=True).or_(page.get_by_label("/edit", exact=True))).to_be_checked()
    page.get_by_label("Through").press_sequentially("gate")
    expect(page.locator("#gateways option[value=gate1]")).to_be_attached()
    desk.look("asset-edit")
    fill_in(page, Through="gate1", Comment="", New_nodes="/edit/more")
    page.get_by_text("Options of linux").click()
    page.get_by_label("Via Account").fill("passer")
    site.api.patch("assets/edit1", json={"port": 2200}).raise_for_status()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody else changed this meanwhile.")).to_be_visible()
    page = desk.go("/assets/edit1/edit")
    fill_in(page, Through="gate1", Comment="", New_nodes="/edit/more", Name="edit2")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("edit2 was changed.")).to_be_visible()
    found = site.api.get("assets/edit2").json()
    assert (found["via"], found["comment"], found["port"]) == ("gate1", "", 2200)
    assert found["nodes"] == ["/edit", "/edit/more"]
    page.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Its accounts (1) and their secrets (1, with all history)")).to_be_visible()
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    desk.look("asset-remove")
    dialog.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("edit2 was removed.")).to_be_visible()
    assert site.api.get("assets/edit2").status_code == 404
    desk.go("/assets/gate1")


def test_the_list_is_searched_and_paged(desk: Desk, site: Site) -> None:
    """Search, kind and node narrow it as one types, a page leads to the next, the tree counts an asset once."""
    assets = [
        {
            "name": f"many{number:03}",
            "kind": "memory",
            "address": f"many{number:03}",
            "nodes": ["/many/one", "/many/two"] if number % 2 else ["/many/one"],
        }
        for number in range(53)
    ]
    site.api.post("import", json={"nodes": ["/many/none"], "assets": assets}).raise_for_status()
    page = desk.go("/assets?node=/many")
    tree = page.get_by_role("navigation", name="Nodes")
    expect(tree.locator("li", has_text="/many").locator(".count").first).to_have_text("53")
    desk.look("assets")
    page.get_by_role("link", name="Next page").click()
    expect(page.get_by_role("link", name="many052")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(4)
    page.get_by_label("Search by name").fill("many01")
    expect(page.get_by_role("row")).to_have_count(11)
    assert "search=many01" in page.url
    expect(page.get_by_text("none: cannot be worked on").first).to_be_visible()
    page.get_by_label("Kind").select_option("linux")
    expect(page.get_by_text("Nothing was found")).to_be_visible()
    desk.look("assets-not-found")
    page.get_by_role("link", name="Show all").click()
    tree.get_by_role("link", name="two").click()
    expect(page.get_by_role("heading", name="/many/two")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(27)
    tree.get_by_role("link", name="none", exact=True).click()
    expect(page.get_by_text("There are no assets in this node")).to_be_visible()
    tree.locator("summary[aria-label='Nodes in /many']").focus()
    page.keyboard.press("Enter")
    expect(tree.get_by_role("link", name="two")).to_be_hidden()


def test_what_a_visitor_may_not_do_is_not_offered(open_desk: OpenDesk, site: Site) -> None:
    """An operator of /prod sees /prod alone, and adds there; an auditor finds no button that changes one."""
    for name, node in (("prod1", "/prod/web"), ("dev1", "/dev")):
        body = {"name": name, "kind": "memory", "address": name, "nodes": [node]}
        site.api.post("assets", json=body).raise_for_status()
    site.add_user("olga", {"role": "operator", "node": "/prod"})
    site.add_user("aud", {"role": "auditor"})
    olga = open_desk()
    olga.expected += ["status of 404", "status of 403"]
    page = olga.enter("olga")
    olga.go("/assets")
    expect(page.get_by_role("link", name="prod1")).to_be_visible()
    expect(page.get_by_text("dev1")).to_have_count(0)
    tree = page.get_by_role("navigation", name="Nodes")
    tree.locator("summary[aria-label='Nodes in /prod']").click()
    assert tree.get_by_role("link").all_text_contents() == ["All assets", "/prod", "web"]
    olga.look("assets-of-prod")
    olga.go("/assets/dev1")
    expect(page.get_by_text("There is no asset 'dev1'")).to_be_visible()
    olga.go("/new-asset?kind=memory")
    fill_in(page, Name="prod2", Address="prod2", New_nodes="/dev")
    page.get_by_text("I add it later").click()
    page.get_by_role("button", name="Add the asset").click()
    expect(page.get_by_text("it is out of reach for that")).to_be_visible()
    fill_in(page, New_nodes="/prod/new")
    page.get_by_role("button", name="Add the asset").click()
    expect(page.get_by_text("prod2 was added.")).to_be_visible()
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)
    olga.go("/assets/prod2/edit")
    expect(page.get_by_label("Address")).to_be_disabled()
    olga.look("asset-edit-operator")
    fill_in(page, Comment="hers")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("prod2 was changed.")).to_be_visible()
    aud = open_desk()
    aud.expected += ["status of 403"]
    page = aud.enter("aud")
    for path in ("/assets", "/assets?node=/prod", "/assets/prod1"):
        aud.go(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        main = page.get_by_role("main")
        offered = main.locator("button, a.btn").or_(page.locator("header .btn")).all_text_contents()
        assert {text.strip() for text in offered} <= {"", "Search", "All of them", "Next page"}, path
        aud.look(f"auditor{path.replace('/', '-').replace('?', '-')}")
    for path in ("/new-asset", "/assets/prod1/edit", "/assets/prod1/login", "/node", "/import"):
        aud.go(path)
        expect(page.get_by_text("aud may not")).to_be_visible()
    token = page.context.cookies()
    for path in ("remove", "trust", "test"):
        answer = page.context.request.post(
            f"{site.url}/assets/prod1/{path}",
            headers={"X-CSRFToken": next((c["value"] for c in token if "csrf" in c["name"]), "")},
        )
        assert answer.status == 403
    assert site.api.get("assets/prod1").status_code == 200


def test_nodes_are_made_renamed_moved_and_removed(desk: Desk, site: Site) -> None:
    """Each from the tree; what is refused stands beside its field; a node with assets is not to be removed."""
    page = desk.go("/assets")
    page.get_by_role("link", name="New node").click()
    fill_in(page, Path="prod")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_text("'prod' is not a node: write it like /prod/web.")).to_be_visible()
    desk.look("node-new")
    fill_in(page, Path="/tree/left")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name="/tree/left")).to_be_visible()
    site.api.post("nodes", json={"path": "/tree/right"}).raise_for_status()
    page.get_by_role("link", name="Change this node").click()
    fill_in(page, Name="right")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_text("There is a node /tree/right already.")).to_be_visible()
    desk.look("node")
    fill_in(page, Name=MARKUP)
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_text(f"The node is /tree/{MARKUP} now.")).to_be_visible()
    page.get_by_role("link", name="Change this node").click()
    page.get_by_label("Move it into").select_option("/tree/right")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_role("heading", name=f"/tree/right/{MARKUP}")).to_be_visible()
    page.get_by_role("link", name="Change this node").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("was removed.")).to_be_visible()
    body = {"name": "left1", "kind": "memory", "address": "left1", "nodes": ["/tree/right"]}
    site.api.post("assets", json=body).raise_for_status()
    desk.go("/node?path=/tree/right")
    expect(page.get_by_text("It can be removed when it is empty. Assets in it: 1; nodes: 0.")).to_be_visible()
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)


def test_what_others_wrote_is_shown_inert(desk: Desk, site: Site) -> None:
    """Markup and escapes in names, nodes, comments, options and via are text on every page, and run nothing."""
    name = "<b>odd&amp;#1;"
    for one, via in (("<i>gate", None), (name, "<i>gate")):
        body = {
            "name": one,
            "kind": "linux",
            "address": "192.0.2.9",
            "nodes": [f"/{MARKUP}/{MARKUP}"],
            "comment": f"{MARKUP} {ESCAPES}",
            "options": {"via_account": MARKUP},
            "via": via,
        }
        site.api.post("assets", json=body).raise_for_status()
    page = desk.go("/assets?search=odd")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_text(MARKUP).first).to_be_visible()
    for path in ("/edit", "/login"):
        desk.go(f"/assets/{name.replace('&', '%26').replace('#', '%23').replace('<', '%3C')}{path}")
        expect(page.get_by_text(name).first).to_be_visible()
    desk.look("asset-odd")
    desk.go("/assets")
    assert "owned" not in page.title()
    assert page.locator("main img, main b, main i").count() == 0


def test_a_second_step_that_fails_keeps_the_asset(desk: Desk, site: Site) -> None:
    """An account that the kind refuses is told, the asset is there, and the form for the account is next."""
    page = desk.go("/new-asset?node=/lab")
    fill_in(page, Name="half1", Address="192.0.2.3", Username="a:b", Password="hush-hush")
    page.get_by_role("button", name="Add the asset").click()
    expect(page.get_by_text("half1 was added, but its privileged account was not:")).to_be_visible()
    expect(page.get_by_role("heading", name="Add a privileged account")).to_be_visible()
    assert site.api.get("assets/half1").json()["privileged"] == []
    assert "hush-hush" not in page.content()

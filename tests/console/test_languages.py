"""The console in the language of whoever reads it."""

import re
from typing import Any, Final

from playwright.sync_api import Page, expect
from tests.conftest import LabHosts
from tests.console.conftest import PASSWORD, Desk, OpenDesk, Site

WORDS: Final = """() => {
    const names = "code, pre, time, .told, [lang], script, style, template, [name=zone], .secret";
    const found = [];
    const walker = document.createTreeWalker(document.querySelector("body"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const { data, parentElement } = walker.currentNode;
        if (!parentElement.closest(names) && parentElement.value !== data) found.push(data);
    }
    for (const one of document.querySelectorAll("[aria-label], [title], [placeholder]")) {
        if (one.closest("time, .told")) continue;
        found.push(one.ariaLabel || "", one.title, one.placeholder || "");
    }
    return [document.title, ...found].join(" ").match(/[A-Za-z][a-z]+/g) || [];
}"""
"""What is written in Latin letters on a page, but for what it marks as a name, a code or a language."""

NAMES: Final = frozenset(
    {"Provost", "Linux", "linux", "OpenSSH", "Chromium", "OpenID"}  # of products
    | {"ada", "alice", "root", "lab", "dead", "deads", "quiet", "quiets"}  # of what the test has
    | {"often", "nightly"}  # of tasks
    | {"account", "web", "prod", "sat", "sun"}  # of examples in fields
    | {"sudo", "su", "sshd", "cron", "shell", "authorized", "keys", "known", "hosts", "cookie"}  # of Unix
)


def try_password(desk: Desk, password: str) -> Page:
    """Type in a password on the page to sign in, in Chinese."""
    page = desk.go("/sign-in/login/")
    page.get_by_label("用户名").fill("ada")
    page.get_by_label("密码").fill(password)
    page.get_by_role("button", name="登录", exact=True).click()
    return page


def sign_in(desk: Desk) -> Page:
    """Sign in, in Chinese."""
    page = try_password(desk, PASSWORD)
    expect(page).to_have_url(f"{desk.url}/")
    return page


def check_chinese(page: Page) -> None:
    """Make sure that a page says what it is in, and that nothing but names is in another language."""
    assert page.locator("html").get_attribute("lang") == "zh-hans"
    left = [word for word in page.evaluate(WORDS) if word not in NAMES]
    assert not left, f"{page.url}: {left}"


def add_dead(site: Site, name: str) -> dict[str, Any]:
    """Add an asset that nothing listens on, with its privileged account; return what a push to its node is."""
    node = f"/{name}s"
    asset = {"name": name, "kind": "linux", "address": "127.0.0.1", "port": 1, "nodes": [node]}
    site.api.post("assets", json=asset).raise_for_status()
    account = {"username": "root", "asset": name, "privileged": True, "secret": {"password": "root-9-Xy"}}
    site.api.post("accounts", json=account).raise_for_status()
    return {"nodes": [node], "usernames": ["alice"], "secret_type": "password"}


def test_pages_are_in_chinese(open_desk: OpenDesk, site: Site, lab_hosts: LabHosts) -> None:
    """With a Chinese browser nothing is left in English, but names, codes, and what services said."""
    desk = open_desk(locale="zh-CN")
    desk.go("/sign-in/login/")
    check_chinese(desk.page)
    desk.look("zh-sign-in")
    page = try_password(desk, "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    check_chinese(page)
    sign_in(desk)
    check_chinese(page)
    (host,) = lab_hosts(1)
    spec = add_dead(site, "dead")
    site.bring_in(host, node="/deads")
    run = site.api.post("runs", json={"spec": spec}).raise_for_status().json()["id"]
    desk.go(f"/runs/{run}")
    expect(page.locator("#run-progress .badge").first).to_have_text("已完成")
    seen = {
        "": "即将执行",
        "assets": "节点",
        "push": "预览",
        f"runs/{run}": "决定",
        f"accounts/alice@{host.name}": "密文",
    }
    for path, word in seen.items():
        desk.go(f"/{path}")
        expect(page.locator("main")).to_contain_text(word)
        check_chinese(page)
        desk.look(f"zh-{path.partition('/')[0] or 'home'}")
    others = [str(one.get_attribute("href")) for one in page.locator("nav a[href^='/']").all()]
    desk.go("/sessions")
    others += [str(one.get_attribute("href")) for one in page.locator("main a[href^='/']").all()]
    for path in [
        *others,
        "/import",
        f"/assets/{host.name}",
        "/assets/dead/edit",
        "/accounts/new",
        "/users/-/new",
        "/users/ada",
    ]:
        desk.go(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        check_chinese(page)


def test_a_preview_and_schedules_are_in_chinese(open_desk: OpenDesk, site: Site) -> None:
    """What htmx puts into a page is in Chinese too; an interval and a window in words, cron as it is."""
    spec = add_dead(site, "quiet")
    every = {"every": "6h", "zone": "Europe/Paris", "window": "sat,sun 22:00-04:00"}
    for name, schedule in (("often", every), ("nightly", {"cron": "30 2 * * *"})):
        site.api.post("tasks", json={"name": name, "spec": spec, "schedule": schedule}).raise_for_status()
    desk = open_desk(locale="zh-CN")
    page = sign_in(desk)
    desk.go("/tasks/often")
    rhythm = "每 6 小时; Europe/Paris; 仅限星期六, 星期日 22:00 至 04:00"
    expect(page.get_by_text(rhythm)).to_be_visible()
    check_chinese(page)
    desk.go("/tasks/nightly")
    expect(page.get_by_text("cron 表达式 30 2 * * *; UTC")).to_be_visible()
    check_chinese(page)
    desk.go("/push?asset=quiet&account=alice")
    page.get_by_role("button", name="预览").click()
    expect(page.get_by_text("已检查 1 个账号")).to_be_visible()
    check_chinese(page)


def test_dates_are_written_as_the_reader_writes_them(open_desk: OpenDesk) -> None:
    """In the language of the page, as the browser's country has it."""
    forms = {"zh-CN": r"\d{4}/\d\d/\d\d \d\d:", "en-GB": r"\d\d/\d\d/\d{4}, \d\d:"}
    for locale, form in forms.items():
        desk = open_desk(locale=locale)
        page = sign_in(desk) if locale == "zh-CN" else desk.sign_in()
        expect(page).to_have_url(f"{desk.url}/")
        desk.go("/users/ada")
        expect(page.locator("time").first).to_have_text(re.compile(form))


def test_the_menu_changes_the_language(open_desk: OpenDesk) -> None:
    """What was chosen stays, whatever the browser asks for."""
    desk = open_desk(locale="zh-CN")
    page = sign_in(desk)
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("link", name="Assets", exact=True)).to_be_visible()
    desk.go("/assets")
    expect(page.get_by_role("heading", name="Assets", level=1)).to_be_visible()
    desk.context.new_page().goto(f"{desk.url}/runs")
    expect(desk.context.pages[-1].locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")

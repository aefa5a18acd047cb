"""Second factors: an app with codes, keys and passkeys, recovery codes; and the rule of a role."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.console.codes import make_code
from tests.console.conftest import PASSWORD, Desk, OpenDesk, Site, run_site

KEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server where auditors must have a second factor."""
    folder = tmp_path_factory.mktemp("site")
    with run_site(folder, PROVOST_SECOND_FACTOR_ROLES="auditor") as running:
        yield running


def read_actions(site: Site, who: str) -> list[str]:
    """Return what somebody did, the oldest first."""
    found = site.api.get("audit", params={"who": who}).raise_for_status().json()["items"]
    return [one["action"] for one in reversed(found)]


def list_files(folder: Path) -> list[Path]:
    return [file for file in (folder / "home").iterdir() if file.name.startswith("provost.sqlite3")]


def rotate_keys(folder: Path) -> None:
    """Make a new master key, and a new data key."""
    rotated = subprocess.run(
        [Path(sys.executable).with_name("provost"), "key", "rotate", "--master"],
        env={"PROVOST_HOME": str(folder / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert rotated.returncode == 0, rotated.stderr


def check_kept(site: Site, *texts: str) -> None:
    """Make sure that neither the database nor the log has a text as it is."""
    folder = site.server.log_file.parent
    assert not any(text.encode() in file.read_bytes() for file in list_files(folder) for text in texts)
    assert [line for line in site.server.log.splitlines() for text in texts if text in line] == []


def set_up_app(desk: Desk, *, picture: str = "") -> str:
    """Set an app up on the page where that is done, and return its secret; the codes are shown then."""
    page = desk.page
    secret = page.get_by_label("Secret", exact=True).input_value()
    if picture:
        desk.look(picture)
    page.get_by_label("Code").fill(make_code(secret, ahead=-1))
    page.get_by_role("button", name="Use this app").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    return secret


def enter_code(page: Page, code: str) -> None:
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_role_that_must_have_one(open_desk: OpenDesk, site: Site) -> None:
    """Nothing else opens until there is one; codes work once; the last one stays; its secret is kept."""
    site.add_user("otto", {"role": "auditor"})
    desk = open_desk()
    page = desk.sign_in("otto")
    for path in ("/", "/runs", "/sessions", "/sign-in/password/change/"):
        desk.go(path)
        expect(page).to_have_url(f"{site.url}/sign-in/2fa/")
    expect(page.get_by_role("heading", name="Your role must have a second factor")).to_be_visible()
    desk.look("factors-needed")
    page.get_by_role("link", name="Set up an app").click()
    secret = page.get_by_label("Secret", exact=True).input_value()
    check_kept(site, secret)
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Use this app").click()
    expect(page.get_by_text("This code is wrong")).to_be_visible()
    assert set_up_app(desk, picture="factors-app") == secret
    codes = page.locator("#recovery-codes").inner_text().split()
    assert len(codes) == 10
    desk.look("factors-recovery-codes")
    page.reload()
    expect(page.locator("#recovery-codes")).to_have_count(0)
    desk.look("factors-recovery-codes-again")
    page.get_by_role("link", name="Home").last.click()
    expect(page).to_have_url(f"{site.url}/")

    rotate_keys(site.server.log_file.parent)
    page.get_by_role("button", name="Sign out").click()
    desk.sign_in("otto")
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    desk.look("second-factor")
    desk.go("/runs")
    expect(page).to_have_url(re.compile("/sign-in/"))
    code = make_code(secret)
    enter_code(page, code)
    expect(page).to_have_url(re.compile(f"{site.url}/(runs)?$"))
    page.get_by_role("button", name="Sign out").click()
    desk.sign_in("otto")
    enter_code(page, code)
    expect(page.get_by_text("was used already")).to_be_visible()
    desk.look("second-factor-refused")
    enter_code(page, codes[0])
    expect(page).to_have_url(f"{site.url}/")

    desk.go("/sign-in/2fa/")
    expect(page.get_by_text("9 codes are left")).to_be_visible()
    desk.look("factors")
    page.get_by_role("link", name="Remove the app").click()
    expect(page.get_by_text("Your role must have a second factor")).to_be_visible()
    expect(page.get_by_role("button", name="Remove the app")).to_have_count(0)
    desk.look("factors-last-stays")

    check_kept(site, secret, *codes)
    assert code not in site.server.log
    assert read_actions(site, "otto") == [
        *("session.begin", "factor.add", "factor.add", "session.end", "session.begin", "session.end"),
        *("session.refused", "factor.use_recovery_code", "session.begin"),
    ]


def test_administrator_helps_who_lost_theirs(open_desk: OpenDesk, site: Site) -> None:
    """The factors go and the session ends; the rule then asks for new ones."""
    site.add_user("pia", {"role": "auditor"})
    desk = open_desk()
    desk.sign_in("pia")
    page = desk.go("/sign-in/2fa/totp/activate/")
    set_up_app(desk)
    assert site.api.get("users/pia").json()["has_second_factor"]
    site.api.delete("users/pia/factors").raise_for_status()
    assert not site.api.get("users/pia").json()["has_second_factor"]
    desk.go("/")
    expect(page).to_have_url(re.compile("/sign-in/login/"))
    desk.sign_in("pia")
    expect(page.get_by_role("heading", name="Your role must have a second factor")).to_be_visible()


def add_authenticator(desk: Desk, page: Page) -> Any:
    """Give the browser a key, and return what talks to it."""
    session = desk.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
    return session


def add_key(page: Page, name: str, *, passkey: bool) -> None:
    page.get_by_label("Name").fill(name)
    if passkey:
        page.get_by_label("Passkey").check()
    page.get_by_role("button", name="Add the key").click()


def test_keys_and_passkeys(open_desk: OpenDesk, site: Site) -> None:
    """A key is the second factor, a passkey signs in alone; the last one of who must have one stays."""
    site.add_user("rosa", {"role": "auditor"})
    url = site.url.replace("127.0.0.1", "localhost")
    desk = open_desk(url)
    page = desk.page
    add_authenticator(desk, page)
    desk.sign_in("rosa")
    page.get_by_role("link", name="Add a key").click()
    desk.look("factors-add-key")
    add_key(page, "<b>telephone</b>", passkey=True)
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    desk.go("/sign-in/2fa/")
    expect(page.get_by_role("cell", name="<b>telephone</b>", exact=True)).to_be_visible()
    desk.look("factors-keys")

    page.get_by_role("link", name="Rename").click()
    page.get_by_label("Name").fill("telephone")
    desk.look("factors-rename-key")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("link", name="Remove telephone").click()
    desk.look("factors-remove-key")
    page.get_by_role("button", name="Remove the key").click()
    expect(page.get_by_text("Your role must have a second factor")).to_be_visible()

    desk.go("/")
    page.get_by_role("button", name="Sign out").click()
    desk.go("/sign-in/login/?next=/runs")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(f"{url}/runs")
    page.get_by_role("button", name="Sign out").click()
    desk.sign_in("rosa")
    page.get_by_role("button", name="Use a security key").click()
    expect(page).to_have_url(f"{url}/")
    assert read_actions(site, "rosa") == [
        *("session.begin", "factor.add", "factor.add", "session.end"),
        *("session.begin", "session.end", "session.begin"),
    ]
    how = [
        one["details"]["how"]
        for one in site.api.get("audit", params={"action": "session.begin"}).json()["items"]
    ]
    assert how[:2] == [["password", "webauthn"], ["passkey"]]


def test_key_that_is_not_there(open_desk: OpenDesk, site: Site) -> None:
    """A browser without a key says so in plain words."""
    desk = open_desk(site.url.replace("127.0.0.1", "localhost"))
    session = add_authenticator(desk, desk.page)
    desk.go("/sign-in/login/")
    session.send("WebAuthn.disable")
    desk.page.evaluate("() => { navigator.credentials.get = () => Promise.reject(new Error('none')); }")
    desk.page.get_by_role("button", name="Sign in with a passkey").click()
    expect(desk.page.get_by_role("alert")).to_contain_text("no answer from a key")


def test_who_need_not_may_remove_them(open_desk: OpenDesk, site: Site) -> None:
    """The last one goes with the recovery codes; one may make new codes before."""
    site.add_user("sam", {"role": "operator"})
    desk = open_desk()
    page = desk.sign_in("sam")
    expect(page).to_have_url(f"{site.url}/")
    page = desk.go("/sign-in/2fa/totp/activate/")
    set_up_app(desk)
    before = page.locator("#recovery-codes").inner_text()
    desk.go("/sign-in/2fa/recovery-codes/generate/")
    desk.look("factors-new-codes")
    page.get_by_role("button", name="Make new ones").click()
    expect(page.locator("#recovery-codes")).not_to_have_text(before)
    page.evaluate("window.dispatchEvent(new Event('pagehide'))")  # a browser may keep a page that was left
    expect(page.locator("#recovery-codes")).to_have_count(0)
    desk.go("/sign-in/2fa/totp/deactivate/")
    desk.look("factors-remove-app")
    page.get_by_role("button", name="Remove the app").click()
    expect(page.get_by_text("The app is removed.")).to_be_visible()
    assert not site.api.get("users/sam").json()["has_second_factor"]
    assert read_actions(site, "sam")[1:] == [
        *("factor.add", "factor.add", "factor.renew", "factor.remove", "factor.remove"),
    ]


def test_password_is_asked_again(open_desk: OpenDesk, site: Site) -> None:
    """Later on, whoever changes how they sign in proves who they are; wrong ones are told of."""
    site.add_user("tina", {"role": "operator"})
    desk = open_desk()
    page = desk.sign_in("tina")
    expect(page).to_have_url(f"{site.url}/")
    page = desk.go("/sign-in/reauthenticate/?next=/sign-in/2fa/totp/activate/")
    desk.look("reauthenticate")
    page.get_by_label("Password").fill("hush-wrong-one")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("This is not your password.")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page).to_have_url(f"{site.url}/sign-in/2fa/totp/activate/")
    assert read_actions(site, "tina")[-1] == "session.confirm_refused"
    secret = set_up_app(desk)
    desk.go("/sign-in/2fa/reauthenticate/?next=/sign-in/2fa/")
    desk.look("reauthenticate-code")
    page.get_by_label("Code").fill(make_code(secret))
    page.get_by_role("button", name="Go on").click()
    expect(page).to_have_url(f"{site.url}/sign-in/2fa/")

"""Signing in with a real OpenID provider: oidc-provider, in Node."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect
from tests.conftest import do_without
from tests.console.codes import make_code
from tests.console.conftest import ROOT, Desk, OpenDesk, Site, run_site
from tests.console.test_second_factors import enter_code, set_up_app

SECRET = "hush-what-the-provider-gave"


@dataclass(frozen=True)
class Provider:
    """A provider; whom it knows is in a file."""

    url: str
    people: Path

    def know(self, **people: dict[str, object]) -> None:
        """Know these people from now on, with claims of theirs."""
        self.people.write_text(json.dumps(people))


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def port() -> int:
    """A port for Provost, since the provider wants to know beforehand where it is."""
    return find_port()


@pytest.fixture(scope="module")
def provider(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """A provider that knows Provost."""
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules" / "oidc-provider").exists():
        do_without("Node and oidc-provider are not there: make setup")
    people = tmp_path_factory.mktemp("provider") / "people.json"
    made = Provider(f"http://127.0.0.1:{find_port()}", people)
    made.know()
    back = f"http://127.0.0.1:{port}/sign-in/provider/callback/"
    words = [str(node), str(Path(__file__).with_name("provider.mjs")), made.url, back, SECRET, str(people)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield made
        process.kill()


@pytest.fixture(scope="module")
def site(provider: Provider, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that lets people in whom the provider knows."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "secret").write_text(f"{SECRET}\n")
    with run_site(
        folder,
        port=port,
        PROVOST_OIDC_ISSUER=provider.url,
        PROVOST_OIDC_NAME="The Company",
        PROVOST_OIDC_CLIENT_SECRET_FILE=str(folder / "secret"),
    ) as running:
        yield running


def come(desk: Desk, name: str, path: str = "/sign-in/login/") -> Page:
    """Go to the provider, and sign in there by a name."""
    # The provider's pages for development ask for a font from elsewhere.
    desk.context.route(re.compile(r"//fonts\."), lambda route: route.fulfill(content_type="text/css", body=""))
    page = desk.go(path)
    page.get_by_role("button", name="Sign in with The Company").click()
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    return page


def read_newest(site: Site, action: str) -> dict[str, object]:
    found: dict[str, object] = site.api.get("audit", params={"action": action}).json()["items"][0]
    return found


def test_who_was_added_comes_in(open_desk: OpenDesk, site: Site, provider: Provider) -> None:
    """The first time connects, by state, nonce and PKCE; the next is the same; a second factor is asked for."""
    site.add_user("uma", {"role": "auditor"})
    desk = open_desk()
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url))
    page = come(desk, "uma", "/sign-in/login/?next=/runs")
    expect(page).to_have_url(f"{site.url}/runs")
    sent = parse_qs(urlsplit(next(url for url in asked if url.startswith(f"{provider.url}/auth?"))).query)
    assert sent["code_challenge_method"] == ["S256"]
    assert len(sent["state"][0]) >= 16
    assert len(sent["nonce"][0]) >= 16
    assert read_newest(site, "user.connect")["subject"] == "user uma"
    assert read_newest(site, "session.begin")["details"] == {"how": ["provider"]}
    desk.go("/sign-in/2fa/totp/activate/")
    secret = set_up_app(desk)
    desk.go("/")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in with The Company").click()
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    enter_code(page, make_code(secret))
    expect(page).to_have_url(f"{site.url}/")
    for hush in (SECRET, sent["state"][0], sent["code_challenge"][0]):
        assert hush not in site.server.log
    assert not re.search(r"code=", site.server.log)


@pytest.mark.parametrize(
    ("name", "claims", "code"),
    [
        ("stranger", {}, "provider_user_unknown"),
        ("other-vera", {"preferred_username": "VERA"}, "provider_user_unknown"),
        ("sleeper", {}, "provider_user_unknown"),
        ("nameless", {"preferred_username": ["vera"]}, "provider_user_unknown"),
        ("second-vera", {"preferred_username": "vera"}, "provider_user_taken"),
    ],
)
def test_nobody_else_comes_in(
    open_desk: OpenDesk, site: Site, provider: Provider, name: str, claims: dict[str, object], code: str
) -> None:
    """Unknown, spelt differently, inactive, or a second one of that name: they ask an administrator."""
    if site.api.get("users/vera").status_code == 404:
        site.add_user("vera", {"role": "administrator"})
        site.add_user("sleeper", {"role": "administrator"})
        site.api.patch("users/sleeper", json={"active": False}).raise_for_status()
        first = open_desk()
        expect(come(first, "vera")).to_have_url(f"{site.url}/")
    provider.know(**{name: claims})
    desk = open_desk()
    desk.expected.append("status of 403")
    page = come(desk, name)
    expect(page.get_by_role("heading")).to_contain_text("ask an administrator")
    expect(page.get_by_text(code)).to_be_visible()
    if name == "stranger":
        desk.look("provider-unknown")
        assert read_newest(site, "session.refused")["who"] == "somebody unknown"
    assert read_newest(site, "session.refused")["details"] == {"how": "provider", "why": code}
    expect(desk.go("/")).to_have_url(re.compile("/sign-in/login/"))


def test_answer_that_was_not_asked_for(open_desk: OpenDesk, site: Site) -> None:
    """A browser that comes from the provider without having been sent there is refused."""
    desk = open_desk()
    desk.expected.append("status of 403")
    page = desk.go("/sign-in/provider/callback/?code=stolen&state=guessed")
    expect(page.get_by_role("heading")).to_contain_text("did not sign you in")
    desk.look("provider-refused")
    assert "stolen" not in site.server.log


def test_provider_that_does_not_answer(open_desk: OpenDesk, tmp_path: Path) -> None:
    """Signing in by password goes on, and the button says what is wrong."""
    with run_site(tmp_path, PROVOST_OIDC_ISSUER=f"http://127.0.0.1:{find_port()}") as alone:
        desk = open_desk(alone.url)
        desk.expected.append("status of 503")
        page = desk.go("/sign-in/login/")
        desk.look("sign-in-provider")
        page.get_by_role("button", name="Sign in with OpenID").click()
        expect(page.get_by_role("heading")).to_contain_text("does not answer")
        expect(desk.sign_in()).to_have_url(f"{alone.url}/")

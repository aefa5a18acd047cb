"""The console in Debian's Chromium, against a real server and real lab hosts."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.conftest import Server, copy_empty_home, do_without, keep_environment, run_servers

from provost.lab import Host

ROOT: Final = Path(__file__).parents[2]
CHROMIUM: Final = "/usr/bin/chromium"
SWITCHES: Final = [
    "--no-sandbox",  # the tests run as root
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
PHONE: Final = {"width": 390, "height": 844}
DESK: Final = {"width": 1280, "height": 900}
PASSWORD: Final = "ada-of-the-tests-1"
_STILL: Final = """() => {
    const still = new CSSStyleSheet();
    still.replaceSync("* { transition: none !important; animation: none !important; }");
    document.adoptedStyleSheets = [still];
    window.scrollTo(0, 0);
}"""
PATIENCE: Final = 15_000
"""Milliseconds that a page may take for anything, on a machine that does much else."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots", type=Path, help="keep a picture of each page that is looked at, in this folder"
    )


@dataclass(frozen=True)
class Site:
    """A real server, the API client of its first administrator `ada`, whose password is PASSWORD."""

    server: Server
    api: httpx.Client

    @property
    def url(self) -> str:
        """Where it is."""
        return self.server.url

    def bring_in(self, *hosts: Host, node: str, privileged: bool = True) -> None:
        """Bring lab hosts in, with root as their privileged account."""
        assets = [
            {"name": one.name, "kind": "linux", "address": one.address, "port": one.port, "nodes": [node]}
            for one in hosts
        ]
        accounts = [
            {"username": "root", "asset": one.name, "privileged": True, "password": one.root_password}
            for one in hosts
            if privileged
        ]
        self.api.post("import", json={"assets": assets, "accounts": accounts}).raise_for_status()

    def add_user(self, username: str, *grants: dict[str, Any]) -> None:
        """Add a user with PASSWORD and grants, such as {"role": "operator", "node": "/prod"}."""
        body = {"username": username, "password": PASSWORD, "grants": list(grants)}
        self.api.post("users", json=body).raise_for_status()


@contextmanager
def run_site(folder: Path, *, port: int = 0, **settings: str) -> Iterator[Site]:
    """Run a server on an empty folder, with its first administrator; `port` 0: any that is free."""
    copy_empty_home(folder / "home")
    environment = keep_environment() | {"PROVOST_HOME": str(folder / "home")} | settings
    with run_servers(environment, folder) as start:
        server = start("--port", str(port))
        with server.connect(server.set_up(password=PASSWORD)) as api:
            yield Site(server, api)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that all tests of a module share."""
    with run_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def _choose_scope(fixture_name: str, config: pytest.Config) -> Literal["session", "module"]:
    """Return how long a browser may stay: while it is there, no other test here can have a loop of its own."""
    del fixture_name
    folder = str(Path(__file__).parent)
    chosen = [str(config.invocation_params.dir / one.split("::")[0]) for one in config.args]
    return "session" if all(one.startswith(folder) for one in chosen) else "module"


@pytest.fixture(scope=_choose_scope)
def browser() -> Iterator[Browser]:
    """Chromium."""
    if not Path(CHROMIUM).exists():
        do_without("Chromium is not installed (Debian: apt-get install chromium)")
    if not (ROOT / "node_modules" / "axe-core").exists():
        do_without("axe-core is not there: make setup")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield launched
        launched.close()


@dataclass
class Desk:
    """One who sits in front of a browser of their own. Whatever it complains about fails the test.

    `expected` are parts of complaints that the test is about, such as "status of 403".
    """

    context: BrowserContext
    page: Page
    url: str
    pictures: Path | None
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=lambda: ["status of 422"])

    def go(self, path: str) -> Page:
        """Open a page of the console."""
        self.page.goto(f"{self.url}{path}")
        return self.page

    def sign_in(self, username: str = "ada", password: str = PASSWORD) -> Page:
        """Sign in with a password."""
        self.go("/sign-in/login/")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        return self.page

    def enter(self, username: str = "ada") -> Page:
        """Be signed in, without the pages of that."""
        with httpx.Client(base_url=self.url, timeout=60) as client:
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get("/sign-in/login/").text)
            assert token
            fields = {"csrfmiddlewaretoken": token[1], "login": username, "password": PASSWORD}
            assert client.post("/sign-in/login/", data=fields).is_redirect, f"{username} is not let in"
            cookies = [{"name": name, "value": text, "url": self.url} for name, text in client.cookies.items()]
        self.context.add_cookies(cookies)  # type: ignore[arg-type]
        return self.page

    def look(self, name: str) -> None:
        """Have axe check the page as it is now, light and dark, and keep pictures where they are wanted."""
        self.page.evaluate(_STILL)
        for theme in ("light", "dark"):
            self.page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)
            # What differs between the two is colours.
            self._check(f"{name}, {theme}", ["color-contrast"] if theme == "dark" else None)
            if self.pictures:
                self.page.screenshot(
                    path=self.pictures / f"{name}-{theme}.png", full_page=True, caret="initial"
                )
        self.page.evaluate("document.documentElement.setAttribute('data-bs-theme', 'light')")
        self.page.set_viewport_size(PHONE)
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        if self.pictures:
            self.page.screenshot(path=self.pictures / f"{name}-phone.png", full_page=True, caret="initial")
        self.page.set_viewport_size(DESK)
        assert wide <= PHONE["width"], f"{name} is {wide} wide on a phone"

    def _check(self, what: str, rules: list[str] | None) -> None:
        if not self.page.evaluate("'axe' in window"):
            # Not by a script element: the page's policy would refuse it, and is not to be loosened.
            self.page.evaluate((ROOT / "node_modules/axe-core/axe.min.js").read_text())
        found = self.page.evaluate(
            "async rules => (await axe.run(rules ? {runOnly: rules} : {})).violations", rules
        )
        serious = [
            f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]
        assert not serious, f"{what}: " + "\n".join(serious)

    def check(self) -> None:
        """Make sure that the browser complained about nothing."""
        left = [one for one in self.complaints if not any(part in one for part in self.expected)]
        assert not left, left


OpenDesk = Callable[..., Desk]


@pytest.fixture
def open_desk(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[OpenDesk]:
    """A function that gives a browser without cookies; `url`: of another server, `locale`: another language."""
    pictures: Path | None = request.config.getoption("screenshots", default=None)
    if pictures:
        pictures = ROOT / pictures
        pictures.mkdir(parents=True, exist_ok=True)
    opened: list[Desk] = []

    def open_one(url: str = site.url, locale: str = "en-GB") -> Desk:
        context = browser.new_context(viewport=DESK, locale=locale, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE)
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation', (event) => "
            "console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));"
        )
        desk = Desk(context, context.new_page(), url, pictures)
        context.on("console", lambda said: said.type == "error" and desk.complaints.append(said.text))
        context.on("weberror", lambda error: desk.complaints.append(str(error.error)))
        opened.append(desk)
        return desk

    yield open_one
    for desk in opened:
        desk.context.close()
    for desk in opened:
        desk.check()


@pytest.fixture
def desk(open_desk: OpenDesk) -> Desk:
    """A browser in which `ada`, who may do everything, has signed in."""
    made = open_desk()
    made.enter()
    return made

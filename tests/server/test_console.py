"""What the console answers to who means it ill: its pages as an attacker asks for them, without a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.server.conftest import World

from provost.core.errors import NotFound
from provost.core.rights import Granted, Role
from provost.core.secrets import Password

pytestmark = pytest.mark.once

PASSWORD = "correct horse battery"
TOO_LONG = "9" * 5000
"""More digits than Python makes a number of."""


@pytest.fixture(autouse=True)
def _no_counts(database: Any) -> Iterator[None]:
    del database
    from django.core.cache import cache

    cache.clear()
    yield
    cache.clear()


def add(username: str, *grants: Granted, password: str | None = PASSWORD) -> Any:
    """Add a user, and return their row."""
    from provost.core.rights import make_local
    from provost.server.services.users import UserFields, add_user

    fields = UserFields(password=None if password is None else Password(password), grants=grants)
    return add_user(by=make_local("tester"), username=username, fields=fields)


def open_browser(user: Any = None) -> Any:
    """Return a client that sends cookies; with a user, one who signed in some time ago."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.core.signing import Signer
    from django.test import Client

    from provost.server.web import sessions

    client = Client(raise_request_exception=False, headers={"Accept": "text/html"})
    if user is not None:
        store = sessions.SessionStore()
        store[SESSION_KEY] = str(user.pk)
        store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        store[HASH_SESSION_KEY] = user.get_session_auth_hash()
        store.create()
        signed = Signer(salt="provost.server.web.sessions").sign(str(store.session_key))
        client.cookies[settings.SESSION_COOKIE_NAME] = signed
    return client


def open_administrator() -> Any:
    return open_browser(add("ada", Granted(Role.ADMINISTRATOR, reveal=True), Granted(Role.AUDITOR)))


@contextmanager
def fail_database() -> Iterator[None]:
    """Let every query fail."""
    from django.db import OperationalError, connection

    def fail(*_query: Any) -> None:
        raise OperationalError("the disk is full")

    with connection.execute_wrapper(fail):
        yield


def sign_in(client: Any, username: str, password: str, **where: str) -> bool:
    """Try to sign in; `where` is the request's environment. Tell whether it was done."""
    answer = client.post("/sign-in/login/", {"login": username, "password": password}, **where)
    return bool(answer.status_code == 302)


LISTS = ["/assets", "/accounts", "/accounts/root@inside1/activity", "/tasks", "/runs", "/audit"]


@pytest.mark.parametrize("query", [f"cursor={'x' * 5000}", "cursor=x", "cursor=%00", "search=%00&who=%00"])
@pytest.mark.parametrize("path", LISTS)
def test_queries_that_are_none(world: World, path: str, query: str) -> None:
    """A cursor or a filter that cannot be one is refused, on every list and the same on every database."""
    del world
    assert open_administrator().get(f"{path}?{query}").status_code == 422


def test_cursor_of_records(world: World) -> None:
    """The same holds for the records of a run and of a preview."""
    browser, run = open_administrator(), world.over["inside"]
    for path in (f"/push/previews/{run}/records", f"/runs/{run}/records"):
        assert browser.get(f"{path}?cursor={'x' * 5000}").status_code == 422


@pytest.mark.parametrize("path", ["/assets/%00", "/tasks/a%00", "/users/%00", "/accounts/root@%00"])
def test_paths_that_are_none(world: World, path: str) -> None:
    """A name that no database takes is refused before it is asked for."""
    del world
    assert open_administrator().get(path).status_code == 422


def test_forms_with_nul(world: World) -> None:
    """So is what is posted."""
    del world
    assert open_administrator().post("/node/add", {"path": "/a\0b"}).status_code == 422


@pytest.mark.parametrize(
    ("path", "posted"),
    [
        ("/tasks/inside-task/pause", {"version": TOO_LONG}),
        ("/assets/inside1/edit", {"name": "inside1", "version": TOO_LONG}),
        ("/assets/inside1/edit", {"name": "inside1", "port": "--5"}),
        ("/assets/inside1/edit", {"name": "inside1", "port": TOO_LONG}),
        ("/accounts/root@inside1/edit", {"priority": TOO_LONG}),
        ("/push", {"then": "preview", "spec.rules.lower": TOO_LONG}),
        ("/push/sample", {"spec.rules.length": "--9"}),
    ],
)
def test_numbers_that_are_none(world: World, path: str, posted: dict[str, str]) -> None:
    """What looks like a number and is none is told as such, and is no fault of Provost's."""
    del world
    assert open_administrator().post(path, posted).status_code < 500


def test_version_of_a_secret_that_is_no_number(world: World) -> None:
    """Neither is a version of a secret."""
    del world
    posted = {"secret": f"password.{TOO_LONG}", "password": PASSWORD}
    answer = open_administrator().post("/accounts/root@inside1/reveal", posted, headers={"HX-Request": "true"})
    assert answer.status_code == 422


def test_guesses_are_counted_whatever_the_host() -> None:
    """Who guesses a password cannot begin a new count by another port in the Host field, or other letters."""
    add("iris")
    client = open_browser()
    for number, name in enumerate(["iris", "IRIS", "Iris", "irIS", "iriS"]):
        assert not sign_in(client, name, "hush wrong", HTTP_HOST=f"testserver:{number + 1}")
    assert not sign_in(client, "iris", PASSWORD, HTTP_HOST="testserver:99")


def test_nobody_is_locked_out_by_somebody_elsewhere() -> None:
    """Who guesses from one address keeps nobody at another from signing in."""
    add("iris")
    for _ in range(8):
        sign_in(open_browser(), "iris", "hush wrong", REMOTE_ADDR="192.0.2.66")
    assert not sign_in(open_browser(), "iris", PASSWORD, REMOTE_ADDR="192.0.2.66")
    assert sign_in(open_browser(), "iris", PASSWORD, REMOTE_ADDR="192.0.2.1")


def test_guesses_from_everywhere_are_counted() -> None:
    """Guesses at one name from ever new addresses come to an end as well."""
    add("iris")
    for number in range(60):
        sign_in(open_browser(), "iris", "hush wrong", REMOTE_ADDR=f"192.0.2.{number + 1}")
    assert not sign_in(open_browser(), "iris", PASSWORD, REMOTE_ADDR="198.51.100.1")


def test_refusals_do_not_fill_the_trail() -> None:
    """Attempts beyond the limit are written down once: nobody can fill the audit trail from outside."""
    from provost.server.models import AuditEntry

    add("iris")
    for _ in range(9):
        sign_in(open_browser(), "iris", "hush wrong")
    refused = AuditEntry.objects.filter(action="session.refused")
    assert [one.details["why"] for one in refused.order_by("number")] == [*["wrong"] * 5, "too many"]


def test_part_of_a_page_after_the_session() -> None:
    """Who has to sign in again while a page asks for its parts comes back to the page, not to the part."""
    add("iris")
    answer = open_browser().get(
        "/runs/x/progress",
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/runs/x?status=failed"},
    )
    assert parse_qs(urlsplit(answer["HX-Redirect"]).query) == {"next": ["/runs/x?status=failed"]}
    elsewhere = {"HX-Request": "true", "HX-Current-URL": "https://evil.example/"}
    assert open_browser().get("/runs/x/progress", headers=elsewhere)["HX-Redirect"] == "/sign-in/login/"


def test_part_that_is_not_there() -> None:
    """To a page that asks for a part, what is not there is told as a part, though its Accept names no type."""
    answer = open_administrator().get("/nothing/here", headers={"HX-Request": "true", "Accept": "*/*"})
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
    assert b"<html" not in answer.content


def test_database_that_fails(world: World) -> None:
    """While the database does not answer, pages say so, even to who is not known without it."""
    del world
    browser = open_administrator()
    with fail_database():
        for path in ("/", "/assets", "/sign-in/login/"):
            answer = browser.get(path)
            assert (answer.status_code, b"database_error" in answer.content) == (503, True)


def test_codes_do_not_come_back() -> None:
    """A code that somebody confirms with is not in the page that refuses it."""
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    user = add("olga", Granted(Role.OPERATOR), password=None)
    TOTP.activate(user, generate_totp_secret())
    posted = {"name": "ci", "days": "9", "rights": "view", "own": "123987"}
    answer = open_browser(user).post("/tokens", posted)
    assert answer.status_code == 422
    assert b"123987" not in answer.content


def test_stolen_session_of_an_administrator() -> None:
    """With a session alone, nobody removes another's second factors, or a user: they are asked who they are."""
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    from provost.server.services import sign_in as service

    user = add("olga")
    TOTP.activate(user, generate_totp_secret())
    browser = open_administrator()
    for what in ("factors", "remove"):
        answer = browser.post("/users/olga/change", {"then": what})
        assert answer["Location"] == "/sign-in/reauthenticate/?next=%2Fusers%2Folga"
    assert service.has_factor(user_id=user.id)
    browser.post("/sign-in/reauthenticate/", {"password": PASSWORD})
    assert browser.post("/users/olga/change", {"then": "factors"})["Location"] == "/users/olga"
    assert not service.has_factor(user_id=user.id)


@pytest.mark.parametrize("nonce", [None, "of another"])
def test_token_of_another_sign_in(nonce: str | None) -> None:
    """An ID token that was made for another sign-in is refused (OpenID Connect Core 1.0, 3.1.3.7)."""
    from allauth.socialaccount.models import SocialAccount, SocialLogin
    from allauth.socialaccount.providers.base.provider import ProviderException
    from django.test import RequestFactory

    from provost.server.console.adapters import ProviderAdapter
    from provost.server.web.sessions import SessionStore

    request = RequestFactory().get("/")
    request.session = SessionStore()
    request.session["provider_nonce"] = "of this one"
    proof = {"iss": "https://idp.example", "sub": "1", "nonce": nonce}
    told = SocialLogin(account=SocialAccount(extra_data={"id_token": proof}))
    with pytest.raises(ProviderException):
        ProviderAdapter().populate_user(request, told, {})


def test_assets_that_cannot_be_worked_on(world: World) -> None:
    """The list can be narrowed to what has no privileged account, as the home page counts it, within reach."""
    from provost.core.requests import AccountPatch, AssetQuery
    from provost.server.api import accounts, assets, overview

    query = AssetQuery(unprivileged=True)
    assert assets.list_assets(world.local, query).items == []
    for place in ("inside1", "outside1"):
        accounts.edit_account(world.local, f"root@{place}", AccountPatch(privileged=False))
    found = [one.name for one in assets.list_assets(world.local, query).items]
    assert found == ["inside1", "outside1"] == overview.show_overview(world.local).wanting.assets
    by = world.enter("olga", Granted(Role.OPERATOR, "/prod"))
    assert [one.name for one in assets.list_assets(by, query).items] == ["inside1"]
    page = open_administrator().get("/assets?unprivileged=true").content.decode()
    assert "inside1" in page
    assert "unseen1" not in page


def test_limited_operator(world: World) -> None:
    """Pages show no more of what is out of reach than if it were not there, in no part and by no way to ask."""
    browser = open_browser(add("olga", Granted(Role.OPERATOR, "/prod", reveal=True)))
    over, waiting = world.over["outside"], world.runs["outside"]
    hidden = [
        "/assets/outside1", "/assets/outside1/edit", "/assets/outside1/login", "/assets?node=/outside",
        "/assets?via=outside1", "/accounts/root@outside1", "/accounts/root@outside1/edit",
        "/accounts/root@outside1/activity", "/accounts?asset=outside1", "/accounts?node=/outside",
        "/tasks/outside-task", "/tasks/outside-task/edit", f"/runs/{over}", f"/runs/{waiting}/progress",
        f"/runs/{over}/records", f"/runs/{over}/export.csv", f"/runs/{over}/export.json",
        f"/runs/{over}/report",
        f"/push/previews/{over}", f"/push/previews/{over}/records", "/runs?asset=outside1",
        "/runs?task=outside-task", f"/assets/inside1/test/{over}", f"/assets/inside1?test={over}",
        "/node?path=/outside",
    ]  # fmt: skip
    for path in hidden:
        assert browser.get(path).status_code in {404, 422}, path
        assert b"outside-alice" not in browser.get(path).content, path
    changes = [
        "/assets/outside1/remove", "/assets/outside1/trust", "/assets/outside1/test", "/tasks/outside-task/run",
        f"/runs/{waiting}/cancel", f"/runs/{over}/retry", "/tasks/outside-task/pause",
        "/tasks/outside-task/delete", "/accounts/root@outside1/remove",
    ]  # fmt: skip
    for path in changes:
        assert browser.post(path, {"version": "1"}).status_code in {302, 404, 422}, path
    for path in (
        "/audit",
        "/audit/export",
        "/audit/proof",
        "/users",
        "/users/someone",
        "/settings",
        "/channels",
        "/channels/-/new",
        "/channels/pager",
        "/channels/pager/edit",
    ):
        assert browser.get(path).status_code in {403, 404}, path
    for path in (
        "/users/someone/change",
        "/settings/rotate",
        "/tokens/someone/ci/revoke",
        "/channels/pager/test",
        "/channels/pager/remove",
        f"/channels/pager/deliveries/{world.delivery}/send",
        "/channels/-/new",
    ):
        assert browser.post(path, {"then": "remove"}).status_code in {403, 404}, path
    for path in (f"/runs/{waiting}", "/tasks/outside-task", "/assets/outside1"):
        assert open_administrator_once(world).get(path).status_code == 200, path


def open_administrator_once(world: World) -> Any:
    from provost.server.services.users import find_user

    try:
        return open_browser(find_user(by=world.local, username="ada"))
    except NotFound:
        return open_administrator()


def test_forms_of_other_sites(world: World) -> None:
    """No page changes anything on a request that another site made the browser send."""
    from django.urls import reverse

    from provost.server.console.urls import urlpatterns

    del world
    browser = open_administrator()
    browser.handler.enforce_csrf_checks = True
    values = {"name": "inside1", "account": "root@inside1", "user": "ada", "session": 1}
    for pattern in urlpatterns:
        wanted = {name: values.get(name, "x") for name in pattern.pattern.converters}
        if "run" in wanted:
            wanted["run"] = "00000000-0000-0000-0000-000000000000"
        path = reverse(f"console:{pattern.name}", kwargs=wanted)
        answer = browser.post(path, {"then": "remove"})
        assert (answer.status_code, b"form_outdated" in answer.content) == (403, True), path


def test_many_assets(world: World) -> None:
    """A push to more assets than Django lets a form have fields can be looked at, as those of programs are."""
    del world
    posted = {"spec.assets": ["inside1"] * 3000, "spec.secret_type": "password"}
    answer = open_administrator().post("/push/targets", posted)
    assert answer.status_code == 200


def test_form_by_way_of_an_unknown_proxy() -> None:
    """Behind a proxy that Provost was not told of, who signs in hears of that, and not that they were slow."""
    browser = open_browser()
    browser.handler.enforce_csrf_checks = True
    answer = browser.post("/sign-in/login/", {"login": "ada"}, headers={"Origin": "https://testserver"})
    assert (answer.status_code, b"PROVOST_TRUSTED_PROXIES" in answer.content) == (403, True)


def test_texts_of_many_lines(world: World) -> None:
    """Options of several lines, such as certificates and the dialogs of a device, get a field for them."""
    del world
    browser = open_administrator()
    for kind, name in (("postgresql", "tls_ca"), ("network_device", "create")):
        form = browser.get(f"/new-asset/kind?kind={kind}").content.decode()
        assert f'<textarea class="form-control" id="field-options-{name}"' in form, kind

"""Signing in and out by name and password, sessions, and what others are refused."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect
from tests.console.conftest import PASSWORD, OpenDesk, Site, run_site

NEW = "another-of-the-tests-2"


def read_trail(site: Site, **query: Any) -> list[dict[str, Any]]:
    """Return the newest entries of the audit trail, the newest first."""
    found: list[dict[str, Any]] = site.api.get("audit", params=query).raise_for_status().json()["items"]
    return found


Open = Callable[..., httpx.Client]


@pytest.fixture
def open_client(site: Site) -> Iterator[Open]:
    """A function that gives a browser without a screen; with a `username`, one that has signed in."""
    with ExitStack() as opened:

        def open_one(username: str = "", password: str = PASSWORD, **more: Any) -> httpx.Client:
            client = opened.enter_context(httpx.Client(base_url=site.url, timeout=30, **more))
            if username:
                send(client, "/sign-in/login/", login=username, password=password)
            return client

        yield open_one


def send(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Fill in the form of a page and send it."""
    page = client.get(path)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token, page.text
    fields["csrfmiddlewaretoken"] = token[1]
    return client.post(path, data=fields, headers={"Referer": f"{client.base_url}{path}"})


def is_in(client: httpx.Client) -> bool:
    """Tell whether a browser is signed in."""
    return client.get("/").status_code == 200


def test_signing_in_and_out(open_desk: OpenDesk, site: Site) -> None:
    """A wrong password is refused; the right one leads to where one was going; both are told of."""
    desk = open_desk()
    page = desk.go("/runs")
    expect(page).to_have_url(re.compile(r"/sign-in/login/\?next=%2Fruns$"))
    desk.look("sign-in")
    page.get_by_label("Username").fill("ADA")
    page.get_by_label("Password").fill("hush-wrong-one")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    expect(page.get_by_label("Password")).to_have_value("")
    desk.look("sign-in-refused")
    page.get_by_label("Username").fill("hush-a-password")
    page.get_by_label("Password").fill("hush-wrong-one")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(f"{site.url}/runs")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You have signed out.")).to_be_visible()
    ended, began, unknown, refused = read_trail(site, limit=4)
    assert [one["action"] for one in (ended, began, unknown, refused)] == [
        "session.end",
        "session.begin",
        "session.refused",
        "session.refused",
    ]
    assert (began["who"], began["face"], began["source"]) == ("ada", "console", "127.0.0.1")
    assert began["details"] == {"how": ["password"]}
    assert began["request_id"]
    assert (refused["who"], unknown["who"]) == ("ada", "somebody unknown")
    assert "hush" not in site.server.log
    assert "hush" not in str(read_trail(site, limit=50))


def test_no_way_leads_elsewhere(open_client: Open) -> None:
    """After signing in, nobody is led to another server, however its address is written."""
    for elsewhere in (
        "https://evil.example/",
        "//evil.example/",
        r"\\evil.example",
        "http://localhost:1/",
        "javascript:alert(1)",
    ):
        client = open_client()
        sent = send(client, "/sign-in/login/", login="ada", password=PASSWORD, next=elsewhere)
        assert sent.headers["location"] == "/", elsewhere


def test_the_cookie(open_client: Open) -> None:
    """It is for pages alone, changes at the sign-in, has a seal, and is of no use to the API."""
    client = open_client()
    send(client, "/sign-in/login/", login="ada", password="hush-wrong-one")
    client.cookies.set("provost_session", "chosen-by-somebody-else", domain="127.0.0.1")
    sent = send(client, "/sign-in/login/", login="ada", password=PASSWORD)
    told = next(one for one in sent.headers.get_list("set-cookie") if one.startswith("provost_session="))
    assert "HttpOnly" in told
    assert "SameSite=Lax" in told
    assert "Secure" not in told  # it came without TLS
    assert "chosen-by" not in told
    assert is_in(client)
    assert client.get("/api/v1/whoami").status_code == 401
    key = told.partition("=")[2].partition(";")[0].strip('"').partition(":")[0]
    forged = open_client(cookies={"provost_session": key})
    assert not is_in(forged)


def test_cookies_behind_a_proxy_with_tls(tmp_path: Path) -> None:
    """A browser that came by TLS gets cookies that go no other way."""
    by_tls = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    with (
        run_site(tmp_path, PROVOST_TRUSTED_PROXIES="127.0.0.1") as behind,
        httpx.Client(base_url=behind.url, headers=by_tls, timeout=30) as client,
    ):
        page = client.get("/sign-in/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        seed = re.search(r"provost_csrf=([^;]+)", page.headers["set-cookie"])
        assert token
        assert seed
        fields = {"login": "ada", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        headers = {
            "Referer": behind.url.replace("http:", "https:"),
            "Cookie": f"provost_csrf={seed[1]}",
        }
        told = client.post("/sign-in/login/", data=fields, headers=headers).headers.get_list("set-cookie")
        assert any(one.startswith("provost_session=") for one in told)
        assert all("; Secure" in one for one in told)
        assert read_trail(behind, action="session.begin")[0]["source"] == "192.0.2.7"


def test_sessions_are_ended(open_desk: OpenDesk, open_client: Open, site: Site) -> None:
    """One sees where one is signed in, ends one, ends all others, and goes on here."""
    site.add_user("ben", {"role": "auditor"})
    first, second, third = (open_client("ben") for _ in range(3))
    desk = open_desk()
    page = desk.sign_in("ben")
    expect(page).to_have_url(f"{site.url}/")
    page = desk.go("/sessions")
    expect(page.get_by_role("row")).to_have_count(5)
    desk.look("sessions")
    page.get_by_role("row").nth(2).get_by_role("button", name="End").click()
    expect(page.get_by_text("That session has ended.")).to_be_visible()
    assert [is_in(one) for one in (first, second, third)] == [True, True, False]
    page.get_by_role("button", name="End all others").click()
    desk.look("sessions-end-others")
    page.get_by_role("dialog").get_by_role("button", name="End all others").click()
    expect(page.get_by_role("row")).to_have_count(2)
    assert not any(is_in(one) for one in (first, second, third))
    assert [one["details"] for one in read_trail(site, action="user.end_sessions")] == [
        {"sessions": 2},
        {"sessions": 1},
    ]


def test_own_password_is_changed(open_desk: OpenDesk, open_client: Open, site: Site) -> None:
    """It takes the one that one has, ends all other sessions, and is told of without either password."""
    site.add_user("cleo", {"role": "auditor"})
    other = open_client("cleo")
    desk = open_desk()
    expect(desk.sign_in("cleo")).to_have_url(f"{site.url}/")
    page = desk.go("/sign-in/password/change/")
    for now, new in (("hush-wrong-one", NEW), (PASSWORD, "cleo"), (PASSWORD, NEW)):
        page.get_by_label("Password now").fill(now)
        page.get_by_label("New password", exact=True).fill(new)
        page.get_by_label("New password, once more").fill(new)
        page.get_by_role("button", name="Change the password").click()
        expect(
            page.get_by_text("is changed" if new == NEW and now == PASSWORD else re.compile("not your|too"))
        ).to_be_visible()
        desk.look(f"password-{len(now)}-{len(new)}")
    assert not is_in(other)
    expect(desk.go("/sessions").get_by_role("row")).to_have_count(2)
    assert is_in(open_client("cleo", NEW))
    assert read_trail(site, action="user.edit")[0]["details"] == {"password": "changed"}


def test_who_is_not_active_is_out_at_once(open_desk: OpenDesk, site: Site) -> None:
    """An open session ends with the next page, for good, and signing in says why it is refused."""
    desk = open_desk()
    site.add_user("dora", {"role": "auditor"})
    expect(desk.sign_in("dora")).to_have_url(f"{site.url}/")
    site.api.patch("users/dora", json={"active": False}).raise_for_status()
    page = desk.go("/")
    expect(page).to_have_url(re.compile("/sign-in/login/"))
    desk.expected.append("status of 403")
    desk.sign_in("dora")
    expect(page.get_by_role("heading")).to_contain_text("not active")
    desk.look("inactive")
    assert read_trail(site, action="session.refused")[0]["details"] == {"how": "any", "why": "inactive"}
    site.api.patch("users/dora", json={"active": True}).raise_for_status()
    expect(desk.go("/")).to_have_url(re.compile("/sign-in/login/"))


def test_guessing_is_slow(open_desk: OpenDesk, open_client: Open, site: Site) -> None:
    """After five wrong passwords for a name the right one is refused; after many of any, by a page."""
    site.add_user("emma", {"role": "auditor"})
    client = open_client(headers={"X-Forwarded-For": "192.0.2.9"})
    for _ in range(5):
        assert (
            "belong together" in send(client, "/sign-in/login/", login="emma", password="hush-wrong-one").text
        )
    refused = send(client, "/sign-in/login/", login="emma", password=PASSWORD)
    assert "Try again in five minutes" in refused.text
    assert read_trail(site, action="session.refused")[0]["details"] == {"how": "password", "why": "too many"}
    desk = open_desk()  # beforehand: a browser may take long to start, and the limit is that of a minute
    desk.expected.append("status of 429")
    for _ in range(5):  # what was tried a minute ago, by other tests too, counts no more
        for _ in range(40):
            refused = send(client, "/sign-in/login/", login="nobody-at-all", password="hush-wrong-one")
            if refused.status_code == 429:
                break
        assert refused.headers["retry-after"] == "60"
        with desk.page.expect_response(lambda told: told.request.method == "POST") as told:
            page = desk.sign_in()
        if told.value.status == 429:
            break
    expect(page.get_by_role("heading")).to_contain_text("Wait a minute")
    desk.look("too-many")

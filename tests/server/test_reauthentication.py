"""Asking once more who sits there, as pages do before a secret is shown."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from provost.core.errors import Refused
from provost.core.rights import make_local
from provost.core.secrets import Password

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.once]

PASSWORD = "correct horse battery"


@pytest.fixture
def request_of() -> Iterator[Any]:
    """A function that gives a request of a new user who signed in some seconds ago."""
    from allauth.account.internal.flows.login import record_authentication
    from allauth.core import context
    from django.core.cache import cache
    from django.test import RequestFactory

    from provost.server.services.users import UserFields, add_user
    from provost.server.web.sessions import SessionStore

    cache.clear()

    def make(password: str | None, method: str = "password") -> Any:
        fields = UserFields(password=None if password is None else Password(password))
        request: Any = RequestFactory().post("/")
        request.user = add_user(by=make_local("tester"), username="olga", fields=fields)
        request.session = SessionStore()
        request.allauth = SimpleNamespace()
        record_authentication(request, request.user, method)
        entered = context.request_context(request)
        entered.__enter__()
        left.append(entered)
        return request

    left: list[Any] = []
    yield make
    for one in left:
        one.__exit__(None, None, None)


def confirm(request: Any, given: str) -> str:
    """Confirm, and return the code of what was wrong."""
    from provost.server.console import reauthentication

    try:
        reauthentication.confirm(request, given)
    except Refused as error:
        return error.code
    return ""


def list_trail() -> list[tuple[str, str, dict[str, Any]]]:
    from provost.server.models import AuditEntry

    entries = AuditEntry.objects.exclude(action="user.add").order_by("number")
    return [(one.who, one.action, one.details) for one in entries]


def test_password(request_of: Any) -> None:
    """The right one is accepted; wrong ones are written down, and after five the right one too is refused."""
    from provost.server.console.reauthentication import ask

    request = request_of(PASSWORD)
    assert ask(request.user) == "password"
    assert confirm(request, PASSWORD) == ""
    assert [confirm(request, "hush wrong") for _ in range(5)] == ["password_wrong"] * 5
    assert confirm(request, PASSWORD) == "too_many_attempts"
    assert list_trail() == [
        *[("olga", "session.confirm_refused", {"how": "password", "why": "wrong"})] * 5,
        ("olga", "session.confirm_refused", {"how": "password", "why": "too many"}),
    ]


def test_code_of_who_has_no_password(request_of: Any) -> None:
    """It works once."""
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
    from tests.console.codes import make_code

    from provost.server.console.reauthentication import ask

    request, secret = request_of(None, "socialaccount"), generate_totp_secret()
    TOTP.activate(request.user, secret)
    assert ask(request.user) == "code"
    code = make_code(secret)
    assert [confirm(request, one) for one in ("000000", code, code)] == ["code_wrong", "", "code_wrong"]
    assert {details["how"] for _, _, details in list_trail()} == {"code"}


def test_sign_in_of_who_has_neither(request_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sign-in itself is enough for five minutes."""
    import time

    from provost.server.console.reauthentication import ask

    request = request_of(None, "socialaccount")
    assert ask(request.user) == "sign_in"
    assert confirm(request, "") == ""
    now = time.time()
    monkeypatch.setattr("provost.server.console.reauthentication.time.time", lambda: now + 301)
    assert confirm(request, "") == "sign_in_again"

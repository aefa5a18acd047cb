"""What administrators do about how others sign in: second factors and sessions."""

from typing import Any

import pytest

from provost.core.errors import Refused
from provost.core.rights import Face, Granted, Principal, Role, make_local
from provost.core.secrets import Password

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.once]

BY = make_local("tester")
PASSWORD = "correct horse battery"


def add(username: str, *grants: Granted) -> Any:
    """Add a user, and return their row."""
    from provost.server.services.users import UserFields, add_user

    return add_user(by=BY, username=username, fields=UserFields(password=Password(PASSWORD), grants=grants))


def come_in(user: Any) -> Principal:
    from provost.server.services.users import make_principal

    return make_principal(user=user, face=Face.CONSOLE)


def open_session(user: Any) -> str:
    """Give a user a session of the console, as signing in does, and return its key."""
    from allauth.usersessions.models import UserSession
    from django.contrib.sessions.backends.db import SessionStore

    store = SessionStore()
    store.create()
    key = str(store.session_key)
    UserSession.objects.create(user=user, session_key=key, ip="192.0.2.1", user_agent="a browser")
    return key


def list_open(*keys: str) -> list[str]:
    from django.contrib.sessions.backends.db import SessionStore

    return [key for key in keys if SessionStore().exists(key)]


def give_factors(user: Any) -> None:
    """Give a user an app with codes, and recovery codes."""
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    TOTP.activate(user, generate_totp_secret())
    RecoveryCodes.activate(user)


def show(user: Any) -> Any:
    from provost.server.api.users import list_users

    return next(one for one in list_users(BY) if one.username == user.username)


def list_actions() -> list[tuple[str, str, dict[str, Any]]]:
    from provost.server.models import AuditEntry

    return [(one.action, one.subject, one.details) for one in AuditEntry.objects.order_by("number")]


def test_administrator_removes_the_factors_of_another() -> None:
    """Who lost their telephone has no second factor left, nor a session; the trail says what was removed."""
    from provost.server.services.users import remove_factors

    anna, olga = add("anna", Granted(Role.ADMINISTRATOR)), add("olga")
    for user in (anna, olga):
        give_factors(user)
    kept, ended = open_session(anna), open_session(olga)
    assert show(olga).has_second_factor
    remove_factors(by=come_in(anna), username="olga")
    assert (show(olga).has_second_factor, show(anna).has_second_factor) == (False, True)
    assert list_open(kept, ended) == [kept]
    assert list_actions()[-1] == (
        "user.remove_factors",
        "user olga",
        {"factors": ["recovery_codes", "totp"]},
    )


def test_own_factors_are_not_removed_without_the_password() -> None:
    """Who sits down at an administrator's desk cannot take their second factors away by this."""
    from provost.server.services.users import remove_factors

    anna = add("anna", Granted(Role.ADMINISTRATOR))
    give_factors(anna)
    with pytest.raises(Refused) as caught:
        remove_factors(by=come_in(anna), username="anna")
    assert caught.value.code == "own_factors"
    assert show(anna).has_second_factor


def test_recovery_codes_alone_are_no_second_factor() -> None:
    """They stand in for one that is lost."""
    from allauth.mfa.models import Authenticator

    olga = add("olga")
    give_factors(olga)
    Authenticator.objects.filter(user=olga, type="totp").delete()
    assert not show(olga).has_second_factor


def test_administrator_ends_the_sessions_of_a_user() -> None:
    """All of theirs, and nobody else's."""
    from provost.server.services.users import end_sessions

    anna, olga = add("anna", Granted(Role.ADMINISTRATOR)), add("olga")
    kept, *ended = open_session(anna), open_session(olga), open_session(olga)
    end_sessions(by=come_in(anna), username="olga")
    assert list_open(kept, *ended) == [kept]
    assert list_actions()[-1] == ("user.end_sessions", "user olga", {"sessions": 2})


def test_sessions_of_who_is_made_inactive_do_not_come_back() -> None:
    """They end for good, also when the user is active again later."""
    from provost.server.services.users import UserFields, edit_user

    olga = add("olga")
    key = open_session(olga)
    edit_user(by=BY, username="olga", fields=UserFields(active=False))
    edit_user(by=BY, username="olga", fields=UserFields(active=True))
    assert list_open(key) == []

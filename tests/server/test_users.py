"""Users and tokens: who comes in, and that nobody makes themselves more than they are."""

from datetime import timedelta
from typing import Any

import pytest
from tests.server.conftest import compete

from provost.core.errors import Conflict, Forbidden, NotFound, ProvostError, Refused
from provost.core.rights import RIGHTS, Face, Granted, Principal, Right, Role, make_local
from provost.core.secrets import Password

pytestmark = pytest.mark.usefixtures("database")

BY = make_local("tester")
EVERYTHING = Granted(Role.ADMINISTRATOR)


def add(username: str, *grants: Granted, **fields: Any) -> Principal:
    """Add a user, and return them as one who calls."""
    from provost.server.services import users

    users.add_user(by=BY, username=username, fields=users.UserFields(grants=grants, **fields))
    return enter(username)


def enter(username: str) -> Principal:
    from provost.server.models import User
    from provost.server.services.users import make_principal

    return make_principal(user=User.objects.get(username=username), face=Face.CONSOLE)


def edit(by: Principal, username: str, version: int | None = None, **fields: Any) -> Any:
    from provost.server.services.users import UserFields, edit_user

    return edit_user(by=by, username=username, fields=UserFields(**fields), version=version)


def make_token(by: Principal, name: str = "ci", user: str | None = None, **fields: Any) -> str:
    from provost.server.services.tokens import create_token

    return create_token(by=by, user=user, name=name, **{"rights": None, "days": 1, **fields}).text


def come_in(text: str) -> Principal | None:
    from provost.server.services.tokens import authenticate

    return authenticate(text=text, source="192.0.2.1", request_id="7")


def come_in_by(text: str) -> Principal:
    by = come_in(text)
    assert by is not None
    return by


def test_user_has_the_rights_of_their_grants() -> None:
    """Each role gives its rights, where it is granted, and reveal comes with none of them."""
    from provost.server.services.nodes import ensure_nodes

    place = ensure_nodes(by=BY, paths=["/prod"])["/prod"].path
    for role in Role:
        everywhere = add(f"{role}", Granted(role))
        there = add(f"{role}-prod", Granted(role, "/prod", reveal=True))
        assert {right for right in Right if everywhere.reach(right).everywhere} == RIGHTS[role]
        assert {right for right in Right if there.reach(right)} == RIGHTS[role] | {Right.REVEAL}
        assert {there.reach(right).nodes for right in RIGHTS[role]} == {frozenset({place})}
        assert not any(there.reach(right).everywhere for right in Right)
    nobody = add("nobody")
    assert not any(nobody.reach(right) for right in Right)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"email": "no address"}, "email_refused"),
        ({"grants": (Granted(Role.OPERATOR, "/nowhere"),)}, "node_not_found"),
        ({"grants": (Granted(Role.OPERATOR), Granted(Role.OPERATOR, reveal=True))}, "grant_refused"),
        ({"grants": (Granted(Role.OPERATOR, "/prod"), Granted(Role.OPERATOR, "/prod/"))}, "grant_refused"),
    ],
)
def test_user_that_cannot_be_is_refused(fields: dict[str, Any], code: str) -> None:
    """What cannot be used is refused, also in an edit, and nothing is changed."""
    from provost.server.models import AuditEntry, Grant, User
    from provost.server.services.nodes import ensure_nodes
    from provost.server.services.users import UserFields, add_user

    ensure_nodes(by=BY, paths=["/prod"])
    add("anna", EVERYTHING)
    before = AuditEntry.objects.count(), User.objects.count(), Grant.objects.count()
    for attempt in (
        lambda: add_user(by=BY, username="new", fields=UserFields(**fields)),
        lambda: edit(BY, "anna", **fields),
    ):
        with pytest.raises(ProvostError) as caught:
            attempt()
        assert caught.value.code == code
    assert (AuditEntry.objects.count(), User.objects.count(), Grant.objects.count()) == before


@pytest.mark.parametrize("name", ["", "a b", "a@b", "a/b", "-a", "x" * 151, "anna"])
def test_name_that_cannot_be_is_refused(name: str) -> None:
    """A user's name can be told apart, fits, and is free."""
    add("anna", EVERYTHING)
    with pytest.raises(Refused) as caught:
        add(name)
    assert caught.value.code == ("user_exists" if name == "anna" else "name_refused")


def test_last_administrator_stays() -> None:
    """Nobody takes the last administrator's role, activity or account away, themselves included."""
    from provost.server.services.nodes import ensure_nodes
    from provost.server.services.users import remove_user

    ensure_nodes(by=BY, paths=["/prod"])
    anna = add("anna", EVERYTHING)
    add("bert", Granted(Role.ADMINISTRATOR, "/prod"), Granted(Role.OPERATOR))
    attempts = [
        lambda: edit(anna, "anna", grants=()),
        lambda: edit(BY, "anna", grants=(Granted(Role.ADMINISTRATOR, "/prod"),)),
        lambda: edit(BY, "anna", active=False),
        lambda: remove_user(by=anna, username="anna"),
    ]
    for attempt in attempts:
        with pytest.raises(Conflict) as caught:
            attempt()
        assert caught.value.code == "last_administrator"
    edit(anna, "bert", grants=(EVERYTHING,))
    remove_user(by=anna, username="anna")


def test_administrators_who_remove_each_other_at_once() -> None:
    """Of two that make each other no administrator at the same time, one is left."""
    from provost.server.models import Grant

    for number in range(5):
        first, second = f"a{number}", f"b{number}"
        callers = [add(first, EVERYTHING), add(second, EVERYTHING)]
        refused = []

        def take(by: Principal, other: str, refused: list[str] = refused) -> None:
            try:
                edit(by, other, active=False)
            except Conflict as error:
                refused.append(error.code)

        for name in Grant.objects.exclude(user__username__in=[first, second]).values_list("user__username"):
            edit(BY, name[0], grants=())
        compete(lambda c=callers, s=second: take(c[0], s), lambda c=callers, f=first: take(c[1], f))
        assert refused == ["last_administrator"]


def test_users_without_an_administrator_can_be_edited() -> None:
    """Where nobody administers everything yet, the command line still makes and changes users."""
    add("olga", Granted(Role.OPERATOR))
    edit(BY, "olga", email="olga@example.org")
    edit(BY, "olga", grants=(EVERYTHING,))


def test_own_password_and_address() -> None:
    """Everybody changes their own, by signing in and not by a token, and nothing else of themselves."""
    from provost.server.models import User

    olga = add("olga", Granted(Role.OPERATOR))
    add("bert", Granted(Role.OPERATOR))
    edit(olga, "olga", password=Password("correct horse battery"), email="olga@example.org")
    assert User.objects.get(username="olga").check_password("correct horse battery")
    robot = come_in_by(make_token(olga))
    for attempt in (
        lambda: edit(olga, "olga", grants=(EVERYTHING,)),
        lambda: edit(olga, "olga", active=True),
        lambda: edit(olga, "bert", email="x@example.org"),
        lambda: edit(robot, "olga", password=Password("correct horse battery")),
        lambda: edit(robot, "olga", email="x@example.org"),
    ):
        with pytest.raises(Forbidden):
            attempt()


def test_version_that_was_not_seen_is_not_changed() -> None:
    """Who saw a user before somebody else changed them is told to look again."""
    from provost.server.services.users import remove_user

    add("anna", EVERYTHING)
    add("olga")
    edit(BY, "olga", version=1, email="one@example.org")
    for attempt in (
        lambda: edit(BY, "olga", version=1, email="two@example.org"),
        lambda: remove_user(by=BY, username="olga", version=1),
    ):
        with pytest.raises(Conflict) as caught:
            attempt()
        assert caught.value.code == "version_outdated"


def test_token_comes_in_as_its_user() -> None:
    """A token's text is its user with their grants, from where it came, and says when it was used."""
    from provost.server.models import Token

    text = make_token(add("olga", Granted(Role.OPERATOR)))
    assert text.startswith("provost_")
    by = come_in_by(text)
    assert (by.name, by.token, by.face, by.source, by.request_id) == ("olga", "ci", Face.API, "192.0.2.1", "7")
    assert {right for right in Right if by.reach(right)} == RIGHTS[Role.OPERATOR]
    assert Token.objects.get().last_used is not None
    edit(BY, "olga", grants=())
    assert not any(come_in_by(text).reach(right) for right in Right)


def test_token_that_is_not_valid_does_not_come_in() -> None:
    """Nor one that was revoked, has expired, was never made, or whose user is not active."""
    from django.utils import timezone

    from provost.server.models import Token
    from provost.server.services.tokens import revoke_token

    olga = add("olga", Granted(Role.OPERATOR))
    text = make_token(olga)
    for wrong in ("", "provost_", text[:-1], text + "x", text.removeprefix("provost_")):
        assert come_in(wrong) is None
    edit(BY, "olga", active=False)
    assert come_in(text) is None
    edit(BY, "olga", active=True)
    expires = Token.objects.get().expires
    Token.objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert come_in(text) is None
    Token.objects.update(expires=expires)
    assert come_in(text) is not None
    revoke_token(by=olga, user="olga", name="ci")
    assert come_in(text) is None
    assert [token.revoked is None for token in Token.objects.all()] == [False]
    with pytest.raises(Conflict):
        make_token(olga)


def test_digests_alone_are_stored() -> None:
    """No table holds the text of a token, of the setup token, or a password."""
    from django.apps import apps

    from provost.server.services.users import prepare_setup

    setup = prepare_setup()
    text = make_token(add("olga", password=Password("hush hush hush")))
    rows = [row for model in apps.get_app_config("server").get_models() for row in model.objects.values()]
    assert setup is not None
    for secret in (setup, text, text.removeprefix("provost_"), "hush hush hush"):
        assert secret not in str(rows)


def test_token_has_no_more_than_its_maker() -> None:
    """It is the caller's. A token makes none, unless it administers everything; then with its own rights."""
    olga = add("olga", Granted(Role.OPERATOR, reveal=True))
    add("bert", Granted(Role.ADMINISTRATOR, reveal=True))
    with pytest.raises(NotFound):
        make_token(olga, user="bert")
    robot = come_in_by(make_token(olga, rights=frozenset({Right.VIEW, Right.OPERATE}), days=2))
    for rights in (robot.limit, frozenset(Right), None):
        with pytest.raises(Forbidden, match="makes no tokens"):
            make_token(robot, "child", rights=rights)
    everything = come_in_by(make_token(enter("bert"), "bert", rights=frozenset({Right.ADMINISTER})))
    with pytest.raises(Forbidden, match="more rights"):
        make_token(everything, "more", rights=frozenset(Right))


def test_administrator_makes_tokens_for_others() -> None:
    """They are the other's, with rights that the other has at most."""
    anna = add("anna", EVERYTHING)
    add("olga", Granted(Role.OPERATOR))
    by = come_in_by(make_token(anna, user="olga"))
    assert by.name == "olga"
    assert {right for right in Right if by.reach(right)} == RIGHTS[Role.OPERATOR]


@pytest.mark.parametrize("days", [0, -1, 366])
def test_token_ends(days: int) -> None:
    """No token lasts for ever."""
    with pytest.raises(Refused) as caught:
        make_token(add("olga"), days=days)
    assert caught.value.code == "days_refused"


def test_token_ends_itself_alone() -> None:
    """A token revokes none of its user's others, unless it administers everything; a user any of their own."""
    from provost.server.services.tokens import list_tokens, revoke_token

    olga, anna = add("olga", Granted(Role.OPERATOR)), add("anna", EVERYTHING)
    robot = come_in_by(make_token(olga))
    make_token(olga, "other")
    make_token(anna)
    assert [token.name for token in list_tokens(by=olga)] == ["other", "ci"]
    assert len(list_tokens(by=anna)) == 3
    with pytest.raises(Forbidden):
        revoke_token(by=robot, user="olga", name="other")
    with pytest.raises(NotFound):
        revoke_token(by=robot, user="anna", name="ci")
    with pytest.raises(NotFound):
        list_tokens(by=olga, user="anna")
    revoke_token(by=robot, user="olga", name="ci")
    revoke_token(by=come_in_by(make_token(anna, "robot")), user="olga", name="other")
    assert all(token.revoked for token in list_tokens(by=anna, user="olga"))


def set_up(token: str, username: str = "anna") -> Any:
    from provost.server.services import users

    password = Password("correct horse battery")
    return users.set_up(
        token=token, username=username, password=password, face=Face.API, source="", request_id=""
    )


def test_setup_token_works_once() -> None:
    """It makes the first administrator while there is no user, and a newer one makes it void."""
    from provost.server.services.users import prepare_setup

    first, second = prepare_setup(), prepare_setup()
    assert first is not None
    assert second is not None
    for wrong in (first, "", second[:-1]):
        with pytest.raises(Forbidden) as caught:
            set_up(wrong)
        assert caught.value.code == "setup_refused"
    with pytest.raises(Refused):
        set_up(second, "two words")
    anna = set_up(second)
    by = enter(anna.username)
    assert all(by.reach(right).everywhere for right in Right)
    with pytest.raises(Forbidden):
        set_up(second, "mallory")
    assert prepare_setup() is None


def test_setup_token_is_void_once_there_is_a_user() -> None:
    """A user who was added by the command line meanwhile leaves nothing to set up."""
    from provost.server.services.users import prepare_setup

    token = prepare_setup()
    assert token is not None
    add("olga")
    with pytest.raises(Forbidden):
        set_up(token)


def test_setup_at_once_makes_one_administrator() -> None:
    """Of four that use the setup token at the same time, one becomes the administrator."""
    from provost.server.models import User
    from provost.server.services.users import prepare_setup

    token = prepare_setup()
    assert token is not None
    refused = []

    def try_it(name: str) -> None:
        try:
            set_up(token, name)
        except Forbidden as error:
            refused.append(error.code)

    compete(*[lambda name=f"anna{number}": try_it(name) for number in range(4)])
    assert refused == ["setup_refused"] * 3
    assert User.objects.count() == 1

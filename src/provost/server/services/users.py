"""Users: who may use Provost, and what they are granted."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, Final

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Prefetch

from provost.core.errors import Conflict, Forbidden, NotFound, Refused
from provost.core.rights import Face, Granted, Principal, Right, Role
from provost.core.secrets import Password
from provost.server.models import Grant, Setup, User
from provost.server.services import audit, sign_in
from provost.server.services.names import check_name, check_version, describe_missing
from provost.server.services.nodes import find_node

_LONGEST: Final = 150
_FACTORS: Final = Prefetch("authenticator_set", Authenticator.objects.only("user_id", "type"))


@dataclass(frozen=True, slots=True)
class UserFields:
    """What is said of a user. None: as it is, or as usual for a new one; grants name nodes by their paths."""

    email: str | None = None
    password: Password | None = None
    active: bool | None = None
    grants: tuple[Granted, ...] | None = None


def add_user(*, by: Principal, username: str, fields: UserFields) -> User:
    """Add a user. Without a password they cannot sign in, and may have tokens.

    Raises:
        Refused: a field cannot be used.
        Conflict: the username is taken.
        NotFound: a grant is for a node that is not there.
        Forbidden: the caller may not administer everything.
    """
    by.require_everywhere(Right.ADMINISTER, what="manage users")
    with transaction.atomic():
        return _add(by, username, fields)


def _add(by: Principal, username: str, fields: UserFields) -> User:
    check_name("a user", username)
    if len(username) > _LONGEST:
        raise Refused(f"The name of a user has 1 to {_LONGEST} characters.", code="name_refused")
    if User.objects.filter(username__iexact=username).exists():
        raise Conflict(f"There is a user {username} already.", code="user_exists")
    user = User(username=username)
    user.set_unusable_password()
    changes = _fill(user, fields)
    user.save()
    changes |= _give(by, user, fields.grants)
    audit.write(by=by, action="user.add", subject=f"user {user}", details=changes)
    return user


def edit_user(*, by: Principal, username: str, fields: UserFields, version: int | None = None) -> User:
    """Change what is given of a user. Their own e-mail address and password anybody may change.

    Raises:
        NotFound: there is no such user, or no node of a grant.
        Refused: a field cannot be used.
        Conflict: nobody would be left to administer; or it is not the `version` that was seen.
        Forbidden: the caller may not administer everything.
    """
    if not _is_own(by, username) or fields.active is not None or fields.grants is not None:
        by.require_everywhere(Right.ADMINISTER, what="manage users")
    with transaction.atomic():
        administered = _lock_administrators()
        user = find_user(by=by, username=username, lock=True)
        check_version(user, version)
        changes = _fill(user, fields)
        user.version += 1
        user.save()
        changes |= _give(by, user, fields.grants)
        _check_administered(administered)
        audit.write(by=by, action="user.edit", subject=f"user {user}", details=changes)
    return user


def remove_user(*, by: Principal, username: str, version: int | None = None) -> None:
    """Remove a user with their grants and tokens. What they did stays in the audit trail.

    Raises:
        NotFound: there is no such user.
        Conflict: nobody would be left to administer; or it is not the `version` that was seen.
        Forbidden: the caller may not administer everything.
    """
    by.require_everywhere(Right.ADMINISTER, what="manage users")
    with transaction.atomic():
        administered = _lock_administrators()
        user = find_user(by=by, username=username, lock=True)
        check_version(user, version)
        user.delete()
        _check_administered(administered)
        audit.write(by=by, action="user.remove", subject=f"user {username}")


def remove_factors(*, by: Principal, username: str) -> None:
    """Remove another's second factors with their recovery codes, and end their sessions: for who lost them.

    Raises:
        NotFound: there is no such user.
        Refused: `own_factors`, they are the caller's own.
        Forbidden: the caller may not administer everything.
    """
    by.require_everywhere(Right.ADMINISTER, what="manage users")
    with transaction.atomic():
        user = find_user(by=by, username=username, lock=True)
        if user.id == by.user_id:
            raise Refused(
                "One's own second factors are removed in the console, which asks for the password first.",
                code="own_factors",
            )
        types = sign_in.drop_factors(user)
        sign_in.drop_sessions(user)
        audit.write(by=by, action="user.remove_factors", subject=f"user {user}", details={"factors": types})


def list_sessions(*, by: Principal, username: str) -> list[UserSession]:
    """List the sessions of a user, the newest first: their own for everybody, but not for a token of theirs.

    Raises:
        NotFound: there is no such user.
        Forbidden: the caller may not administer everything.
    """
    if not _is_own(by, username):
        by.require_everywhere(Right.ADMINISTER, what="manage users")
    return sign_in.list_sessions(find_user(by=by, username=username))


def end_sessions(*, by: Principal, username: str, only: int | None = None, keep: int | None = None) -> None:
    """End sessions of a user at once, all or `only` one, but not the one to `keep`. Their tokens stay.

    Raises:
        NotFound: there is no such user, or no such session of theirs.
        Forbidden: the caller may not administer everything, and they are not the caller's own.
    """
    if not _is_own(by, username):
        by.require_everywhere(Right.ADMINISTER, what="manage users")
    with transaction.atomic():
        user = find_user(by=by, username=username, lock=True)
        ended = sign_in.drop_sessions(user, only=only, keep=keep)
        if only is not None and not ended:
            raise NotFound(f"{user} has no such session.", code="session_not_found")
        audit.write(by=by, action="user.end_sessions", subject=f"user {user}", details={"sessions": ended})


def find_user(*, by: Principal, username: str, lock: bool = False) -> User:
    """Return a user: any for who administers everything, else the caller alone.

    Raises:
        NotFound: there is none that the caller sees.
    """
    users = User.objects.select_for_update(no_key=True) if lock else User.objects.all()
    if not by.reach(Right.ADMINISTER).everywhere:
        users = users.filter(id=by.user_id or 0)
    if (user := users.filter(username=username).first()) is None:
        known = [one.username for one in list_users(by=by)]
        raise describe_missing("user", [username], known, code="user_not_found")
    return user


def list_users(*, by: Principal) -> list[User]:
    """List users by name: all for who administers everything, else the caller alone."""
    users = User.objects.prefetch_related("grants__node", _FACTORS)
    if not by.reach(Right.ADMINISTER).everywhere:
        users = users.filter(id=by.user_id or 0)
    return list(users)


def make_principal(
    *, user: User, face: Face, limit: frozenset[Right] = frozenset(Right), **where: str
) -> Principal:
    """Return a user as one who calls services; `where` are the fields of a Principal that say from where."""
    grants = tuple(
        Granted(Role(grant.role), grant.node.path if grant.node else None, grant.reveal)
        for grant in Grant.objects.filter(user=user).select_related("node")
    )
    return Principal(user.username, face, grants, limit, user_id=user.id, **where)


def is_set_up() -> bool:
    """Tell whether there is a user: until then, whoever has the setup token makes the first one."""
    return User.objects.exists()


def prepare_setup() -> str | None:
    """Return a new token for making the first administrator, while there is no user; the one before is void."""
    if User.objects.exists():
        return None
    token = token_urlsafe(24)
    Setup.objects.update_or_create(id=1, defaults={"digest": sha256(token.encode()).hexdigest()})
    return token


def set_up(  # noqa: PLR0913  # where from has three parts
    *, token: str, username: str, password: Password | None, face: Face, source: str, request_id: str
) -> User:
    """Make the first administrator, who may reveal secrets as well. The token is void from then on.

    Raises:
        Forbidden: `setup_refused`, the token is not the one that was given out, or there are users already.
        Refused: a field cannot be used.
    """
    refused = Forbidden("This setup token is not valid, or was used already.", code="setup_refused")
    with transaction.atomic():
        setup = Setup.objects.select_for_update().first()
        digest = sha256(token.encode()).hexdigest()
        if setup is None or not hmac.compare_digest(setup.digest, digest) or User.objects.exists():
            raise refused
        everything = (Granted(Role.ADMINISTRATOR, reveal=True),)
        by = Principal("setup", face, everything, source=source, request_id=request_id)
        user = _add(by, username, UserFields(password=password, grants=everything))
        setup.delete()
    return user


def _is_own(by: Principal, username: str) -> bool:
    """Tell whether somebody who signed in, and not a token of theirs, asks about themselves."""
    return username == by.name and by.user_id is not None and not by.token


def _fill(user: User, fields: UserFields) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if fields.email is not None and fields.email != user.email:
        try:
            if fields.email:
                validate_email(fields.email)
        except ValidationError:
            raise Refused(f"{fields.email!r} is not an e-mail address.", code="email_refused") from None
        changes["email"] = [user.email, fields.email]
        user.email = fields.email
    if fields.active is not None and fields.active != user.is_active:
        changes["active"] = [user.is_active, fields.active]
        user.is_active = fields.active
        if not user.is_active and user.id is not None:
            sign_in.drop_sessions(user)
    if fields.password is not None:
        try:
            validate_password(fields.password.text, user)
        except ValidationError as error:
            raise Refused(" ".join(error.messages), code="password_refused") from None
        user.set_password(fields.password.text)
        if user.id is not None:
            sign_in.drop_sessions(user)
        changes["password"] = "changed"  # noqa: S105  # that it was, not what it is
    return changes


def _give(by: Principal, user: User, grants: Sequence[Granted] | None) -> dict[str, Any]:
    """Replace a user's grants, and return what the audit trail is told of it."""
    if grants is None:
        return {}
    wanted = [
        Grant(
            user=user,
            role=grant.role,
            node=None if grant.node is None else find_node(by=by, path=grant.node),
            reveal=grant.reveal,
        )
        for grant in grants
    ]
    if len({(grant.role, grant.node_id) for grant in wanted}) < len(wanted):
        raise Refused("A role is granted twice in the same node.", code="grant_refused")
    before = [_tell(grant) for grant in user.grants.select_related("node")]
    user.grants.all().delete()
    made = Grant.objects.bulk_create(wanted)
    return {"grants": [before, [_tell(grant) for grant in made]]}


def _tell(grant: Grant) -> dict[str, Any]:
    return {"role": grant.role, "node": grant.node and grant.node.full_path, "reveal": grant.reveal}


def _lock_administrators() -> bool:
    """Tell whether somebody administers everything; nobody else takes that from one of them meanwhile."""
    list(Grant.objects.select_for_update().filter(role=Role.ADMINISTRATOR, node=None).order_by("id"))
    return _is_administered()


def _is_administered() -> bool:
    return Grant.objects.filter(role=Role.ADMINISTRATOR, node=None, user__is_active=True).exists()


def _check_administered(before: bool) -> None:
    """Raise `Conflict` when nobody is left who administers everything, and somebody did before."""
    if before and not _is_administered():
        raise Conflict(
            "Nobody would be left to administer everything: make another administrator first.",
            code="last_administrator",
        )

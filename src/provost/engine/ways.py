"""The ways into a target: a job's logins, with what the job itself has set meanwhile."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from provost.core.errors import LoginRefused, LoginUnanswered
from provost.core.job import Login, Wanted
from provost.core.model import Verdict
from provost.core.secrets import Password, Secret

BECOME: Final = "become_refused"
"""The code of a login that was let in and did not become root."""


BECOME_UNANSWERED: Final = "become_unanswered"
"""The code of a login that was let in, gave the password that it takes to become root, and heard no answer."""


class Ways:
    """The logins of one job in the order in which they are tried. None is tried again once it was refused."""

    def __init__(self, logins: Sequence[Login]) -> None:
        self._logins = list(logins)
        self._refusals: dict[Login, LoginRefused] = {}
        self._taken: Login | None = None

    def __iter__(self) -> Iterator[Login]:
        return iter([login for login in self._logins if login not in self._refusals])

    def take(self, login: Login) -> None:
        """Note that a session was opened by this login."""
        self._taken = login

    def refuse(self, login: Login, error: LoginRefused) -> None:
        """Note that a login was refused."""
        self._refusals[login] = error

    def find_refusal(self, login: Login) -> str:
        """Return the code with which a login was refused, or an empty string."""
        return self._refusals[login].code if login in self._refusals else ""

    def is_proof(self, login: Login) -> bool:
        """Tell whether a login that was accepted proves its pending secrets.

        One that serves to become root may not have been asked for: that the one in its place was refused tells.
        """
        same = replace(login, become_password=None, staged=())
        codes = [
            error.code
            for other, error in self._refusals.items()
            if replace(other, become_password=None, staged=()) == same
        ]
        return all(code == BECOME for code in codes)

    def sum_up(self) -> LoginRefused:
        """Return the error that says why no login was accepted."""
        codes = {error.code for error in self._refusals.values()}
        return LoginRefused(
            " ".join(dict.fromkeys(error.message for error in self._refusals.values())),
            code=codes.pop() if len(codes) == 1 else LoginRefused.code,
        )

    def find(self, login: Login) -> Login:
        """Return the way in that the account of `login` has by now: the one that it has taken, if it has."""
        if self._taken is not None and self._taken.username == login.username:
            return self._taken
        return next((one for one in self._logins if one.username == login.username), login)

    def renew(self, way: Login, username: str, secret: Secret) -> None:
        """Note that an account has a new secret, with which a session was opened by `way`."""
        self._logins = list(dict.fromkeys([way, *(one.renew(username, secret) for one in self._logins)]))
        self._taken = way


def has_key_beside(wanted: Wanted, secret: Secret | None) -> bool:
    """Tell whether a privileged account gets in with its key, whatever becomes of this secret."""
    return wanted.login is not None and wanted.login.key is not None and isinstance(secret, Password)


def hangs_on(wanted: Wanted, secret: Secret | None) -> bool:
    """Tell whether it may be this secret alone of an account that makes somebody root."""
    if wanted.login is None:
        return False
    return wanted.login.asked == wanted.username or not has_key_beside(wanted, secret)


def list_at_stake(login: Login) -> list[str]:
    """Return the accounts that a login may be refused as: its own, and the one whose password it gives."""
    return list(dict.fromkeys([login.username, *([login.asked] if login.become_password else [])]))


def find_refused(login: Login, error: LoginRefused) -> str:
    """Return the account that an error counts against on the target, or an empty string."""
    if error.code in {BECOME, BECOME_UNANSWERED}:
        return list_at_stake(login)[-1]
    counts = error.code == LoginRefused.code or isinstance(error, LoginUnanswered)
    return login.username if counts else ""


def narrow(way: Login, wanted: Wanted, secret: Secret, verdict: Verdict) -> Login | None:
    """Return the way that takes `secret`, as far as it can prove it; None: it proves nothing of it.

    A secret that a login was accepted with gets in alone. Any password can be what sudo or su asks for.
    """
    mine = way.username == wanted.username
    if mine and verdict is Verdict.ACCEPTED:
        return replace(way, key=None) if isinstance(secret, Password) else replace(way, password=None)
    asked = isinstance(secret, Password) and way.asked == wanted.username
    return way if asked and (way.key or not mine) else None

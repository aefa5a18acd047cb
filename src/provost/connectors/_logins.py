"""Logins by a password, for every kind that has some.

The underscore keeps this module out of the list of kinds.
"""

from provost.core.errors import LoginRefused, LoginUnanswered
from provost.core.job import Login, Target
from provost.core.secrets import Password


def take_password(target: Target, login: Login) -> Password:
    """Return the password of a login, where nothing else lets in.

    Raises:
        LoginRefused: it has none.
    """
    if login.password is None:
        raise LoginRefused(
            f"{target.asset} takes passwords alone, and {login.username} has none.",
            code="login_method_unavailable",
        )
    return login.password


def explain_silence(target: Target, username: str, told: str = "") -> LoginUnanswered:
    """Return the error for a password that was given, and not answered. `told`: how the connection ended."""
    return LoginUnanswered(
        f"{target.asset} was given the password of {username}, and what it said to that was not heard"
        f"{f': {told}' if told else '.'}"
    )

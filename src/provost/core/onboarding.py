"""What becomes of accounts that a discovery finds, and which of them a rule must leave to people. Pure."""

from collections.abc import Collection
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from provost.core.facts import Facts


class Onboarding(StrEnum):
    """What becomes of an account that a discovery finds and the list does not hold.

    `adopt`: it gets a new secret and comes into the list; `list`: it comes into the list without a secret.
    """

    ADOPT = "adopt"
    LIST = "list"
    IGNORE = "ignore"


class Standing(StrEnum):
    """Where an account stands that a discovery has found. The first that holds, in this order."""

    IGNORED = "ignored"
    VANISHED = "vanished"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    KNOWN = "known"


class Hindrance(StrEnum):
    """Why a rule leaves an account alone that fits it."""

    EARLIER = "earlier_rule"
    """Another rule, which comes before it, fits the account, too."""
    ACTING = "acting_account"
    """Provost itself works there with it, or passes through."""
    SUPERUSER = "superuser"
    PROTECTED = "protected_account"
    UNTOLD = "untold"
    """What it may do could not be told."""
    POWERFUL = "powerful"
    """It may do what others may not, and would be out of sight."""
    SYSTEM = "system_account"
    LOCKED_OUT = "cannot_log_in"
    WRONG_SECRET = "secret_type_refused"  # noqa: S105  # a reason, not a secret
    """Accounts of its kind have no such secret."""
    WRONG_NAME = "username_refused"
    """Its kind has no accounts of such a name."""


_WILD: Final = frozenset("*?[")


def fits(pattern: str, username: str) -> bool:
    """Tell whether a username fits the pattern of a rule (fnmatch, case and all)."""
    return fnmatchcase(username, pattern)


def find_hindrance(
    *, onboarding: Onboarding, pattern: str, facts: Facts, powerful: bool | None, protected: Collection[str]
) -> Hindrance | None:
    """Return why a rule leaves an account alone that fits it; None: it takes it.

    `protected` are usernames that a target of the kind cannot do without.  An account that the pattern names
    letter by letter, without a wildcard, is one that somebody has thought of.
    """
    named = pattern == facts.username and not _WILD & set(pattern)
    hindrances = {
        Onboarding.LIST: (),
        Onboarding.IGNORE: (
            (Hindrance.UNTOLD, powerful is None),
            (Hindrance.POWERFUL, bool(powerful) and not named),
        ),
        Onboarding.ADOPT: (
            (Hindrance.SUPERUSER, bool(facts.superuser) or facts.uid == 0),
            (Hindrance.PROTECTED, facts.username in protected),
            (Hindrance.UNTOLD, None in (powerful, facts.superuser, facts.system, facts.can_log_in)),
            (Hindrance.SYSTEM, bool(facts.system) and not named),
            (Hindrance.LOCKED_OUT, not (facts.can_log_in or named)),
        ),
    }
    return next((why for why, holds in hindrances[onboarding] if holds), None)

"""What actions are called, and what the records of their runs are about."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from provost.core.model import Action


@dataclass(frozen=True, slots=True)
class Unit:
    """What one record is about, as a run's page speaks of it. `count` tells of a number of them."""

    many: Any
    done: Any
    a_second: Any
    none_like_that: Any
    every: Any
    by_status: Any
    count: Callable[[int], str]


_ACCOUNTS: Final = Unit(
    _("Accounts"),
    _("Accounts done"),
    _("Accounts a second"),
    _("No account is like that"),
    _("All accounts"),
    _("Accounts by status"),
    lambda number: ngettext("%(count)s account", "%(count)s accounts", number) % {"count": number},
)
_SECRETS: Final = Unit(
    _("Secrets"),
    _("Secrets done"),
    _("Secrets a second"),
    _("No secret is like that"),
    _("All secrets"),
    _("Secrets by status"),
    lambda number: ngettext("%(count)s secret", "%(count)s secrets", number) % {"count": number},
)
_ASSETS: Final = Unit(
    _("Assets"),
    _("Assets done"),
    _("Assets a second"),
    _("No asset is like that"),
    _("All assets"),
    _("Assets by status"),
    lambda number: ngettext("%(count)s asset", "%(count)s assets", number) % {"count": number},
)
_UNITS: Final = {Action.VERIFY: _SECRETS, Action.RECONCILE: _SECRETS, Action.DISCOVER: _ASSETS}

NAMES: Final[dict[str, Any]] = {
    Action.PUSH: _("Push"),
    Action.VERIFY: _("Verify"),
    Action.ROTATE: _("Rotate"),
    Action.RECONCILE: _("Reconcile"),
    Action.DISCOVER: _("Discover"),
    Action.DISABLE: _("Disable"),
    Action.ENABLE: _("Enable"),
    Action.REMOVE: _("Remove"),
}
"""Actions, as buttons and headings have them."""

MEANINGS: Final[dict[str, Any]] = {
    Action.PUSH: _(
        "Creates accounts that are not there, with a new secret, and brings those that are there into the list."
    ),
    Action.VERIFY: _(
        "Logs in to accounts with the secrets in the list, and tells which are in force. Nothing is changed."
    ),
    Action.ROTATE: _(
        "Gives accounts in the list new secrets. An old one is given up when a login has proved the new one."
    ),
    Action.RECONCILE: _(
        "Verifies; where an asset refuses the secret in the list, that secret is set there again."
    ),
    Action.DISCOVER: _(
        "Looks at which accounts there are on assets, and what they can do. Nothing is changed."
    ),
    Action.DISABLE: _("Accounts let nobody in any more, and what they have running is ended. They stay there."),
    Action.ENABLE: _("Accounts that Provost disabled let in again, by the secrets that they have."),
    Action.REMOVE: _("Accounts go from the assets for good, and from the list."),
}
"""What actions do, in a sentence."""


def find_unit(action: str) -> Unit:
    """Return what the records of a run of that action are about."""
    return _UNITS.get(Action(action), _ACCOUNTS) if action in set(Action) else _ACCOUNTS


_ACRONYMS: Final = frozenset({"ca", "dn", "gid", "tls", "uid"})


def name_field(name: str) -> str:
    """Return what a field of a kind's options or parameters is called in a form, in English."""
    words = [word.upper() if word in _ACRONYMS else word for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])

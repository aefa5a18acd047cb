"""What an operator may ask for besides a push, and all of it as one type. Never a secret."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag, TypeAdapter

from provost.core.keys import KeyAlgorithm
from provost.core.model import Action, SecretType, Strategy
from provost.core.passwords import PasswordRules
from provost.core.push import PushSpec
from provost.core.scope import Scope

_Usernames = Annotated[tuple[str, ...], Field(max_length=10_000)]


class DiscoverSpec(Scope):
    """A look at what accounts there are."""

    action: Literal["discover"]


class VerifySpec(Scope):
    """Logins to the accounts in the list, or those with these usernames, with secrets of one type or all."""

    action: Literal["verify"]
    usernames: _Usernames = ()
    secret_type: SecretType | None = None


class ReconcileSpec(Scope):
    """As a verification; where the secret in the list is refused, it is set on the target again."""

    action: Literal["reconcile"]
    usernames: _Usernames = ()
    secret_type: SecretType | None = None


class RotateSpec(Scope):
    """New secrets for accounts in the list: those with these usernames, or all that are not privileged.

    With `privileged`, those as well.  `parameters` are those of a push that concern an account that is there.
    """

    action: Literal["rotate"]
    usernames: _Usernames = ()
    secret_type: SecretType = SecretType.PASSWORD
    strategy: Strategy = Strategy.RANDOM
    rules: PasswordRules = PasswordRules()
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ED25519
    parameters: dict[str, str] = Field(default_factory=dict)
    privileged: Annotated[bool, Field(strict=True)] = False


class DisableSpec(Scope):
    """Accounts that are to let nobody in any more. With `force`, also those that Provost did not create."""

    action: Literal["disable"]
    usernames: _Usernames
    force: Annotated[bool, Field(strict=True)] = False


class EnableSpec(Scope):
    """Accounts that Provost disabled, and that are to let in again by the secrets that they have."""

    action: Literal["enable"]
    usernames: _Usernames


class RemoveSpec(Scope):
    """Accounts that are to go from their assets, and from the list.

    `parameters` are those of a removal.  With `force`, also accounts that Provost did not create.
    """

    action: Literal["remove"]
    usernames: _Usernames
    parameters: dict[str, str] = Field(default_factory=dict)
    force: Annotated[bool, Field(strict=True)] = False


Spec = PushSpec | DiscoverSpec | VerifySpec | ReconcileSpec | RotateSpec | DisableSpec | EnableSpec | RemoveSpec


def _tell_action(given: Any) -> str:
    """Return the action of what was given: what does not say is a push."""
    told = given.get("action", Action.PUSH) if isinstance(given, Mapping) else getattr(given, "action", "")
    return str(told)


AnySpec = Annotated[
    Annotated[PushSpec, Tag("push")]
    | Annotated[DiscoverSpec, Tag("discover")]
    | Annotated[VerifySpec, Tag("verify")]
    | Annotated[ReconcileSpec, Tag("reconcile")]
    | Annotated[RotateSpec, Tag("rotate")]
    | Annotated[DisableSpec, Tag("disable")]
    | Annotated[EnableSpec, Tag("enable")]
    | Annotated[RemoveSpec, Tag("remove")],
    Discriminator(_tell_action),
]
"""A Spec, as pydantic reads it: by its `action`."""

SPECS: Final[TypeAdapter[Spec]] = TypeAdapter(AnySpec)
"""Reads what was written down."""

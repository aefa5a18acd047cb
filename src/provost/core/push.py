"""What an operator asks for with a push: the part of it that may be written down, so never a secret."""

from typing import Annotated, Final, Literal

from pydantic import Field

from provost.core.keys import KeyAlgorithm
from provost.core.model import SecretType, Strategy
from provost.core.passwords import PasswordRules
from provost.core.scope import Scope

LONGEST_LIFE: Final = 10 * 365 * 86_400
"""Seconds that an account may live, or be kept after its end."""

USUAL_GRACE: Final = 7 * 86_400


class PushSpec(Scope):
    """A push: where, who, and with what secret.

    With `kinds`, only assets of these.  `parameters` are those of the kinds pushed to; each goes to the kinds
    that know it.  `lifetime`: so many seconds after it was pushed an account that Provost creates is disabled,
    and removed `grace` seconds later.
    """

    action: Literal["push"] = "push"
    kinds: tuple[str, ...] = Field((), max_length=100)
    usernames: tuple[str, ...] = Field(max_length=10_000)
    secret_type: SecretType
    strategy: Strategy = Strategy.RANDOM
    rules: PasswordRules = PasswordRules()
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ED25519
    parameters: dict[str, str] = Field(default_factory=dict)
    verify: Annotated[bool, Field(strict=True)] = True
    lifetime: int | None = Field(None, strict=True, ge=1, le=LONGEST_LIFE)
    grace: int = Field(USUAL_GRACE, strict=True, ge=0, le=LONGEST_LIFE)

"""What an operator asks for with a push: the part of it that may be written down, so never a secret."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from provost.core.keys import KeyAlgorithm
from provost.core.model import SecretType, Strategy
from provost.core.passwords import PasswordRules


class PushSpec(BaseModel):
    """A push: where (assets, nodes with all below them), who, and with what secret.

    `parameters` are those of the kinds pushed to; each goes to the kinds that know it.  Times in seconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    assets: tuple[str, ...] = Field((), max_length=100_000)
    nodes: tuple[str, ...] = Field((), max_length=100_000)
    usernames: tuple[str, ...] = Field(max_length=10_000)
    secret_type: SecretType
    strategy: Strategy = Strategy.RANDOM
    rules: PasswordRules = PasswordRules()
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ED25519
    parameters: dict[str, str] = {}
    verify: Annotated[bool, Field(strict=True)] = True
    concurrency: int = Field(50, strict=True, ge=1, le=1000)
    connect_timeout: float = Field(20.0, gt=0, le=86_400)
    command_timeout: float = Field(60.0, gt=0, le=86_400)

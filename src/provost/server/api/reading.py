"""From what callers say to what services take."""

from provost.core.errors import Refused
from provost.core.model import Strategy
from provost.core.push import PushSpec
from provost.core.requests import SecretBody
from provost.core.secrets import Password, Secret
from provost.core.specs import RotateSpec, Spec
from provost.vault.keys import read_key


def read_secret(body: SecretBody | None) -> Secret | None:
    """Return the secret that a body holds, if there is a body.

    Raises:
        Refused: the key cannot be used, or the passphrase does not open it.
    """
    if body is None:
        return None
    if body.password is not None:
        return Password(body.password.get_secret_value())
    if body.key is None:
        raise RuntimeError("A secret body holds a password or a key.")
    passphrase = body.passphrase.get_secret_value() if body.passphrase else None
    return read_key(body.key.get_secret_value(), passphrase)


def require_secret(body: SecretBody) -> Secret:
    """Return the secret that a body holds.

    Raises:
        Refused: as `read_secret`.
    """
    secret = read_secret(body)
    if secret is None:
        raise RuntimeError("There is a body.")
    return secret


def match_strategy(spec: Spec, secret: Secret | None) -> Spec:
    """Return the spec with the strategy that a secret of the caller's own asks for.

    Raises:
        Refused: `secret_needed`, the strategy is `specified` and there is no secret; or `secret_type_refused`,
            it is of another type, or none is needed.
    """
    if not isinstance(spec, PushSpec | RotateSpec):
        if secret is not None:
            raise Refused(f"To {spec.action}, no secret is needed.", code="secret_type_refused")
        return spec
    if secret is not None:
        if secret.secret_type is not spec.secret_type:
            raise Refused(
                f"The secret is a {secret.secret_type}, and what is set is a {spec.secret_type}.",
                code="secret_type_refused",
            )
        return spec.model_copy(update={"strategy": Strategy.SPECIFIED})
    if spec.strategy is Strategy.SPECIFIED:
        raise Refused("The strategy is `specified`: give the secret too.", code="secret_needed")
    return spec

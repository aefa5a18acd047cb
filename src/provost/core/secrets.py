"""Secrets as values.  Their repr shows no secret, so that a traceback or a log line cannot."""

from dataclasses import dataclass, field

from provost.core.model import SecretType


@dataclass(frozen=True, slots=True)
class Password:
    """A password, exactly as it is set."""

    text: str = field(repr=False)

    @property
    def secret_type(self) -> SecretType:
        """`password`."""
        return SecretType.PASSWORD


@dataclass(frozen=True, slots=True)
class SshKey:
    """An SSH key pair: OpenSSH public line without comment, and the private half in OpenSSH's PEM form.

    `private` is None for a public key that somebody else holds the private half of.
    """

    public: str
    private: str | None = field(default=None, repr=False)

    @property
    def secret_type(self) -> SecretType:
        """`ssh_key`."""
        return SecretType.SSH_KEY


Secret = Password | SshKey


def list_sensitive_texts(secret: Secret) -> list[str]:
    """Return every text of `secret` that must not be shown to anyone who did not ask for it."""
    if isinstance(secret, Password):
        return [secret.text]
    return [secret.private] if secret.private else []

"""Every error that Provost raises on purpose.

    ProvostError
    ├── UsageError           bad input, refused before anything was touched; the command line exits with 2
    │   ├── NotFound         a name that is not in the inventory; the message lists what there is
    │   ├── Forbidden        something that the caller has no right to
    │   └── Refused          a username, secret, rule or parameter that cannot be used
    │       └── Conflict     what is there already, or goes on just now, stands in the way
    ├── TargetError          something on, or on the way to, a target system
    │   ├── Unreachable      no connection; worth another try
    │   ├── LoginRefused     the target heard the credential and said no; never tried again by itself
    │   │   └── LoginUnanswered  it was given a password, and perhaps said no; not tried again by itself, either
    │   ├── HostKeyRefused   the host's key is not the one that Provost trusts
    │   ├── LookupFailed     whether an account exists could not be established
    │   ├── ChangeRefused    the target said no, and certainly nothing was set
    │   └── ChangeUnknown    something may have been set
    ├── VaultError           a master key that is missing or wrong, or a secret that does not decrypt
    └── LeaseLost            a run that this process holds no longer: it writes nothing more for it

Each carries a stable `code` for programs and a message for the operator, which never holds a secret.
"""

from typing import ClassVar


class ProvostError(Exception):
    """The root. `code` is stable; `permanent` tells whether the same attempt again could end otherwise."""

    code: str = "error"
    permanent: ClassVar[bool] = True

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class UsageError(ProvostError):
    """Bad input; nothing was touched."""

    code = "usage"


class NotFound(UsageError):
    """A name that the inventory does not hold."""

    code = "not_found"


class Forbidden(UsageError):
    """The caller has no right to this."""

    code = "forbidden"


class Refused(UsageError):
    """Input that cannot be used as it stands."""

    code = "refused"


class Conflict(Refused):
    """What is there already, or goes on just now, stands in the way."""

    code = "conflict"


class TargetError(ProvostError):
    """Something on a target system, or on the way to it."""

    code = "target_error"


class Unreachable(TargetError):
    """No connection, or it broke before anything was changed."""

    code = "unreachable"
    permanent = False


class LoginRefused(TargetError):
    """The target heard the credential and said no."""

    code = "privileged_login_refused"


class LoginUnanswered(LoginRefused):
    """The target was given a password, and what it said to that was not heard.

    `become_unanswered`: it was given the one that it takes to become root.
    """

    code = "login_unanswered"


class HostKeyRefused(TargetError):
    """The host's key is not one that Provost trusts: `host_key_changed` or `host_key_unknown`."""

    code = "host_key_changed"


class LookupFailed(TargetError):
    """Whether an account exists could not be established."""

    code = "lookup_failed"


class ChangeRefused(TargetError):
    """The target refused a change; certainly nothing was set."""

    code = "change_refused"


class ChangeUnknown(TargetError):
    """A change may or may not have been made."""

    code = "answer_lost"


class VaultError(ProvostError):
    """A master key that is missing or wrong, or a secret that does not decrypt."""

    code = "vault_error"


class LeaseLost(ProvostError):
    """A run that this process does not hold, or holds no longer."""

    code = "lease_lost"

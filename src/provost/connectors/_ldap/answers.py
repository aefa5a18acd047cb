"""What a directory answers: results, entries, and what they mean for a login."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provost.core.connector import Verification
from provost.core.errors import LoginRefused, TargetError, Unreachable
from provost.core.model import Verdict


class Code:
    """Results of RFC 4511 that are told apart here."""

    SUCCESS = 0
    STRONGER_AUTH_REQUIRED = 8
    REFERRAL = 10
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    CONFIDENTIALITY_REQUIRED = 13
    NO_SUCH_ATTRIBUTE = 16
    UNDEFINED_ATTRIBUTE_TYPE = 17
    CONSTRAINT_VIOLATION = 19
    ATTRIBUTE_OR_VALUE_EXISTS = 20
    NO_SUCH_OBJECT = 32
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS_RIGHTS = 50
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    OBJECT_CLASS_VIOLATION = 65
    ENTRY_ALREADY_EXISTS = 68


_WANTS_TLS = frozenset({Code.STRONGER_AUTH_REQUIRED, Code.CONFIDENTIALITY_REQUIRED})
_OVERLOADED = frozenset({Code.BUSY, Code.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer to one request: its result, by number and name, what it said, and its controls."""

    code: int
    name: str
    message: str
    controls: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """What an operator should read of it."""
        return f"{self.message or self.name} ({self.code})"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the directory. `values` are by the attributes' names in lower case."""

    dn: str
    values: Mapping[str, Sequence[bytes]] = field(repr=False)

    def get_all(self, attribute: str) -> Sequence[bytes]:
        """Return an attribute's values as they are."""
        return self.values.get(attribute.lower(), ())

    def list_texts(self, attribute: str) -> list[str]:
        """Return an attribute's values as texts."""
        return [value.decode(errors="replace") for value in self.get_all(attribute)]

    def get(self, attribute: str) -> str | None:
        """Return an attribute's first value as a text; None: it has none that may be seen."""
        return next(iter(self.list_texts(attribute)), None)

    def get_number(self, attribute: str) -> int | None:
        """Return an attribute's first value as a number."""
        text = self.get(attribute)
        return int(text) if text is not None and re.fullmatch(r"-?[0-9]+", text) else None


def check_login(answer: Answer, asset: str, username: str, bar: str) -> None:
    """Raise what it means that a privileged account's login was not accepted. `bar`: what the policy says."""
    if answer.code == Code.SUCCESS:
        return
    if bar:
        raise LoginRefused(f"{asset} does not let {username} in: {bar}.", code="policy_forbids_login")
    if answer.code == Code.INVALID_CREDENTIALS:
        raise LoginRefused(f"{asset} refused the login of {username}: {answer.text}.")
    if answer.code in _WANTS_TLS:
        raise TargetError(
            f"{asset} takes no password in clear: {answer.text}. Set the asset's option tls.",
            code="tls_required",
        )
    if answer.code in _OVERLOADED:
        raise Unreachable(f"{asset} lets nobody in just now: {answer.text}.")
    raise LoginRefused(
        f"{asset} does not let {username} log in by a password: {answer.text}.", code="login_method_unavailable"
    )


def doubt(answer: Answer, asset: str, username: str) -> Verification:
    """Return what a login told that was neither accepted nor refused for its password."""
    if answer.code in _OVERLOADED:
        return Verification(Verdict.UNKNOWN, "unreachable", f"{asset} lets nobody in just now: {answer.text}.")
    return Verification(
        Verdict.UNKNOWN,
        "policy_forbids_login",
        f"{asset} does not let {username} log in so: {answer.text}.",
    )

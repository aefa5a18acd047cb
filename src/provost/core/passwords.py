"""What a password may be: the rules that a random one follows, and the limits of a kind of target.

Pure: `provost.vault.passwords` draws by the rules.
"""

import string
from dataclasses import dataclass
from typing import Final

from pydantic import StrictInt

from provost.core.errors import Refused

SYMBOLS: Final = "!#%*+,-./:=?@^_~"
"""Symbols that need no quoting in a shell, a URL's userinfo aside, and that people can read out."""

SHORTEST: Final = 8
LONGEST: Final = 128


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """Length in characters, the classes used (a minimum of None turns a class off), and excluded characters.

    Whole numbers alone are taken: `false` could be meant as off, and would be 0, which is not.
    """

    length: StrictInt = 24
    lower: StrictInt | None = 1
    upper: StrictInt | None = 1
    digits: StrictInt | None = 1
    symbols: StrictInt | None = 1
    exclude: str = ""

    def list_classes(self) -> list[tuple[str, str, int]]:
        """Return (name, alphabet, least count) for each class that is on."""
        classes = [
            ("lower", string.ascii_lowercase, self.lower),
            ("upper", string.ascii_uppercase, self.upper),
            ("digits", string.digits, self.digits),
            ("symbols", SYMBOLS, self.symbols),
        ]
        return [
            (name, "".join(c for c in alphabet if c not in self.exclude), least)
            for name, alphabet, least in classes
            if least is not None
        ]

    def check(self) -> None:
        """Raise `Refused` when no password can follow these rules."""
        if not SHORTEST <= self.length <= LONGEST:
            raise Refused(
                f"A password has {SHORTEST} to {LONGEST} characters, not {self.length}.",
                code="rules_impossible",
            )
        classes = self.list_classes()
        if not any(alphabet for _, alphabet, _ in classes):
            raise Refused("The password rules leave no character to choose from.", code="rules_impossible")
        for name, alphabet, least in classes:
            if least < 0:
                raise Refused(f"The least count of {name} cannot be negative.", code="rules_impossible")
            if least and not alphabet:
                raise Refused(
                    f"The rules ask for {least} of {name}, and exclude every one of them.",
                    code="rules_impossible",
                )
        wanted = sum(least for _, _, least in classes)
        if wanted > self.length:
            raise Refused(
                f"The rules ask for at least {wanted} characters by class, and a length of {self.length}.",
                code="rules_impossible",
            )

    def accept(self, text: str) -> bool:
        """Tell whether `text` follows these rules."""
        classes = self.list_classes()
        allowed = {c for _, alphabet, _ in classes for c in alphabet}
        return (
            len(text) == self.length
            and set(text) <= allowed
            and all(sum(c in alphabet for c in text) >= least for _, alphabet, least in classes)
        )


_CONTROLS: Final = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))


@dataclass(frozen=True, slots=True)
class PasswordLimits:
    """What a kind of target can take exactly as it is: at most `longest` bytes of UTF-8, nothing `forbidden`.

    Control characters (newline, tab, NUL ...) are never taken.
    """

    longest: int
    forbidden: str = ""

    def check(self, text: str, kind: str) -> None:
        """Raise `Refused` for a password that a target of this kind could not be given exactly."""
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise Refused("The password is not valid Unicode.", code="secret_refused") from None
        if not 0 < size <= self.longest:
            raise Refused(
                f"A password on {kind} has 1 to {self.longest} bytes; this one has {size}.",
                code="secret_refused",
            )
        if any(c in _CONTROLS for c in text):
            raise Refused(
                f"A password on {kind} may hold no control character (newline, tab, NUL ...).",
                code="secret_refused",
            )
        if any(c in self.forbidden for c in text):
            raise Refused(
                f"A password on {kind} may hold none of these characters: {' '.join(self.forbidden)}",
                code="secret_refused",
            )

    def check_rules(self, rules: PasswordRules, kind: str) -> None:
        """Raise `Refused` for rules by which a password might be drawn that `check` refuses."""
        if rules.length > self.longest:
            raise Refused(
                f"A password on {kind} has at most {self.longest} characters, not {rules.length}.",
                code="rules_impossible",
            )
        drawn = {c for _, alphabet, _ in rules.list_classes() for c in alphabet}
        if clash := sorted(drawn & set(self.forbidden)):
            raise Refused(
                f"A password on {kind} may hold none of these characters: {' '.join(clash)}. Exclude them.",
                code="rules_impossible",
            )

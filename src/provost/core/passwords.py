"""The rules that a random password follows. Pure: `provost.vault.passwords` draws by them."""

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

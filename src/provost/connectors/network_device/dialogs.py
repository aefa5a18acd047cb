"""What is typed on a device's command line, and what the device asks back, as text that people can write.

Each line is a command.  A line `/REGEX/ ANSWER` says what to type when the command before it makes the device
ask something that REGEX fits.  Words in braces are filled in: `{username}`, `{password}` ...
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PLACEHOLDERS: Final = frozenset({"username", "password", "sha512", "scrypt", "privilege", "role"})
"""What can be filled in when a password is set."""
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_ANSWER: Final = re.compile(r"/((?:[^/\\]|\\.)+)/ ?(.*)")


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and what to answer to what it asks: pairs of a regular expression and an answer."""

    command: str
    answers: tuple[tuple[str, str], ...] = ()

    def names(self, placeholder: str) -> bool:
        """Tell whether this step has a placeholder, in the command or in an answer."""
        return any(f"{{{placeholder}}}" in text for text in (self.command, *(one for _, one in self.answers)))

    def fill(self, values: Mapping[str, str]) -> "Step":
        """Return the step with every placeholder filled in."""
        return Step(
            _fill(self.command, values), tuple((asked, _fill(one, values)) for asked, one in self.answers)
        )


Dialog = Sequence[Step]


def read_dialog(text: str, placeholders: frozenset[str] = PLACEHOLDERS) -> Dialog:
    """Read the lines of a dialog, in which these placeholders can be filled in.

    Raises:
        ValueError: they make no sense.
    """
    steps: list[Step] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if unknown := sorted(set(_PLACEHOLDER.findall(line)) - placeholders):
            known = ", ".join(f"{{{one}}}" for one in sorted(placeholders)) or "none"
            raise ValueError(f"knows no {{{unknown[0]}}}; of such words there is here: {known}")
        if not (found := _ANSWER.fullmatch(line)):
            steps.append(Step(line))
        elif not steps:
            raise ValueError("begins with an answer; a command comes first")
        else:
            check_pattern(found[1])
            last = steps[-1]
            steps[-1] = Step(last.command, (*last.answers, (found[1], found[2])))
    return tuple(steps)


def check_pattern(text: str) -> str:
    """Return a regular expression that is one.

    Raises:
        ValueError: it is none.
    """
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)

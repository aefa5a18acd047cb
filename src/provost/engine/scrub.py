"""Nothing that a target or a library says leaves a job before the job's secrets are taken out of it."""

import json
import re
import traceback
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final
from urllib.parse import quote

from provost.core.job import Job, Target
from provost.core.secrets import Secret, list_sensitive_texts

SHOWN: Final = "[secret]"
LONGEST: Final = 500
"""Characters of a scrubbed text."""

_MARK: Final = "\0"
_ESCAPE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # a control sequence (ECMA-48, 5.4)
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # a control string (ECMA-48, 5.6), xterm's BEL ending too
    r"|\x1b[ -/]*[0-~]"  # any other escape sequence (ECMA-35, 13.2)
)
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs"})


class Scrubber:
    """Takes a set of secrets out of texts, however short they are, overlapping, quoted or broken into lines."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._secrets = tuple(secrets)

    def scrub(self, text: str) -> str:
        """Return `text` in one line of at most `LONGEST` characters, free of secrets and control characters."""
        # Cleaning can put together what an escape sequence had split, so it is looked through before and after.
        marked = self._mark(_clean(self._mark(text.replace(_MARK, ""))))
        kept = marked[:LONGEST]
        while len(shown := kept.replace(_MARK, SHOWN)) > LONGEST - (kept != marked):
            kept = kept[:-1]
        return shown if kept == marked else f"{shown}…"

    def scrub_traceback(self, error: BaseException) -> str:
        """Return the traceback of `error` and its causes, each line scrubbed."""
        # Marked as a whole first: a secret may run over several lines.
        text = self._mark("".join(traceback.format_exception(error)).replace(_MARK, ""))
        return "\n".join(self.scrub(line) for line in text.replace(_MARK, SHOWN).splitlines())

    @cached_property
    def _needles(self) -> tuple[str, ...]:
        texts = {text for secret in self._secrets for text in list_sensitive_texts(secret)}
        spellings = {spelling.replace(_MARK, "") for text in texts for spelling in _list_spellings(text)}
        spellings |= {_clean(spelling) for spelling in spellings}
        return tuple(spellings - {""})

    def _mark(self, text: str) -> str:
        """Replace every stretch of `text` that belongs to any secret by one mark."""
        hidden = bytearray(len(text))
        for needle in self._needles:
            start = text.find(needle)
            while start >= 0:
                hidden[start : start + len(needle)] = b"\1" * len(needle)
                start = text.find(needle, start + 1)
        masked = "".join(_MARK if hide else character for character, hide in zip(text, hidden, strict=True))
        return re.sub(f"{_MARK}+", _MARK, masked)


def collect_secrets(job: Job) -> list[Secret]:
    """Return every secret that the work on `job` may come across: of its logins, its gateways, its accounts."""
    secrets: list[Secret | None] = []
    hop: Target | None = job.target
    while hop is not None:
        for login in hop.logins:
            secrets += [login.password, login.key, login.become_password]
        hop = hop.via
    for wanted in job.wanted:
        secrets.append(wanted.current)
        secrets += [staged.secret for staged in wanted.pending]
        secrets += wanted.others
    return [secret for secret in secrets if secret is not None]


def _list_spellings(text: str) -> Iterator[str]:
    """Yield `text` and its lines as they are, and as Python, JSON, URLs, shells and SQL write them."""
    lines = [line for line in text.splitlines() if not line.startswith("-----")]
    for piece in (text, *lines):
        yield piece
        yield repr(piece)[1:-1]
        yield repr(piece.encode(errors="surrogateescape"))[2:-1]
        yield json.dumps(piece)[1:-1]
        yield quote(piece, errors="surrogateescape")
        yield quote(piece, safe="", errors="surrogateescape")
        yield piece.replace("'", "'\"'\"'")
        yield piece.replace("'", "'\\''")
        yield piece.replace("'", "''")


def _clean(text: str) -> str:
    """Return `text` in one line, without escape sequences and invisible characters, marks aside."""
    plain = _ESCAPE.sub("", text)
    seen = (
        character
        for character in plain
        if character == _MARK or character.isspace() or unicodedata.category(character) not in _INVISIBLE
    )
    return " ".join("".join(seen).split())

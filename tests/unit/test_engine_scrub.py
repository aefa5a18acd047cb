import json
import shlex
from collections.abc import Callable
from typing import Never
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provost.connectors.memory import Parameters
from provost.core.job import Job, Login, Staged, Target, Wanted
from provost.core.model import SecretType
from provost.core.secrets import Password, SshKey
from provost.engine.scrub import LONGEST, SHOWN, Scrubber, collect_secrets

PEM = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXk
AAAAC3NzaC1lZDI
QmU=
-----END OPENSSH PRIVATE KEY-----
"""


def scrub(text: str, *passwords: str) -> str:
    return Scrubber([Password(password) for password in passwords]).scrub(text)


@pytest.mark.parametrize(
    ("text", "passwords", "scrubbed"),
    [
        ("useradd: bad hunter2!", ["hunter2"], "useradd: bad [secret]!"),
        ("a b c a", ["a"], "[secret] b c [secret]"),
        ("xabcdx", ["abc", "bcd"], "x[secret]x"),
        ("xabcdefx", ["cd", "abcdef"], "x[secret]x"),
        ("pin 1212121", ["1212"], "pin [secret]1"),
        ("aaaa", ["aaa"], "[secret]"),
        ("say hun\x1b[0mter2", ["hunter2"], "say [secret]"),
        ("say hun\u200bter2", ["hunter2"], "say [secret]"),
        ("a\tb\r\n  c", [], "a b c"),
        ("\x1b]0;title\x07\x1b[31mred\x1b[0m\x07 \x1b(Bplain", [], "red plain"),
        ("\u202eevil\udc80", [], "evil"),
        ("split pass\n word", ["pass\n word"], "split [secret]"),
        ("joined pass word", ["pass\n word"], "joined [secret]"),
        ("flat tab bed", ["tab\tbed"], "flat [secret]"),
        ("dyed \x1b[3mabc", ["3mabc"], "dyed [secret]"),
        ("nul a\0b", ["a\0b"], "nul [secret]"),
        ("nothing", [""], "nothing"),
        ("", ["x"], ""),
    ],
)
def test_scrub(text: str, passwords: list[str], scrubbed: str) -> None:
    """Secrets go, overlapping, short or split by escape sequences; what a terminal would act on goes too."""
    assert scrub(text, *passwords) == scrubbed


def test_scrub_takes_out_each_line_of_a_private_key() -> None:
    """A tool that echoes one line of a key does not leak it."""
    scrubber = Scrubber([SshKey("ssh-ed25519 AAAA", PEM)])
    for line in PEM.splitlines()[1:-1]:
        assert scrubber.scrub(f"bad line: {line}") == "bad line: [secret]"
    assert "b3Blbn" not in scrubber.scrub(PEM)


@pytest.mark.parametrize("write", [repr, json.dumps, shlex.quote, quote, lambda text: text.replace("'", "''")])
def test_scrub_knows_quoted_spellings(write: Callable[[str], str]) -> None:
    """An error that quotes a secret as Python, JSON, a shell, a URL or SQL would does not leak it."""
    secret = "it's\ta \"pä/ss\\"
    scrubbed = scrub(f"near {write(secret)} at 1", secret)
    assert scrubbed.replace("'", "").replace('"', "") == "near [secret] at 1"


def test_scrub_cuts_without_showing_part_of_a_secret() -> None:
    """A long text is cut at the limit, also where a secret lies across it."""
    for length in range(LONGEST - 20, LONGEST + 20):
        cut = scrub("x" * length + "hunter2" + "y" * 50, "hunter2")
        assert len(cut) <= LONGEST
        assert "hun" not in cut
        assert cut.endswith("…")
    assert scrub("x" * LONGEST) == "x" * LONGEST


texts = st.text(max_size=12) | st.text(alphabet="ab'1m[\x1b\0\n \\", max_size=6)


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), st.data())
def test_scrub_never_leaks(passwords: list[str], data: st.DataObject) -> None:
    """Whatever surrounds them, no secret is left in a scrubbed text, and no control character."""
    parts = data.draw(st.lists(st.one_of(st.sampled_from(passwords), texts), max_size=12))
    scrubbed = scrub(data.draw(st.sampled_from(["", " ", "\n", "\x1b[1m"])).join(parts), *passwords)
    assert len(scrubbed) <= LONGEST
    assert all(character.isprintable() or character == " " or ord(character) > 127 for character in scrubbed)
    assert not set(scrubbed) & {"\x1b", "\n", "\r", "\0", "\x9b"}
    for piece in scrubbed.removesuffix("…").split(SHOWN):
        assert not [password for password in passwords if password and password in piece]


def test_scrub_traceback_keeps_the_lines_and_hides_the_causes() -> None:
    """A logged traceback names the place of the fault, and no secret of any exception in the chain."""

    def fail() -> Never:
        try:
            raise ValueError("line one\nhunter2 line two")  # noqa: TRY301  # the chain is the point
        except ValueError as error:
            raise KeyError("hunter2\nnext") from error

    with pytest.raises(KeyError) as caught:
        fail()
    logged = Scrubber([Password("hunter2"), Password("hunter2\nnext")]).scrub_traceback(caught.value)
    assert "test_engine_scrub.py" in logged
    assert "ValueError: line one" in logged
    assert "hunter2" not in "\n".join(line for line in logged.splitlines() if "raise" not in line)


def test_collect_secrets_finds_every_one() -> None:
    """The secrets of the logins, of a gateway's logins and of the accounts are all known to the scrubber."""
    gateway = Target(2, "gate", "memory", "g", 22, (Login("jump", Password("p1")),))
    login = Login("ops", Password("p2"), SshKey("ssh-ed25519 A", PEM), become_password=Password("p3"))
    target = Target(1, "host", "memory", "h", 22, (login,), via=gateway)
    staged = (
        Staged(UUID(int=1), Password("p5"), fresh=True),
        Staged(UUID(int=2), Password("p6"), fresh=False),
    )
    wanted = (
        Wanted("a", SecretType.PASSWORD, Password("p4")),
        Wanted("b", SecretType.PASSWORD, None, staged),
    )
    secrets = collect_secrets(Job(target, wanted, Parameters()))
    assert {secret.text for secret in secrets if isinstance(secret, Password)} == {f"p{n}" for n in range(1, 7)}
    assert SshKey("ssh-ed25519 A", PEM) in secrets

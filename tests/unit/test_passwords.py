from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from provost.core.errors import Refused
from provost.core.passwords import LONGEST, SHORTEST, SYMBOLS, PasswordRules
from provost.vault.passwords import generate_password

least = st.none() | st.integers(0, 10)
rules = st.builds(
    PasswordRules,
    length=st.integers(SHORTEST, LONGEST),
    lower=least,
    upper=least,
    digits=least,
    symbols=least,
    exclude=st.text("abcABC0189!#~", max_size=8),
)


@given(rules)
def test_password_follows_its_rules(rules: PasswordRules) -> None:
    """Whatever the rules, either they are refused or the password follows them."""
    with suppress(Refused):
        rules.check()
        password = generate_password(rules).text
        assert rules.accept(password)
        assert len(password) == rules.length
        assert not set(password) & set(rules.exclude)
        return
    with pytest.raises(Refused):
        generate_password(rules)


@given(rules, st.text(max_size=30))
def test_only_a_password_by_the_rules_is_accepted(rules: PasswordRules, text: str) -> None:
    """`accept` refuses what is too short, too long, or has a character of a class that is off."""
    assume(len(text) != rules.length)
    assert not rules.accept(text)


def test_usual_password_has_all_classes_in_any_place() -> None:
    """By the usual rules every class occurs, and no place in the password always has the same class."""
    passwords = [generate_password(PasswordRules()).text for _ in range(300)]
    assert len(set(passwords)) == 300
    for place in range(24):
        kinds = Counter(
            "lower" if c.islower() else "upper" if c.isupper() else "digit" if c.isdigit() else "symbol"
            for c in (password[place] for password in passwords)
        )
        assert set(kinds) == {"lower", "upper", "digit", "symbol"}
    assert set("".join(passwords)) >= set(SYMBOLS)


@pytest.mark.parametrize(
    "rules",
    [
        PasswordRules(length=SHORTEST - 1),
        PasswordRules(length=LONGEST + 1),
        PasswordRules(length=8, lower=3, upper=3, digits=3, symbols=0),
        PasswordRules(lower=None, upper=None, digits=None, symbols=None),
        PasswordRules(digits=1, exclude="0123456789"),
        PasswordRules(lower=-1),
    ],
)
def test_impossible_rules_are_refused(rules: PasswordRules) -> None:
    """Rules that no password can follow are refused with a sentence that says why."""
    with pytest.raises(Refused) as caught:
        generate_password(rules)
    assert caught.value.code == "rules_impossible"

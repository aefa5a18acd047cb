"""Names and passwords that are meant to break out of what they are put into."""

import asyncio
import contextlib
from typing import Final

from provost.conformance.bench import Bench
from provost.conformance.reaching import stage
from provost.conformance.trial import Trial
from provost.core.errors import Refused
from provost.core.model import Action, Capability, Status
from provost.core.secrets import Password

HOSTILE_PASSWORDS: Final = (
    'it\'s a "password" with `quotes`; and $(id) and ${HOME} and %s %d {0}',
    "'; DROP USER provost; --",
    "\\' OR 1=1 -- \\",
    " leading and trailing ",
    "back\\slash\\n and /* comment */ #!>~&|<*?",
    "pässwörd Ω 密码 🔑 aA1",
    "a" * 72 + "B1 and what follows counts",
    "x" * 120,
    "-n",
    "*",
    "{SSHA}notahash",
)
"""Each is either refused before contact, or set exactly as it is."""

_FOUND_ANYWHERE: Final = 4
"""Passwords so short are in many a text that does not show them."""

HOSTILE_NAMES: Final = (
    "", " ", "a b", "a'b", 'a"b', "a;b", "a`b", "a$b", "a\\b", "a/b", "../a", "a%b", "a*b", "a@b", "a,b", "a=b",
    "a+b", "a<b>", "a#b", "-a", "a\nb", "a\tb", "a\0b", "ä", "名", "a" * 300, "a)(uid=*",
    "'; DROP ROLE provost; --",
)  # fmt: skip
"""Each is either refused before contact, or made exactly as it is, and no other."""


class Hostile:
    """A part of the suite."""

    async def test_hostile_passwords(self, bench: Bench, trial: Trial) -> None:
        """Each is refused before contact, or is set exactly: the stock client gets in with it."""
        taken = {}
        for index, text in enumerate(HOSTILE_PASSWORDS):
            with contextlib.suppress(Refused):
                bench.open_connector().passwords.check(text, bench.target.kind)
                taken[trial.name(str(index))] = Password(text)
        trial.secrets += [secret for secret in taken.values() if len(secret.text) > _FOUND_ANYWHERE]
        outcomes = await trial.run(Action.PUSH, [stage(name, secret) for name, secret in taken.items()])
        for outcome, (name, secret) in zip(outcomes, taken.items(), strict=True):
            if outcome.status is Status.FAILED and outcome.reason in bench.policy_refusals:
                assert not await trial.log_in(name, secret)
                continue
            assert outcome.status is Status.SUCCEEDED, (secret, outcome)
            assert await trial.log_in(name, secret), secret

    async def test_hostile_names(self, bench: Bench, trial: Trial) -> None:
        """Each is refused before contact, or is made exactly as it is, and no other account with it."""
        connector = bench.open_connector()
        names = []
        for name in dict.fromkeys([*HOSTILE_NAMES, *bench.hostile]):
            try:
                connector.check_username(name)
            except Refused:
                assert name not in bench.hostile
            else:
                names.append(name)
        before = await asyncio.to_thread(bench.list_names)
        secrets = {name: trial.make_secret() for name in names}
        outcomes = await trial.run(Action.PUSH, [stage(name, secrets[name]) for name in names])
        for outcome in outcomes:
            assert outcome.status is Status.SUCCEEDED, outcome
            assert await trial.has(outcome.username)
            assert await trial.log_in(outcome.username, secrets[outcome.username])
        after = await asyncio.to_thread(bench.list_names)
        if after or before:
            assert after - before == set(names)
        if Capability.REMOVE in connector.capabilities and names:
            outcomes = await trial.act(Action.REMOVE, *names)
            assert {outcome.status for outcome in outcomes} == {Status.SUCCEEDED}, outcomes
            assert await asyncio.to_thread(bench.list_names) == before

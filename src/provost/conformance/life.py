"""The life of an account: rotated, verified, reconciled, discovered, disabled, enabled, removed."""

import asyncio
from dataclasses import replace

import pytest

from provost.conformance.bench import Bench
from provost.conformance.reaching import need
from provost.conformance.trial import Trial
from provost.core.model import Action, Capability, Decision, SecretType, Status, Verdict


class Life:
    """A part of the suite."""

    async def test_rotating(self, bench: Bench, trial: Trial) -> None:
        """A rotation sets the new secret, and the old one lets in no more."""
        for secret_type in sorted(bench.open_connector().secret_types):
            username, old, new = trial.name(), trial.make_secret(secret_type), trial.make_secret(secret_type)
            await trial.push(username, old)
            outcome = await trial.rotate(username, old, new)
            proven = secret_type in bench.proves
            assert outcome.status is (Status.SUCCEEDED if proven else Status.UNVERIFIED), outcome
            assert outcome.settled
            assert await trial.log_in(username, new)
            if proven:
                assert not await trial.log_in(username, old)

    async def test_rotating_what_acts(self, bench: Bench, trial: Trial) -> None:
        """The privileged account's own secret is rotated and proven by a session, and back again."""
        login = bench.target.logins[0]
        old = login.password or login.key
        assert old is not None
        new = trial.make_secret(old.secret_type)
        try:
            outcome = await trial.rotate(login.username, old, new, login=login)
            assert outcome.status is Status.SUCCEEDED, outcome
            assert await trial.log_in(login.username, new)
            assert not await trial.log_in(login.username, old)
        finally:
            if not await trial.log_in(login.username, old):
                changed = login.renew(login.username, new)
                target = replace(bench.target, logins=(changed,))
                outcome = await trial.rotate(login.username, new, old, login=changed, target=target)
                assert outcome.status is Status.SUCCEEDED, outcome

    async def test_verifying_and_reconciling(self, bench: Bench, trial: Trial) -> None:
        """A secret that was changed behind Provost's back is out of sync, and set again."""
        if SecretType.PASSWORD not in bench.open_connector().secret_types:
            pytest.skip("no passwords here")
        username, listed, other = trial.name(), trial.make_secret(), trial.make_secret()
        await trial.make(username, other)
        outcome = await trial.check(username, listed)
        assert (outcome.status, outcome.reason, outcome.verdict) == (
            Status.FAILED, "out_of_sync", Verdict.REJECTED
        )  # fmt: skip
        outcome = await trial.check(username, listed, action=Action.RECONCILE)
        assert (outcome.status, outcome.reason) == (Status.SUCCEEDED, "reconciled"), outcome
        assert await trial.log_in(username, listed)
        assert not await trial.log_in(username, other)
        assert (await trial.check(username, listed)).verdict is Verdict.ACCEPTED

    async def test_discovering(self, bench: Bench, trial: Trial) -> None:
        """Every account is told of once, with what can be told of it; who acts is among them."""
        need(bench, Capability.DISCOVER)
        there = [trial.name() for _ in range(3)]
        for name in there:
            await trial.make(name, trial.make_secret())
        [outcome] = await trial.act(Action.DISCOVER, "")
        assert outcome.status is Status.SUCCEEDED, outcome
        names = [facts.username for facts in outcome.found]
        assert len(names) == len(set(names))
        assert set(there) <= set(names)
        assert bench.target.logins[0].username in names
        for facts in outcome.found:
            if facts.username in there:
                assert facts.can_log_in is not False
                assert not facts.superuser
        known = await asyncio.to_thread(bench.list_names)
        assert not known or set(names) == known

    async def test_disabling_and_enabling(self, bench: Bench, trial: Trial) -> None:
        """A disabled account lets nobody in, and its secret is not called wrong; enabled, it is as it was."""
        need(bench, Capability.DISABLE)
        username, secret = trial.name(), trial.make_secret()
        await trial.make(username, secret)
        for _ in range(2):
            [outcome] = await trial.act(Action.DISABLE, username)
            assert outcome.status is Status.SUCCEEDED, outcome
            assert not await trial.log_in(username, secret)
        assert (await trial.check(username, secret)).verdict is not Verdict.ACCEPTED
        need(bench, Capability.ENABLE)
        for _ in range(2):
            [outcome] = await trial.act(Action.ENABLE, username)
            assert outcome.status is Status.SUCCEEDED, outcome
            assert await trial.log_in(username, secret)
        [outcome] = await trial.act(Action.DISABLE, trial.name())
        assert (outcome.status, outcome.reason) == (Status.UNCHANGED, "account_absent")

    async def test_removing(self, bench: Bench, trial: Trial) -> None:
        """A removed account is gone; one that is not there is no error; nobody else goes with it."""
        need(bench, Capability.REMOVE)
        username, other = trial.name(), trial.name()
        secret = trial.make_secret()
        for name in (username, other):
            await trial.make(name, secret)
        [outcome] = await trial.act(Action.REMOVE, username)
        assert outcome.status is Status.SUCCEEDED, outcome
        assert not await trial.has(username)
        assert await trial.log_in(other, secret)
        [outcome] = await trial.act(Action.REMOVE, username)
        assert outcome.status is Status.UNCHANGED, outcome
        outcome, held = await trial.push(username)
        assert (outcome.decision, outcome.status) == (Decision.CREATE, Status.SUCCEEDED), outcome
        assert held is not None
        assert await trial.log_in(username, held)

    async def test_who_is_needed_stays(self, bench: Bench, trial: Trial) -> None:
        """Who acts, and whom the target cannot do without, is neither disabled nor removed."""
        connector = bench.open_connector()
        acting = bench.target.logins[0].username
        for name in {acting, *connector.protected}:
            if not await trial.has(name):
                continue
            for action in (Action.DISABLE, Action.REMOVE):
                if action.value not in connector.capabilities:
                    continue
                [outcome] = await trial.act(action, name)
                assert outcome.status is Status.FAILED, outcome
                assert outcome.reason in {"acting_account", "protected_account"}, outcome
                assert await trial.has(name)

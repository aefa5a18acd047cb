"""The suite itself. Every test works on the bench's real target, and asks its stock client for the truth."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from provost.conformance.answers import Answers
from provost.conformance.bench import Bench
from provost.conformance.cases import TABLE_CASES
from provost.conformance.cuts import Cuts
from provost.conformance.hostile import Hostile
from provost.conformance.life import Life
from provost.conformance.reaching import open_session, stage
from provost.conformance.trial import Trial
from provost.core.connector import Change, Session
from provost.core.errors import Refused
from provost.core.model import Action, Decision, SecretType, Status
from provost.core.passwords import PasswordRules


@pytest.mark.asyncio
class Conformance(Answers, Hostile, Life, Cuts):
    """Subclass it as `TestYourKind`, with a fixture `bench` that gives a `Bench`. All its tests must pass.

    What a kind does not declare (a capability, a type of secret, TLS) is not tested: those tests are skipped.
    """

    @pytest.fixture
    def moments(self, request: pytest.FixtureRequest) -> int:
        """At how many moments a connection is cut, for each thing that can be cut."""
        return int(request.config.getoption("moments", 6))

    @pytest.fixture
    def trial(self, bench: Bench) -> Trial:
        """One test's work on the bench."""
        return Trial(bench)

    @pytest_asyncio.fixture
    async def session(self, bench: Bench) -> AsyncIterator[Session]:
        """A privileged session on the bench's target."""
        async with open_session(bench.open_connector(), bench.target) as session:
            yield session

    # What the kind says of itself.

    async def test_it_says_what_it_is(self, bench: Bench) -> None:
        """Its name, port and models are such that forms, the API and the command line can be made of them."""
        connector = bench.open_connector()
        assert connector.kind == bench.target.kind
        assert 0 < connector.default_port < 65536
        assert connector.secret_types
        for model in (connector.options, connector.parameters, connector.removal):
            assert model.model_config.get("extra") == "forbid", f"{model.__name__} takes what it does not know"
            assert model.model_json_schema()["type"] == "object"
            for name, field in model.model_fields.items():
                assert field.description, f"{model.__name__}.{name} says nothing about itself"
            assert "writeOnly" not in str(model.model_json_schema()), "a secret belongs to an account"
        connector.options.model_validate(dict(bench.target.options))
        connector.parameters()
        connector.removal()
        connector.passwords.check_rules(PasswordRules(), connector.kind)

    async def test_it_refuses_what_it_could_not_set(self, bench: Bench) -> None:
        """An empty name and a control character are refused before contact."""
        connector = bench.open_connector()
        for name in ("", "a\0b", "a\nb"):
            with pytest.raises(Refused) as caught:
                connector.check_username(name)
            assert caught.value.code == "username_refused"
        connector.check_username(Trial.name())

    # The table.

    @pytest.mark.parametrize("case", TABLE_CASES, ids=lambda case: " ".join(map(str, case.values())))
    async def test_the_table(self, bench: Bench, trial: Trial, case: dict[str, Any]) -> None:
        """One cell: the decision, the status, what is there afterwards, and what the list is to hold."""
        secret_type = SecretType(case["secret_type"])
        if secret_type not in bench.open_connector().secret_types:
            pytest.skip(f"no {secret_type} here")
        username = trial.name()
        old, listed, new = (trial.make_secret(secret_type) for _ in range(3))
        if case["on_target"]:
            await trial.make(username, old)

        outcome, held = await trial.push(username, new, current=listed if case["in_list"] else None)

        assert outcome.decision == case["decision"], outcome
        proven = secret_type in bench.proves or case["status"] == "unchanged"
        assert outcome.status == (case["status"] if proven else "unverified"), outcome
        assert held is {"new": new, "listed": listed}[case["list_holds"]]
        assert await trial.has(username)
        assert await trial.log_in(username, held) is case["stored_works"]
        if case["old_works"] is not None:
            assert await trial.log_in(username, old) is case["old_works"]

    async def test_many_at_once(self, trial: Trial) -> None:
        """Several accounts of one asset, some there and some not, in one job; each gets its own secret."""
        names = [trial.name(str(index)) for index in range(6)]
        secrets = {name: trial.make_secret() for name in names}
        for name in names[:2]:
            await trial.make(name, trial.make_secret())
        outcomes = await trial.run(Action.PUSH, [stage(name, secrets[name]) for name in names])
        assert [outcome.decision for outcome in outcomes] == [Decision.ADOPT] * 2 + [Decision.CREATE] * 4
        assert {outcome.status for outcome in outcomes} == {Status.SUCCEEDED}, outcomes
        for name in names:
            assert await trial.log_in(name, secrets[name])

    async def test_twice_is_once(self, bench: Bench, session: Session, trial: Trial) -> None:
        """A change that is applied again is acknowledged again, and changes nothing."""
        username, secret = trial.name(), trial.make_secret()
        for decision in (Decision.CREATE, Decision.ADOPT, Decision.ADOPT):
            change = Change(username, decision, secret, bench.make_parameters())
            [applied] = [one async for one in session.apply([change])]
            assert applied.error is None, applied.error
            assert await trial.log_in(username, secret)

    async def test_what_was_granted_stays(self, bench: Bench, trial: Trial) -> None:
        """An account that exists keeps what it was given, when it is adopted, rotated and reconciled."""
        username, secret = trial.name(), trial.make_secret()
        await trial.make(username, trial.make_secret())
        await asyncio.to_thread(bench.grant, username)
        assert await asyncio.to_thread(bench.is_granted, username)
        outcome, _ = await trial.push(username, secret)
        assert outcome.decision is Decision.ADOPT
        assert await asyncio.to_thread(bench.is_granted, username)
        new = trial.make_secret()
        outcome = await trial.rotate(username, secret, new)
        assert outcome.status is Status.SUCCEEDED, outcome
        assert await asyncio.to_thread(bench.is_granted, username)
        outcome = await trial.check(username, secret, action=Action.RECONCILE)
        assert outcome.reason == "reconciled", outcome
        assert await asyncio.to_thread(bench.is_granted, username)
        assert await trial.log_in(username, secret)

    async def test_its_log_holds_no_secret(self, bench: Bench, trial: Trial) -> None:
        """Set, verified, refused, rotated: at its most verbose, the target's log shows no password."""
        username, old, new = trial.name(), trial.make_secret(), trial.make_secret()
        await trial.push(username, old)
        await trial.check(username, trial.make_secret())
        await trial.rotate(username, old, new)
        last = trial.name()
        await trial.push(last)
        async with asyncio.timeout(30):
            while last not in (log := await asyncio.to_thread(bench.read_log)):  # some logs lag behind
                if not log:
                    pytest.skip("the bench reads no log")
                await asyncio.sleep(0.5)
        assert username in log
        trial.check_clean(log)

"""The suite itself. Every test works on the bench's real target, and asks its stock client for the truth."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

import pytest
import pytest_asyncio

from provost.conformance.bench import Bench
from provost.conformance.cases import TABLE_CASES
from provost.conformance.cutter import Cutter
from provost.conformance.trial import Trial, with_secret
from provost.core.connector import Change, Connector, Session, Timeouts
from provost.core.errors import HostKeyRefused, LoginRefused, Refused, TargetError, Unreachable
from provost.core.job import Login, Staged, Target, Wanted
from provost.core.model import Action, Capability, Decision, Presence, SecretType, Status, Verdict
from provost.core.passwords import PasswordRules
from provost.core.secrets import Password, Secret

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


class Witnessed:
    """A witness that keeps what it is told."""

    def __init__(self) -> None:
        self.host_keys: list[tuple[int, str]] = []
        self.refusals: list[tuple[int, str]] = []

    def see_host_key(self, asset_id: int, key: str) -> None:
        """Keep a host key."""
        self.host_keys.append((asset_id, key))

    def see_refusal(self, asset_id: int, username: str) -> None:
        """Keep a refusal."""
        self.refusals.append((asset_id, username))


@pytest.mark.asyncio
class Conformance:
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

    # Three answers.

    async def test_looking(self, session: Session, trial: Trial) -> None:
        """What is there is present, and what is not is absent."""
        there, not_there = trial.name(), trial.name()
        await trial.make(there, trial.make_secret())
        assert await session.observe([there, not_there]) == {
            there: Presence.PRESENT,
            not_there: Presence.ABSENT,
        }

    async def test_verifying(self, session: Session, trial: Trial) -> None:
        """The right secret is accepted; a wrong one, and one of nobody, is rejected; the session goes on."""
        username, secret = trial.name(), trial.make_secret()
        await trial.make(username, secret)
        assert (await session.verify(username, secret)).verdict is Verdict.ACCEPTED
        for name in (username, trial.name()):
            told = await session.verify(name, trial.make_secret())
            assert (told.verdict, told.refused) == (Verdict.REJECTED, True), told
            assert told.reason
            trial.check_clean(repr(told))
        assert await session.observe([username]) == {username: Presence.PRESENT}

    async def test_a_target_that_is_down_is_unknown(self, bench: Bench, trial: Trial) -> None:
        """Nothing that could not be asked is answered: not absent, not a wrong password."""
        if not bench.by_network:
            pytest.skip("not reached by a network")
        username, secret = trial.name(), trial.make_secret()
        await trial.make(username, secret)
        async with Cutter(bench.target.address, bench.target.port) as cutter:
            target = lead_through(bench, cutter)
            async with open_session(bench.open_connector(), target) as session:
                assert (await session.verify(username, secret)).verdict is Verdict.ACCEPTED
                cutter.cut()
                told = await session.verify(username, secret)
                assert (told.verdict, told.refused) == (Verdict.UNKNOWN, False), told
                try:
                    found = await session.observe([username])
                except TargetError as error:
                    trial.check_clean(repr(error))
                else:
                    assert isinstance(found[username], TargetError)

    async def test_ways_in(self, bench: Bench, trial: Trial) -> None:
        """A wrong secret is refused, and where nothing listens is unreachable."""
        connector = bench.open_connector()
        login = bench.target.logins[0]
        wrong = replace(bench.target, logins=(with_secret(login, trial.make_secret()),))
        with pytest.raises(LoginRefused) as caught:
            async with open_session(connector, wrong):
                pass
        assert caught.value.code == LoginRefused.code
        trial.check_clean(caught.value.message)

        if bench.by_network:
            nowhere = replace(bench.target, address="127.0.0.1", port=find_closed_port())
            with pytest.raises(Unreachable):
                async with open_session(bench.open_connector(), nowhere):
                    pass

    async def test_a_gateway_that_is_down(self, bench: Bench) -> None:
        """What is behind a gateway is reached through it or not at all."""
        if not bench.by_network:
            pytest.skip("not reached by a network")
        gateway = Target(
            asset_id=2,
            asset="gateway",
            kind="linux",
            address="127.0.0.1",
            port=find_closed_port(),
            logins=(Login("nobody", Password("nothing")),),
        )
        with pytest.raises(Unreachable) as caught:
            async with open_session(bench.open_connector(), replace(bench.target, via=gateway)):
                pass
        assert caught.value.code == "gateway_failed"

    async def test_a_target_that_says_nothing(self, bench: Bench) -> None:
        """A connection that is taken and never answered is given up in time, and is unreachable."""
        if not bench.by_network:
            pytest.skip("not reached by a network")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            target = replace(bench.target, address="127.0.0.1", port=silent.getsockname()[1])
            async with asyncio.timeout(20):
                with pytest.raises(Unreachable):
                    async with open_session(bench.open_connector(), target, Timeouts(1, 1)):
                        pass

    async def test_it_leaves_nothing_open(self, bench: Bench, trial: Trial) -> None:
        """After a run every connection is closed, those of logins that were verified or refused, too."""
        if not bench.by_network:
            pytest.skip("not reached by a network")
        username, secret = trial.name(), trial.make_secret()
        await trial.make(username, secret)
        async with Cutter(bench.target.address, bench.target.port) as cutter:
            target = lead_through(bench, cutter)
            wrong = replace(target, logins=(with_secret(target.logins[0], trial.make_secret()),))
            with pytest.raises(LoginRefused):
                async with open_session(bench.open_connector(), wrong):
                    pass
            async with open_session(bench.open_connector(), target) as session:
                await session.verify(username, secret)
                await session.verify(username, trial.make_secret())
            async with asyncio.timeout(10):
                await cutter.wait_closed()

    async def test_who_has_no_rights(self, bench: Bench, trial: Trial) -> None:
        """An account that is let in and may do nothing there is told apart from a wrong secret."""
        if not bench.has_rights:
            pytest.skip("every account has all rights")
        username, secret = trial.name(), trial.make_secret()
        await trial.make(username, secret)
        ordinary = replace(bench.target, logins=(with_secret(Login(username), secret),))
        with pytest.raises(LoginRefused) as caught:
            async with open_session(bench.open_connector(), ordinary):
                pass
        assert caught.value.code != LoginRefused.code

    async def test_certificates(self, bench: Bench) -> None:
        """By default, a server of an unknown issuer or of another name is not spoken to."""
        connector = bench.open_connector()
        if "tls" not in connector.options.model_fields:
            pytest.skip("no TLS here")
        for target in (bench.aim(tls_ca=None), bench.aim(tls_name="another.example")):
            with pytest.raises(HostKeyRefused) as caught:
                async with open_session(connector, target):
                    pass
            assert caught.value.code == "certificate_refused"

    async def test_through_a_gateway(self, bench: Bench, trial: Trial) -> None:
        """A target that is reached through an SSH gateway is pushed to as any other."""
        if bench.gateway is None:
            pytest.skip("the bench has no gateway")
        target = replace(bench.target, via=bench.gateway)
        username = trial.name()
        outcome, held = await trial.push(username, target=target)
        assert outcome.status is Status.SUCCEEDED, outcome
        assert held is not None
        assert await trial.log_in(username, held)

    # Hostile input.

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

    # The life of an account.

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

    # Cut at any moment.

    async def test_a_push_that_is_cut(self, bench: Bench, trial: Trial, moments: int) -> None:
        """Wherever it is cut: what "failed" said was not set, and the next push makes all right."""
        for after in await self._choose_moments(bench, trial, moments):
            username, first = trial.name(), trial.make_secret()
            async with Cutter(bench.target.address, bench.target.port, after=after) as cutter:
                outcome, held = await trial.push(username, first, target=lead_through(bench, cutter))
            if outcome.status is Status.FAILED:
                assert not await trial.log_in(username, first), (after, outcome)
            if held is not None:
                assert await trial.log_in(username, first), (after, outcome)
            doubtful = outcome.status is Status.UNCERTAIN
            again, held = await trial.push(username, current=held, left=[first] if doubtful else [])
            assert again.status in {Status.SUCCEEDED, Status.UNCHANGED}, (after, outcome, again)
            assert held is not None
            assert await trial.log_in(username, held), (after, outcome, again)

    async def test_a_rotation_that_is_cut(self, bench: Bench, trial: Trial, moments: int) -> None:
        """Wherever it is cut, a secret that Provost holds lets in, and the next rotation ends well."""
        for after in await self._choose_moments(bench, trial, moments):
            username, old, new, last = trial.name(), *(trial.make_secret() for _ in range(3))
            await trial.make(username, old)
            async with Cutter(bench.target.address, bench.target.port, after=after) as cutter:
                outcome = await trial.rotate(username, old, new, target=lead_through(bench, cutter))
            if outcome.status is Status.FAILED:
                assert await trial.log_in(username, old), (after, outcome)
            elif outcome.settled:
                assert await trial.log_in(username, new), (after, outcome)
            else:
                assert await trial.log_in(username, old) or await trial.log_in(username, new), (after, outcome)
            current = new if outcome.settled else old
            again = await trial.rotate(username, current, last, left=[new] if current is old else [])
            assert again.status is Status.SUCCEEDED, (after, outcome, again)
            assert await trial.log_in(username, last)

    async def test_a_removal_that_is_cut(self, bench: Bench, trial: Trial, moments: int) -> None:
        """Wherever it is cut, the next removal ends it."""
        need(bench, Capability.REMOVE)
        for after in await self._choose_moments(bench, trial, moments):
            username = trial.name()
            await trial.make(username, trial.make_secret())
            async with Cutter(bench.target.address, bench.target.port, after=after) as cutter:
                [outcome] = await trial.act(Action.REMOVE, username, target=lead_through(bench, cutter))
            if outcome.status in {Status.SUCCEEDED, Status.UNCHANGED}:
                assert not await trial.has(username), (after, outcome)
            [again] = await trial.act(Action.REMOVE, username)
            assert again.status in {Status.SUCCEEDED, Status.UNCHANGED}, (after, outcome, again)
            assert not await trial.has(username)

    async def _choose_moments(self, bench: Bench, trial: Trial, moments: int) -> list[int]:
        """Return after how many bytes to cut: spread over a whole push, with its very beginning and end."""
        if not bench.by_network:
            pytest.skip("not reached by a network")
        async with Cutter(bench.target.address, bench.target.port) as cutter:
            outcome, _ = await trial.push(trial.name(), target=lead_through(bench, cutter))
            assert outcome.status is Status.SUCCEEDED, outcome
        whole = cutter.passed
        return sorted({1 + (whole - 1) * index // moments for index in range(moments + 1)})

    # At the end of all tests, since they come in the order in which they are written.

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


@contextlib.asynccontextmanager
async def open_session(
    connector: Connector, target: Target, timeouts: Timeouts | None = None
) -> AsyncIterator[Session]:
    """Open a session with a target's first login, and close it and the connector."""
    try:
        session = await connector.open(target, target.logins[0], timeouts or Timeouts(), Witnessed())
        try:
            yield session
        finally:
            await session.close()
    finally:
        await connector.close()


def find_closed_port() -> int:
    """Return a port on loopback where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def lead_through(bench: Bench, cutter: Cutter) -> Target:
    """Return the bench's target as reached through a cutter; its certificate is still that of its own name."""
    target = bench.target
    if "tls_name" in bench.open_connector().options.model_fields:
        target = bench.aim(tls_name=target.options.get("tls_name", target.address))
    return replace(target, address="127.0.0.1", port=cutter.port)


def need(bench: Bench, capability: Capability) -> None:
    """Skip a test of what the kind does not declare."""
    if capability not in bench.open_connector().capabilities:
        pytest.skip(f"it does not {capability}")


def stage(username: str, secret: Secret) -> Wanted:
    """Return an account that is wanted with a secret that was staged just now."""
    return Wanted(username, secret.secret_type, None, (Staged(uuid4(), secret, fresh=True),))

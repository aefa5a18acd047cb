"""Yes, no, and could not tell: what is answered when things are not as they should be."""

import asyncio
import socket
from dataclasses import replace

import pytest

from provost.conformance.bench import Bench
from provost.conformance.cutter import Cutter
from provost.conformance.reaching import find_closed_port, lead_through, open_session
from provost.conformance.trial import Trial, with_secret
from provost.core.connector import Session, Timeouts
from provost.core.errors import HostKeyRefused, LoginRefused, TargetError, Unreachable
from provost.core.job import Login, Target
from provost.core.model import Presence, Status, Verdict
from provost.core.secrets import Password


class Answers:
    """A part of the suite."""

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

"""A connection that is cut at any moment, as by a network or a `kill -9`."""

import pytest

from provost.conformance.bench import Bench
from provost.conformance.cutter import Cutter
from provost.conformance.reaching import lead_through, need
from provost.conformance.trial import Trial
from provost.core.model import Action, Capability, Status


class Cuts:
    """A part of the suite."""

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

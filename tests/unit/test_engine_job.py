"""One job's life, on hosts in memory whose scripts say what goes wrong."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from provost import engine
from provost.connectors.memory import Account, Host, MemoryConnector, MemorySession, Parameters, Step
from provost.core.connector import Applied, Change, Connector, Timeouts, Witness
from provost.core.errors import (
    ChangeRefused,
    ChangeUnknown,
    HostKeyRefused,
    LoginRefused,
    LoginUnanswered,
    LookupFailed,
    ProvostError,
    Unreachable,
)
from provost.core.job import Job, Login, Outcome, Staged, Target, Wanted
from provost.core.model import Action, Become, Decision, SecretType, Status
from provost.core.secrets import Password, SshKey
from provost.engine.limits import Limits
from provost.vault.keys import generate_key

ROOT = Login("root", Password("root-secret"))
PATIENT = Limits(backoff=0)
HASTY = Limits(backoff=0, timeouts=Timeouts(0.01, 0.01))
FOREVER = 3600.0


def stage(number: int, *, fresh: bool = True) -> Staged:
    return Staged(UUID(int=number), Password(f"pending-{number}"), fresh=fresh)


def want(username: str, current: str | None = None, *pending: Staged, tries: int = 2) -> Wanted:
    password = Password(current) if current else None
    return Wanted(username, SecretType.PASSWORD, password, pending, tries=tries)


def make_job(
    *wanted: Wanted, logins: tuple[Login, ...] = (ROOT,), verify: bool = True, dry_run: bool = False
) -> Job:
    target = Target(7, "web-1", "memory", "10.0.0.1", 0, logins)
    return Job(target, wanted, Parameters(), verify=verify, dry_run=dry_run)


class Scripted(Host):
    """A host on which the listed errors are met at a step, one each time; every call is counted."""

    def __init__(self, **accounts: str) -> None:
        super().__init__({name: Account(password) for name, password in accounts.items()})
        self.script = self.play
        self.cancel = asyncio.Event()
        self.halt = asyncio.Event()
        self.calls: Counter[Step] = Counter()
        self.refusals: list[str] = []
        self.faults: dict[tuple[Step, str], list[Exception | Callable[[], object]]] = {}

    def on(self, step: Step, *faults: Exception | Callable[[], object], username: str = "root") -> "Scripted":
        """Meet these at the step, one each time it is reached with this username, then nothing."""
        self.faults[step, username] = list(faults)
        return self

    async def play(self, step: Step, username: str) -> None:
        """Be the host's script."""
        self.calls[step] += 1
        faults = self.faults.get((step, username))
        if not faults:
            return
        fault = faults.pop(0)
        if isinstance(fault, Exception):
            raise fault
        done = fault()
        if asyncio.iscoroutine(done):
            await done


async def push(
    host: "Scripted",
    job: Job,
    *,
    limits: Limits = PATIENT,
    connector: Connector | None = None,
) -> tuple[Outcome, ...]:
    async def give() -> AsyncIterator[Job]:
        yield job

    kinds = {"memory": connector or MemoryConnector({"10.0.0.1": host})}
    events = [event async for event in engine.run(give(), kinds, limits, host.cancel, host.halt)]
    host.refusals = [event.username for event in events if isinstance(event, engine.RefusalSeen)]
    [outcomes] = [event.outcomes for event in events if isinstance(event, engine.Settled)]
    assert [outcome.username for outcome in outcomes] == [wanted.username for wanted in job.wanted]
    assert all(outcome.asset_id == 7 for outcome in outcomes)
    assert all(outcome.seconds >= 0 for outcome in outcomes)
    return outcomes


def hang() -> object:
    return asyncio.sleep(FOREVER)


async def test_without_a_privileged_account_nothing_is_contacted() -> None:
    """Every wanted account is skipped, the message says what to do, and the host saw nothing."""
    host = Scripted()
    job = make_job(want("a", None, stage(1)), want("b", "known"), logins=())
    for outcome in await push(host, job):
        assert (outcome.status, outcome.reason) == (Status.SKIPPED, "no_privileged_account")
        assert "provost account add USERNAME --asset web-1 --privileged" in outcome.message
    assert not host.calls


async def test_the_four_rows_in_one_job() -> None:
    """Each account gets its own decision, the secret that goes with it, and the actor's name."""
    host = Scripted(left="old", taken="old")
    wanted = (want("new", None, stage(1)), want("left", "x"), want("taken", None, stage(2)), want("back", "y"))
    outcomes = await push(host, make_job(*wanted))
    assert [(o.decision, o.status, o.reason, o.settled) for o in outcomes] == [
        (Decision.CREATE, Status.SUCCEEDED, "", UUID(int=1)),
        (Decision.LEAVE, Status.UNCHANGED, "", None),
        (Decision.ADOPT, Status.SUCCEEDED, "", UUID(int=2)),
        (Decision.RESTORE, Status.SUCCEEDED, "", None),
    ]
    assert {outcome.actor for outcome in outcomes} == {"root"}
    passwords = {name: account.password for name, account in host.accounts.items()}
    assert passwords == {"new": "pending-1", "left": "old", "taken": "pending-2", "back": "y"}


@pytest.mark.parametrize("step", [Step.OPEN, Step.OBSERVE])
async def test_an_unreachable_host_is_tried_again(step: Step) -> None:
    """A connection that fails, or breaks while looking, is opened anew within the attempts."""
    username = "root" if step is Step.OPEN else "a"
    host = Scripted().on(step, Unreachable("1"), Unreachable("2"), username=username)
    [outcome] = await push(host, make_job(want("a", None, stage(1))))
    assert outcome.status is Status.SUCCEEDED
    assert host.calls[Step.OPEN] == 3


async def test_attempts_are_bounded() -> None:
    """A host that stays away fails every account with the error's code."""
    host = Scripted().on(Step.OPEN, *(Unreachable("No route to web-1.") for _ in range(9)))
    for outcome in await push(host, make_job(want("a", None, stage(1)), want("b", "x"))):
        assert (outcome.status, outcome.reason) == (Status.FAILED, "unreachable")
        assert outcome.message == "No route to web-1."
        assert outcome.settled is None
    assert host.calls[Step.OPEN] == 3


@pytest.mark.parametrize(
    "error", [LoginRefused("no"), HostKeyRefused("other"), HostKeyRefused("?", code="host_key_unknown")]
)
async def test_a_refusal_is_never_tried_again(error: ProvostError) -> None:
    """No lock-outs: a rejected login, or a host that is not believed, ends the job at once."""
    host = Scripted().on(Step.OPEN, error)
    [outcome] = await push(host, make_job(want("a", None, stage(1))))
    assert (outcome.status, outcome.reason) == (Status.FAILED, error.code)
    assert host.calls == {Step.OPEN: 1}


async def test_the_second_privileged_account_acts_when_the_first_is_refused() -> None:
    """The record says who acted."""
    host = Scripted().on(Step.OPEN, LoginRefused("no"))
    [outcome] = await push(host, make_job(want("a", None, stage(1)), logins=(ROOT, Login("ops"))))
    assert (outcome.status, outcome.actor) == (Status.SUCCEEDED, "ops")


@pytest.mark.parametrize("code", ["login_unanswered", "become_unanswered"])
async def test_a_login_without_an_answer_is_counted_and_not_tried_again(code: str) -> None:
    """The host may have refused it; a second privileged account is tried, and only that one after a pause."""
    ops = Login("ops", ROOT.password, become=Become.SU, become_password=Password("root-secret"))
    host = Scripted().on(Step.OPEN, LoginUnanswered("?", code=code), username="ops")
    [outcome] = await push(host, make_job(want("a", None, stage(1)), logins=(ops,)))
    assert (outcome.status, outcome.reason) == (Status.FAILED, code)
    assert host.refusals == ["root" if code == "become_unanswered" else "ops"]
    assert host.calls == {Step.OPEN: 1}
    host.on(Step.OPEN, LoginUnanswered("?", code=code), username="ops")
    host.faults[Step.OPEN, "root"] = [Unreachable("it reboots")]
    [outcome] = await push(host, make_job(want("a", None, stage(1)), logins=(ops, ROOT)))
    assert (outcome.status, outcome.actor) == (Status.SUCCEEDED, "root")
    assert host.calls[Step.OPEN] == 1 + 1 + 2


async def test_a_verification_without_an_answer_is_counted() -> None:
    """It says nothing of the secret, and the account has one login less."""
    host = Scripted().on(Step.VERIFY, LoginUnanswered("?"), username="a")
    [outcome] = await push(host, make_job(want("a", None, stage(1))))
    assert (outcome.status, outcome.reason) == (Status.UNVERIFIED, "login_unanswered")
    assert host.refusals == ["a"]


async def test_a_refused_su_is_counted_against_root() -> None:
    """It is root's password that su heard; when root can afford no more, it is not asked."""
    ops = Login("ops", Password("hers"), become=Become.SU, become_password=Password("wrong"))
    host = Scripted(ops="hers", root="root-secret")
    [outcome] = await push(host, make_job(want("a", None, stage(1)), logins=(ops,)))
    assert (outcome.status, outcome.reason) == (Status.FAILED, "become_refused")
    assert host.refusals == ["root"]
    assert {name: account.refused for name, account in host.accounts.items()} == {"ops": 0, "root": 1}
    spent = replace(ops, asked_tries=0)
    [outcome] = await push(host, make_job(want("a", None, stage(1)), logins=(spent,)))
    assert (outcome.status, outcome.reason) == (Status.FAILED, "lockout_guard")
    assert "root was refused" in outcome.message
    assert host.calls == {Step.OPEN: 1}


@pytest.mark.parametrize("step", [Step.OPEN, Step.OBSERVE])
async def test_a_host_that_hangs_is_given_up(step: Step) -> None:
    """The engine does not rely on a connector to keep its timeouts."""
    host = Scripted().on(step, hang, hang, hang, username="root" if step is Step.OPEN else "a")
    [outcome] = await push(host, make_job(want("a", None, stage(1))), limits=HASTY)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "unreachable")
    assert not host.accounts


async def test_a_failed_look_up_is_not_a_no() -> None:
    """That account fails and is not touched; the others go on."""
    host = Scripted(a="old").on(Step.OBSERVE, LookupFailed("sssd is down"), username="a")
    failed, done = await push(host, make_job(want("a", None, stage(1)), want("b", None, stage(2))))
    assert (failed.status, failed.reason, failed.decision) == (Status.FAILED, "lookup_failed", None)
    assert done.status is Status.SUCCEEDED
    assert host.accounts["a"].password == "old"


async def test_a_probe_settles_what_an_earlier_run_left_open() -> None:
    """A pending secret that logs in is the account's, without setting anything."""
    host = Scripted(a="pending-2")
    old = (stage(3, fresh=False), stage(2, fresh=False))
    [outcome] = await push(host, make_job(want("a", None, stage(4), *old, tries=3)))
    assert (outcome.decision, outcome.status, outcome.reason) == (Decision.LEAVE, Status.UNCHANGED, "settled")
    assert outcome.settled == UUID(int=2)
    assert host.calls[Step.VERIFY] == 2
    assert not host.calls[Step.SET]


@pytest.mark.parametrize(
    ("tries", "logins", "status", "reason"),
    [
        (4, 4, Status.SUCCEEDED, ""),
        (2, 2, Status.SUCCEEDED, ""),
        (1, 1, Status.SUCCEEDED, ""),
        (0, 0, Status.UNVERIFIED, "lockout_guard"),
    ],
)
async def test_a_probe_leaves_one_login_and_then_the_account_is_adopted(
    tries: int, logins: int, status: Status, reason: str
) -> None:
    """Probing cannot lock an account out, nor take the login that proves what is set anew."""
    host = Scripted(a="pending-1")
    old = tuple(stage(number, fresh=False) for number in (5, 4, 3, 2, 1))
    [outcome] = await push(host, make_job(want("a", None, *old, tries=tries)))
    assert (outcome.decision, outcome.status, outcome.reason) == (Decision.ADOPT, status, reason)
    assert outcome.settled == UUID(int=5)
    assert host.calls[Step.VERIFY] == logins


@pytest.mark.parametrize("complete", [False, None])
async def test_nothing_is_probed_on_an_account_that_is_not_there(complete: bool | None) -> None:
    """An account whose creation was cut off, or never began, is created with what is staged."""
    host = Scripted()
    if complete is not None:
        host.accounts["a"] = Account(complete=complete)
    [outcome] = await push(host, make_job(want("a", None, stage(1, fresh=False))))
    assert (outcome.decision, outcome.status) == (Decision.CREATE, Status.SUCCEEDED)
    assert host.calls[Step.VERIFY] == 1


async def test_an_incomplete_account_in_the_list_is_restored() -> None:
    """A creation that was cut off is finished with the secret that the list holds."""
    host = Scripted()
    host.accounts["a"] = Account(complete=False)
    [outcome] = await push(host, make_job(want("a", "known")))
    assert (outcome.decision, outcome.status) == (Decision.RESTORE, Status.SUCCEEDED)
    assert host.accounts["a"].accept(Password("known"))


async def test_a_dry_run_decides_and_touches_nothing() -> None:
    """Each account gets its decision; no secret is needed, set or tried; an open one is said to be open."""
    host = Scripted(b="old", c="old")
    wanted = (want("a"), want("b", "x"), want("c", None, stage(1, fresh=False)), want("d", "y"))
    outcomes = await push(host, make_job(*wanted, dry_run=True))
    assert [(o.decision, o.status, o.reason) for o in outcomes] == [
        (Decision.CREATE, Status.UNCHANGED, "dry_run"),
        (Decision.LEAVE, Status.UNCHANGED, "dry_run"),
        (Decision.ADOPT, Status.UNCHANGED, "unsettled"),
        (Decision.RESTORE, Status.UNCHANGED, "dry_run"),
    ]
    assert all(outcome.settled is None for outcome in outcomes)
    assert set(host.calls) == {Step.OPEN, Step.OBSERVE}


async def test_cancel_before_the_changes_leaves_all_alone() -> None:
    """What was only decided is cancelled; what needed nothing is still reported."""
    host = Scripted(b="old")
    host.on(Step.OBSERVE, host.cancel.set, username="a")
    cancelled, left = await push(host, make_job(want("a", None, stage(1)), want("b", "x")))
    assert (cancelled.status, cancelled.reason, cancelled.settled) == (Status.CANCELLED, "cancelled", None)
    assert left.status is Status.UNCHANGED
    assert not host.calls[Step.SET]


async def test_cancel_stops_a_probe() -> None:
    """No further login is made for a run that was cancelled."""
    host = Scripted(a="old")
    host.on(Step.VERIFY, host.cancel.set, username="a")
    old = (stage(2, fresh=False), stage(1, fresh=False))
    [outcome] = await push(host, make_job(want("a", None, *old)))
    assert outcome.status is Status.CANCELLED
    assert host.calls[Step.VERIFY] == 1


async def test_cancel_ends_a_pause_between_attempts() -> None:
    """Nobody waits for a host that is away."""
    host = Scripted()

    def fail() -> None:
        host.cancel.set()
        raise Unreachable("web-1 is away.")

    host.on(Step.OPEN, fail)
    limits = Limits(backoff=FOREVER, longest_backoff=FOREVER)
    [outcome] = await push(host, make_job(want("a", None, stage(1))), limits=limits)
    assert outcome.status is Status.CANCELLED
    assert host.calls[Step.OPEN] == 1


async def test_changes_that_began_are_finished_and_verified_after_cancel() -> None:
    """A cancelled run leaves nothing half-done."""
    host = Scripted()
    host.on(Step.SET, host.cancel.set, username="a")
    outcomes = await push(host, make_job(want("a", None, stage(1)), want("b", None, stage(2))))
    assert [outcome.status for outcome in outcomes] == [Status.SUCCEEDED, Status.SUCCEEDED]


async def test_a_refused_change_fails_and_the_others_go_on() -> None:
    """`ChangeRefused` means that nothing was set, with the target's own words."""
    host = Scripted().on(Step.SET, ChangeRefused("BAD PASSWORD: too simple"), username="a")
    failed, done = await push(host, make_job(want("a", None, stage(1)), want("b", None, stage(2))))
    assert (failed.decision, failed.status, failed.reason) == (Decision.CREATE, Status.FAILED, "change_refused")
    assert failed.message == "BAD PASSWORD: too simple"
    assert failed.settled is None
    assert done.status is Status.SUCCEEDED


async def test_any_other_answer_is_uncertain() -> None:
    """Something may have been set, so the record says so and settles nothing."""
    host = Scripted().on(Step.ANSWER, ChangeUnknown("chpasswd was killed"), username="a")
    [outcome] = await push(host, make_job(want("a", None, stage(1))))
    assert (outcome.status, outcome.reason, outcome.settled) == (Status.UNCERTAIN, "answer_lost", None)
    assert outcome.message.startswith("chpasswd was killed The secret is kept")


async def test_a_connection_that_breaks_leaves_only_the_unanswered_uncertain() -> None:
    """What was acknowledged before is still verified; what was not answered may have been set."""
    host = Scripted().on(Step.ANSWER, Unreachable("reset by peer"), username="b")
    outcomes = await push(host, make_job(*(want(name, None, stage(n)) for n, name in enumerate("abc"))))
    assert [(o.status, o.reason) for o in outcomes] == [
        (Status.SUCCEEDED, ""),
        (Status.UNCERTAIN, "unreachable"),
        (Status.UNCERTAIN, "unreachable"),
    ]
    assert host.accounts["b"].password == "pending-1"


async def test_a_target_that_falls_silent_leaves_the_unanswered_uncertain() -> None:
    """The time between two answers is bounded."""
    host = Scripted().on(Step.ANSWER, hang, username="b")
    job = make_job(want("a", None, stage(1)), want("b", None, stage(2)))
    answered, silent = await push(host, job, limits=HASTY)
    assert answered.status is Status.SUCCEEDED
    assert (silent.status, silent.reason) == (Status.UNCERTAIN, "answer_lost")


class Broken(MemoryConnector):
    """A connector with bugs: sessions that skip an answer, answer twice, or raise what is no ProvostError."""

    def __init__(self, host: Host, bug: str) -> None:
        super().__init__({"10.0.0.1": host})
        self.bug = bug
        self.sessions: list[BrokenSession] = []

    async def open(self, target: Target, login: Login, timeouts: Timeouts, witness: Witness) -> "BrokenSession":
        """Open a session that has the bug."""
        await super().open(target, login, timeouts, witness)
        self.sessions.append(BrokenSession(self._hosts["10.0.0.1"], "web-1", ROOT))
        self.sessions[-1].bug = self.bug
        return self.sessions[-1]


class BrokenSession(MemorySession):
    """A session that counts how often it is closed."""

    bug = ""
    closed = 0

    async def apply(self, changes: Sequence[Change]) -> AsyncIterator[Applied]:
        """Answer wrongly."""
        async for applied in super().apply(changes):
            if self.bug != "skip" or applied.username == "a":
                yield applied
            if self.bug == "twice":
                yield applied
            if self.bug == "stranger":
                yield Applied("nobody")

    async def close(self) -> None:
        """Count, then go wrong."""
        self.closed += 1
        if self.bug == "close":
            raise RuntimeError
        if self.bug == "hang":
            await asyncio.sleep(FOREVER)


async def test_answers_that_end_early_leave_the_rest_uncertain() -> None:
    """No answer is not a no."""
    host = Scripted()
    job = make_job(want("a", None, stage(1)), want("b", None, stage(2)))
    answered, missing = await push(host, job, connector=Broken(host, "skip"))
    assert answered.status is Status.SUCCEEDED
    assert (missing.status, missing.reason) == (Status.UNCERTAIN, "answer_lost")


@pytest.mark.parametrize("bug", ["twice", "stranger"])
async def test_an_answer_that_nobody_waits_for_is_a_bug(bug: str) -> None:
    """What was acknowledged stays so, and what was not answered is uncertain."""
    host = Scripted()
    job = make_job(want("a", None, stage(1)), want("b", None, stage(2)))
    first, second = await push(host, job, connector=Broken(host, bug))
    assert (first.status, first.reason, first.settled) == (Status.UNVERIFIED, "internal_error", UUID(int=1))
    assert (second.status, second.reason, second.settled) == (Status.UNCERTAIN, "internal_error", None)


@pytest.mark.parametrize(
    ("step", "fault"),
    [(Step.OBSERVE, Unreachable("x")), (Step.SET, KeyError("x")), (Step.VERIFY, LoginRefused("x"))],
)
async def test_every_session_is_closed_once(step: Step, fault: Exception) -> None:
    """Whatever happens, no session stays open."""
    host = Scripted().on(step, fault, username="a")
    connector = Broken(host, "")
    await push(host, make_job(want("a", None, stage(1))), connector=connector)
    assert [session.closed for session in connector.sessions] == [1] * host.calls[Step.OPEN]


async def test_a_session_that_cannot_close_does_no_harm() -> None:
    """What was reached stands."""
    host = Scripted()
    [outcome] = await push(host, make_job(want("a", None, stage(1))), connector=Broken(host, "close"))
    assert outcome.status is Status.SUCCEEDED


async def test_a_session_that_hangs_when_closing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends although a connection does not."""
    monkeypatch.setattr("provost.engine.job.GOODBYE", 0.01)
    host = Scripted()
    [outcome] = await push(host, make_job(want("a", None, stage(1))), connector=Broken(host, "hang"))
    assert outcome.status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("step", "status", "settled"),
    [
        (Step.OPEN, Status.FAILED, None),
        (Step.OBSERVE, Status.FAILED, None),
        (Step.SET, Status.UNCERTAIN, None),
        (Step.ANSWER, Status.UNCERTAIN, None),
        (Step.VERIFY, Status.UNVERIFIED, UUID(int=1)),
    ],
)
async def test_a_bug_settles_by_phase_and_its_log_shows_no_secret(
    step: Step, status: Status, settled: UUID | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in a connector fails before the changes, is uncertain within them, and unverified after them."""
    fault = RuntimeError("boom with pending-1\nand root-secret")
    host = Scripted().on(step, fault, username="root" if step is Step.OPEN else "a")
    with caplog.at_level(logging.DEBUG):
        [outcome] = await push(host, make_job(want("a", None, stage(1))))
    assert (outcome.status, outcome.reason, outcome.settled) == (status, "internal_error", settled)
    assert "boom with [secret]" in caplog.text
    for text in (caplog.text, outcome.message):
        assert "pending-1" not in text
        assert "root-secret" not in text


async def test_a_kind_without_a_connector_fails_its_job_alone() -> None:
    """A mistake of the caller settles the job too."""

    async def give() -> AsyncIterator[Job]:
        yield make_job(want("a", None, stage(1)))

    events = [event async for event in engine.run(give(), {}, PATIENT, asyncio.Event())]
    settled = events[-1]
    assert isinstance(settled, engine.Settled)
    assert settled.outcomes[0].reason == "internal_error"


async def test_an_account_without_a_staged_secret_is_a_bug_of_ours() -> None:
    """It fails, nothing is made up for it, and the others go on."""
    host = Scripted()
    failed, done = await push(host, make_job(want("a"), want("b", None, stage(1))))
    assert (failed.decision, failed.status, failed.reason) == (Decision.CREATE, Status.FAILED, "internal_error")
    assert done.status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("fault", "status", "reason", "settled"),
    [
        (LoginRefused("denied"), Status.UNCERTAIN, "login_rejected", None),
        (Unreachable("reset"), Status.UNVERIFIED, "unreachable", UUID(int=1)),
        (hang, Status.UNVERIFIED, "unreachable", UUID(int=1)),
    ],
)
async def test_a_login_has_three_answers(
    fault: Exception | Callable[[], object], status: Status, reason: str, settled: UUID | None
) -> None:
    """A rejected login keeps the secret open; one that could not be tried leaves the change acknowledged."""
    host = Scripted().on(Step.VERIFY, fault, username="a")
    [outcome] = await push(host, make_job(want("a", None, stage(1))), limits=HASTY)
    assert (outcome.decision, outcome.status, outcome.reason) == (Decision.CREATE, status, reason)
    assert outcome.settled == settled
    assert outcome.message


async def test_without_verification_the_acknowledgement_is_enough() -> None:
    """The record says that no login was made."""
    host = Scripted()
    [outcome] = await push(host, make_job(want("a", None, stage(1)), verify=False))
    assert (outcome.status, outcome.reason, outcome.settled) == (Status.SUCCEEDED, "not_verified", UUID(int=1))
    assert not host.calls[Step.VERIFY]


async def test_a_public_key_alone_is_set_and_stays_unverified() -> None:
    """Provost cannot log in with a key that it holds no private half of, and says so."""
    key = SshKey("ssh-ed25519 AAAA")
    host = Scripted()
    staged = (Staged(UUID(int=1), key, fresh=True),)
    job = make_job(Wanted("a", SecretType.SSH_KEY, None, staged), Wanted("b", SecretType.SSH_KEY, key))
    created, restored = await push(host, job)
    assert (created.status, created.reason, created.settled) == (
        Status.UNVERIFIED,
        "no_private_half",
        UUID(int=1),
    )
    assert (restored.decision, restored.status, restored.settled) == (Decision.RESTORE, Status.UNVERIFIED, None)


async def test_messages_leave_scrubbed() -> None:
    """What the target echoes is hidden, and what a terminal would act on is stripped."""
    host = Scripted().on(Step.SET, ChangeRefused("\x1b[31mpending-1\x1b[0m refused\nby PAM"), username="a")
    [outcome] = await push(host, make_job(want("a", None, stage(1))))
    assert outcome.message == "[secret] refused by PAM"


async def test_few_logins_at_once() -> None:
    """One host never sees more unauthenticated connections than the limit."""
    now = most = 0

    async def count() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    host = Scripted()
    names = [f"user-{number}" for number in range(20)]
    for name in names:
        host.on(Step.VERIFY, count, username=name)
    outcomes = await push(host, make_job(*(want(name, None, stage(n)) for n, name in enumerate(names))))
    assert {outcome.status for outcome in outcomes} == {Status.SUCCEEDED}
    assert most == PATIENT.logins


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Step.OPEN, [(Status.CANCELLED, "interrupted", None)] * 2),
        (Step.OBSERVE, [(Status.CANCELLED, "interrupted", None)] * 2),
        (
            Step.SET,
            [(Status.UNVERIFIED, "interrupted", UUID(int=1)), (Status.UNCERTAIN, "interrupted", None)],
        ),
        (
            Step.ANSWER,
            [(Status.UNVERIFIED, "interrupted", UUID(int=1)), (Status.UNCERTAIN, "interrupted", None)],
        ),
        (Step.VERIFY, [(Status.SUCCEEDED, "", UUID(int=1)), (Status.UNVERIFIED, "interrupted", UUID(int=2))]),
    ],
)
async def test_halt_settles_by_phase(step: Step, expected: list[tuple[Status, str, UUID | None]]) -> None:
    """A hard stop at any step: cancelled before the changes, uncertain within them, unverified after them."""
    host = Scripted()

    async def stop() -> None:
        host.halt.set()
        await asyncio.sleep(FOREVER)

    host.on(step, stop, username="root" if step is Step.OPEN else "b")
    job = make_job(want("a", None, stage(1)), want("b", None, stage(2)))
    limits = Limits(logins=1)
    outcomes = await push(host, job, limits=limits)
    assert [(o.status, o.reason, o.settled) for o in outcomes] == expected
    assert host.cancel.is_set()


class Noting(MemoryConnector):
    """A connector that keeps the changes that it is asked for."""

    def __init__(self, host: Host) -> None:
        super().__init__({"10.0.0.1": host})
        self.changes: list[Change] = []

    async def open(self, target: Target, login: Login, timeouts: Timeouts, witness: Witness) -> MemorySession:
        """Open a session whose changes are kept."""
        session = await super().open(target, login, timeouts, witness)

        def apply(changes: Sequence[Change]) -> AsyncIterator[Applied]:
            self.changes += changes
            return MemorySession.apply(session, changes)

        setattr(session, "apply", apply)  # noqa: B010  # mypy would not have it assigned
        return session


async def test_a_key_that_is_set_again_keeps_its_options() -> None:
    """A reconciliation names the key itself as the one whose options the line gets."""
    key = generate_key("ed25519")
    host = Scripted(a="")
    connector = Noting(host)
    wanted = Wanted("a", SecretType.SSH_KEY, key)
    job = replace(make_job(wanted), action=Action.RECONCILE)
    [outcome] = await push(host, job, connector=connector)
    assert (outcome.status, outcome.reason) == (Status.SUCCEEDED, "reconciled")
    [change] = connector.changes
    assert (change.secret, change.overlap, change.replaces) == (key, True, key)

"""The kind `active_directory`, on a real Samba domain controller."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.conftest import LabHosts, do_without
from tests.kinds.active_directory import (
    DOMAIN,
    GROUPS,
    OWN_RIGHT,
    PEOPLE,
    RIGHTS,
    ROOT,
    SHARED,
    ActiveDirectoryBench,
    SambaDomain,
)
from tests.kinds.linux import aim_at_gateway

from provost.conformance import Conformance, Trial
from provost.conformance.reaching import Witnessed, open_session
from provost.connectors._ldap.answers import Answer
from provost.connectors.active_directory import ActiveDirectoryConnector
from provost.connectors.active_directory.discovery import read_time, write_time
from provost.connectors.active_directory.parameters import (
    ActiveDirectoryOptions,
    ActiveDirectoryParameters,
    ActiveDirectoryRemoval,
)
from provost.connectors.active_directory.session import ActiveDirectorySession
from provost.core.connector import Applied, Change, Removal, Timeouts, Verification
from provost.core.errors import HostKeyRefused, LoginRefused, Refused, TargetError
from provost.core.facts import Facts
from provost.core.job import Login, Target
from provost.core.model import Action, Decision, Presence, Status, Verdict
from provost.core.secrets import Password, Secret

GOOD = Password("A good one 1")


@pytest.fixture(scope="module")
def server() -> Iterator[SambaDomain]:
    if not SambaDomain.is_installed():
        do_without("it takes root, and Samba (Debian: samba-ad-dc samba-ad-provision ldap-utils krb5-user)")
    with SambaDomain() as server:
        yield server


@pytest.fixture
def bench(server: SambaDomain) -> ActiveDirectoryBench:
    return ActiveDirectoryBench(server)


@pytest.fixture
def trial(bench: ActiveDirectoryBench) -> Trial:
    return Trial(bench)


class TestActiveDirectory(Conformance):
    """The suite of every kind."""


async def apply(
    bench: ActiveDirectoryBench,
    username: str,
    secret: Secret,
    *,
    decision: Decision = Decision.CREATE,
    target: Target | None = None,
    **parameters: object,
) -> Applied:
    """Apply one change in a session of its own."""
    change = Change(username, decision, secret, ActiveDirectoryParameters.model_validate(parameters))
    async with open_session(bench.open_connector(), target or bench.target) as session:
        [applied] = [one async for one in session.apply([change])]
    return applied


async def verify(bench: ActiveDirectoryBench, username: str, secret: Secret) -> Verification:
    async with open_session(bench.open_connector(), bench.target) as session:
        return await session.verify(username, secret)


async def discover(bench: ActiveDirectoryBench) -> dict[str, Facts]:
    async with open_session(bench.open_connector(), bench.target) as session:
        return {facts.username: facts for facts in await session.discover()}


async def open_at(bench: ActiveDirectoryBench, target: Target) -> str:
    """Open a session and return who acts."""
    connector = bench.open_connector()
    try:
        session = await connector.open(target, target.logins[0], Timeouts(), Witnessed())
        await session.close()
        return session.actor
    finally:
        await connector.close()


def code_of(applied: Applied) -> str:
    return applied.error.code if applied.error else ""


def test_its_page_grants_what_the_tests_use() -> None:
    """The rights in docs/active_directory.md are those of the bench's privileged account."""
    page = (Path(__file__).parents[2] / "docs" / "active_directory.md").read_text()
    assert RIGHTS in page
    assert OWN_RIGHT in page


# Ways in.


async def test_starttls_and_names(bench: ActiveDirectoryBench) -> None:
    """By StartTLS too; the name that the certificate must hold counts, and not the address."""
    clear = replace(bench.aim(starttls="yes"), port=389)
    assert await open_at(bench, clear) == "provost"
    assert await open_at(bench, bench.aim(tls_name="dc1.corp.example")) == "provost"
    for wrong in (bench.aim(tls_name="x.example"), replace(bench.aim(starttls="yes", tls_ca=None), port=389)):
        with pytest.raises(HostKeyRefused):
            await open_at(bench, wrong)
    with pytest.raises(TargetError) as caught:
        await open_at(bench, replace(bench.target, port=389))
    assert caught.value.code == "tls_unavailable"
    with pytest.raises(ValidationError, match="over TLS"):
        ActiveDirectoryOptions(domain=DOMAIN, tls="off")


async def test_through_a_gateway(bench: ActiveDirectoryBench, trial: Trial, lab_hosts: LabHosts) -> None:
    """Through SSH, with the certificate's own name."""
    [host] = lab_hosts(1)
    target = replace(bench.aim(tls_name="dc1.corp.example"), via=aim_at_gateway(host))
    outcome, _ = await trial.push(trial.name(), target=target)
    assert outcome.status is Status.SUCCEEDED, outcome


async def test_who_a_privileged_account_is(bench: ActiveDirectoryBench) -> None:
    """By its sAMAccountName, its principal name, or the name of its entry; discovered as it is called."""
    password = bench.target.logins[0].password
    for name in ("provost", f"provost@{DOMAIN}", f"CN=provost,{SHARED}"):
        target = replace(bench.target, logins=(Login(name, password),))
        async with open_session(bench.open_connector(), target) as session:
            assert session.actor == name
            assert await session.observe([name]) == {name: Presence.PRESENT}
            assert name in [facts.username for facts in await session.discover()]
            told = [one.error and one.error.code async for one in session.disable([name, "provost"])]
            assert told == ["acting_account"] * 2
            assert (await session.verify(name, GOOD)).verdict is Verdict.REJECTED


async def test_a_container_that_is_not_there(bench: ActiveDirectoryBench) -> None:
    """It is told when a session is opened, as is one where the account may create nobody."""
    for place in (f"OU=nowhere,{ROOT}", SHARED):
        with pytest.raises(LoginRefused) as caught:
            await open_at(bench, bench.aim(container=place))
        assert caught.value.code == "rights_missing"


@pytest.mark.parametrize(
    "options",
    [{}, {"domain": "corp"}, {"domain": DOMAIN, "container": "x"}, {"domain": DOMAIN, "unknown": "1"}],
)
def test_options_that_are_refused(options: dict[str, str]) -> None:
    """Before anything is contacted."""
    with pytest.raises(ValidationError):
        ActiveDirectoryOptions.model_validate(options)


@pytest.mark.parametrize("parameters", [{"upn": "x"}, {"expires": "soon"}, {"mail": " "}, {"x": "1"}])
def test_parameters_that_are_refused(parameters: dict[str, str]) -> None:
    """Before anything is contacted."""
    with pytest.raises(ValidationError):
        ActiveDirectoryParameters.model_validate(parameters)


@pytest.mark.parametrize(
    "name", ["a" * 21, "a/b", "CORP\\a", "a@b", "a,b", "a=b", "a.", "a$", " a", "ﬁ", "a*", "a:b", "x,DC=y"]
)
def test_usernames_that_are_refused(name: str) -> None:
    """What cannot be a sAMAccountName, and is no longer form of a name either."""
    with pytest.raises(Refused):
        ActiveDirectoryConnector().check_username(name)


def test_longer_names_are_taken() -> None:
    """Those of accounts that are there."""
    for name in (f"someone.with.a.long.name@{DOMAIN}", f"CN=Some One,{PEOPLE}"):
        ActiveDirectoryConnector().check_username(name)


# Creating.


async def test_what_a_user_is_given(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """Each parameter lands in its attribute; Kerberos lets the account in, too."""
    username = trial.name()
    applied = await apply(
        bench, username, GOOD, full_name="Ada Lovelace", given_name="Ada", surname="Lovelace",
        mail="ada@corp.example", comment="counts", upn=f"ada.{username}@corp.example", expires="2099-12-31",
        groups="ops, staff",
    )  # fmt: skip
    assert applied.error is None
    told = bench.find(username)
    for line in (
        "displayName: Ada Lovelace", "givenName: Ada", "sn: Lovelace", "mail: ada@corp.example",
        "description: counts", f"userPrincipalName: ada.{username}@corp.example", "userAccountControl: 512",
        f"memberOf: CN=ops,{GROUPS}", f"memberOf: CN=staff,{GROUPS}",
    ):  # fmt: skip
        assert line in told, told
    assert "info:" not in told
    facts = (await discover(bench))[username]
    assert (facts.expires, facts.groups) == (date(2099, 12, 31), ("ops", "staff"))
    assert bench.server.take_ticket(username, GOOD)
    assert not bench.server.take_ticket(username, Password("A wrong one 1"))
    assert bench.server.bind(f"ada.{username}@corp.example", GOOD) == 0


async def test_where_it_goes(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """By default the principal name has the domain behind it, and another suffix by the asset's option."""
    first, second = trial.name(), trial.name()
    await apply(bench, first, GOOD)
    await apply(bench, second, GOOD, target=bench.aim(upn_suffix="example.org"))
    assert f"userPrincipalName: {first}@{DOMAIN}" in bench.find(first)
    assert f"userPrincipalName: {second}@example.org" in bench.find(second)
    assert f"dn: CN={first},{PEOPLE}" in bench.find(first)


async def test_a_creation_that_was_cut_off(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """A user with the mark is not there yet; the next push completes it, and enables it."""
    username = trial.name()
    bench.server.add(
        f"dn: {bench.name(username)}\nobjectClass: user\nsAMAccountName: {username}\n"
        "userAccountControl: 514\ninfo: provost: is being created\n"
    )
    async with open_session(bench.open_connector(), bench.target) as session:
        assert await session.observe([username]) == {username: Presence.INCOMPLETE}
    outcome, held = await trial.push(username)
    assert (outcome.decision, outcome.status) == (Decision.CREATE, Status.SUCCEEDED), outcome
    assert held
    assert await trial.log_in(username, held)
    assert "info:" not in bench.find(username)


async def test_a_password_that_the_domain_refuses(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """What the domain wants is said; nothing is created, and an account keeps the password that it had."""
    new, in_group, there = trial.name(), trial.name(), trial.name()
    await trial.make(there, GOOD)
    for applied in (
        await apply(bench, new, Password("short")),
        await apply(bench, in_group, Password("allthesamekind"), groups="ops"),
        await apply(bench, there, Password("short"), decision=Decision.ADOPT),
    ):
        assert code_of(applied) == "password_refused"
        assert "at least 7 characters; three of the kinds" in str(applied.error)
        assert "24" in str(applied.error)
    assert not bench.has(new)
    assert not bench.has(in_group)
    assert await trial.log_in(there, GOOD)


async def test_what_cannot_be_created(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """A group that is not there, a name that a group has, one that was taken meanwhile, one in a long form."""
    username, taken = trial.name(), trial.name()
    assert code_of(await apply(bench, username, GOOD, groups="ops,nobodys")) == "create_refused"
    assert not bench.has(username)
    assert code_of(await apply(bench, "ops", GOOD)) == "create_refused"
    await trial.make(taken, GOOD)
    assert code_of(await apply(bench, taken, Password("Another one 2"))) == "appeared"
    assert await trial.log_in(taken, GOOD)
    assert code_of(await apply(bench, f"{username}@{DOMAIN}", GOOD)) == "create_refused"
    assert code_of(await apply(bench, username, GOOD, decision=Decision.ADOPT)) == "account_absent"


async def test_a_group_that_it_may_not_change(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """The user that was begun is taken back."""
    username = trial.name()
    assert code_of(await apply(bench, username, GOOD, groups="Domain Admins")) == "create_refused"
    assert not bench.has(username)


# Looking.


async def test_names_that_differ_in_case(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """To the domain they are the same: that is said, and neither absent nor another account is told."""
    username = trial.name("x")
    await trial.make(username, GOOD)
    other = username.upper()
    async with open_session(bench.open_connector(), bench.target) as session:
        found = await session.observe([other, username, trial.name()])
        assert found[username] is Presence.PRESENT
        assert isinstance(found[other], TargetError)
        assert found[other].code == "name_differs"
    outcome, _ = await trial.push("ADMINISTRATOR")
    assert (outcome.status, outcome.reason) == (Status.FAILED, "name_differs")


async def test_what_is_not_delegated(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """An account where the privileged one has no rights is seen, keeps its password, and is not ended."""
    username = trial.name()
    bench.server.make_user(username, GOOD, SHARED)
    outcome, _ = await trial.push(username)
    assert (outcome.decision, outcome.status, outcome.reason) == (
        Decision.ADOPT, Status.FAILED, "password_refused"
    )  # fmt: skip
    for action, code in ((Action.DISABLE, "disable_refused"), (Action.REMOVE, "change_refused")):
        [outcome] = await trial.act(action, username)
        assert (outcome.status, outcome.reason) == (Status.FAILED, code)
    assert await trial.log_in(username, GOOD)


async def test_what_is_told_of_users(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """Who is all-powerful, at any depth; who came with the domain; who has logged in."""
    deep, plain = trial.name(), trial.name()
    for name in (deep, plain):
        await trial.make(name, GOOD)
    bench.server.add(
        f"dn: CN=inner{deep},{GROUPS}\nobjectClass: group\nsAMAccountName: inner{deep}\n"
        f"member: {bench.name(deep)}\n"
    )
    bench.server.change(f"CN=Domain Admins,{SHARED}", "add: member", f"member: CN=inner{deep},{GROUPS}")
    assert await trial.log_in(plain, GOOD)
    found = await discover(bench)
    assert [found[name].superuser for name in ("Administrator", deep, plain)] == [True, True, False]
    assert [found[name].system for name in ("Administrator", "krbtgt", plain)] == [True, True, False]
    assert found["Administrator"].privileges == ("adminCount=1",)
    assert (found["Guest"].can_log_in, found["Guest"].locked) == (False, True)
    assert (found[plain].can_log_in, found[plain].locked) == (True, False)
    assert found[plain].last_login
    assert found[plain].password_changed
    assert found[plain].password_expires
    bench.server.change(f"CN=Domain Admins,{SHARED}", "delete: member", f"member: CN=inner{deep},{GROUPS}")


def test_times() -> None:
    """Ticks since 1601, of which some mean never."""
    assert [read_time(ticks) for ticks in (None, 0, 2**63 - 1, -1, 2**62 * 3)] == [None] * 5
    moment = read_time(133_000_000_000_000_000)
    assert moment
    assert write_time(moment) == 133_000_000_000_000_000


# Ending, and what a login tells.


async def test_a_disabled_account(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """The right password is not called wrong; other bits of it stay; a new password enables nothing."""
    username = trial.name()
    await trial.make(username, GOOD)
    bench.server.change(bench.name(username), "replace: userAccountControl", "userAccountControl: 66048")
    [outcome] = await trial.act(Action.DISABLE, username)
    assert outcome.status is Status.SUCCEEDED, outcome
    assert "userAccountControl: 66050" in bench.find(username)
    told = await verify(bench, username, GOOD)
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "policy_forbids_login", True)
    assert "disabled" in told.message
    new = Password("Another one 2")
    assert (await apply(bench, username, new, decision=Decision.ADOPT)).error is None
    assert not await trial.log_in(username, new)
    [outcome] = await trial.act(Action.ENABLE, username)
    assert outcome.status is Status.SUCCEEDED, outcome
    assert "userAccountControl: 66048" in bench.find(username)
    assert await trial.log_in(username, new)


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("accountExpires", "132000000000000000", "expired"),
        ("pwdLastSet", "0", "must be changed"),
        ("userAccountControl", "514", "disabled"),
    ],
)
async def test_who_is_not_let_in(
    bench: ActiveDirectoryBench, trial: Trial, attribute: str, value: str, said: str
) -> None:
    """The password is right, and that is not called wrong, neither of an account nor of a privileged one."""
    username = trial.name()
    await trial.make(username, GOOD)
    bench.server.change(bench.name(username), f"replace: {attribute}", f"{attribute}: {value}")
    told = await verify(bench, username, GOOD)
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "policy_forbids_login", True)
    assert said in told.message
    with pytest.raises(LoginRefused, match=said) as caught:
        await open_at(bench, replace(bench.target, logins=(Login(username, GOOD),)))
    assert caught.value.code == "policy_forbids_login"


async def test_a_locked_account(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """After too many wrong passwords the right one is refused, too, and is not called wrong."""
    username = trial.name()
    await trial.make(username, GOOD)
    bench.server.change(ROOT, "replace: lockoutThreshold", "lockoutThreshold: 2")
    try:
        for _ in range(2):
            assert (await verify(bench, username, Password("A wrong one 1"))).refused
        told = await verify(bench, username, GOOD)
        assert (told.verdict, told.reason) == (Verdict.UNKNOWN, "policy_forbids_login"), told
        assert "locked" in told.message
        assert (await discover(bench))[username].locked is True
    finally:
        bench.server.change(ROOT, "replace: lockoutThreshold", "lockoutThreshold: 0")


@pytest.mark.parametrize(
    ("code", "data", "verdict", "reason"),
    [
        (49, "52e", Verdict.REJECTED, "login_rejected"),
        (49, "525", Verdict.REJECTED, "login_rejected"),
        (49, "", Verdict.REJECTED, "login_rejected"),
        *[(49, data, Verdict.UNKNOWN, "policy_forbids_login") for data in ("530", "531", "532", "533", "568")],
        *[(49, data, Verdict.UNKNOWN, "policy_forbids_login") for data in ("701", "773", "775")],
        *[(code, "", Verdict.UNKNOWN, "policy_forbids_login") for code in (8, 13, 48, 53)],
        *[(code, "", Verdict.UNKNOWN, "unreachable") for code in (51, 52)],
        (0, "", Verdict.ACCEPTED, ""),
    ],
)
async def test_what_an_answer_means(
    bench: ActiveDirectoryBench, code: int, data: str, verdict: Verdict, reason: str
) -> None:
    """In the words of Windows, also where Samba does not come to say it."""
    words = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {}, v2580"
    answer = Answer(code, "name", words.format(data) if data else "")
    async with open_session(bench.open_connector(), bench.target) as session:
        assert isinstance(session, ActiveDirectorySession)
        told = session._judge("ada", answer)
    assert (told.verdict, told.reason, told.refused) == (verdict, reason, code == 49)


async def test_whom_a_domain_needs(bench: ActiveDirectoryBench) -> None:
    """By whatever name they are called."""
    async with open_session(bench.open_connector(), bench.target) as session:
        for name in (f"CN=Administrator,{SHARED}", f"krbtgt@{DOMAIN}", "Guest"):
            [removed] = [one async for one in session.remove([Removal(name, ActiveDirectoryRemoval())])]
            assert code_of(removed) == "protected_account"


async def test_its_log_holds_no_packet(bench: ActiveDirectoryBench, trial: Trial) -> None:
    """Nor is a password in it as unicodePwd has it, in hexadecimal or with dots between."""
    username, secret = trial.name(), trial.make_secret()
    assert isinstance(secret, Password)
    await trial.push(username, secret)
    log = bench.read_log()
    assert username in log
    assert "REDACTED SECRET ATTRIBUTE" in log
    assert ".".join(secret.text[:8]) not in log
    assert secret.text[:8].encode("utf-16-le").hex().upper() not in log.upper().replace(" ", "")

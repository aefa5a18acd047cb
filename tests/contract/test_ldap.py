"""The kind `ldap`, on a real slapd."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.conftest import LabHosts, do_without
from tests.kinds.ldap import ACCESS, GROUPS, PEOPLE, POLICY, PROVOST, STRICT, SUFFIX, LdapBench, OpenLdap
from tests.kinds.linux import aim_at_gateway

from provost.conformance import Conformance, Trial
from provost.conformance.cutter import Cutter
from provost.conformance.reaching import Witnessed, lead_through, open_session
from provost.connectors._ldap.names import fold_dn
from provost.connectors.ldap import LdapConnector
from provost.connectors.ldap.parameters import LdapOptions, LdapParameters, LdapRemoval
from provost.core.connector import Applied, Change, Removal, Timeouts, Verification, Withdrawal
from provost.core.errors import (
    ChangeUnknown,
    HostKeyRefused,
    LoginRefused,
    LoginUnanswered,
    Refused,
    TargetError,
)
from provost.core.facts import Facts
from provost.core.job import Login, Target
from provost.core.keys import read_key_line
from provost.core.model import Action, Decision, Presence, SecretType, Status, Verdict
from provost.core.secrets import Password, Secret, SshKey


@pytest.fixture(scope="module")
def server() -> Iterator[OpenLdap]:
    if not OpenLdap.is_installed():
        do_without("slapd is not installed (Debian: apt-get install slapd ldap-utils)")
    with OpenLdap() as server:
        yield server


@pytest.fixture
def bench(server: OpenLdap) -> LdapBench:
    return LdapBench(server)


@pytest.fixture
def trial(bench: LdapBench) -> Trial:
    return Trial(bench)


@pytest.fixture
def policy(server: OpenLdap) -> Iterator[Any]:
    """A function that sets what the strict password policy says, for one test."""
    names: set[str] = set()

    def change(**values: str) -> None:
        for name, value in values.items():
            names.add(name)
            server.change(STRICT, f"replace: {name}", f"{name}: {value}")

    yield change
    for name in names:
        server.change(STRICT, f"replace: {name}")


def be_strict(bench: LdapBench, username: str) -> None:
    """Put an account under the policy that the test has made strict."""
    bench.server.change(bench.name(username), "add: pwdPolicySubentry", f"pwdPolicySubentry: {STRICT}")


class TestLdap(Conformance):
    """The suite of every kind."""


async def apply(
    bench: LdapBench,
    username: str,
    secret: Secret,
    *,
    decision: Decision = Decision.CREATE,
    target: Target | None = None,
    others: tuple[Secret, ...] = (),
    overlap: bool = False,
    replaces: SshKey | None = None,
    **parameters: object,
) -> Applied:
    """Apply one change in a session of its own."""
    model = LdapParameters.model_validate(parameters)
    change = Change(username, decision, secret, model, others, overlap=overlap, replaces=replaces)
    async with open_session(bench.open_connector(), target or bench.target) as session:
        [applied] = [one async for one in session.apply([change])]
    return applied


async def verify(bench: LdapBench, username: str, secret: Secret) -> Verification:
    async with open_session(bench.open_connector(), bench.target) as session:
        return await session.verify(username, secret)


async def discover(bench: LdapBench, target: Target | None = None) -> dict[str, Facts]:
    async with open_session(bench.open_connector(), target or bench.target) as session:
        return {facts.username: facts for facts in await session.discover()}


def code_of(applied: Applied) -> str:
    return applied.error.code if applied.error else ""


def read_keys(bench: LdapBench, username: str) -> set[str]:
    """Return an account's key lines as the administrator sees them."""
    told = bench.server.find("(objectClass=*)", "sshPublicKey", base=bench.name(username))
    return {line.removeprefix("sshPublicKey: ") for line in told.splitlines() if line.startswith("sshP")}


# Ways in.


async def open_at(bench: LdapBench, target: Target, timeouts: Timeouts | None = None) -> str:
    """Open a session and return who acts."""
    connector = bench.open_connector()
    try:
        session = await connector.open(target, target.logins[0], timeouts or Timeouts(), Witnessed())
        await session.close()
        return session.actor
    finally:
        await connector.close()


async def test_starttls(bench: LdapBench, trial: Trial) -> None:
    """By StartTLS as by LDAPS: certificates are checked, and secrets are set and verified."""
    target = bench.aim_plain(starttls="yes")
    outcome, held = await trial.push(trial.name(), target=target)
    assert outcome.status is Status.SUCCEEDED, outcome
    assert held
    for wrong in (
        bench.aim_plain(starttls="yes", tls_ca=None),
        bench.aim_plain(starttls="yes", tls_name="x.example"),
    ):
        with pytest.raises(HostKeyRefused) as caught:
            await open_at(bench, wrong)
        assert caught.value.code == "certificate_refused"


async def test_a_name_besides_the_address(bench: LdapBench) -> None:
    """The name that the certificate must hold counts, and not the address, which it holds as well."""
    assert await open_at(bench, bench.aim(tls_name="ldap.example")) == PROVOST
    assert await open_at(bench, bench.aim(tls="unverified", tls_ca=None, tls_name="x.example")) == PROVOST
    with pytest.raises(HostKeyRefused):
        await open_at(bench, bench.aim(tls_name="other.example"))


async def test_in_clear(bench: LdapBench) -> None:
    """Only when the options say so."""
    assert await open_at(bench, bench.aim_plain(tls="off")) == PROVOST
    with pytest.raises(ValidationError, match="starttls"):
        LdapOptions(base_dn=PEOPLE, tls="off", starttls=True)


async def test_a_port_without_tls(bench: LdapBench) -> None:
    """A server that does no TLS where it should is told apart, and so is one that is no directory."""
    with pytest.raises(TargetError) as caught:
        await open_at(bench, bench.aim_plain())
    assert caught.value.code == "tls_unavailable"
    with pytest.raises(LoginUnanswered):
        await open_at(bench, bench.aim(tls="off", tls_ca=None), Timeouts(connect=2))


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH_9.2p1\r\n", b"\x30\x84\xff\xff\xff\xff", b"0\x03\x02\x01"]
)
async def test_what_is_no_directory(bench: LdapBench, answer: bytes) -> None:
    """Whatever else answers there may have refused the password: it counts as that, and is told in time."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.read(100)
        writer.close()

    strange = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with strange:
        target = replace(bench.aim(tls="off", tls_ca=None), port=strange.sockets[0].getsockname()[1])
        with pytest.raises(LoginUnanswered):
            await open_at(bench, target, Timeouts(connect=2, command=2))


async def test_who_a_privileged_account_is(bench: LdapBench) -> None:
    """A name of an entry is used as it is; a username gets its place by the option, or among the accounts."""
    login = Login("provost", bench.target.logins[0].password)
    by_template = bench.aim(bind_dn=f"cn={{username}},ou=services,{SUFFIX}")
    assert await open_at(bench, replace(by_template, logins=(login,))) == "provost"
    with pytest.raises(LoginRefused) as caught:
        await open_at(bench, replace(bench.target, logins=(login,)))
    assert caught.value.code == LoginRefused.code
    found = await discover(bench, replace(by_template, logins=(login,)))
    assert "provost" in found
    assert PROVOST not in found


async def test_what_lets_nobody_in(bench: LdapBench) -> None:
    """A key is no way in; an empty password, which servers take for nobody's, is never sent."""
    key = Trial(bench).make_secret(SecretType.SSH_KEY)
    assert isinstance(key, SshKey)
    for login in (Login(PROVOST, key=key), Login(PROVOST, Password(""))):
        with pytest.raises(LoginRefused) as caught:
            await open_at(bench, replace(bench.target, logins=(login,)))
        assert caught.value.code == "login_method_unavailable"
    assert (await verify(bench, PROVOST, Password(""))).verdict is Verdict.UNKNOWN


async def test_a_server_that_wants_tls(bench: LdapBench, server: OpenLdap) -> None:
    """Where passwords are not taken in clear, that is said, and no password is called wrong."""
    server.change("olcDatabase={1}mdb,cn=config", "replace: olcSecurity", "olcSecurity: simple_bind=128")
    try:
        with pytest.raises(TargetError) as caught:
            await open_at(bench, bench.aim_plain(tls="off"))
        assert caught.value.code == "tls_required"
    finally:
        server.change("olcDatabase={1}mdb,cn=config", "replace: olcSecurity")


async def test_a_base_that_is_not_there(bench: LdapBench) -> None:
    """A wrong base_dn is no empty directory."""
    with pytest.raises(LoginRefused, match="base_dn") as caught:
        await open_at(bench, bench.aim(base_dn=f"ou=nowhere,{SUFFIX}"))
    assert caught.value.code == "rights_missing"


async def test_through_a_gateway(bench: LdapBench, trial: Trial, lab_hosts: LabHosts) -> None:
    """Through SSH the certificate must still hold the server's own name, and not that of the tunnel."""
    [host] = lab_hosts(1)
    target = replace(bench.aim(tls_name="ldap.example"), via=aim_at_gateway(host))
    outcome, _ = await trial.push(trial.name(), target=target)
    assert outcome.status is Status.SUCCEEDED, outcome
    with pytest.raises(HostKeyRefused):
        await open_at(bench, replace(bench.aim(tls_name="x.example"), via=aim_at_gateway(host)))


def test_its_page_grants_what_the_tests_use() -> None:
    """The rights in docs/ldap.md are those of the bench's privileged account."""
    assert ACCESS in (Path(__file__).parents[2] / "docs" / "ldap.md").read_text()


# Creating.


async def test_what_a_person_is_given(bench: LdapBench) -> None:
    """Each parameter of a person lands in its attribute."""
    username = Trial.name()
    applied = await apply(
        bench, username, Password("x1"), full_name="Ada Lovelace", surname="Lovelace", given_name="Ada",
        mail="ada@example.org", comment="counts",
    )  # fmt: skip
    assert applied.error is None
    told = bench.server.find("(objectClass=*)", base=bench.name(username))
    for line in (
        "cn: Ada Lovelace", "sn: Lovelace", "givenName: Ada", "mail: ada@example.org", "description: counts",
    ):  # fmt: skip
        assert line in told
    assert "being created" not in told


async def test_posix_accounts(bench: LdapBench) -> None:
    """They get the next free uid, a main group, a home and a shell; each can be said for a push."""
    target = bench.aim(posix="yes", gid=500, uid_range="20000-20003", home="/srv/{username}")
    first, second, third = (Trial.name() for _ in range(3))
    assert (await apply(bench, first, Password("x1"), target=target)).error is None
    assert (await apply(bench, second, Password("x1"), target=target, shell="/bin/sh", gid=100)).error is None
    assert (
        await apply(bench, third, Password("x1"), target=target, uid=20003, home="/opt/x", groups="ops")
    ).error is None
    found = await discover(bench, target)
    assert [(found[name].uid, found[name].home, found[name].shell) for name in (first, second, third)] == [
        (20000, f"/srv/{first}", "/bin/bash"),
        (20001, f"/srv/{second}", "/bin/sh"),
        (20003, "/opt/x", "/bin/bash"),
    ]
    assert found[first].groups == ("ops",)
    # The top of the range is taken: the lowest that is free is next, and then there is none.
    fourth, fifth = Trial.name(), Trial.name()
    assert (await apply(bench, fourth, Password("x1"), target=target)).error is None
    assert (await discover(bench, target))[fourth].uid == 20002
    applied = await apply(bench, fifth, Password("x1"), target=target)
    assert code_of(applied) == "create_refused"
    assert not bench.has(fifth)


async def test_a_uid_that_somebody_else_takes(bench: LdapBench) -> None:
    """Of two that took one number at once, the new one moves on; one that was asked for is refused."""
    target = bench.aim(posix="yes", gid=500, uid_range="30000-39999")
    username, other = Trial.name("z"), Trial.name("a")
    async with open_session(LdapConnector(), target) as session:
        make = Change(other, Decision.CREATE, Password("x1"), LdapParameters())
        assert [one.error async for one in session.apply([make])] == [None]
        # The session has seen the numbers by now; this one is taken behind its back.
        bench.server.change(bench.name(other), "replace: uidNumber", "uidNumber: 30001")
        change = Change(username, Decision.CREATE, Password("x1"), LdapParameters())
        assert [one.error async for one in session.apply([change])] == [None]
    assert (await discover(bench, target))[username].uid == 30002
    applied = await apply(bench, Trial.name(), Password("x1"), target=target, uid=30001)
    assert code_of(applied) == "create_refused"


async def test_groups(bench: LdapBench, trial: Trial) -> None:
    """Members are added by name or by entry, others stay; a group that is not there makes no account."""
    username = trial.name()
    applied = await apply(bench, username, Password("x1"), groups="ops, staff")
    assert applied.error is None
    assert (await discover(bench))[username].groups == ("ops", "staff")
    told = bench.server.find("(cn=staff)", "member")
    assert f"member: {PROVOST}" in told
    other = trial.name()
    assert code_of(await apply(bench, other, Password("x1"), groups="ops,nobodys")) == "create_refused"
    target = bench.aim(groups_dn=None)
    assert code_of(await apply(bench, other, Password("x1"), target=target, groups="ops")) == (
        "unsupported_parameter"
    )
    assert not bench.has(other)


async def test_a_removal_takes_memberships_along(bench: LdapBench, trial: Trial) -> None:
    """Also those of an account that is gone already; a group of names that would be empty is told of."""
    username = trial.name()
    await apply(bench, username, Password("x1"), groups="ops,staff")
    name = f"cn=only{username},{GROUPS}"
    bench.server.tell(f"dn: {name}\nobjectClass: groupOfNames\nmember: {bench.name(username)}\n", "ldapadd")
    async with open_session(LdapConnector(), bench.target) as session:
        [removed] = [one async for one in session.remove([Removal(username, LdapRemoval())])]
        assert removed.error is None
        assert f"only{username}" in removed.message
        assert not bench.has(username)
        told = bench.server.find("(objectClass=*)", base=f"cn=ops,{GROUPS}")
        assert username not in told + bench.server.find("(objectClass=*)", base=f"cn=staff,{GROUPS}")
        bench.server.change(f"cn=ops,{GROUPS}", "add: memberUid", f"memberUid: {username}")
        [removed] = [one async for one in session.remove([Removal(username, LdapRemoval())])]
        assert removed.error is None
    assert username not in bench.server.find("(objectClass=*)", base=f"cn=ops,{GROUPS}")


async def test_a_creation_that_cannot_be_undone(bench: LdapBench, server: OpenLdap) -> None:
    """What a refused creation has begun, and may not delete, is uncertain; a push goes on with it."""
    target = bench.aim(posix="yes", gid=500, uid_range="40000-49999")
    other, username = Trial.name("a"), Trial.name("z")
    assert (await apply(bench, other, Password("x1"), target=target, uid=40000)).error is None
    kept = f'to dn.onelevel="{PEOPLE}" attrs=entry by dn.exact="{PROVOST}" =arscxd by users read by * none'
    database = "olcDatabase={1}mdb,cn=config"
    server.change(database, "add: olcAccess", f"olcAccess: {{0}}{kept}")
    try:
        applied = await apply(bench, username, Password("x1"), target=target, uid=40000)
    finally:
        server.change(database, "delete: olcAccess", "olcAccess: {0}")
    assert isinstance(applied.error, ChangeUnknown), applied
    assert applied.error.code == "cleanup_failed"
    assert "access" in applied.error.message
    assert bench.has(username)
    assert (await apply(bench, username, Password("x1"), target=target)).error is None


async def test_a_creation_that_was_cut_off(bench: LdapBench, trial: Trial) -> None:
    """An entry with the mark is not there yet; the next push completes it, and takes the mark away."""
    username = trial.name()
    bench.server.tell(
        f"dn: {bench.name(username)}\nobjectClass: inetOrgPerson\nuid: {username}\ncn: x\nsn: x\n"
        "description: provost: is being created\ndescription: mine\n",
        "ldapadd",
    )
    async with open_session(LdapConnector(), bench.target) as session:
        assert await session.observe([username]) == {username: Presence.INCOMPLETE}
    key = trial.make_secret(SecretType.SSH_KEY)
    password = trial.make_secret()
    assert (await apply(bench, username, password, others=(key,))).error is None
    assert await trial.log_in(username, password)
    assert await trial.log_in(username, key)
    told = bench.server.find("(objectClass=*)", "description", base=bench.name(username))
    assert "mine" in told
    assert "provost" not in told


async def test_an_account_that_appeared(bench: LdapBench, trial: Trial) -> None:
    """One that somebody else has made since the look is left as it is."""
    username, hers = trial.name(), trial.make_secret()
    await trial.make(username, hers)
    assert code_of(await apply(bench, username, trial.make_secret())) == "appeared"
    assert await trial.log_in(username, hers)


async def test_a_password_that_the_policy_refuses(bench: LdapBench, trial: Trial, server: OpenLdap) -> None:
    """A creation leaves nothing behind, and an account keeps the password that it had."""
    server.change(
        POLICY, "add: pwdMinLength", "pwdMinLength: 12", "-", "add: pwdCheckQuality", "pwdCheckQuality: 2"
    )
    new, there, hers = trial.name(), trial.name(), Password("long enough for it")
    await trial.make(there, hers)
    assert code_of(await apply(bench, new, Password("short"), groups="ops")) == "password_refused"
    assert not bench.has(new)
    assert new not in bench.server.find("(cn=ops)", "memberUid")
    applied = await apply(bench, there, Password("short"), decision=Decision.ADOPT)
    assert code_of(applied) == "password_refused"
    assert "too short" in str(applied.error)
    assert await trial.log_in(there, hers)
    server.change(POLICY, "delete: pwdMinLength", "-", "delete: pwdCheckQuality")


async def test_what_cannot_be(bench: LdapBench) -> None:
    """Parameters that a directory has no use for, and a user of Linux hosts by a name that they do not know."""
    assert code_of(await apply(bench, Trial.name(), Password("x1"), shell="/bin/sh")) == "unsupported_parameter"
    target = bench.aim(posix="yes", gid=500)
    assert code_of(await apply(bench, "a b", Password("x1"), target=target)) == "create_refused"
    outside = f"cn=new,ou=services,{SUFFIX}"
    assert code_of(await apply(bench, outside, Password("x1"))) == "create_refused"
    assert (
        code_of(await apply(bench, Trial.name(), Password("x1"), decision=Decision.ADOPT)) == "account_absent"
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"base_dn": "nonsense"},
        {"base_dn": PEOPLE, "posix": "yes"},
        {"base_dn": PEOPLE, "uid_range": "9-1"},
        {"base_dn": PEOPLE, "rdn": "a=b"},
        {"base_dn": PEOPLE, "bind_dn": f"cn=x,{SUFFIX}"},
        {"base_dn": PEOPLE, "home": "{username}"},
        {"base_dn": PEOPLE, "tls_ca": "nonsense"},
        {"base_dn": PEOPLE, "unknown": "1"},
    ],
)
def test_options_that_are_refused(options: dict[str, str]) -> None:
    """Before anything is contacted."""
    with pytest.raises(ValidationError):
        LdapOptions.model_validate(options)


@pytest.mark.parametrize(
    "parameters",
    [{"uid": "0"}, {"shell": "sh"}, {"home": "/a/../b"}, {"mail": ""}, {"key_options": "nonsense"}, {"x": "1"}],
)
def test_parameters_that_are_refused(parameters: dict[str, str]) -> None:
    """Before anything is contacted."""
    with pytest.raises(ValidationError):
        LdapParameters.model_validate(parameters)


@pytest.mark.parametrize("name", [" a", "a ", "a  b", "ﬁ", "a\u200bb", "a\x7f", "x" * 257])
def test_usernames_that_are_refused(name: str) -> None:
    """What a directory would take for another name."""
    with pytest.raises(Refused):
        LdapConnector().check_username(name)


# Looking.


async def test_names_that_differ_in_case(bench: LdapBench, trial: Trial) -> None:
    """To the directory they are the same: that is said, and neither absent nor another account is told."""
    username, hers = trial.name("x"), trial.make_secret()
    await trial.make(username, hers)
    other = username.upper()
    async with open_session(LdapConnector(), bench.target) as session:
        found = await session.observe([other, username])
        assert found[username] is Presence.PRESENT
        assert isinstance(found[other], TargetError)
        assert found[other].code == "name_differs"
    outcome, _ = await trial.push(other)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "name_differs")
    assert await trial.log_in(username, hers)


async def test_accounts_below_the_base(bench: LdapBench, trial: Trial) -> None:
    """They are found wherever they are; two by one name are an error."""
    username, secret = trial.name(), trial.make_secret()
    bench.server.tell(f"dn: ou={username},{PEOPLE}\nobjectClass: organizationalUnit\n", "ldapadd")
    deep = f"uid={username},ou={username},{PEOPLE}"
    person = f"objectClass: inetOrgPerson\nuid: {username}\ncn: x\nsn: x\n"
    bench.server.tell(f"dn: {deep}\n{person}", "ldapadd")
    outcome, _ = await trial.push(username, secret)
    assert (outcome.decision, outcome.status) == (Decision.ADOPT, Status.SUCCEEDED), outcome
    assert isinstance(secret, Password)
    assert bench.server.bind(deep, secret) == 0
    bench.server.tell(f"dn: {bench.name(username)}\n{person}", "ldapadd")
    outcome, _ = await trial.push(username)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "name_ambiguous")
    bench.server.tell(f"dn: {deep}\nchangetype: delete\n\ndn: ou={username},{PEOPLE}\nchangetype: delete\n")


async def test_many_accounts(bench: LdapBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a page, and more than are looked up at once."""
    monkeypatch.setattr("provost.connectors._ldap.directory.PAGE", 5)
    monkeypatch.setattr("provost.connectors._ldap.session.CHUNK", 3)
    count = 20
    ldif = "\n".join(
        f"dn: uid=many{n},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: many{n}\ncn: x\nsn: x\n"
        for n in range(count)
    )
    bench.server.tell(ldif, "ldapadd")
    try:
        names = [f"many{n}" for n in range(count)]
        assert set(names) <= set(await discover(bench))
        async with open_session(LdapConnector(), bench.target) as session:
            assert set((await session.observe(names)).values()) == {Presence.PRESENT}
    finally:
        bench.server.tell("\n".join(f"dn: uid=many{n},{PEOPLE}\nchangetype: delete\n" for n in range(count)))


async def test_a_list_that_is_not_whole(bench: LdapBench, server: OpenLdap) -> None:
    """A server that gives out a part of the accounts, or has them elsewhere, is an error."""
    database, limit = "olcDatabase={1}mdb,cn=config", f'olcLimits: dn.exact="{PROVOST}" size='
    server.change(database, "replace: olcLimits", f"{limit}1")
    try:
        with pytest.raises(TargetError) as caught:
            await discover(bench)
        assert caught.value.code == "lookup_failed"
    finally:
        server.change(database, "replace: olcLimits", f"{limit}unlimited")
    elsewhere = f"ou=elsewhere,{PEOPLE}"
    server.tell(
        f"dn: {elsewhere}\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\n"
        f"ref: ldap://192.0.2.1/{elsewhere}\n",
        "ldapadd",
    )
    try:
        with pytest.raises(TargetError):
            await discover(bench)
    finally:
        assert server.run("ldapdelete", "-M", elsewhere).returncode == 0


# SSH keys.


def make_key(trial: Trial) -> SshKey:
    key = trial.make_secret(SecretType.SSH_KEY)
    assert isinstance(key, SshKey)
    return key


async def test_key_strategies(bench: LdapBench, trial: Trial) -> None:
    """What is Provost's own is told by its mark; what happens to other keys is told by the strategy."""
    username = trial.name()
    hers, first, second, third, last = (make_key(trial) for _ in range(5))
    await trial.make(username, hers)
    adopt = Decision.ADOPT
    await apply(bench, username, first, decision=adopt)
    assert read_keys(bench, username) == {f"{hers.public} hers", f"{first.public} provost-managed"}
    await apply(bench, username, second, decision=adopt, key_options="no-pty")
    assert read_keys(bench, username) == {f"{hers.public} hers", f"no-pty {second.public} provost-managed"}
    await apply(bench, username, third, decision=adopt, key_strategy="append")
    assert len(read_keys(bench, username)) == 3
    for _ in range(2):
        assert (await apply(bench, username, last, decision=adopt, key_strategy="exclusive")).error is None
        assert read_keys(bench, username) == {f"{last.public} provost-managed"}


async def test_overlapping_keys(bench: LdapBench, trial: Trial) -> None:
    """A new key gets the options of the one before, which stays until it is withdrawn; others stay anyway."""
    username, hers, old, new = trial.name(), *(make_key(trial) for _ in range(3))
    await trial.make(username, hers)
    await apply(bench, username, old, decision=Decision.ADOPT, key_options='from="10.0.0.0/8"')
    await apply(bench, username, new, decision=Decision.ADOPT, overlap=True, replaces=old)
    added = f'from="10.0.0.0/8" {new.public} provost-managed'
    assert read_keys(bench, username) == {
        f"{hers.public} hers", f'from="10.0.0.0/8" {old.public} provost-managed', added
    }  # fmt: skip
    async with open_session(LdapConnector(), bench.target) as session:
        for _ in range(2):
            told = [
                one.error async for one in session.withdraw([Withdrawal(username, new), Withdrawal("no", new)])
            ]
            assert told == [None, None]
    assert read_keys(bench, username) == {f"{hers.public} hers", added}
    async with open_session(LdapConnector(), bench.target) as session:
        [one async for one in session.withdraw([Withdrawal(username, new, (hers,))])]
    assert read_keys(bench, username) == {added}


async def test_what_is_told_of_a_key(bench: LdapBench, trial: Trial) -> None:
    """A directory lets nobody in by a key, so none is proven; one that is not there is wrong."""
    username, hers = trial.name(), make_key(trial)
    await trial.make(username, hers)
    told = await verify(bench, username, hers)
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "no_login_by_key", False)
    for name in (username, trial.name()):
        told = await verify(bench, name, make_key(trial))
        assert (told.verdict, told.reason, told.refused) == (Verdict.REJECTED, "key_absent", False)
    outcome = await trial.check(username, make_key(trial))
    assert (outcome.status, outcome.reason) == (Status.FAILED, "out_of_sync")
    found = (await discover(bench))[username].keys
    assert found == (read_key_line(f"{hers.public} hers"),)


async def test_what_a_server_does_not_have() -> None:
    """Without the schema keys are refused, and nothing is left of the creation; nor is there TLS, or a lock."""
    if not OpenLdap.is_installed():
        do_without("slapd is not installed (Debian: apt-get install slapd ldap-utils)")
    with OpenLdap(keys=False, tls=False, policy=False) as bare:
        bench = LdapBench(bare)
        target = bench.aim_plain(tls="off")
        username, key = Trial.name(), make_key(Trial(bench))
        assert code_of(await apply(bench, username, key, target=target)) == "key_refused"
        assert not bench.has(username)
        with pytest.raises(TargetError) as caught:
            await open_at(bench, bench.aim_plain(starttls="yes"))
        assert caught.value.code == "tls_unavailable"
        await apply(bench, username, Password("x1"), target=target)
        async with open_session(LdapConnector(), target) as session:
            [applied] = [one async for one in session.disable([username])]
        assert code_of(applied) == "disable_refused"
        assert "ppolicy" in str(applied.error)


# Ending, and what a login tells.


async def test_a_disabled_account(bench: LdapBench, trial: Trial) -> None:
    """Neither password nor key lets it in, also not a new password; enabled it is exactly as it was."""
    username, secret, key = trial.name(), trial.make_secret(), make_key(trial)
    await apply(bench, username, secret, others=(key,), comment="mine")
    bench.server.change(bench.name(username), "add: pwdEndTime", "pwdEndTime: 20990101000000Z")
    before = bench.server.find("(objectClass=*)", "*", "pwdEndTime", base=bench.name(username))
    [outcome] = await trial.act(Action.DISABLE, username)
    assert outcome.status is Status.SUCCEEDED, outcome
    assert not await trial.log_in(username, secret)
    assert not await trial.log_in(username, key)
    told = await verify(bench, username, secret)
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "policy_forbids_login", True)
    assert (await verify(bench, username, key)).reason == "policy_forbids_login"
    assert (await discover(bench))[username].can_log_in is False
    await apply(bench, username, secret, decision=Decision.ADOPT)
    assert not await trial.log_in(username, secret)
    [outcome] = await trial.act(Action.ENABLE, username)
    assert outcome.status is Status.SUCCEEDED, outcome
    assert await trial.log_in(username, secret)
    after = bench.server.find("(objectClass=*)", "*", "pwdEndTime", base=bench.name(username))
    strip = [line for line in before.splitlines() if not line.startswith("userPassword")]
    assert sorted(strip) == sorted(line for line in after.splitlines() if not line.startswith("userPassword"))


async def test_disabling_takes_a_policy(bench: LdapBench, trial: Trial) -> None:
    """Without one that is known to be in force it is refused: OpenLDAP would look at no lock."""
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    for target in (bench.aim(password_policy=None), bench.aim(password_policy=f"cn=none,{SUFFIX}")):
        [outcome] = await trial.act(Action.DISABLE, username, target=target)
        assert (outcome.status, outcome.reason) == (Status.FAILED, "disable_refused")
    assert await trial.log_in(username, secret)


async def test_whom_it_needs(bench: LdapBench, trial: Trial) -> None:
    """Nobody whose uid is 0 is ended, nor who acts, by whatever name."""
    username = trial.name()
    bench.server.tell(
        f"dn: {bench.name(username)}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: {username}\n"
        "cn: x\nsn: x\nuidNumber: 0\ngidNumber: 0\nhomeDirectory: /root\n",
        "ldapadd",
    )
    assert (await discover(bench))[username].superuser is True
    shouted = PROVOST.upper()
    for name, code in ((username, "protected_account"), (shouted, "acting_account")):
        for action in (Action.DISABLE, Action.REMOVE):
            [outcome] = await trial.act(action, name)
            assert (outcome.status, outcome.reason) == (Status.FAILED, code)
    assert bench.has(username)


class Spy(Cutter):
    """Acts before it lets the second connection through: a login, for which the first has found the account."""

    met = 0

    def act(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met += 1
        if self.met == 2:
            self.act()
        await super()._serve(reader, writer)


@pytest.mark.parametrize("code", ["lookup_failed", "connection_lost"])
async def test_a_refusal_that_cannot_be_looked_into(
    bench: LdapBench, trial: Trial, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the account cannot be looked at any more, nobody knows whether its password was the reason."""
    username = trial.name()
    await trial.make(username, trial.make_secret())
    elsewhere = f"ou=else{username},{PEOPLE}"

    def refer(_: Spy) -> None:
        bench.server.tell(
            f"dn: {elsewhere}\nobjectClass: referral\nobjectClass: extensibleObject\nou: else{username}\n"
            f"ref: ldap://192.0.2.1/{elsewhere}\n",
            "ldapadd",
        )

    if code == "lookup_failed":
        monkeypatch.setattr(Spy, "act", refer)
    try:
        async with (
            Spy(bench.target.address, bench.target.port) as spy,
            open_session(LdapConnector(), lead_through(bench, spy)) as session,
        ):
            told = await session.verify(username, Password("wrong"))
    finally:
        bench.server.run("ldapdelete", "-M", elsewhere)
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, code, True), told


async def test_a_locked_account(bench: LdapBench, trial: Trial, policy: Any) -> None:
    """After too many wrong passwords the right one is refused, too, and is not called wrong."""
    policy(pwdLockout="TRUE", pwdMaxFailure="2")
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    be_strict(bench, username)
    for _ in range(2):
        assert (await verify(bench, username, Password("wrong"))).refused
    told = await verify(bench, username, secret)
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "policy_forbids_login", True)


async def test_a_password_that_has_expired(bench: LdapBench, trial: Trial, policy: Any) -> None:
    """It is right, and lets nobody in."""
    policy(pwdMaxAge="1")
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    be_strict(bench, username)
    await asyncio.sleep(2.1)
    told = await verify(bench, username, secret)
    assert (told.verdict, told.reason) == (Verdict.UNKNOWN, "policy_forbids_login"), told
    assert "expired" in told.message
    login = Login(bench.name(username), secret if isinstance(secret, Password) else None)
    with pytest.raises(LoginRefused, match="expired") as caught:
        await open_at(bench, replace(bench.target, logins=(login,)))
    assert caught.value.code == "policy_forbids_login"


async def test_a_password_that_must_be_changed(bench: LdapBench, trial: Trial, policy: Any) -> None:
    """It lets in; that nothing else is let through is said."""
    policy(pwdMustChange="TRUE")
    username, secret = trial.name(), trial.make_secret()
    await trial.make(username, secret)
    be_strict(bench, username)
    bench.server.change(bench.name(username), "add: pwdReset", "pwdReset: TRUE")
    told = await verify(bench, username, secret)
    assert told.verdict is Verdict.ACCEPTED
    assert "must be changed" in told.message


async def test_the_log_at_every_level(bench: LdapBench, trial: Trial) -> None:
    """Passwords are in no level of the log but those that show what goes over the wire."""
    secret = trial.make_secret()
    await trial.push(trial.name(), secret)
    assert "PASSMOD" in bench.read_log()
    trial.check_clean(bench.read_log())
    assert isinstance(secret, Password)
    assert secret.text not in bench.server.find("(objectClass=*)")


def test_names_of_entries() -> None:
    """Spellings of one name are told to be the same, and what is none is told."""
    assert fold_dn("CN=A\\, b, DC=x") == fold_dn("cn=a\\2C b,dc=X") == (("cn", "a, b"), ("dc", "x"))
    assert fold_dn("nonsense") == ()
    assert fold_dn("") == ()

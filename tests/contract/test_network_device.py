"""The kind `network_device` passes the suite for each family of commands; and what is particular about it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import pytest
from pydantic import ValidationError
from tests.contract.test_redis import serve
from tests.kinds.linux import aim_at_gateway
from tests.kinds.network_device import OTHER, DeviceBench, SimulatedDevice, run_device
from tests.kinds.simulated_device import open_state

from provost.conformance import Conformance, Trial
from provost.conformance.cutter import Cutter
from provost.conformance.reaching import Witnessed, lead_through, open_session, stage
from provost.connectors._crypt import hash_cisco_scrypt, hash_sha512
from provost.connectors.network_device import DeviceConnector
from provost.connectors.network_device.parameters import DeviceOptions, DeviceParameters
from provost.core.connector import Change, Timeouts
from provost.core.errors import (
    ChangeRefused,
    HostKeyRefused,
    LoginRefused,
    LoginUnanswered,
    Refused,
    TargetError,
    Unreachable,
)
from provost.core.job import HostTrust, Login, Target
from provost.core.model import Action, Become, Decision, Presence, Status, Verdict
from provost.core.secrets import Password, SshKey
from provost.lab import Lab


class DeviceConformance(Conformance):
    family = ""

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceBench]:
        [gateway] = lab.up(1)
        with run_device(cls.family, tmp_path_factory.mktemp(cls.family)) as device:
            yield DeviceBench(device, aim_at_gateway(gateway))
        lab.down([gateway])


class TestCisco(DeviceConformance):
    family = "cisco"


@pytest.mark.thorough
class TestHuawei(DeviceConformance):
    family = "huawei"


class TestJuniper(DeviceConformance):
    family = "juniper"


@pytest.mark.thorough
class TestGeneric(DeviceConformance):
    family = "other"


del DeviceConformance


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SimulatedDevice]]:
    """A device of each family."""
    running, started = [], {}
    try:
        for family in ("cisco", "huawei", "juniper", "other"):
            running.append(run_device(family, tmp_path_factory.mktemp(family)))
            started[family] = running[-1].__enter__()
        yield started
    finally:
        for one in running:
            one.__exit__(None, None, None)


@pytest.fixture
def bench(request: pytest.FixtureRequest, devices: dict[str, SimulatedDevice]) -> Iterator[DeviceBench]:
    """A bench of the family that a test names (`cisco` if it names none), without flaws afterwards."""
    device = devices[getattr(request, "param", "cisco")]
    yield DeviceBench(device)
    device.set_flaws()


@pytest.fixture
def trial(bench: DeviceBench) -> Trial:
    return Trial(bench)


every_family = pytest.mark.parametrize("bench", ["cisco", "huawei", "juniper", "other"], indirect=True)


# What is typed.


@every_family
async def test_a_created_account_gets_its_rights(bench: DeviceBench, trial: Trial):
    """The parameters `privilege` and `role` are for accounts that are created, and what was set is saved."""
    name, adopted = trial.name(), trial.name()
    await trial.make(adopted, trial.make_secret())
    before = bench.device.read()[adopted]["level"]
    parameters = DeviceParameters(privilege=7, role="operator")
    secret = Password(f"{token_hex(8)}aA1")
    for username in (name, adopted):
        outcome, _ = await trial.push(username, secret, parameters=parameters)
        assert outcome.status is Status.SUCCEEDED, outcome
    assert bench.device.read()[name]["level"] == ("operator" if bench.device.family == "juniper" else "7")
    assert bench.device.read()[adopted]["level"] == before
    assert bench.device.read("saved") == bench.device.read()


@pytest.mark.parametrize("bench", ["cisco", "juniper"], indirect=True)
async def test_passwords_that_only_a_hash_can_carry(bench: DeviceBench, trial: Trial):
    """Where a hash is typed, a password may hold what no command line could take."""
    name, secret = trial.name(), Password('what? "it\'s" a | b; ! # ü 密码')
    outcome, _ = await trial.push(name, secret)
    assert outcome.status is Status.SUCCEEDED
    assert secret.text not in bench.device.read_typed()
    assert await trial.log_in(name, secret)


@pytest.mark.parametrize("bench", ["huawei", "other"], indirect=True)
@pytest.mark.parametrize("text", ["with space 1A", "密码Password1"])
async def test_passwords_that_cannot_be_typed(trial: Trial, text: str):
    """Where the password itself is typed, one that the device might take for another is not tried."""
    name = trial.name()
    outcome, held = await trial.push(name, Password(text))
    assert (outcome.status, outcome.reason, held) == (Status.FAILED, "password_refused", None)
    assert not await trial.has(name)


async def test_a_password_inside_a_command(bench: DeviceBench, trial: Trial):
    """A question mark would ask for help in the middle of a command, so such a password is not typed there."""
    target = bench.aim(create="username {username} privilege {privilege} secret 0 {password}")
    outcome, _ = await trial.push(trial.name(), Password("what?1Aaaa"), target=target)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "password_refused")


@pytest.mark.parametrize("password", ["x", "Hello world!", "pässwörd", "a" * 127])
def test_hashes_are_those_of_others(password: str):
    """SHA-512 is as openssl(1) has it, and Cisco's type 9 as hashcat's example."""
    words = ["openssl", "passwd", "-6", "-salt", "saltstring", "-stdin"]
    done = subprocess.run(words, input=password, capture_output=True, text=True, check=True)
    assert hash_sha512(password, "saltstring") == done.stdout.strip()
    assert (
        hash_cisco_scrypt("hashcat", "2MJBozw/9R3UsU")
        == "$9$2MJBozw/9R3UsU$2lFhcKvpghcyw8deP25GOfyZaagyUOGBymkryvOdfo6"
    )
    assert hash_cisco_scrypt(password) != hash_cisco_scrypt(password)


# What goes wrong.


@pytest.mark.parametrize("bench", ["cisco", "huawei", "other"], indirect=True)
async def test_a_configuration_that_is_not_saved(bench: DeviceBench, trial: Trial):
    """What is in force and not saved is uncertain, and the secret is kept."""
    bench.device.set_flaws("save")
    name, secret = trial.name(), Password(f"{token_hex(8)}aA1")
    outcome, _ = await trial.push(name, secret)
    assert (outcome.status, outcome.reason) == (Status.UNCERTAIN, "not_saved")
    assert await trial.log_in(name, secret)


@pytest.mark.parametrize("bench", ["juniper"], indirect=True)
async def test_a_commit_that_is_refused(bench: DeviceBench, trial: Trial):
    """Without its commit nothing is in force: the record has failed, and the device's words are in it."""
    bench.device.set_flaws("commit")
    name = trial.name()
    outcome, held = await trial.push(name)
    assert (outcome.status, outcome.reason, held) == (Status.FAILED, "create_refused", None)
    assert "locked by another user" in outcome.message
    assert not await trial.has(name)


@pytest.mark.parametrize("bench", ["juniper"], indirect=True)
async def test_one_that_is_refused_among_others(bench: DeviceBench, trial: Trial):
    """What is refused is undone, and the others are committed without it."""
    names = [trial.name(str(index)) for index in range(3)]
    good, bad = DeviceParameters(), DeviceParameters(role="no-such-class")
    async with open_session(bench.open_connector(), bench.target) as session:
        changes = [
            Change(name, Decision.CREATE, trial.make_secret(), bad if index == 1 else good)
            for index, name in enumerate(names)
        ]
        told = {one.username: one.error async for one in session.apply(changes)}
    assert isinstance(told[names[1]], ChangeRefused)
    assert (told[names[0]], told[names[2]]) == (None, None)
    assert [await trial.has(name) for name in names] == [True, False, True]


async def test_a_command_that_the_device_does_not_know(bench: DeviceBench, trial: Trial):
    """An answer such as `% Invalid input` fails the record, in the device's words, and nothing was set."""
    bench.device.set_flaws("no type 9")
    name = trial.name()
    outcome, held = await trial.push(name)
    assert (outcome.status, outcome.reason, held) == (Status.FAILED, "create_refused", None)
    assert "% Invalid input" in outcome.message
    assert not await trial.has(name)


@pytest.mark.parametrize("bench", ["huawei"], indirect=True)
async def test_a_creation_in_parts(bench: DeviceBench, trial: Trial):
    """Refused after its password was set, an account is unfinished; the next push ends its creation."""
    bench.device.set_flaws("no levels")
    name, secret = trial.name(), Password(f"{token_hex(8)}aA1")
    outcome, _ = await trial.push(name, secret)
    assert outcome.status is Status.UNCERTAIN
    bench.device.set_flaws()
    async with open_session(bench.open_connector(), bench.target) as session:
        assert await session.observe([name]) == {name: Presence.INCOMPLETE}
    outcome, held = await trial.push(name, left=[secret])
    assert (outcome.decision, outcome.status) == (Decision.CREATE, Status.SUCCEEDED)
    assert bench.device.read()[name]["service"] == "ssh"
    assert held
    assert await trial.log_in(name, held)


@every_family
async def test_who_came_in_between_stays(bench: DeviceBench, trial: Trial):
    """An account that somebody else created after the look is not touched, and one that is gone not made."""
    name, gone = trial.name(), trial.name()
    await trial.make(name, trial.make_secret())
    before = bench.device.read()
    async with open_session(bench.open_connector(), bench.target) as session:
        changes = [
            Change(name, Decision.CREATE, trial.make_secret(), DeviceParameters()),
            Change(gone, Decision.ADOPT, trial.make_secret(), DeviceParameters()),
        ]
        told = {one.username: one.error async for one in session.apply(changes)}
    assert {one: error.code for one, error in told.items() if error} == {
        name: "appeared",
        gone: "account_absent",
    }
    assert bench.device.read() == before


async def test_many_accounts_on_one_connection(bench: DeviceBench, trial: Trial):
    """Twelve accounts are typed in one session, and the configuration is saved once for ten of them."""
    before = bench.device.read_typed().count("write memory")
    outcomes = await trial.run(Action.PUSH, [stage(trial.name(str(i)), trial.make_secret()) for i in range(12)])
    assert {outcome.status for outcome in outcomes} == {Status.SUCCEEDED}
    assert bench.device.read_typed().count("write memory") - before == 2


# Ways in.


async def open_and_fail(target: Target, timeouts: Timeouts | None = None) -> TargetError:
    connector = DeviceConnector()
    try:
        with pytest.raises(TargetError) as caught:
            await connector.open(target, target.logins[0], timeouts or Timeouts(), Witnessed())
    finally:
        await connector.close()
    return caught.value


@pytest.mark.parametrize("become", [Become.SUDO, Become.SU])
async def test_enable(bench: DeviceBench, trial: Trial, become: Become):
    """An account at a low level becomes privileged with its own password, or with the enable secret."""
    name, secret, shared = trial.name(), Password(f"{token_hex(8)}aA1"), Password(f"{token_hex(8)}aA1")
    await trial.make(name, secret)
    asked = secret if become is Become.SUDO else shared
    with open_state(bench.device.folder) as state:
        state["enable"] = hash_cisco_scrypt(asked.text)
    login = Login(name, secret, become=become, become_password=asked)
    outcome, _ = await trial.push(trial.name(), target=replace(bench.target, logins=(login,)))
    assert outcome.status is Status.SUCCEEDED, outcome
    wrong = replace(login, become_password=Password("another one 1A"))
    error = await open_and_fail(replace(bench.target, logins=(wrong,)), Timeouts(command=5))
    assert (type(error), error.code) == (LoginRefused, "become_refused")


@pytest.mark.parametrize(
    ("flaw", "error", "code"),
    [
        ("enable hangs", LoginUnanswered, "become_unanswered"),
        ("enable asks again", LoginRefused, "become_refused"),
    ],
)
async def test_enable_without_an_end(
    bench: DeviceBench, trial: Trial, flaw: str, error: type[TargetError], code: str
):
    """A password that is not answered in time may be right; who is asked again gave a wrong one."""
    name, secret = trial.name(), Password(f"{token_hex(8)}aA1")
    await trial.make(name, secret)
    bench.device.set_flaws(flaw)
    login = Login(name, secret, become=Become.SUDO, become_password=secret)
    caught = await open_and_fail(replace(bench.target, logins=(login,)))
    assert (type(caught), caught.code) == (error, code)


async def test_a_key_is_no_way_in(bench: DeviceBench):
    """A privileged account without a password is refused before contact."""
    login = Login("provost", key=SshKey("ssh-ed25519 AAAA", "..."))
    error = await open_and_fail(replace(bench.target, logins=(login,)))
    assert error.code == "login_method_unavailable"


async def test_host_keys(bench: DeviceBench, tmp_path: Path):
    """A key is pinned at first contact; another, one that a file revokes, and an unknown one are refused."""
    witness = Witnessed()
    connector = DeviceConnector()
    session = await connector.open(bench.target, bench.target.logins[0], Timeouts(), witness)
    await session.close()
    await connector.close()
    [(asset, line)] = witness.host_keys
    assert (asset, line.split()[0]) == (bench.target.asset_id, "ssh-rsa")
    known, revoked = tmp_path / "known", tmp_path / "revoked"
    place = f"[127.0.0.1]:{bench.device.port}"
    known.write_text(f"{place} {line}\n")
    revoked.write_text(f"@revoked * {line}\n")
    for trust in (HostTrust((line,), strict=True), HostTrust(known_hosts=str(known), strict=True)):
        async with open_session(DeviceConnector(), replace(bench.target, trust=trust)) as session:
            assert (await session.verify("nobody", Password("x"))).verdict is Verdict.REJECTED
    other = (
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDSpkTPU6gUZmMdVmUE2TCpjqdTv5lDcHFBSWHsgFJkNhZ2EbVBKUzn2Bz0Nf6Q"
    )
    for trust, code in (
        (HostTrust((other,)), "host_key_changed"),
        (HostTrust(strict=True), "host_key_unknown"),
        (HostTrust(known_hosts=str(revoked)), "host_key_changed"),
        (HostTrust(known_hosts=str(tmp_path / "none")), "known_hosts_unreadable"),
    ):
        error = await open_and_fail(replace(bench.target, trust=trust))
        assert (type(error), error.code) == (HostKeyRefused, code)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_what_is_no_device(bench: DeviceBench, said: bytes):
    """A server that is silent, or speaks something else, is unreachable, to who acts and to who is verified."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        await reader.read() if not said else None

    async with serve(answer) as port:
        target = replace(bench.target, port=port)
        error = await open_and_fail(target, Timeouts(connect=1))
    assert isinstance(error, Unreachable)


async def test_a_prompt_that_never_comes(bench: DeviceBench):
    """A device of another type than it is said to be is told apart from one that is not there."""
    error = await open_and_fail(bench.aim(device_type="juniper_junos"), Timeouts(command=2))
    assert error.code in {"shell_failed", "rights_missing", "connection_lost"}


async def test_a_cut_in_the_middle_ends_at_once(bench: DeviceBench, trial: Trial):
    """A connection that ends is noticed, not waited for, and the account is uncertain."""
    change = Change(trial.name(), Decision.CREATE, trial.make_secret(), DeviceParameters())
    async with (
        Cutter(bench.target.address, bench.target.port) as cutter,
        open_session(bench.open_connector(), lead_through(bench, cutter)) as session,
    ):
        cutter.cut()
        with pytest.raises(Unreachable):
            [one async for one in session.apply([change])]


async def test_a_device_type_that_nobody_knows(bench: DeviceBench):
    """It is refused before contact, as is one whose commands are neither known nor given."""
    unknown = {**OTHER, "device_type": "no_such_thing"}
    silent = {**dict.fromkeys(OTHER), "device_type": "generic", "look_up": "user list"}
    for options in (unknown, {"device_type": "cisco_ios_telnet"}, silent):
        target = bench.aim(**options)
        connector = DeviceConnector()
        with pytest.raises(Refused) as caught:
            await connector.open(target, target.logins[0], Timeouts(), Witnessed())
        assert caught.value.code == "parameter_refused"
        await connector.close()


async def test_without_its_driver(bench: DeviceBench, monkeypatch: pytest.MonkeyPatch):
    """The kind is there without Netmiko, for forms and inventories; a run says what to install."""
    monkeypatch.setitem(sys.modules, "provost.connectors.network_device.session", None)
    error = await open_and_fail(bench.target)
    assert (error.code, "provost[network]" in error.message) == ("kind_not_found", True)


# Before contact.


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("create", ""), ("create", "/New:/ {password}"), ("create", "add {user}"), ("create", "a\n/(/ b"),
        ("entry", "^user"), ("entry", "(?P<name>"), ("prompt", "["), ("look_up", "show\nusers"),
        ("look_up", ""), ("device_type", "cisco ios"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(option: str, text: str):
    """A dialog, a regular expression or a command that could not be used is refused before contact."""
    with pytest.raises(ValidationError):
        DeviceOptions.model_validate({"device_type": "generic", option: text})


@pytest.mark.parametrize(
    ("option", "text", "named", "allowed"),
    [
        ("remove", "user del {username} {password}", "{password}", "{username}"),
        ("remove", "user del {username}\n/sure/ {role}", "{role}", "{username}"),
        ("save", "copy {username}", "{username}", "none"),
    ],
)
def test_placeholders_that_nothing_fills_in(option: str, text: str, named: str, allowed: str):
    """A removal knows no password, and a save no account: that is said before anything is typed."""
    with pytest.raises(ValidationError) as caught:
        DeviceOptions.model_validate({"device_type": "generic", option: text})
    [told] = caught.value.errors()
    assert f"knows no {named}" in told["msg"]
    assert told["msg"].endswith(f": {allowed}")


@pytest.mark.parametrize("decision", [Decision.CREATE, Decision.ADOPT])
async def test_parameters_of_another_kind(bench: DeviceBench, trial: Trial, decision: Decision):
    """They are not taken for the defaults of this one."""
    name, before = trial.name(), bench.device.read_typed()
    if decision is Decision.ADOPT:
        await trial.make(name, trial.make_secret())
    async with open_session(bench.open_connector(), bench.target) as session:
        with pytest.raises(TypeError, match="DeviceParameters"):
            [
                one
                async for one in session.apply(
                    [Change(name, decision, trial.make_secret(), DeviceOptions(device_type="x"))]
                )
            ]
    assert f"username {name}" not in bench.device.read_typed().removeprefix(before)


@pytest.mark.parametrize("role", ["a b", "a;b", "", "a\nb", "a{username}"])
def test_roles_that_could_be_something_else(role: str):
    """A role cannot break out of its command."""
    with pytest.raises(ValidationError):
        DeviceParameters(role=role)

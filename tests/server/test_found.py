"""Accounts that discoveries find, and onboarding rules: tests/cases/onboarding.yaml, and what is no case."""

import asyncio
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils import timezone
from tests.server.test_runs import BY, add_assets

from provost.connectors import memory
from provost.core.errors import LookupFailed, UsageError
from provost.core.keys import KeyAlgorithm
from provost.core.model import SecretType
from provost.core.onboarding import Onboarding
from provost.core.push import PushSpec
from provost.core.secrets import Password
from provost.core.specs import DiscoverSpec, RemoveSpec
from provost.vault.keys import generate_key

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "onboarding.yaml").read_text())
PASSWORDS = PushSpec(usernames=(), secret_type=SecretType.PASSWORD)


@pytest.fixture(autouse=True)
def hosts(database):
    """The hosts in memory, which every test finds empty."""
    del database
    memory.HOSTS.clear()
    yield memory.HOSTS
    memory.HOSTS.clear()


class Described(memory.Account):
    """An account whose facts a case gives."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(password=facts.pop("password", "theirs"))
        self.own = {"uid": 1000, **facts}
        self.keys = {find_key(name) for name in self.own.pop("keys", ())}
        self.managed = set()

    def describe(self, username: str) -> Any:
        """Tell what the case says, and the rest as it is."""
        told = super().describe(username)
        own = {name: tuple(value) if isinstance(value, list) else value for name, value in self.own.items()}
        superuser = own.get("uid") == 0
        return told.model_copy(update={"superuser": superuser, **own})


@cache
def find_key(name: str) -> str:
    """Return a public key: the same for the same name."""
    del name
    return generate_key(KeyAlgorithm.ED25519).public


def work_off(run: Any) -> None:
    from provost.server.services.execution import Control, execute

    asyncio.run(execute(run=run, control=Control(), observe=lambda _event: None))


def begin(spec: Any, **more: Any) -> Any:
    from provost.server.services.runs import create_run

    run = create_run(by=BY, spec=spec, **more)
    work_off(run)
    return run


def discover(*assets: str) -> Any:
    """Discover, and work off what rules made of it, as the command does."""
    run = begin(DiscoverSpec(action="discover", assets=assets or ("web1",)))
    for effect in run.effects.filter(state="queued").order_by("created"):
        work_off(effect)
    return run


class Life:
    """One asset, and what a case does to it."""

    def __init__(self, case: dict[str, Any]) -> None:
        from provost.server.models import Account, Asset
        from provost.server.services.accounts import add_account
        from provost.server.services.checks import AccountFields
        from provost.server.services.nodes import ensure_nodes

        ensure_nodes(by=BY, paths=["/prod", "/dev"])
        add_assets("web1", node="/prod")
        self.asset = Asset.objects.get(name="web1")
        accounts = {name: Described(**facts) for name, facts in case.get("accounts", {}).items()}
        accounts |= {f"svc-{number}": Described() for number in range(case.get("flood", 0))}
        self.host = memory.HOSTS.setdefault("web1", memory.Host(accounts))
        for username in case.get("listed", ()):
            fields = AccountFields(username, "web1")
            add_account(by=BY, fields=fields, secret=Password("theirs"))
        for username in case.get("acting", ()):
            Account.objects.create(asset=self.asset, username=username, privileged=True)

    def do(self, verb: str, told: Any) -> None:
        getattr(self, verb, lambda names: self.decide(verb, names))(told)

    def decide(self, verb: str, names: list[str]) -> None:
        from provost.server.services import found

        accounts = [f"{name}@web1" for name in names]
        if verb == "heed":
            found.ignore(by=BY, accounts=accounts, ignored=False)
        elif verb == "adopt":
            work_off(found.adopt(by=BY, accounts=accounts, spec=PASSWORDS, attended=True))
        else:
            getattr(found, verb)(by=BY, accounts=accounts)

    def refused(self, told: dict[str, str]) -> None:
        code = told.pop("code")
        ((verb, name),) = told.items()
        with pytest.raises(UsageError) as refusal:
            self.decide(verb, [name])
        assert refusal.value.code == code

    def discover(self, *_told: object) -> None:
        run = discover()
        assert run.records.get().status == "succeeded", run.records.get().message

    def fails(self, *_told: object) -> None:
        async def fail(step: memory.Step, username: str) -> None:
            if step is memory.Step.DISCOVER and username:
                raise LookupFailed("The list broke off.")

        self.host.script = fail
        assert discover().records.get().status == "failed"

    def there(self, told: dict[str, Any]) -> None:
        self.host.accounts |= {name: Described(**facts) for name, facts in told.items()}

    def gone(self, names: list[str]) -> None:
        for name in names:
            del self.host.accounts[name]

    def unlist(self, names: list[str]) -> None:
        from provost.server.services.accounts import unlist_account

        for name in names:
            unlist_account(by=BY, username=name, asset="web1")

    def push(self, names: list[str]) -> None:
        begin(PASSWORDS.model_copy(update={"assets": ("web1",), "usernames": tuple(names)}))

    def remove(self, names: list[str]) -> None:
        begin(RemoveSpec(action="remove", assets=("web1",), usernames=tuple(names)))

    def rule(self, told: dict[str, Any]) -> None:
        from provost.server.models import OnboardingRule
        from provost.server.services.rules import RuleFields, add_rule

        onboarding = Onboarding(told.pop("do"))
        broken = told.pop("broken", False)
        spec = PASSWORDS if onboarding is Onboarding.ADOPT else None
        rule = add_rule(by=BY, fields=RuleFields(onboarding=onboarding, spec=spec, **told))
        if broken:  # as by a kind that has lost a parameter since
            rules = OnboardingRule.objects.filter(id=rule.id)
            rules.update(spec={**rule.spec, "parameters": {"gone": "1"}})

    def own(self, told: list[str]) -> None:
        from provost.server.models import Account

        own = Account.objects.filter(created_by_provost=True).values_list("username", flat=True)
        assert sorted(own) == told

    def expect(self, told: dict[str, str]) -> None:
        from provost.server.services.found import count_found, list_found

        rows, _ = list_found(by=BY)
        standings = {
            one.row.username: " ".join([one.standing, *(change["field"] for change in one.row.changes)])
            for one in rows
        }
        assert standings == told
        counts = count_found(by=BY)
        assert {name: count for name, count in counts.items() if count} == {
            name: sum(text.split()[0] == name for text in told.values())
            for name in {text.split()[0] for text in told.values()}
        }

    def may(self, told: dict[str, bool]) -> None:
        from provost.server.services.found import FoundFilter, list_found

        rows, _ = list_found(by=BY, filters=FoundFilter(powerful=True))
        assert {one.row.username for one in rows} == {name for name, powerful in told.items() if powerful}

    def runs(self, told: list[str]) -> None:
        from provost.server.models import Run

        made = []
        for run in Run.objects.filter(requested_by__startswith="rule ").order_by("created"):
            names = run.records.order_by("username").values_list("username", flat=True)
            made.append(f"{run.requested_by.removeprefix('rule ')}: {run.reason or ' '.join(names)}")
            assert set(run.records.values_list("status", flat=True)) <= {"succeeded"}
            assert run.cause is not None
        assert sorted(made) == sorted(told)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_onboarding(case: dict[str, Any]) -> None:
    """Every case of tests/cases/onboarding.yaml: what is found stands where it should, after each step."""
    life = Life(case)
    for step in case["steps"]:
        ((verb, told),) = step.items() if "refused" not in step else [("refused", dict(step["refused"]))]
        life.do(verb, dict(told) if isinstance(told, dict) else told)


def test_names_are_checked_by_the_kind_of_their_own_asset() -> None:
    """A name that is found on one asset need not be one that another kind could have."""
    from provost.server.services.assets import add_asset
    from provost.server.services.checks import AssetFields
    from provost.server.services.runs import create_run

    add_assets("web1")
    other = add_asset(by=BY, fields=AssetFields("web2", "linux", "web2", nodes=("/all",)))
    first = type(other).objects.get(name="web1")
    spec = PASSWORDS.model_copy(update={"assets": ("web1", "web2"), "usernames": ("Ann B", "app")})
    made = create_run(by=BY, spec=spec, places={(first.id, "Ann B"), (other.id, "app")})
    assert made.records.count() == 2
    with pytest.raises(UsageError) as refusal:
        create_run(by=BY, spec=spec, places={(first.id, "app"), (other.id, "Ann B")})
    assert refusal.value.code == "username_refused"


def test_what_changed_since_it_was_seen_is_not_accepted() -> None:
    """Who accepts what was on a page an hour ago does not accept what came since."""
    from provost.server.services import found

    life = Life({"accounts": {"alice": {}}, "listed": ["alice"]})
    life.discover()
    seen = timezone.now()
    life.there({"alice": {"privileges": ["(ALL) ALL"]}})
    life.discover()
    with pytest.raises(UsageError) as refusal:
        found.accept(by=BY, accounts=["alice@web1"], seen=seen)
    assert refusal.value.code == "found_changed"
    found.accept(by=BY, accounts=["alice@web1"], seen=timezone.now())
    life.expect({"alice": "known"})


def test_an_adopted_account_has_a_secret_of_its_own() -> None:
    """By a rule as by hand, each account has another password, the target and Provost the same."""
    from provost.server.models import Account
    from provost.server.services import secrets

    life = Life({"accounts": {"svc-a": {}, "bob": {}}})
    life.rule({"name": "services", "pattern": "svc-*", "do": "adopt"})
    life.discover()
    life.decide("adopt", ["bob"])
    held = {
        account.username: secrets.reveal(account_id=account.id, secret_type=SecretType.PASSWORD).text
        for account in Account.objects.exclude(username="root")
    }
    assert held == {name: life.host.accounts[name].password for name in ("bob", "svc-a")}
    assert len({*held.values(), "theirs"}) == 3


def test_what_a_target_says_cannot_hurt() -> None:
    """Names that are twice, too long, or no text at all are written down as well as they can be."""
    from provost.server.models import FoundAccount

    life = Life({"accounts": {"a": {}, "b" * 400: {}, "nul\0": {}, "half\ud800": {"comment": "\0\udcff"}}})
    life.discover()
    life.discover()
    names = set(FoundAccount.objects.values_list("username", flat=True))
    assert names == {"a", "b" * 255, "nul\N{REPLACEMENT CHARACTER}", "half?"}


def test_what_is_new_is_told_apart() -> None:
    """What appeared, changed or vanished since an instant is found by `since`."""
    from provost.server.services.found import FoundFilter, list_found

    life = Life({"accounts": {"alice": {}, "bob": {}, "carol": {}}, "listed": ["alice"]})
    life.discover()
    since = timezone.now()
    life.there({"alice": {"uid": 7}, "dora": {}})
    life.gone(["bob"])
    life.discover()
    rows, _ = list_found(by=BY, filters=FoundFilter(since=since))
    assert [one.row.username for one in rows] == ["alice", "bob", "dora"]
    rows, _ = list_found(by=BY, filters=FoundFilter(since=timezone.now() + timedelta(seconds=1)))
    assert rows == []


def test_removed_assets_take_what_was_found_with_them() -> None:
    """No found account outlives its asset."""
    from provost.server.models import FoundAccount
    from provost.server.services.assets import remove_asset

    life = Life({"accounts": {"alice": {}}})
    life.discover()
    remove_asset(by=BY, name="web1")
    assert not FoundAccount.objects.exists()


def test_a_preview_tells_what_a_rule_would_do() -> None:
    """It takes what the next discovery takes, and says why it leaves the rest; nothing is saved."""
    from provost.server.models import OnboardingRule
    from provost.server.services.onboarding import preview
    from provost.server.services.rules import RuleFields

    life = Life(
        {"accounts": {"a": {}, "b": {"system": True}, "c": {"uid": 0}, "d": {}, "e": {}}, "listed": ["e"]}
    )
    life.discover()
    life.rule({"name": "first", "pattern": "d", "do": "list", "priority": 1})
    fields = RuleFields(name="all", pattern="?", onboarding=Onboarding.ADOPT, spec=PASSWORDS)
    told = preview(by=BY, fields=fields)
    assert (told.taken, [row.username for row in told.first_taken]) == (1, ["a"])
    assert {row.username: why.value for row, why in told.first_left} == {
        "b": "system_account",
        "c": "superuser",
        "d": "earlier_rule",
    }
    assert OnboardingRule.objects.count() == 1


def test_the_account_that_passes_a_gateway_is_left_alone() -> None:
    """No rule adopts the account that other assets are reached through."""
    from provost.server.services.onboarding import preview
    from provost.server.services.rules import RuleFields

    life = Life({"accounts": {"passes": {}}})
    life.discover()
    type(life.asset).objects.update(options={"via_account": "passes"})
    fields = RuleFields(name="all", pattern="passes", onboarding=Onboarding.ADOPT, spec=PASSWORDS)
    told = preview(by=BY, fields=fields)
    assert (told.taken, dict(told.left)) == (0, {"acting_account": 1})


def test_the_list_takes_few_queries() -> None:
    """A page of what was found takes three queries, and all its counts two more, however much there is."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from provost.server.services.found import count_found, list_found
    from provost.server.services.pages import Page

    life = Life({"flood": 60, "accounts": {"alice": {}}, "listed": ["alice"]})
    life.discover()
    with CaptureQueriesContext(connection) as asked:
        list_found(by=BY, page=Page(50))
    assert len(asked) == 3
    with CaptureQueriesContext(connection) as asked:
        count_found(by=BY)
    assert len(asked) == 2

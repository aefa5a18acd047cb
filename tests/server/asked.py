"""What each operation is asked with, about a place: inside /prod, outside of it, or nowhere at all."""

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from provost.core import requests as said
from provost.core.model import SecretType
from provost.core.onboarding import Onboarding
from provost.core.push import PushSpec

TOPS = {"inside": "/prod", "outside": "/outside", "nowhere": "/nowhere"}
NOWHERE = "00000000-0000-4000-8000-000000000000"


def describe_push(place: str) -> PushSpec:
    return PushSpec(assets=(f"{place}1",), usernames=("bob",), secret_type=SecretType.PASSWORD)


def find_run(runs: dict[str, str], place: str) -> str:
    return runs.get(place, NOWHERE)


def describe_rule(name: str, node: str) -> said.RuleBody:
    return said.RuleBody(name=name, pattern="svc-*", onboarding=Onboarding.IGNORE, node=node)


def hush() -> said.SecretBody:
    return said.SecretBody(password=SecretStr("hush-new"))


# What each operation is given, besides the caller, about a place.
ASKED: dict[str, Callable[[str, Any], dict[str, Any]]] = {
    "who.tell_who": lambda *_: {},
    "who.set_up": lambda *_: {"body": said.SetupBody(setup_token=SecretStr("guess"), username="mallory")},
    "kinds.list_kinds": lambda *_: {},
    "nodes.list_nodes": lambda *_: {},
    "nodes.add_node": lambda place, _: {"body": said.NodeBody(path=f"{TOPS[place]}/new")},
    "nodes.edit_node": lambda place, _: {"node": f"{TOPS[place][1:]}/web", "body": said.NodePatch(name="site")},
    "nodes.remove_node": lambda place, _: {"node": f"{TOPS[place][1:]}/empty"},
    "assets.list_assets": lambda *_: {"query": said.AssetQuery()},
    "assets.add_asset": lambda place, _: {
        "body": said.AssetBody(name="new1", kind="memory", address="new1", nodes=(f"{TOPS[place]}/web",))
    },
    "assets.show_asset": lambda place, _: {"name": f"{place}1"},
    "assets.edit_asset": lambda place, _: {"name": f"{place}1", "body": said.AssetPatch(comment="new")},
    "assets.remove_asset": lambda place, _: {"name": f"{place}1"},
    "assets.trust_asset": lambda place, _: {"name": f"{place}1"},
    "imports.import_inventory": lambda place, _: {
        "body": said.ImportBody(
            accounts=(said.ImportedAccount(username="carol", asset="new1", password=SecretStr("hush-carols")),),
            assets=(
                said.ImportedAsset(name="new1", kind="memory", address="new1", nodes=(f"{TOPS[place]}/web",)),
            ),
        )
    },
    "targets.count_targets": lambda place, _: {"body": said.TargetsBody(assets=(f"{place}1",))},
    "passwords.sample_password": lambda *_: {"body": said.SampleBody()},
    "accounts.list_accounts": lambda *_: {"query": said.AccountQuery()},
    "accounts.add_account": lambda place, _: {
        "body": said.AccountBody(username="carol", asset=f"{place}1", secret=hush())
    },
    "accounts.list_history": lambda place, _: {"account": f"{place}-alice@{place}1"},
    "accounts.list_activity": lambda place, _: {
        "account": f"{place}-alice@{place}1",
        "query": said.PageQuery(),
    },
    "accounts.reveal": lambda place, _: {"account": f"{place}-alice@{place}1", "body": said.RevealBody()},
    "accounts.show_account": lambda place, _: {"account": f"{place}-alice@{place}1"},
    "accounts.edit_account": lambda place, _: {
        "account": f"{place}-alice@{place}1",
        "body": said.AccountPatch(priority=3),
    },
    "accounts.remove_account": lambda place, _: {
        "account": f"{place}-alice@{place}1",
        "query": said.ForgetQuery(forget=True),
    },
    "pairs.list_pairs": lambda *_: {"query": said.PairQuery()},
    "pairs.add_pair": lambda place, _: {
        "body": said.PairBody(name="new", asset=f"{place}1", active=f"{place}-alice", idle=f"{place}-app-c")
    },
    "pairs.show_pair": lambda place, _: {"name": f"{place}-pair"},
    "pairs.remove_pair": lambda place, _: {"name": f"{place}-pair"},
    "pairs.rotate_pair": lambda place, _: {"name": f"{place}-pair"},
    "runs.list_runs": lambda *_: {"query": said.RunQuery()},
    "runs.push": lambda place, _: {
        "body": said.PushBody(spec=describe_push(place), secret=hush()),
        "key": "a key",
    },
    "runs.show_run": lambda place, world: {"run": find_run(world.runs, place)},
    "runs.list_records": lambda place, world: {
        "run": find_run(world.runs, place),
        "query": said.RecordQuery(),
    },
    "runs.count_records": lambda place, world: {"run": find_run(world.runs, place)},
    "runs.list_reasons": lambda place, world: {"run": find_run(world.runs, place)},
    "runs.retry_run": lambda place, world: {"run": find_run(world.over, place)},
    "runs.cancel_run": lambda place, world: {"run": find_run(world.runs, place)},
    "found.list_found": lambda *_: {"query": said.FoundQuery()},
    "found.count_found": lambda *_: {"query": said.FoundQuery()},
    "found.show_found": lambda place, _: {"account": f"{place}-found@{place}1"},
    "found.accept": lambda place, _: {"body": said.AcceptBody(accounts=(f"{place}-found@{place}1",))},
    "found.ignore": lambda place, _: {"body": said.IgnoreBody(accounts=(f"{place}-found@{place}1",))},
    "found.forget": lambda place, _: {"body": said.FoundBody(accounts=(f"{place}-gone@{place}1",))},
    "found.enlist": lambda place, _: {"body": said.FoundBody(accounts=(f"{place}-found@{place}1",))},
    "found.adopt": lambda place, _: {
        "body": said.AdoptBody(
            accounts=(f"{place}-found@{place}1",),
            spec=PushSpec(usernames=(), secret_type=SecretType.PASSWORD),
        )
    },
    "rules.list_rules": lambda *_: {},
    "rules.add_rule": lambda place, _: {"body": describe_rule("new", TOPS[place])},
    "rules.show_rule": lambda place, _: {"name": f"{place}-rule"},
    "rules.edit_rule": lambda place, _: {"name": f"{place}-rule", "body": said.RulePatch(comment="new")},
    "rules.remove_rule": lambda place, _: {"name": f"{place}-rule"},
    "rules.preview_rule": lambda place, _: {"body": describe_rule("new", TOPS[place])},
    "tasks.list_tasks": lambda *_: {"query": said.TaskQuery()},
    "tasks.create_task": lambda place, _: {
        "body": said.TaskBody(name="new", spec=describe_push(place), secret=hush())
    },
    "tasks.show_task": lambda place, _: {"name": f"{place}-task"},
    "tasks.edit_task": lambda place, _: {
        "name": f"{place}-task",
        "body": said.TaskPatch(comment="new", secret=hush()),
    },
    "tasks.delete_task": lambda place, _: {"name": f"{place}-task"},
    "tasks.run_task": lambda place, _: {"name": f"{place}-task"},
    "tasks.list_times": lambda *_: {"body": said.ScheduleBody(every="1h")},
    "users.list_users": lambda *_: {},
    "users.add_user": lambda *_: {
        "body": said.UserBody(username="mallory", password=SecretStr("hush-a-bye-baby"))
    },
    "users.show_user": lambda *_: {"name": "someone"},
    "users.edit_user": lambda *_: {
        "name": "someone",
        "body": said.UserPatch(email="a@example.org", password=SecretStr("hush-a-bye-baby")),
    },
    "users.remove_user": lambda *_: {"name": "someone"},
    "users.remove_factors": lambda *_: {"name": "someone"},
    "users.list_sessions": lambda *_: {"name": "someone"},
    "users.end_sessions": lambda *_: {"name": "someone", "query": said.SessionQuery()},
    "users.end_session": lambda _, world: {"name": "someone", "session": world.session},
    "tokens.list_tokens": lambda *_: {"query": said.TokenQuery()},
    "tokens.create_token": lambda *_: {"body": said.TokenBody(name="new", days=1)},
    "tokens.revoke_token": lambda *_: {"user": "someone", "name": "ci"},
    "channels.list_channels": lambda *_: {},
    "channels.add_channel": lambda *_: {
        "body": said.ChannelBody(name="new", kind="webhook", address="https://hooks.example.org/hush")
    },
    "channels.show_channel": lambda *_: {"name": "pager"},
    "channels.edit_channel": lambda *_: {
        "name": "pager",
        "body": said.ChannelPatch(address="https://hooks.example.org/hush-new"),
    },
    "channels.remove_channel": lambda *_: {"name": "pager"},
    "channels.test_channel": lambda *_: {"name": "pager"},
    "channels.list_deliveries": lambda *_: {"name": "pager", "query": said.DeliveryQuery()},
    "channels.show_delivery": lambda _, world: {"name": "pager", "delivery": world.delivery},
    "channels.send_again": lambda _, world: {"name": "pager", "delivery": world.delivery},
    "overview.show_overview": lambda *_: {},
    "audit.list_entries": lambda *_: {"query": said.AuditQuery()},
    "audit.verify": lambda *_: {"query": said.ProofQuery()},
    "settings.show_settings": lambda *_: {},
    "settings.list_findings": lambda *_: {},
    "keys.rotate": lambda *_: {"body": said.KeyRotationBody()},
}

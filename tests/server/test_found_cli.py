"""The program's verbs for what discoveries find, and for onboarding rules."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.once

Provost = Callable[..., subprocess.CompletedProcess[str]]


def read(ready: Provost, *words: str, **more: Any) -> Any:
    return json.loads(ready(*words, "--json", **more).stdout)


def test_finds_are_told_and_decided_about(ready: Provost) -> None:
    """A discovery says what is new and what to type; a rule's run is worked off by the same command."""
    ready("asset", "add", "mem1", "--kind", "memory", "--address", "mem1", "--option", "present=ann,bob,svc-a")
    ready("account", "add", "root", "--asset", "mem1", "--privileged", "--password-stdin", stdin="roots")
    told = ready("discover", "--asset", "mem1").stdout
    assert "3 accounts found." in told
    assert "not in the list: 3 new (0 can log in), 3 in all. See: provost found list --standing unknown" in told

    rule = ("rule", "add", "services", "--pattern", "svc-a", "--do", "adopt")
    made = read(ready, *rule, "--length", "40")["rule"]
    assert (made["spec"]["rules"]["length"], made["node"], made["kind"]) == (40, None, None)
    assert "svc-a@mem1" in ready("rule", "test", "services").stdout
    done = read(ready, "discover", "--asset", "mem1")
    assert done["found"]["unknown"] == 0
    (effect,) = done["effects"]
    assert (effect["requested_by"], effect["state"], effect["counts"]) == (
        "rule services",
        "finished",
        {"succeeded": 1},
    )
    assert len(ready("account", "reveal", "svc-a@mem1").stdout.strip()) == 40

    listed = read(ready, "found", "list", "--standing", "unknown")["found"]
    assert [one["username"] for one in listed] == ["ann", "bob"]
    assert "unknown" in ready("found", "show", "ann@mem1").stdout
    ready("found", "ignore", "ann@mem1")
    ready("found", "enlist", "bob@mem1")
    standings = {one["username"]: one["standing"] for one in read(ready, "found", "list")["found"]}
    assert standings == {"ann": "ignored", "bob": "known", "svc-a": "known"}
    ready("found", "heed", "ann@mem1")
    ready("found", "accept", "ann@mem1")
    assert read(ready, "found", "forget", "ann@mem1", status=2)["error"]["code"] == "found_there"
    assert read(ready, "found", "show", "eve@mem1", status=2)["error"]["code"] == "found_account_not_found"


def test_a_rule_is_edited_and_removed(ready: Provost) -> None:
    """What is given changes, what is not stays; it names what cannot be used."""
    ready("rule", "add", "r", "--pattern", "a*", "--do", "adopt", "--node", "/prod", "--no-symbols")
    changed = read(ready, "rule", "edit", "r", "--length", "30", "--priority", "3", "--everywhere")["rule"]
    assert (changed["spec"]["rules"]["length"], changed["spec"]["rules"]["symbols"]) == (30, None)
    assert (changed["priority"], changed["node"], changed["pattern"]) == (3, None, "a*")
    assert read(ready, "rule", "edit", "r", "--do", "ignore")["rule"]["spec"] is None
    assert "a*" in ready("rule", "list").stdout
    assert (
        read(ready, "rule", "add", "r", "--pattern", "b", "--do", "list", status=2)["error"]["code"]
        == "rule_exists"
    )
    refused = read(ready, "rule", "add", "s", "--pattern", "b", "--do", "list", "--kind", "vms", status=2)
    assert refused["error"]["code"] == "kind_not_found"
    assert ready("rule", "remove", "r").stdout == "Removed r.\n"
    assert read(ready, "rule", "list")["rules"] == []

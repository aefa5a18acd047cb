"""Lifetimes, pairs and templates as an operator says them on the command line."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Provost = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.once


def read(ready: Provost, *words: str, **more: Any) -> Any:
    return json.loads(ready(*words, "--json", **more).stdout)


def add(ready: Provost, username: str) -> None:
    ready("account", "add", username, "--asset", "web1", "--password-stdin", stdin=f"hush of {username}\n")


def test_account_is_told_how_long_it_lives(ready: Provost) -> None:
    """`account set` takes an instant, a span, or for good, with the grace; `account show` says it in words."""
    add(ready, "alice")
    words = ("account", "set", "alice@web1")
    told = read(ready, *words, "--expires", "2031-12-31T12:00Z", "--grace", "0s")["account"]
    assert (told["expires_at"], told["grace"]) == ("2031-12-31T12:00:00+00:00", 0)
    shown = ready("account", "show", "alice@web1").stdout
    assert "until 2031-12-31 12:00:00, then removed" in shown
    told = read(ready, *words, "--lifetime", "30d", "--grace", "12h", "--no-reconcile")["account"]
    assert (told["grace"], told["reconcile"]) == (43_200, False)
    assert "removed 12h later" in ready("account", "show", "alice@web1").stdout
    told = read(ready, *words, "--never-expires", "--reconcile", "--priority", "3")["account"]
    assert (told["expires_at"], told["reconcile"], told["priority"]) == (None, True, 3)
    assert "for good" in ready("account", "show", "alice@web1").stdout
    assert (
        told["version"] == read(ready, "account", "edit", "alice@web1", "--priority", "3")["account"]["version"]
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--lifetime", "1w"), "duration_refused"),
        (("--lifetime", "0s"), "option_refused"),
        (("--expires", "2031-12-31"), "option_refused"),
        (("--expires", "2001-12-31T12:00Z"), "lifetime_refused"),
        (("--lifetime", "1d", "--never-expires"), "usage"),
        (("--grace", "9999999999d"), "option_refused"),
    ],
)
def test_lifetime_that_cannot_be_read(ready: Provost, words: tuple[str, ...], code: str) -> None:
    """What is no span or instant, or two of them, is refused with a code that stays."""
    add(ready, "alice")
    document = json.loads(ready("account", "set", "alice@web1", *words, "--json", status=2).stdout)
    assert document["error"]["code"] == code


def test_pair_is_made_shown_and_removed(ready: Provost) -> None:
    """`pair` says which account is in use; the active one is not rotated by name, and neither is removed."""
    add(ready, "app_a")
    add(ready, "app_b")
    made = read(ready, *("pair", "add", "app", "--asset", "web1", "--active", "app_a", "--idle", "app_b"))[
        "pair"
    ]
    assert (made["active"], made["idle"], made["sync"]) == ("app_a@web1", "app_b@web1", None)
    assert read(ready, "pair", "show", "app")["pair"] == made
    assert read(ready, "pair", "list", "--asset", "web1")["pairs"] == [made]
    assert "never checked" in ready("pair", "show", "app").stdout
    assert "app_a@web1" in ready("pair", "list").stdout
    assert read(ready, "account", "show", "app_b@web1")["account"]["pair"] == "app"
    refused = ready("rotate", "--account", "app_a", "--asset", "web1", status=2).stderr
    assert "provost pair rotate app" in refused
    refused = ready("account", "remove", "app_a@web1", status=2).stderr
    assert "provost pair remove app" in refused
    assert read(ready, "pair", "rotate", "app", status=1)["records"][0]["username"] == "app_b"
    assert read(ready, "pair", "remove", "app") == {"removed": {"pair": "app"}}
    assert "no pairs yet" in ready("pair", "list").stdout


def test_template_is_made_shown_and_changed(ready: Provost) -> None:
    """`task create --on-new-assets` makes a template, with a lifetime and of a kind; `edit` takes that back."""
    made = read(
        ready,
        *("task", "create", "usual", "--account", "alice", "--node", "/", "--secret-type", "password"),
        *("--on-new-assets", "--kind", "linux", "--lifetime", "30d", "--grace", "1d"),
    )["task"]
    assert made["new_assets"]
    assert (made["spec"]["kinds"], made["spec"]["lifetime"], made["spec"]["grace"]) == (
        ["linux"],
        2_592_000,
        86_400,
    )
    shown = ready("task", "show", "usual").stdout
    assert "when somebody runs it, and for new assets" in shown
    assert "30d" in shown
    assert "and for new assets" in ready("task", "list").stdout
    edited = read(
        ready, "task", "edit", "usual", "--no-on-new-assets", "--no-lifetime", "--all-kinds", "--inactive"
    )["task"]
    assert not edited["new_assets"]
    assert (edited["spec"]["kinds"], edited["spec"]["lifetime"]) == ([], None)
    words = ("task", "create", "other", "--account", "a", "--asset", "web1", "--secret-type", "password")
    document = json.loads(ready(*words, "--on-new-assets", "--json", status=2).stdout)
    assert document["error"]["code"] == "template_refused"


def test_enabling_is_of_what_provost_disabled(ready: Provost) -> None:
    """`enable` is refused for an account that lets in, and for a kind that cannot do it."""
    add(ready, "alice")
    words = ("enable", "--account", "alice", "--asset", "web1", "--json")
    document = json.loads(ready(*words, status=2).stdout)
    assert document["error"]["code"] in {"action_unsupported", "no_accounts"}

"""`provost task` as an operator runs it, with its schedule, its secret, and what it refuses."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Provost = Callable[..., subprocess.CompletedProcess[str]]

CREATE = ("task", "create", "nightly", "--account", "alice", "--node", "/prod", "--secret-type", "password")

pytestmark = pytest.mark.once

CLAIM = """
import json
from datetime import timedelta
from provost.config.start import start
start()
from django.utils import timezone
from provost.server.services.tasks import claim_due
names = []
input()
while runs := claim_due(now=timezone.now() + timedelta(hours=1, minutes=1), limit=3):
    names += [run.task.name for run in runs]
print(json.dumps(names), flush=True)
input()
"""


def read_task(ready: Provost, *words: str, **more: Any) -> Any:
    return json.loads(ready(*words, "--json", **more).stdout)["task"]


def read_error(ready: Provost, *words: str) -> Any:
    return json.loads(ready(*words, "--json", status=2).stdout)["error"]


def test_task_is_made_shown_changed_and_deleted(ready: Provost) -> None:
    """What `create` is told, `show` and `list` tell, in words and as JSON; `edit` changes what it is told."""
    made = read_task(
        ready,
        *CREATE,
        *("--account", "bob", "--length", "40", "--no-symbols", "--param", "shell=/bin/dash"),
        *("--cron", "30 2 * * *", "--zone", "Europe/Paris", "--window", "sat,sun 22:00-04:00"),
        *("--comment", "why"),
    )
    words = "at 02:30 every day, Europe/Paris, only Sat and Sun between 22:00 and 04:00"
    assert made["schedule"]["words"] == words
    assert len(made["next_times"]) == 5
    assert made["next_due"] == made["next_times"][0]
    assert made["spec"]["usernames"] == ["alice", "bob"]
    assert made["spec"]["rules"] == {
        "length": 40,
        "lower": 1,
        "upper": 1,
        "digits": 1,
        "symbols": None,
        "exclude": "",
    }
    shown = ready("task", "show", "nightly").stdout
    assert words in shown
    assert shown.count("02:30 Europe/Paris") == 5
    assert "shell=/bin/dash" in shown
    changed = read_task(
        ready, "task", "edit", "nightly", "--asset", "web1", "--min-digits", "3", "--no-window", "--zone", "UTC"
    )
    assert changed["schedule"]["words"] == "at 02:30 every day, UTC"
    assert {**changed["spec"], "assets": [], "nodes": ["/prod"], "rules": None} == {
        **made["spec"],
        "rules": None,
    }
    assert (changed["spec"]["assets"], changed["spec"]["nodes"]) == (["web1"], [])
    assert changed["spec"]["rules"] == {**made["spec"]["rules"], "digits": 3}
    assert changed["comment"] == "why"
    last = read_task(
        ready,
        *("task", "edit", "nightly", "--rename", "later", "--every", "6h", "--inactive", "--no-params"),
        *("--symbols", "--no-verify"),
    )
    assert last["schedule"]["words"].startswith("every 6 hours from ")
    assert (last["active"], last["next_due"], last["next_times"]) == (False, None, [])
    assert (last["spec"]["parameters"], last["spec"]["verify"]) == ({}, False)
    assert last["spec"]["rules"]["symbols"] == 1
    assert "(not active)" in ready("task", "list").stdout
    assert read_task(ready, "task", "edit", "later", "--no-schedule")["schedule"] is None
    assert [one["name"] for one in json.loads(ready("task", "list", "--json").stdout)["tasks"]] == ["later"]
    assert ready("task", "delete", "later").stdout == "Task later is deleted.\n"
    assert "no tasks yet" in ready("task", "list").stdout


def test_edit_of_nothing_changes_nothing(ready: Provost) -> None:
    """An edit that says nothing leaves every field as it was."""
    made = read_task(ready, *CREATE, "--every", "1d", "--exclude", "lI", "--concurrency", "3", "--no-lower")
    same = read_task(ready, "task", "edit", "nightly")
    assert {**same, "updated": None, "version": 1} == {**made, "updated": None}


def test_run_in_the_foreground_is_listed_with_its_task(ready: Provost) -> None:
    """`task run` ends as a push does; its run is in `task show`, and its document names the task."""
    ready(*CREATE)
    done = json.loads(ready("task", "run", "nightly", "--json", status=1).stdout)
    assert done["run"]["task"] == "nightly"
    assert [record["reason"] for record in done["records"]] == ["no_privileged_account"]
    shown = read_task(ready, "task", "show", "nightly")
    assert [run["id"] for run in shown["runs"]] == [done["run"]["id"]]
    assert done["run"]["id"][:8] in ready("task", "show", "nightly").stdout
    assert "1 skipped" in ready("task", "list").stdout
    assert "nightly" in ready("run", "list").stdout


def test_specified_secret_is_never_shown(ready: Provost, environment: dict[str, str]) -> None:
    """It comes by standard input, and neither a command's output nor a file of the data folder has it."""
    ready(*CREATE, "--secret-stdin", stdin="hush-hush")
    for words in (["show", "nightly"], ["list"], ["edit", "nightly", "--comment", "x"]):
        for form in ([], ["--json"]):
            assert "hush" not in ready("task", *words, *form).stdout
    ready("task", "run", "nightly", status=1)
    assert "specified" in ready("task", "show", "nightly").stdout
    ready("key", "rotate")
    for file in Path(environment["PROVOST_HOME"]).iterdir():
        assert b"hush" not in file.read_bytes()
    assert "random" in ready("task", "edit", "nightly", "--random").stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["task", "show", "nosuch"], "task_not_found"),
        (["task", "run", "nosuch"], "task_not_found"),
        (["task", "delete", "nosuch"], "task_not_found"),
        (["task", "create", "x", "--account", "a", "--node", "/prod"], "usage"),
        ([*CREATE], "task_exists"),
        (["task", "edit", "nightly", "--zone", "UTC"], "schedule_refused"),
        (["task", "edit", "nightly", "--every", "1d", "--cron", "* * * * *"], "schedule_refused"),
        (["task", "edit", "nightly", "--every", "often"], "schedule_refused"),
        (["task", "edit", "nightly", "--every", "1d", "--zone", "Mars/Olympus"], "schedule_refused"),
        (["task", "edit", "nightly", "--cron", "0 1 * * *", "--window", "02:00-03:00"], "schedule_never"),
        (["task", "edit", "nightly", "--concurrency", "0"], "option_refused"),
        (["task", "edit", "nightly", "--node", "/nosuch"], "node_not_found"),
        (["task", "edit", "nightly", "--key", "k"], "secret_type_refused"),
        (["task", "edit", "nightly", "--rename", "a b"], "name_refused"),
    ],
)
def test_what_cannot_be_is_refused(ready: Provost, words: list[str], code: str) -> None:
    """Bad input ends with 2 and a stable code, and the task stays as it was."""
    before = read_task(ready, *CREATE)
    assert read_error(ready, *words)["code"] == code
    after = read_task(ready, "task", "show", "nightly")
    assert after == before


def test_processes_that_claim_at_once_start_each_task_once(ready: Provost, environment: dict[str, str]) -> None:
    """Four processes on one database claim twelve due tasks: each is started by exactly one of them."""
    names = [f"task{number:02}" for number in range(12)]
    for name in names:
        ready("task", "create", name, *CREATE[3:], "--every", "1h")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(4)
    ]
    claimed: list[str] = []
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:  # each stays until all have claimed: the runs of one that ended would be closed
        assert process.stdout
        claimed += json.loads(process.stdout.readline())
    ends = [process.communicate("\n") for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, ends
    assert sorted(claimed) == names
    runs = json.loads(ready("run", "list", "--json").stdout)["runs"]
    assert sorted(run["task"] for run in runs) == names


def test_tasks_hold_any_action_that_may_be_saved(ready: Provost) -> None:
    """Each is made, shown and changed with its own options alone; a push stays what is meant unasked."""
    where = ("--node", "/prod")
    made = read_task(ready, "task", "create", "beat", "--action", "verify", *where, "--every", "6h")
    assert (made["spec"]["action"], made["spec"]["usernames"], made["spec"]["secret_type"]) == (
        "verify",
        [],
        None,
    )
    shown = ready("task", "show", "beat").stdout
    assert "all in the list" in shown
    assert "of every type" in shown
    changed = read_task(ready, "task", "edit", "beat", "--secret-type", "ssh_key", "--concurrency", "5")
    assert changed["spec"] == {**made["spec"], "secret_type": "ssh_key", "concurrency": 5}
    assert changed["schedule"] == made["schedule"]
    rotated = read_task(
        ready, *("task", "create", "turn", "--action", "rotate", *where, "--length", "40", "--privileged")
    )
    assert (rotated["spec"]["rules"]["length"], rotated["spec"]["privileged"]) == (40, True)
    again = read_task(ready, "task", "edit", "turn", "--no-symbols", "--not-privileged")
    assert again["spec"] == {
        **rotated["spec"],
        "rules": {**rotated["spec"]["rules"], "symbols": None},
        "privileged": False,
    }
    assert "but for privileged ones" in ready("task", "show", "turn").stdout
    for action in ("reconcile", "discover"):
        assert (
            read_task(ready, "task", "create", action, "--action", action, *where)["spec"]["action"] == action
        )
    listed = ready("task", "list").stdout
    assert all(action in listed for action in ("verify", "rotate", "reconcile", "discover"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["x", "--node", "/prod"], "usage"),
        (["x", "--node", "/prod", "--account", "alice"], "usage"),
        (["x", "--action", "remove", "--node", "/prod", "--account", "alice"], "option_refused"),
        (["x", "--action", "verify", "--node", "/prod", "--length", "30"], "option_refused"),
        (["x", "--action", "discover", "--node", "/prod", "--account", "alice"], "option_refused"),
        (["x", "--action", "reconcile", "--node", "/prod", "--privileged"], "option_refused"),
        (["x", "--action", "verify"], "no_assets"),
    ],
)
def test_options_that_do_not_go_with_an_action_are_refused(ready: Provost, words: list[str], code: str) -> None:
    """Nothing that is said is left out in silence, and nothing is saved."""
    assert read_error(ready, "task", "create", *words)["code"] == code
    assert "no tasks yet" in ready("task", "list").stdout

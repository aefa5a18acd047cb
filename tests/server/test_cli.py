import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import PROVOST

pytestmark = pytest.mark.once

Provost = Callable[..., subprocess.CompletedProcess[str]]


def read_json(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def type_at_terminal(environment: dict[str, str], words: list[str], typed: str) -> tuple[int, str]:
    """Run the program on a terminal, type a line at its first prompt, and return its status and output."""
    terminal, inner = pty.openpty()
    program = subprocess.Popen(
        [PROVOST, *words],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env=environment | {"TERM": "xterm", "COLUMNS": "100"},
        start_new_session=True,
    )
    os.close(inner)
    shown, answered = b"", not typed
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # nobody has the terminal open any more
            break
        if not part:
            break
        shown += part
        if not answered and b": " in shown:
            os.write(terminal, typed.encode() + b"\n")
            answered = True
    os.close(terminal)
    return program.wait(), shown.decode()


def test_init_makes_everything_private_and_may_be_repeated(
    provost: Provost, environment: dict[str, str]
) -> None:
    """`init` makes the folder (0700) and the key (0600), says what it made, and changes nothing again."""
    home = Path(environment["PROVOST_HOME"])
    first = provost("init").stdout
    assert "made" in first
    assert "Keep a copy of the master key file" in first
    assert home.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in home.iterdir())
    key = (home / "master.key").read_text()
    again = read_json(provost("init", "--json"))
    assert (again["database"], again["keyset"]) == ("unchanged", "unchanged")
    assert (home / "master.key").read_text() == key


def test_command_before_init_says_so(provost: Provost) -> None:
    """Without `provost init`, a command makes nothing and says what to do."""
    assert "Run: provost init" in provost("asset", "list", status=2).stderr
    error = read_json(provost("asset", "list", "--json", status=2))
    assert error["error"]["code"] == "not_initialised"


def test_lost_master_key_is_never_made_anew(ready: Provost, environment: dict[str, str]) -> None:
    """When the master key file is gone, `init` and every use of a secret name the key that is wanted."""
    ready("account", "add", "root", "--asset", "web1", "--password-stdin", stdin="x")
    file = Path(environment["PROVOST_HOME"]) / "master.key"
    kept = file.read_bytes()
    file.unlink()
    for words in (["init"], ["account", "reveal", "root@web1"], ["key", "rotate"]):
        error = read_json(ready(*words, "--json", status=1))["error"]
        assert error["code"] == "master_key_missing"
        assert "Put the file that holds master key" in error["message"]
        assert not file.exists()
    file.write_bytes(kept)
    file.chmod(0o600)
    assert ready("account", "reveal", "root@web1").stdout == "x\n"


def test_assets_are_added_shown_and_removed(ready: Provost) -> None:
    """What `asset add` is told, `asset show` and `asset list` tell, as text and as JSON."""
    ready(
        *("asset", "add", "web2", "--kind", "linux", "--address", "127.0.0.2", "--port", "2222"),
        *("--via", "web1", "--node", "/eu", "--node", "/prod", "--option", "via_account=a=b"),
    )
    shown = read_json(ready("asset", "show", "web2", "--json"))["asset"]
    assert {name: shown[name] for name in ("kind", "address", "port", "via", "nodes", "options")} == {
        "kind": "linux",
        "address": "127.0.0.2",
        "port": 2222,
        "via": "web1",
        "nodes": ["/eu", "/prod"],
        "options": {"via_account": "a=b"},
    }
    assert shown["privileged"] == shown["host_keys"] == []
    assert (shown["accounts"], shown["unlisted"], shown["version"]) == (0, 0, 1)
    assert "none: nothing can be pushed here" in ready("asset", "show", "web2").stdout
    listed = ready("asset", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["name", "web1", "web2"]
    assert [
        one["name"] for one in read_json(ready("asset", "list", "--node", "/prod", "--json"))["assets"]
    ] == [
        "web1",
        "web2",
    ]
    assert "web2" in ready("asset", "remove", "web1", status=2).stderr
    ready("asset", "remove", "web2")
    assert len(read_json(ready("asset", "list", "--json"))["assets"]) == 1


def test_secret_comes_by_stdin_and_goes_by_reveal_alone(ready: Provost, environment: dict[str, str]) -> None:
    """A password loses exactly one line end on its way in, and only `reveal` shows it; the files do not."""
    secret = "hush-hush $(id) \N{KEY}  \n"
    ready(
        "account",
        "add",
        "root",
        "--asset",
        "web1",
        "--privileged",
        "--password-stdin",
        stdin=secret + "\n",
        status=2,
    )
    secret = secret.removesuffix("\n")
    ready("account", "add", "root", "--asset", "web1", "--privileged", "--password-stdin", stdin=secret + "\n")
    assert ready("account", "reveal", "root@web1").stdout == secret + "\n"
    assert read_json(ready("account", "reveal", "root@web1", "--json"))["secret"] == secret
    for words in (["show", "root@web1"], ["history", "root@web1"], ["list"]):
        for form in ([], ["--json"]):
            assert "hush" not in ready("account", *words, *form).stdout
    for file in Path(environment["PROVOST_HOME"]).iterdir():
        assert b"hush" not in file.read_bytes()


def test_keys_come_from_files(ready: Provost, tmp_path: Path) -> None:
    """A key with a passphrase is opened by standard input; a public key alone is held without private half."""
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", file], check=True)
    add = ("account", "add", "root", "--asset", "web1", "--key", str(file))
    assert "Add --passphrase-stdin" in ready(*add, status=2).stderr
    assert "does not open" in ready(*add, "--passphrase-stdin", stdin="wrong\n", status=2).stderr
    ready(*add, "--passphrase-stdin", stdin="open sesame\n")
    revealed = tmp_path / "revealed"
    revealed.touch(0o600)
    revealed.write_text(ready("account", "reveal", "root@web1").stdout)
    public = subprocess.run(
        ["ssh-keygen", "-y", "-f", revealed], capture_output=True, text=True, check=True
    ).stdout
    assert public.split()[:2] == Path(f"{file}.pub").read_text().split()[:2]
    ready("account", "add", "bob", "--asset", "web1", "--key", f"{file}.pub")
    assert "public key only: Provost holds no private half" in ready("account", "show", "bob@web1").stdout
    error = read_json(ready("account", "reveal", "bob@web1", "--json", status=2))["error"]
    assert error["code"] == "public_key_only"


def test_replaced_secret_stays_in_the_history(ready: Provost) -> None:
    """`--replace` puts a secret in the place of another, which `history` lists and `reveal --version` shows."""
    add = ("account", "add", "root", "--asset", "web1", "--password-stdin")
    ready(*add, stdin="old\n")
    assert "--replace" in ready(*add, stdin="new\n", status=2).stderr
    ready(*add, "--replace", stdin="new\n")
    versions = read_json(ready("account", "history", "root@web1", "--json"))["versions"]
    assert [(one["version"], one["state"]) for one in versions] == [(2, "current"), (1, "retired")]
    assert ready("account", "reveal", "root@web1").stdout == "new\n"
    assert ready("account", "reveal", "root@web1", "--version", "1").stdout == "old\n"


def test_account_off_the_list(ready: Provost) -> None:
    """A removed account is not listed any more, and its secret is in its history."""
    ready("account", "add", "bob", "--asset", "web1", "--password-stdin", stdin="x")
    assert [one["username"] for one in read_json(ready("account", "list", "--json"))["accounts"]] == ["bob"]
    ready("account", "remove", "bob@web1")
    assert read_json(ready("account", "list", "--json"))["accounts"] == []
    assert read_json(ready("account", "list", "--pending", "--json"))["accounts"] == []
    assert ready("account", "reveal", "bob@web1", "--version", "1").stdout == "x\n"
    assert (
        "nothing was done" in ready("account", "remove", "bob@web1", "--forget", stdin="n\n", status=1).stderr
    )
    ready("account", "remove", "bob@web1", "--forget", "--yes")
    ready("account", "history", "bob@web1", status=2)


def test_the_last_privileged_account_is_not_taken_off_in_silence(ready: Provost) -> None:
    """Who takes what an asset is worked on with off the list is told so, and once there is another, is not."""
    for name in ("root", "spare"):
        ready("account", "add", name, "--asset", "web1", "--privileged", "--password-stdin", stdin="x")
    assert "can be done" not in ready("account", "remove", "root@web1").stdout
    assert "Nothing can be done on web1 now" in ready("account", "remove", "spare@web1").stdout


def test_asset_with_accounts_is_removed_on_confirmation_only(ready: Provost) -> None:
    """Secrets are not lost by a command that nobody confirmed."""
    ready("account", "add", "root", "--asset", "web1", "--password-stdin", stdin="x")
    assert "nothing was done" in ready("asset", "remove", "web1", stdin="n\n", status=1).stderr
    assert ready("account", "reveal", "root@web1").stdout == "x\n"
    ready("asset", "remove", "web1", "--yes")
    assert read_json(ready("account", "list", "--json"))["accounts"] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nosuch"], "usage"),
        (["asset", "add", "x"], "usage"),
        (["asset", "show", "--color", "x"], "usage"),
        (["asset", "show", "web2"], "asset_not_found"),
        (["asset", "list", "--node", "/x"], "node_not_found"),
        (["asset", "add", "x", "--kind", "linus", "--address", "a"], "kind_not_found"),
        (["asset", "add", "x", "--kind", "linux", "--address", "a", "--option", "x"], "usage"),
        (["account", "show", "root"], "usage"),
        (["account", "show", "root@web1"], "account_not_found"),
        (["account", "add", "root", "--asset", "web1"], "usage"),
        (["account", "add", "root", "--asset", "web1", "--password-stdin"], "secret_refused"),
        (["import", "nowhere.yaml"], "import_refused"),
    ],
)
def test_usage_is_exit_status_2_with_a_code(ready: Provost, words: list[str], code: str) -> None:
    """Bad input ends with 2, and with --json a document that has a stable code."""
    done = ready(*words, "--json", status=2)
    assert read_json(done)["error"]["code"] == code
    assert done.stderr == ""


def test_error_is_one_line_on_standard_error(ready: Provost) -> None:
    """Without --json an error is one line on standard error, and standard output stays empty."""
    told = ready("asset", "show", "web2", status=2)
    assert told.stderr.startswith("provost: There is no asset 'web2'.")
    assert len(told.stderr.splitlines()) == 1
    assert told.stdout == ""


def test_inventory_and_rotation_by_the_program(ready: Provost, tmp_path: Path) -> None:
    """`import` brings accounts in, and after `key rotate --master` their secrets read as before."""
    file = tmp_path / "inventory.yaml"
    file.write_text(
        "assets:\n- {name: web2, kind: linux, address: web2}\n"
        "accounts:\n- {username: root, asset: web2, privileged: true, password: s3cret}\n"
    )
    would = read_json(ready("import", str(file), "--dry-run", "--json"))
    assert (would["dry_run"], would["changes"]["accounts_added"]) == (True, ["root@web2"])
    told = ready("import", str(file), "--dry-run").stdout.splitlines()
    assert (told[0], told[2].split()) == ("Nothing was brought in. It would be:", ["assets", "1", "added"])
    assert read_json(ready("import", str(file), "--json"))["imported"]["accounts"] == {"added": 1}
    assert "1 unchanged" in ready("import", str(file)).stdout
    rotation = read_json(ready("key", "rotate", "--master", "--json"))["rotation"]
    assert rotation["secrets"] == 2  # the key of the audit trail is one
    assert ready("account", "reveal", "root@web2").stdout == "s3cret\n"


def test_foreign_text_is_shown_inert(ready: Provost, environment: dict[str, str]) -> None:
    """Escape sequences, line ends and markup in what others wrote act neither in lines nor on a terminal."""
    comment = "[red]x[/red] \x1b[31mred \x9b2J \u202e"
    ready("asset", "add", "web2", "--kind", "linux", "--address", "a", "--comment", comment)
    shown = ready("asset", "show", "web2").stdout
    assert "[red]x[/red] \\x1b[31mred \\x9b2J \\u202e" in shown
    ready("account", "add", "x[red]y", "--asset", "web1", "--password-stdin", stdin="x", status=2)
    assert read_json(ready("asset", "show", "web2", "--json"))["asset"]["comment"] == comment
    ready("asset", "add", "[blink]web3", "--kind", "linux", "--address", "a", "--node", "/[bold]x")
    status, table = type_at_terminal(environment, ["asset", "list"], "")
    assert status == 0
    assert "[blink]web3" in table
    assert "/[bold]x" in table


def test_password_typed_at_a_terminal_is_not_shown(ready: Provost, environment: dict[str, str]) -> None:
    """On a terminal the password is asked for, and what is typed does not appear."""
    status, shown = type_at_terminal(
        environment, ["account", "add", "root", "--asset", "web1", "--password-stdin"], "hush-hush"
    )
    assert status == 0
    assert "Password: " in shown
    assert "hush" not in shown
    assert ready("account", "reveal", "root@web1").stdout == "hush-hush\n"


def test_unforeseen_error_is_one_line_unseen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody foresaw ends with 1 and one line without its own text; PROVOST_DEBUG=1 shows where."""
    from provost.cli import main

    def fail(**_: object) -> None:
        raise RuntimeError("hush-hush")

    monkeypatch.setattr(main, "app", fail)
    monkeypatch.setattr(sys, "argv", ["provost"])
    with pytest.raises(SystemExit, match="1"):
        main.main()
    told = capsys.readouterr().err
    assert told == "provost: Something unexpected went wrong (RuntimeError). PROVOST_DEBUG=1 shows where.\n"
    monkeypatch.setenv("PROVOST_DEBUG", "1")
    with pytest.raises(SystemExit, match="1"):
        main.main()
    assert "Traceback" in capsys.readouterr().err


def test_settings_that_cannot_be_used_are_told(provost: Provost, environment: dict[str, str]) -> None:
    """A database URL or a folder that cannot be used is a clear error, and the URL's password is not shown."""
    environment["PROVOST_HOME"] = "/dev/null/provost"
    environment.pop("PROVOST_DATABASE_URL", None)
    assert read_json(provost("init", "--json", status=1))["error"]["code"] == "system_error"
    environment["PROVOST_DATABASE_URL"] = "nonsense://me:hush-hush@host/x"
    error = read_json(provost("asset", "list", "--json", status=2))["error"]
    assert error["code"] == "settings_refused"
    assert "hush" not in error["message"]
    environment["PROVOST_DATABASE_URL"] = "postgresql://me:hush-hush@127.0.0.1:1/x"
    error = read_json(provost("asset", "list", "--json", status=1))["error"]
    assert error["code"] == "database_error"
    assert "hush" not in error["message"]


def test_help_version_and_completion(provost: Provost, environment: dict[str, str]) -> None:
    """Every command helps without a database, and the shell can complete."""
    assert provost("--version").stdout.startswith("provost ")
    for words in (
        [],
        ["init"],
        ["asset", "add"],
        ["account", "reveal"],
        ["import"],
        ["key", "rotate"],
        ["push"],
        ["task", "create"],
        ["task", "edit"],
        ["user", "add"],
        ["token", "create"],
        ["audit", "verify"],
    ):
        assert "Usage:" in provost(*words, "--help").stdout
    environment |= {"_PROVOST_COMPLETE": "complete_bash", "COMP_WORDS": "provost ac", "COMP_CWORD": "1"}
    assert provost().stdout.split() == ["account"]


def test_an_argument_that_is_not_utf_8_is_refused(ready: Provost) -> None:
    """Bytes that are no text are bad input, not a fault."""
    done = ready("asset", "show", "web\udcff", status=2)
    assert "UTF-8" in done.stderr

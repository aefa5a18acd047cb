"""Hostile output of a host: it ends short and inert in the record, in JSON, in a pipe and on a terminal."""

import os
import pty
import subprocess
from contextlib import closing

import pytest
from tests.e2e.conftest import Vault

from provost.lab import Host

ESCAPES = (
    "\x1b[2J\x1b]0;pwned\x07\x1b[31mred\x1b[0m\x9b5n\rover \x08 [bold red]marked[/] [link=x]y[/link] \u202eRTL"
)


@pytest.mark.parametrize("tool", ["useradd", "chpasswd", "getent"])
def test_what_a_tool_says(host: Host, vault: Vault, tool: str) -> None:
    """A megabyte of escapes and markup on its standard error ends as one short, inert line everywhere."""
    vault.add(host)
    where = host.run(f"command -v {tool}").stdout.strip()
    host.run("cat > /root/says", stdin=ESCAPES * (2**20 // len(ESCAPES)))
    host.run(f"rm {where}; cat > {where}; chmod 755 {where}", stdin="#!/bin/sh\ncat /root/says >&2\nexit 7\n")
    record = vault.push("alice", to=[host.name], status=1)[host.name, "alice"]
    assert record["status"] == "failed"
    assert "marked" in record["message"]
    assert "[bold red]" in record["message"]
    assert len(record["message"]) <= 500
    assert record["message"].isprintable()
    run = vault.read("run", "list")["runs"][0]["id"]
    plain = vault.run("run", "show", run).stdout
    assert all(line.isprintable() for line in plain.splitlines())
    drawn = show_on_terminal(vault, "run", "show", run)
    assert "[bold red]marked[/]" in drawn
    for escape in ("\x1b[2J", "\x1b]0;", "\x1b[31m", "\x9b", "\x07", "\x08", "\u202e", "\x1b]8;"):
        assert escape not in drawn


def show_on_terminal(vault: Vault, *words: str) -> str:
    """Run a command on a wide terminal of its own, and return what it wrote there."""
    master, slave = pty.openpty()
    environment = {**vault.environment, "TERM": "xterm-256color", "COLUMNS": "1000"}
    with closing(os.fdopen(master, "rb", buffering=0)) as terminal:
        process = subprocess.Popen(
            [*vault.program, *words], env=environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        written = b""
        try:
            while chunk := terminal.read(65536):
                written += chunk
        except OSError:  # how Linux tells that the other end was closed
            pass
        assert process.wait() == 0
    return written.decode()

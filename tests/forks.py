"""Runs Python programs in forks of a process that has imported what they import: the most of a start is that.

A program that runs here is a process like any other: its script is run from the first line, with arguments, an
environment, standard streams and an exit status of its own. Only what knows nothing of an environment is there
before it.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

IMPORTED = (
    "asyncssh",
    "dj_database_url",
    "django.contrib.auth.hashers",
    "django.contrib.auth.password_validation",
    "django.contrib.messages",
    "django.contrib.sessions.backends.base",
    "django.core.management.commands.migrate",
    "django.core.serializers.json",
    "django.core.mail",
    "django.db.backends.sqlite3.base",
    "django.db.models.sql.compiler",
    "django.forms",
    "django.middleware.cache",
    "django.shortcuts",
    "django.template.response",
    "django.urls",
    "django.views.decorators.cache",
    "httpx",
    "provost.cli.main",
    "provost.connectors.linux",
    "provost.core.operations",
    "provost.core.requests",
    "provost.engine",
    "provost.vault.cipher",
    "provost.vault.keys",
    "provost.vault.masterkey",
    "pydantic.type_adapter",
    "requests",
    "rich.table",
    "tink",
    "yaml",
)
_STREAMS = 3


def run(
    script: Path, *words: str, env: Mapping[str, str], stdin: str | bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Run a Python script to its end, with `stdin` as its standard input; its output must be UTF-8."""
    asked = {"words": [str(script), *words], "env": dict(env), "cwd": str(Path.cwd())}
    with contextlib.ExitStack() as opened:
        files: list[BinaryIO] = [
            opened.enter_context(tempfile.TemporaryFile())
            for _ in range(_STREAMS + 1)  # type: ignore[misc]
        ]
        request, source, output, errors = files
        request.write(json.dumps(asked).encode())
        source.write(stdin.encode() if isinstance(stdin, str) else stdin)
        for file in (request, source):
            file.seek(0)
        mine, theirs = socket.socketpair()
        with mine:
            with theirs:
                numbers = [theirs.fileno(), *(file.fileno() for file in files)]
                socket.send_fds(_find_parent(), [b"!"], numbers)
            status = int(mine.makefile().read())
        for file in (output, errors):
            file.seek(0)
        return subprocess.CompletedProcess(
            [script, *words], status, output.read().decode(), errors.read().decode()
        )


@cache
def _find_parent() -> socket.socket:
    """Return the way to the process that forks, which ends with this one."""
    mine, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, __file__, str(number)],
            pass_fds=[number], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def end() -> None:
        mine.close()
        process.wait()

    atexit.register(end)
    return mine


def _serve(number: int) -> list[str]:
    """Fork for each request; return, in a fork, what it is to run."""
    for name in IMPORTED:
        import_module(name)
    gc.freeze()  # what a fork does not look over it need not copy
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=number) as requests:
        while True:
            told, numbers, _, _ = socket.recv_fds(requests, 1, _STREAMS + 2)
            if not told:
                os._exit(0)
            if not os.fork():
                break
            for one in numbers:
                os.close(one)
    return _become(*numbers)


def _become(reply: int, request: int, *streams: int) -> list[str]:
    """Fork once more, to tell how that fork ends; return, there, what it is to run."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        os.write(reply, str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    os.close(reply)
    with os.fdopen(request) as file:
        asked = json.load(file)
    for place, number in enumerate(streams):
        os.dup2(number, place)
        os.close(number)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    words: Sequence[str] = asked["words"]
    return list(words)


if __name__ == "__main__":
    sys.argv = _serve(int(sys.argv[1]))
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")

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
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any, TextIO

IMPORTED = (
    "asyncssh",
    "cronsim",
    "dj_database_url",
    "django.contrib.auth.hashers",
    "django.contrib.auth.password_validation",
    "django.contrib.messages",
    "django.contrib.sessions.backends.base",
    "django.core.mail",
    "django.core.management.commands.migrate",
    "django.core.serializers.json",
    "django.db.backends.sqlite3.base",
    "django.db.models.sql.compiler",
    "django.forms",
    "django.middleware.cache",
    "django.shortcuts",
    "django.template.response",
    "django.urls",
    "django.views.decorators.cache",
    "fido2.server",
    "httpx",
    "jinja2",
    "multiprocessing.pool",
    "prometheus_client",
    "provost.cli.main",
    "provost.connectors.linux",
    "provost.core.operations",
    "provost.core.requests",
    "provost.engine",
    "provost.vault.cipher",
    "provost.vault.keys",
    "provost.vault.masterkey",
    "pydantic.type_adapter",
    "pythonjsonlogger.json",
    "requests",
    "rich.table",
    "tink",
    "unittest.mock",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.h11_impl",
    "whitenoise.base",
    "yaml",
)
_STREAMS = 3


class Process:
    """A program that runs in a fork, with as much of `subprocess.Popen` as tests need."""

    def __init__(self, pid: int, told: TextIO, stdout: TextIO | None) -> None:
        self.pid = pid
        self.stdout = stdout
        self._told = told
        self._status: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, negative for a signal; subprocess.TimeoutExpired after `timeout` seconds."""
        if self._status is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired([], timeout or 0)
            self._status = int(self._told.readline())
            self._told.close()
        return self._status

    def send_signal(self, number: int) -> None:
        """Send a signal, if it is still there."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it at once, and close what is open."""
        self.kill()
        self.wait()
        if self.stdout:
            self.stdout.close()


def run(
    script: Path, *words: str, env: Mapping[str, str], stdin: str | bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Run a Python script to its end, with `stdin` as its standard input; its output must be UTF-8."""
    with contextlib.ExitStack() as opened:
        source, output, errors = (opened.enter_context(tempfile.TemporaryFile()) for _ in range(_STREAMS))
        source.write(stdin.encode() if isinstance(stdin, str) else stdin)
        source.seek(0)
        status = _fork(script, words, env, (source, output, errors), None).wait()
        for file in (output, errors):
            file.seek(0)
        return subprocess.CompletedProcess(
            [script, *words], status, output.read().decode(), errors.read().decode()
        )


def start(script: Path, *words: str, env: Mapping[str, str], stderr: IO[Any] | None = None) -> Process:
    """Start a Python script, with nothing as its standard input, its output in a pipe, its errors in a file."""
    reading, writing = os.pipe()
    with open(os.devnull, "r+b") as nothing, os.fdopen(writing, "wb") as output:  # noqa: PTH123
        return _fork(script, words, env, (nothing, output, stderr or nothing), os.fdopen(reading))


def _fork(
    script: Path,
    words: Sequence[str],
    env: Mapping[str, str],
    streams: Sequence[IO[Any]],
    stdout: TextIO | None,
) -> Process:
    asked = {"words": [str(script), *words], "env": dict(env), "cwd": str(Path.cwd())}
    mine, theirs = socket.socketpair()
    with mine, theirs, tempfile.TemporaryFile() as request:
        request.write(json.dumps(asked).encode())
        request.seek(0)
        numbers = [one.fileno() for one in (theirs, request, *streams)]
        socket.send_fds(_find_parent(), [b"!"], numbers)
        theirs.close()
        told = mine.makefile()
        return Process(int(told.readline()), told, stdout)


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
        for number in (request, *streams):
            os.close(number)
        os.write(reply, f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(reply, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.close(reply)
    os.setsid()
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
    sys.path[:1] = [
        str(Path(sys.argv[0]).parent),
        *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
    ]
    runpy.run_path(sys.argv[0], run_name="__main__")

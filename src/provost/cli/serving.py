"""The process of a server: uvicorn, the worker beside it, and how both start and stop."""

import contextlib
import logging
import os
import signal
import ssl
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from socket import socket
from types import FrameType
from typing import Final

import uvicorn
from django.conf import settings
from django.db import connection, connections

from provost.cli.output import print_line
from provost.config.asgi import application
from provost.config.environment import Environment
from provost.config.listening import load_certificate, name_address
from provost.config.start import check_lost, install, is_there, start
from provost.core.errors import UsageError
from provost.server.services import keyring, signing, users, vitals
from provost.server.web.gate import Gate
from provost.worker.worker import Worker

logger = logging.getLogger(__name__)

_REQUEST_PATIENCE: Final = 10
_RUN_PATIENCE: Final = 60


def make_ready() -> None:
    """Make what is not there yet. What is there must fit this version, and the master key.

    Raises:
        UsageError: `database_outdated`; or `database_missing`, there was one and it is gone.
        VaultError: the master key is missing or wrong.
    """
    if is_there():
        start()
        keyring.check_keyset()
    else:
        check_lost()
        install()
    settings.SECRET_KEY = signing.derive_key("sessions").hex()


def run_server(environment: Environment, tls: ssl.SSLContext | None, listener: socket) -> None:
    """Serve on `listener` until a signal says to stop."""
    # Django would do it at the first request, which then waited for a second and more.
    import_module(settings.ROOT_URLCONF)
    setup = users.prepare_setup()
    connections.close_all()

    def announce() -> None:
        url = name_address(environment, listener)
        if setup:
            print_line(f"There is no user yet. The token to make the first one, told this once: {setup}")
            # A fragment is not sent, so no log has it.
            print_line(f"Or open this in a browser: {url}/setup#{setup}")
        logger.info("Listening on %s", url)
        print_line(f"Provost listens on {url}")
        sys.stdout.flush()

    server = _Server(_configure(application, tls), application, announce)
    server.obey_signals(environment, tls)
    worker = Worker(runs=environment.worker_runs, retention_days=environment.run_retention_days)
    vitals.watch(worker)
    worker.start()
    try:
        server.run([listener])
    finally:
        if not worker.stop(patience=_RUN_PATIENCE):
            logger.warning("The worker did not end in time. Its runs are taken up when their leases end.")
        connections.close_all()
        if hasattr(connection, "close_pool"):  # PostgreSQL's
            connection.close_pool()


def _configure(application: Gate, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the gate does it
        server_header=False,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        timeout_graceful_shutdown=_REQUEST_PATIENCE,
    )


class _Server(uvicorn.Server):
    """uvicorn, told to stop by this program's handlers of signals, so that it ends with status 0."""

    def __init__(self, config: uvicorn.Config, gate: Gate, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._gate = gate
        self._announce = announce

    def obey_signals(self, environment: Environment, tls: ssl.SSLContext | None) -> None:
        """Stop by SIGTERM and SIGINT, the second time at once; by SIGHUP, read the certificate anew."""

        def stop(number: int, _frame: FrameType | None) -> None:
            if self.should_exit:
                os._exit(128 + number)
            self.should_exit = True

        def reload(_number: int, _frame: FrameType | None) -> None:
            if tls is None:
                return
            try:
                load_certificate(tls, environment)
            except UsageError as error:
                logger.error("%s The old one stays.", error.message)  # noqa: TRY400  # its place is known
            else:
                logger.info("The certificate was read anew.")

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGHUP, reload)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: uvicorn's own way ends the process by the signal that it got."""
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        self._gate.stopping.set()
        await super().shutdown(sockets)

"""Whether this server can do its work: the database, its migrations, the keyset, the worker."""

import os
import pkgutil
import time
from typing import Final, Protocol

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder

from provost.core.errors import ProvostError
from provost.server import migrations
from provost.server.services import keyring

LONGEST_SILENCE: Final = 30.0
"""Seconds without a beat after which a worker counts as stuck."""

LEAST_SPACE: Final = 16 * 2**20
"""Bytes of room on the disk, below which nothing should be begun."""

FINE: Final = "ok"


class Beating(Protocol):
    """A worker: `beat` is when it last showed life, by `time.monotonic()`."""

    @property
    def beat(self) -> float:
        """When it last showed life."""


_watched: Beating | None = None


def watch(worker: Beating) -> None:
    """Make the worker's beat part of what is looked at."""
    global _watched  # noqa: PLW0603  # a process has one worker
    _watched = worker


def tell_beat_age() -> float | None:
    """Return how many seconds ago the worker of this process showed life; None when it has no worker."""
    return None if _watched is None else max(0.0, time.monotonic() - _watched.beat)


def list_missing_migrations() -> set[str]:
    """List the migrations that the database lacks. None of them done: it holds no Provost yet."""
    done = {name for app, name in MigrationRecorder(connection).applied_migrations() if app == "server"}
    return {module.name for module in pkgutil.iter_modules(migrations.__path__)} - done


def examine() -> dict[str, str]:
    """Return for each of five parts `ok`, or the code of what is wrong with it. No secret, no path."""
    found = dict.fromkeys(("database", "migrations", "keyset"), "unknown")
    found |= {"worker": _examine_worker(), "disk": _examine_disk()}
    try:
        missing = list_missing_migrations()
        found |= {"database": FINE, "migrations": "database_outdated" if missing else FINE}
        keyring.check_keyset()
        found["keyset"] = FINE
    except DatabaseError:
        found["database" if found["database"] != FINE else "keyset"] = "database_error"
    except ProvostError as error:
        found["keyset"] = error.code
    return found


def _examine_disk() -> str:
    """Look whether there is room for what SQLite writes; another database looks after its own disk."""
    if settings.DATABASE_FILE is None:
        return FINE
    space = os.statvfs(settings.HOME)
    return FINE if space.f_bavail * space.f_frsize > LEAST_SPACE else "disk_full"


def _examine_worker() -> str:
    age = tell_beat_age()
    if age is None:
        return "worker_missing"
    return FINE if age <= LONGEST_SILENCE else "worker_silent"

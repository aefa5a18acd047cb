"""Sets Django up in a process, and makes what Provost needs to be there."""

import os
from dataclasses import dataclass

from provost.core.errors import Refused, UsageError

_SETTINGS = "provost.config.settings"
_SERVING = "provost.config.serving"


def prepare(*, serving: bool = False) -> None:
    """Set Django up, whether or not `provost init` was run: for a server, or for a command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", _SERVING if serving else _SETTINGS)
    import django  # noqa: PLC0415  # its import reads the settings' name

    django.setup()


def start() -> None:
    """Set Django up and make sure that the database is there and fits this version.

    Raises:
        UsageError: `not_initialised`, or `database_outdated` after an upgrade: run `provost init`.
    """
    prepare()
    from django.conf import settings  # noqa: PLC0415  # Django was set up just now

    from provost.server.services import vitals  # noqa: PLC0415  # as above

    if not is_there():
        raise UsageError(
            f"There is no Provost in {settings.HOME} yet. Run: provost init", code="not_initialised"
        )
    if vitals.list_missing_migrations():
        raise UsageError(
            "The database is older than this version of Provost. Run: provost init", code="database_outdated"
        )


def is_there() -> bool:
    """Tell whether there is a database that holds a Provost, of this version or another. Makes no file."""
    from django.conf import settings  # noqa: PLC0415  # Django is set up
    from django.db import connection  # noqa: PLC0415  # as above
    from django.db.migrations.recorder import MigrationRecorder  # noqa: PLC0415  # as above

    if settings.DATABASE_FILE and not settings.DATABASE_FILE.exists():
        return False
    return any(app == "server" for app, _ in MigrationRecorder(connection).applied_migrations())


def check_lost() -> None:
    """Raise `UsageError` where a database was and is no more, as its master key or write-ahead log tell."""
    from django.conf import settings  # noqa: PLC0415  # Django is set up

    if not settings.DATABASE_FILE:
        return
    log = settings.DATABASE_FILE.with_name(f"{settings.DATABASE_FILE.name}-wal")
    if left := next((file for file in (settings.MASTER_KEY_FILE, log) if file.exists()), None):
        raise UsageError(
            f"There is {left}, and no database beside it: is a volume not mounted, or a restore not complete? "
            "To begin anew all the same: provost init",
            code="database_missing",
        )


@dataclass(frozen=True, slots=True)
class Installation:
    """What `install` made: `database` is made, upgraded or unchanged."""

    made_home: bool
    database: str
    made_keyset: bool


def install() -> Installation:
    """Make the data folder, the database and the master key, as far as they are not there. Django is set up.

    Raises:
        Refused: `home_exposed`, others may write in the data folder.
        VaultError: there is a keyset, and its master key is missing or wrong.
    """
    from django.conf import settings  # noqa: PLC0415  # Django is set up
    from django.core.management import call_command  # noqa: PLC0415  # as above
    from django.db import connection  # noqa: PLC0415  # as above
    from django.db.migrations.recorder import MigrationRecorder  # noqa: PLC0415  # as above

    from provost.server.services import keyring  # noqa: PLC0415  # as above

    made_home = not settings.HOME.exists()
    settings.HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = settings.HOME.stat()
    if status.st_uid not in {0, os.geteuid()} or status.st_mode & 0o022:
        raise Refused(
            f"Others may write in {settings.HOME}, and could put their own master key there. "
            f"Run: chown {os.geteuid()} {settings.HOME}; chmod 700 {settings.HOME}",
            code="home_exposed",
        )
    if settings.DATABASE_FILE:
        settings.DATABASE_FILE.touch(mode=0o600)
    before = set(MigrationRecorder(connection).applied_migrations())
    call_command("migrate", verbosity=0, interactive=False)
    migrated = set(MigrationRecorder(connection).applied_migrations()) - before
    made_keyset = keyring.create_keyset()
    database = "unchanged" if not migrated else "upgraded" if before else "made"
    return Installation(made_home, database, made_keyset)

"""Sets Django up in a process that is not a web server."""

import os
import pkgutil
from pathlib import Path

from provost.core.errors import UsageError


def prepare() -> None:
    """Set Django up, whether or not `provost init` was run."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provost.config.settings")
    import django  # noqa: PLC0415  # its import reads the settings' name

    django.setup()


def start() -> None:
    """Set Django up and make sure that the database is there and fits this version.

    Raises:
        UsageError: `not_initialised`, or `database_outdated` after an upgrade: run `provost init`.
    """
    prepare()
    from django.conf import settings  # noqa: PLC0415  # Django was set up just now
    from django.db import connection  # noqa: PLC0415
    from django.db.migrations.recorder import MigrationRecorder  # noqa: PLC0415

    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        raise UsageError(
            f"There is no Provost in {settings.HOME} yet. Run: provost init", code="not_initialised"
        )
    done = {name for app, name in MigrationRecorder(connection).applied_migrations() if app == "server"}
    if not done:
        raise UsageError("The database holds no Provost yet. Run: provost init", code="not_initialised")
    if _list_migrations() - done:
        raise UsageError(
            "The database is older than this version of Provost. Run: provost init", code="database_outdated"
        )


def _list_migrations() -> set[str]:
    from provost.server import migrations  # noqa: PLC0415  # as above

    return {module.name for module in pkgutil.iter_modules(migrations.__path__)}

import os

from provost.cli.output import AsJson, print_json, print_line


def init(*, as_json: AsJson = False) -> None:
    """Make the data folder, the database and the master key. Safe to repeat; run it after an upgrade too."""
    from provost.config.start import prepare

    os.umask(0o077)  # SQLite's files hold nothing readable, and are still nobody else's
    prepare()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    from provost.core.errors import Refused
    from provost.server.services import keyring

    made_home = not settings.HOME.exists()
    settings.HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = settings.HOME.stat()
    if status.st_uid not in {0, os.geteuid()} or status.st_mode & 0o022:
        raise Refused(
            f"Others may write in {settings.HOME}, and could put their own master key there. "
            f"Run: chown {os.geteuid()} {settings.HOME}; chmod 700 {settings.HOME}",
            code="home_exposed",
        )
    before = set(MigrationRecorder(connection).applied_migrations())
    call_command("migrate", verbosity=0, interactive=False)
    migrated = len(set(MigrationRecorder(connection).applied_migrations()) - before)
    made_keyset = keyring.create_keyset()
    database = "unchanged" if not migrated else "upgraded" if before else "made"
    if as_json:
        print_json(
            {
                "home": str(settings.HOME),
                "database": database,
                "master_key_file": str(settings.MASTER_KEY_FILE),
                "keyset": "made" if made_keyset else "unchanged",
            }
        )
        return
    print_line(f"data folder      {settings.HOME} ({'made' if made_home else 'was there'})")
    print_line(f"database         {connection.vendor} ({database})")
    print_line(
        f"master key file  {settings.MASTER_KEY_FILE} ({'in use from now on' if made_keyset else 'fits'})"
    )
    if made_keyset:
        print_line("Keep a copy of the master key file in a safe place: no secret can be read without it.")

import os

from provost.cli.output import AsJson, print_json, print_line


def init(*, as_json: AsJson = False) -> None:
    """Make the data folder, the database and the master key. Safe to repeat; run it after an upgrade too."""
    from provost.config.start import install, prepare

    os.umask(0o077)  # SQLite's files hold nothing readable, and are still nobody else's
    prepare()
    from django.conf import settings
    from django.db import connection

    done = install()
    if as_json:
        print_json(
            {
                "home": str(settings.HOME),
                "database": done.database,
                "master_key_file": str(settings.MASTER_KEY_FILE),
                "keyset": "made" if done.made_keyset else "unchanged",
            }
        )
        return
    print_line(f"data folder      {settings.HOME} ({'made' if done.made_home else 'was there'})")
    print_line(f"database         {connection.vendor} ({done.database})")
    use = "in use from now on" if done.made_keyset else "fits"
    print_line(f"master key file  {settings.MASTER_KEY_FILE} ({use})")
    if done.made_keyset:
        print_line("Keep a copy of the master key file in a safe place: no secret can be read without it.")

"""Django's settings, read from the environment; docs/configuration.md lists them.

PROVOST_HOME: the data folder.  PROVOST_DATABASE_URL: default, a SQLite file in it.
PROVOST_MASTER_KEY_FILE: default, master.key in it.
PROVOST_STRICT_HOST_KEYS: 1 refuses a host whose key is not known.
PROVOST_KNOWN_HOSTS: an OpenSSH known_hosts file that is believed beside the pinned keys.
"""

import os
from pathlib import Path

import dj_database_url

from provost.core.errors import UsageError

HOME = Path(os.environ.get("PROVOST_HOME") or Path.home() / ".provost").absolute()
MASTER_KEY_FILE = Path(os.environ.get("PROVOST_MASTER_KEY_FILE") or HOME / "master.key").absolute()
STRICT_HOST_KEYS = os.environ.get("PROVOST_STRICT_HOST_KEYS", "") not in {"", "0"}
KNOWN_HOSTS = os.environ.get("PROVOST_KNOWN_HOSTS") or None

if url := os.environ.get("PROVOST_DATABASE_URL"):
    try:
        DATABASES = {"default": dj_database_url.parse(url, conn_max_age=None, conn_health_checks=True)}
    except ValueError:  # its text may show the URL, and so a password
        raise UsageError(
            "PROVOST_DATABASE_URL cannot be used. Write it like postgresql://user@host/database.",
            code="settings_refused",
        ) from None
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(HOME / "provost.sqlite3"),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",  # a writer waits for its turn instead of failing half-way
                "timeout": 60,
                # FULL: a commit is on the disk before the target hears of the secret.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    }

INSTALLED_APPS = ["treebeard", "provost.server"]
TOKEN_LONGEST_DAYS = 365
AUTH_USER_MODEL = "server.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
# Nothing signs with it yet; Django wants one to be there.
SECRET_KEY = "unused"  # noqa: S105
LOGGING_CONFIG = None

"""Django's settings in a server: each request has a thread of its own, so its connection ends with it."""

from typing import Any

from provost.config.settings import *  # noqa: F403  # these are the same
from provost.config.settings import DATABASES, ENVIRONMENT
from provost.config.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [*_APPS, "django.contrib.staticfiles", "ninja"]
WHITENOISE_USE_FINDERS = True  # static files are served from where the packages have them
WHITENOISE_AUTOREFRESH = False

_BESIDES = 16
"""Connections for what runs do not use: requests, and the scheduler."""

_database: dict[str, Any] = DATABASES["default"]  # type: ignore[assignment]  # two shapes of dictionary
_database["CONN_MAX_AGE"] = 0
if _database["ENGINE"] == "django.db.backends.postgresql":
    _database["OPTIONS"] = _database.get("OPTIONS", {}) | {
        # A run has two: one for its work, one that keeps its locks.
        "pool": {"min_size": 2, "max_size": 2 * ENVIRONMENT.worker_runs + _BESIDES, "timeout": 5},
    }

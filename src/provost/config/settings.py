"""Django's settings, from the environment (environment.py)."""

from urllib.parse import quote

import dj_database_url

from provost.config.console import *  # noqa: F403  # the console's own
from provost.config.console import CONSOLE_APPS, CONSOLE_MIDDLEWARE
from provost.config.environment import read_environment

ENVIRONMENT = read_environment()

HOME = ENVIRONMENT.home
MASTER_KEY_FILE = ENVIRONMENT.master_key_file
STRICT_HOST_KEYS = ENVIRONMENT.strict_host_keys
KNOWN_HOSTS = ENVIRONMENT.known_hosts
REJECTED_LOGINS_PER_HOUR = ENVIRONMENT.rejected_logins_per_hour
PUBLIC_METRICS = ENVIRONMENT.public_metrics
TOKEN_LONGEST_DAYS = ENVIRONMENT.token_longest_days
PUBLIC_URL = ENVIRONMENT.public_url
SMTP_URL = ENVIRONMENT.smtp_url
SMTP_PASSWORD_FILE = ENVIRONMENT.smtp_password_file
MAIL_FROM = ENVIRONMENT.mail_from
WEBHOOK_REFUSED_NETWORKS = ENVIRONMENT.webhook_refused_networks

# What looks the settings over, by its place: the server knows nothing of this room.
SETTINGS_EXAMINER = "provost.config.advice.examine_settings"

DATABASE_FILE = None if ENVIRONMENT.database_url else HOME / "provost.sqlite3"
if ENVIRONMENT.database_url:
    DATABASES = {
        "default": dj_database_url.parse(ENVIRONMENT.database_url, conn_max_age=None, conn_health_checks=True)
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            # A file that is gone (unmounted, moved) is an error: a new one would take its write-ahead log away.
            "NAME": f"file:{quote(str(DATABASE_FILE))}?mode=rw",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",  # a writer waits for its turn instead of failing half-way
                "timeout": 60,
                # FULL: a commit is on the disk before the target hears of the secret.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    }

INSTALLED_APPS = [
    # Before the apps whose templates it replaces.
    "provost.server",
    "treebeard",
    *CONSOLE_APPS,
]
AUTH_USER_MODEL = "server.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
# A server takes its own from the vault before it serves; commands sign nothing.
SECRET_KEY = "unused"  # noqa: S105
LOGGING_CONFIG = None  # logs.py does it, for servers

ROOT_URLCONF = "provost.config.urls"
_own = f"[{ENVIRONMENT.host}]" if ":" in ENVIRONMENT.host else ENVIRONMENT.host
ALLOWED_HOSTS = [*(ENVIRONMENT.allowed_hosts or ("localhost", "127.0.0.1", "[::1]", _own))]
MIDDLEWARE = [
    "provost.server.web.statics.StaticMiddleware",
    "provost.server.web.routing.RoutingMiddleware",
    *CONSOLE_MIDDLEWARE,
]
APPEND_SLASH = False
# A body is kept in memory: on the disk it could leave a secret. The gate refuses larger ones.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
BODY_LIMIT = FILE_UPLOAD_MAX_MEMORY_SIZE = DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024
# A form may name as many assets as somebody chooses.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

WHITENOISE_ALLOW_ALL_ORIGINS = False
STATIC_URL = "/static/"

"""Django's settings of the console: its apps, its pages, and how people sign in (django-allauth)."""

from typing import Any

from provost.config.environment import read_environment

_environment = read_environment()

CONSOLE_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
]
CONSOLE_MIDDLEWARE = [
    "provost.server.web.sessions.SealedSessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "provost.server.console.visitors.VisitorMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csrf",
                "django.contrib.messages.context_processors.messages",
                "provost.server.console.visitors.describe_visitor",
            ],
            "builtins": ["django.templatetags.i18n", "provost.server.templatetags.console"],
        },
    }
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"

# The gate marks every cookie Secure where the browser came by TLS.
SESSION_ENGINE = "provost.server.web.sessions"
SESSION_COOKIE_NAME = "provost_session"
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_SAMESITE = "Lax"  # a provider of sign-ins sends the browser back from another site
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_NAME = "provost_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "provost.server.web.faults.tell_forged"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# What counts attempts to sign in, and codes that were used: in the database, so for all servers on it.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "server_cache",
        # Beyond this, entries are dropped whether or not they are over: nobody is to wash a count away.
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
}

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "UserAttributeSimilarityValidator": {"user_attributes": ("username", "email")},
        "MinimumLengthValidator": {"min_length": 12},
        "CommonPasswordValidator": {},
        "NumericPasswordValidator": {},
    }.items()
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"

ACCOUNT_ADAPTER = "provost.server.console.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "/sign-in/login/"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_EMAIL_NOTIFICATIONS = False
MFA_ADAPTER = "provost.server.console.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Provost"
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_FORMS = {
    "authenticate": "provost.server.console.factors.CodeForm",
    "reauthenticate": "provost.server.console.factors.CodeAgainForm",
    "activate_totp": "provost.server.console.factors.FirstCodeForm",
    "authenticate_webauthn": "provost.server.console.factors.KeyForm",
    "reauthenticate_webauthn": "provost.server.console.factors.KeyAgainForm",
    "login_webauthn": "provost.server.console.factors.PasskeyForm",
}
SOCIALACCOUNT_ADAPTER = "provost.server.console.adapters.ProviderAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_STORE_TOKENS = False
OIDC_CLAIM = _environment.oidc_claim
OIDC_NAME = _environment.oidc_name if _environment.oidc_issuer else ""
SECOND_FACTOR_ROLES = _environment.second_factor_roles
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {}
if _environment.oidc_issuer:
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": _environment.oidc_name,
                "client_id": _environment.oidc_client_id,
                "secret": _environment.read_oidc_secret(),
                "settings": {"server_url": _environment.oidc_issuer},
            }
        ],
    }

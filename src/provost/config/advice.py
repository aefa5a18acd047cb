"""Looks the settings over: those that matter for a server that others reach."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from provost.config.environment import Environment, list_unknown
from provost.config.listening import check_openness, is_open, load_tls
from provost.core.errors import UsageError
from provost.server.services.checkup import Finding, Level

_SOON: Final = timedelta(days=21)
_READABLE_BY_ALL: Final = 0o007


def examine_settings(environment: Environment, *, deploy: bool) -> Iterator[Finding]:
    """Yield what is found in the settings; with `deploy`, also what matters for a server alone."""
    for name in list_unknown():
        yield Finding(
            Level.WARNING, "setting_unknown", f"{name} is no setting of Provost.", "Is it mistyped? Remove it."
        )
    if environment.debug:
        yield Finding(
            Level.PROBLEM if deploy else Level.WARNING,
            "debug_on",
            "PROVOST_DEBUG is on: the log may show what should stay secret.",
            "Unset PROVOST_DEBUG.",
        )
    if deploy:
        yield from _examine_tls(environment)
        yield from _examine_hosts(environment)
        if not environment.strict_host_keys:
            yield Finding(
                Level.WARNING,
                "first_contact",
                "The key that a host shows at first contact is believed.",
                "Give host keys beforehand: PROVOST_STRICT_HOST_KEYS=1, PROVOST_KNOWN_HOSTS.",
            )


def _examine_tls(environment: Environment) -> Iterator[Finding]:
    try:
        check_openness(environment)
        load_tls(environment)
    except UsageError as error:
        yield Finding(Level.PROBLEM, error.code, error.message, "See the page on running a server.")
        return
    if environment.tls_cert_file and environment.tls_key_file:
        yield from _examine_certificate(environment.tls_cert_file, environment.tls_key_file)
    elif is_open(environment.host):
        yield Finding(Level.OK, "tls", "A trusted proxy does TLS. Let nothing but it reach this server's port.")
    else:
        yield Finding(Level.OK, "tls", f"Only this machine reaches the server, on {environment.host}.")


def _examine_certificate(certificate: Path, key: Path) -> Iterator[Finding]:
    if stat.S_IMODE(key.stat().st_mode) & _READABLE_BY_ALL:
        yield Finding(
            Level.PROBLEM,
            "tls_key_exposed",
            f"Everybody on this machine may use the key {key}.",
            f"Run: chmod o= {key}",
        )
    ends = x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc
    left = ends - datetime.now(UTC)
    told = f"The certificate is valid until {ends:%Y-%m-%d %H:%M} UTC."
    if left > _SOON:
        yield Finding(Level.OK, "tls", told)
    else:
        level = Level.PROBLEM if left < timedelta(0) else Level.WARNING
        yield Finding(level, "tls_expires", told, "Renew it, then send SIGHUP: systemctl reload provost")


def _examine_hosts(environment: Environment) -> Iterator[Finding]:
    if "*" in environment.allowed_hosts:
        yield Finding(
            Level.WARNING,
            "hosts_any",
            "The server may be asked by any name.",
            "Name the right ones in PROVOST_ALLOWED_HOSTS.",
        )
    elif not environment.allowed_hosts and (is_open(environment.host) or environment.trusted_proxies):
        yield Finding(
            Level.PROBLEM,
            "hosts_unset",
            "Others reach the server, and PROVOST_ALLOWED_HOSTS names none of its names: they are refused.",
            "Set PROVOST_ALLOWED_HOSTS to the name in your users' URLs.",
        )
    else:
        yield Finding(Level.OK, "hosts", "The names that the server is asked by are set.")

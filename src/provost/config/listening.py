"""Where and how a server listens: the address, TLS, and that no token crosses a network in clear."""

import ssl
from ipaddress import ip_address
from socket import (
    AF_INET6,
    IPPROTO_TCP,
    SOCK_STREAM,
    TCP_NODELAY,
    AddressFamily,
    create_server,
    gaierror,
    getaddrinfo,
    socket,
)
from typing import Final

from provost.config.environment import Environment
from provost.core.errors import ProvostError, UsageError

_WAITING: Final = 1024


def resolve(host: str) -> list[tuple[AddressFamily, str]]:
    """Return the addresses of a host, the first to be listened on.

    Raises:
        UsageError: `settings_refused`, there is none.
    """
    try:
        found = getaddrinfo(host, None, type=SOCK_STREAM)
    except (gaierror, UnicodeError):
        raise UsageError(
            "PROVOST_HOST cannot be used. It is an address of this machine, or a name of one.",
            code="settings_refused",
        ) from None
    return [(family, str(address[0])) for family, _, _, _, address in found]


def is_open(host: str) -> bool:
    """Tell whether other machines can reach what listens there."""
    return not all(ip_address(address.partition("%")[0]).is_loopback for _, address in resolve(host))


def check_openness(environment: Environment) -> None:
    """Make sure that what others can reach has TLS, here or in a trusted proxy.

    Raises:
        UsageError: `tls_needed`.
    """
    if not environment.tls_cert_file and not environment.trusted_proxies and is_open(environment.host):
        raise UsageError(
            f"Without TLS, Provost does not listen on {environment.host}, where other machines reach it: "
            "passwords and tokens would cross the network in clear. Give it a certificate (--tls-cert, "
            "--tls-key), or put a proxy with TLS in front and name its address in PROVOST_TRUSTED_PROXIES.",
            code="tls_needed",
        )


def load_tls(environment: Environment) -> ssl.SSLContext | None:
    """Return what TLS is done with; None without a certificate.

    Raises:
        UsageError: `tls_refused`, the certificate or its key cannot be used.
    """
    if not environment.tls_cert_file and not environment.tls_key_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, environment)
    return context


def load_certificate(context: ssl.SSLContext, environment: Environment) -> None:
    """Read the certificate and its key into `context`: connections that come later get it.

    Raises:
        UsageError: as `load_tls`.
    """
    certificate, key = environment.tls_cert_file, environment.tls_key_file
    if not certificate or not key:
        raise UsageError("TLS needs both a certificate and its key: one is missing.", code="tls_refused")
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        why = getattr(error, "reason", None) or "they are not as they should be"
    except OSError as error:
        why = error.strerror
    else:
        return
    raise UsageError(
        f"The certificate {certificate} and the key {key} cannot be used: {why}. Both are PEM files, "
        "the key without a passphrase.",
        code="tls_refused",
    )


def open_socket(environment: Environment) -> socket:
    """Return the socket to listen on.

    Raises:
        ProvostError: `listening_failed`, the port is taken, or not for this user.
    """
    family, address = resolve(environment.host)[0]
    try:
        listener = create_server(
            (address, environment.port),
            family=family,
            backlog=_WAITING,
            dualstack_ipv6=family == AF_INET6 and address == "::",
        )
        # Answers leave at once: asyncio sees to that for sockets that name their protocol, and these do not.
        listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # accepted ones inherit it
    except OSError as error:
        raise ProvostError(
            f"Provost cannot listen on {environment.host}, port {environment.port}: {error.strerror}.",
            code="listening_failed",
        ) from None
    return listener


def name_address(environment: Environment, listener: socket) -> str:
    """Return the URL of a server that listens there, with its real port."""
    host = f"[{environment.host}]" if ":" in environment.host else environment.host
    scheme = "https" if environment.tls_cert_file else "http"
    return f"{scheme}://{host}:{listener.getsockname()[1]}"

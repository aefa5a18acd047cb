"""The headers that keep a browser from doing harm, on every response."""

from typing import Final

Raw = list[tuple[bytes, bytes]]

_ALWAYS: Final = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
_NO_PAGE: Final = b"default-src 'none'; frame-ancestors 'none'"
_PAGE: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_BY_TLS: Final = {b"strict-transport-security": b"max-age=31536000"}


def add_headers(headers: Raw, *, request_id: str, secure: bool) -> Raw:
    """Return a response's headers with those that it lacks; what it says itself, as of caching, stands."""
    said = {name.lower(): value for name, value in headers}
    is_page = said.get(b"content-type", b"").startswith(b"text/html")
    wanted = {
        **_ALWAYS,
        b"content-security-policy": _PAGE if is_page else _NO_PAGE,
        **(_BY_TLS if secure else {}),
        b"x-request-id": request_id.encode(),
    }
    return [
        *(_mark_secure(header) if secure else header for header in headers),
        *((name, value) for name, value in wanted.items() if name not in said),
    ]


def _mark_secure(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return a header; a cookie that came by TLS never goes another way (RFC 6265, 4.1.2.5)."""
    name, value = header
    if name.lower() == b"set-cookie" and b"; secure" not in value.lower():
        return name, value + b"; Secure"
    return header

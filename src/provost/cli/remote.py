"""Asking a server: an operation as an HTTP request, and the answer as what the operation returns."""

import json
import re
import ssl
import time
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from provost import __version__
from provost.cli.server import Server, read_token
from provost.core.documents import ProblemDocument
from provost.core.errors import Conflict, Forbidden, NotFound, ProvostError, Refused, UsageError
from provost.core.operations import Operation

if TYPE_CHECKING:
    from provost.core.requests import Said

T = TypeVar("T")

_BASE: Final = "/api/v1"
_PART: Final = re.compile(r"\{(path:)?(\w+)\}")
_PATIENCE: Final = httpx.Timeout(connect=10, read=600, write=60, pool=10)
_PAUSES: Final = (0.2, 1.0)
_AWAY: Final = frozenset({502, 503, 504})
_ERRORS: Final[Mapping[int, type[UsageError]]] = {
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    422: Refused,
}


class ServerAway(ProvostError):
    """A server that does not answer just now; nothing was done there."""

    code = "server_unreachable"
    permanent: ClassVar[bool] = False


class AnswerLost(ServerAway):
    """A request that was sent and not answered: whether it was carried out is not known."""

    code = "server_answer_lost"


def ask(
    server: Server,
    operation: Operation[T],
    *,
    version: int | None,
    query: "Said | None",
    body: "Said | None",
    key: str | None,
    parts: Mapping[str, str],
) -> T:
    """Ask a server for an operation. What may be sent twice (GET, or with a `key`) is, when no answer comes.

    Raises:
        UsageError: the server refused it (with its code and message), or the token or the address.
        ServerAway: the server does not answer, or cannot be trusted.
        ProvostError: what else the server met; or `server_not_provost`, what answers is none.
    """
    headers = {}
    if key is not None:
        headers["Idempotency-Key"] = key
    if version is not None:
        headers["If-Match"] = f'"{version}"'
    content = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        content = json.dumps(body.model_dump(exclude_unset=True), default=_encode).encode()
    request = _open(server).build_request(
        operation.method,
        server.url + _BASE + _fill(operation.path, parts),
        params=query.model_dump(mode="json", exclude_none=True, exclude_defaults=True) if query else None,
        content=content,
        headers=headers,
    )
    for pause in _PAUSES if operation.method == "GET" or key is not None else ():
        try:
            return _read(server, operation, _send(server, request))
        except ServerAway:
            time.sleep(pause)
    return _read(server, operation, _send(server, request))


@cache
def _open(server: Server) -> httpx.Client:
    try:
        context = ssl.create_default_context(cafile=server.ca_file)
    except OSError as error:  # ssl.SSLError is one, without a filename
        why = error.strerror or "it holds no certificate"
        raise Refused(f"The file {server.ca_file} cannot be used: {why}.", code="ca_file_refused") from None
    return httpx.Client(
        verify=context,
        timeout=_PATIENCE,
        follow_redirects=False,
        trust_env=server.url.startswith("https://"),  # plain http, on this machine, goes through no proxy
        headers={
            "Authorization": f"Bearer {read_token(server)}",
            "Accept": "application/json",
            "User-Agent": f"provost/{__version__}",
        },
    )


def _fill(path: str, parts: Mapping[str, str]) -> str:
    """Put the parts into a path. One of the form {path:name} keeps its slashes."""

    def put(found: re.Match[str]) -> str:
        text = parts[found[2]]
        if not text.strip("/"):
            raise Refused(f"The name of the {found[2]} is missing.", code="usage")
        names = text.split("/") if found[1] else [text]
        return "/".join(_quote(name) for name in names)

    return _PART.sub(put, path)


def _quote(name: str) -> str:
    """Encode a segment of a path; a dot that means "here" or "above" in a URL (RFC 3986) is encoded too."""
    return name.replace(".", "%2E") if name in {".", ".."} else quote(name, safe="")


def _encode(value: object) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _send(server: Server, request: httpx.Request) -> httpx.Response:
    host = urlsplit(server.url).netloc
    try:
        return _open(server).send(request)
    except httpx.ConnectError as error:
        cause = _find_cause(error)
        if not isinstance(cause, ssl.SSLError):
            why = cause.strerror or "no connection"
            raise ServerAway(f"The server {host} cannot be reached: {why}.") from None
        reason = (
            getattr(cause, "verify_message", None) or (cause.reason or "TLS failed").replace("_", " ").lower()
        )
        raise ProvostError(
            f"The server {host} cannot be trusted: {reason}. The certificate of a private authority comes with "
            "--ca-file FILE.",
            code="server_not_trusted",
        ) from None
    except (httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError):
        raise ServerAway(f"The server {host} cannot be reached: no answer in time.") from None
    except httpx.UnsupportedProtocol:
        raise Refused("The address of the server cannot be used.", code="server_refused") from None
    except httpx.TransportError as error:
        if request.method == "GET":
            raise ServerAway(f"The server {host} did not answer ({type(error).__name__}).") from None
        raise AnswerLost(
            f"The server {host} did not answer ({type(error).__name__}): whether it did what was asked for is "
            "not known."
        ) from None


def _find_cause(error: BaseException) -> OSError:
    """Return the error of the system, or of TLS, that is behind one of httpx's."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause or OSError()


def _read(server: Server, operation: Operation[T], response: httpx.Response) -> T:
    if response.is_redirect:
        to = urlsplit(response.headers.get("Location", ""))
        where = f"{to.scheme}://{to.netloc}" if to.netloc else "another page"
        raise Refused(
            f"{server.url} sends elsewhere, to {where}: give the server's own address.", code="server_redirects"
        )
    if not response.is_success:
        _raise_problem(server, response)
    if operation.result is type(None):
        return operation.result()
    try:
        # A newer server may tell more than is known here.
        return TypeAdapter(operation.result).validate_json(response.content, extra="ignore")
    except ValidationError:
        raise _doubt(server, response) from None


def _raise_problem(server: Server, response: httpx.Response) -> NoReturn:
    try:
        problem = ProblemDocument.model_validate_json(response.content, extra="ignore")
    except ValidationError:
        if response.status_code in _AWAY:
            raise ServerAway(
                f"The server {urlsplit(server.url).netloc} is away: status {response.status_code}."
            ) from None
        raise _doubt(server, response) from None
    if response.status_code in _AWAY:
        raise ServerAway(problem.detail, code=problem.code)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise UsageError(
            f"{server.url} does not take the token in {server.token_file}: it is wrong, expired or revoked.",
            code=problem.code,
        )
    kind = _ERRORS.get(response.status_code, UsageError if response.is_client_error else ProvostError)
    raise kind(problem.detail, code=problem.code)


def _doubt(server: Server, response: httpx.Response) -> ProvostError:
    what = response.headers.get("Content-Type", "nothing").partition(";")[0]
    return ProvostError(
        f"What answers at {server.url} is no Provost that this version knows: status {response.status_code}, "
        f"{what}.",
        code="server_not_provost",
    )

"""Asking for what the table of operations holds: of the data folder here, or of a server elsewhere."""

import os
import pwd
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from provost.cli.server import find_chosen

if TYPE_CHECKING:
    from provost.core.documents import PageDocument
    from provost.core.operations import Operation
    from provost.core.requests import PageQuery, Said
    from provost.core.rights import Principal

    S = TypeVar("S", bound=Said)

T = TypeVar("T")

_LONGEST_PAGE: Final = 1000
_CODES: Final = {name: f"{name}_refused" for name in ("name", "address", "port", "username", "secret")} | {
    "password": "secret_refused",
    "key": "secret_refused",
}


def call(
    operation: "Operation[T]",
    *,
    version: int | None = None,
    query: "Said | None" = None,
    body: "Said | None" = None,
    key: str | None = None,
    **parts: str,
) -> T:
    """Ask for an operation. `parts` are those of its path; `version` and `key` as the table says.

    Raises:
        ProvostError: what it raises, the same here and elsewhere; elsewhere also what `remote.ask` raises.
    """
    if (server := find_chosen()) is not None:
        from provost.cli.remote import ask

        return ask(server, operation, version=version, query=query, body=body, key=key, parts=parts)
    by = open_here()
    function = getattr(import_module(f"provost.server.api.{operation.room}"), operation.name)
    told: dict[str, Any] = {"version": version, "query": query, "body": body, "key": key}
    given = {name: value for name, value in told.items() if value is not None}
    return cast("T", function(by=by, **given, **parts))


def call_all(
    operation: "Operation[PageDocument[T]]", query: "PageQuery", *, most: int | None = None, **parts: str
) -> Iterator[T]:
    """Yield a whole list, page by page, or the first `most` of it.

    Raises:
        ProvostError: as `call`.
    """
    return islice(_list_all(operation, query, min(most or _LONGEST_PAGE, _LONGEST_PAGE), parts), most)


def _list_all(
    operation: "Operation[PageDocument[T]]", query: "PageQuery", limit: int, parts: dict[str, Any]
) -> Iterator[T]:
    query = query.model_copy(update={"limit": limit})
    while True:
        page = call(operation, query=query, **parts)
        yield from page.items
        if page.next is None:
            return
        query = query.model_copy(update={"cursor": page.next})


@cache
def open_here() -> "Principal":
    """Set Provost up on the data folder here, and return who works there: the user of the system.

    Raises:
        UsageError: there is no Provost yet, or it is of another version.
    """
    from provost.config.start import start
    from provost.core.rights import make_local

    start()
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"user {os.getuid()}"
    return make_local(name)


def say(model: "type[S]", **fields: object) -> "S":
    """Return a body or a query.

    Raises:
        Refused: a field cannot be used. The message does not hold its value, which may be a secret.
    """
    from pydantic import ValidationError

    from provost.core.errors import Refused

    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "option"
        raise Refused(
            f"--{name.replace('_', '-')}: {first['msg']}.", code=_CODES.get(name, "option_refused")
        ) from None


def list_given(**fields: object) -> dict[str, Any]:
    """Return the fields that were given: those that are not None."""
    return {name: value for name, value in fields.items() if value is not None}

"""The REST API: the operations of `core.operations` as routes, and what only a program over HTTP needs."""

import inspect
import re
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from importlib import import_module
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from ninja import Body, Header, NinjaAPI, Path, Query
from ninja.openapi.docs import Swagger
from ninja.openapi.schema import OpenAPISchema
from pydantic import BaseModel, TypeAdapter

import provost
from provost.core.documents import ProblemDocument
from provost.core.errors import NotFound, Refused
from provost.core.operations import OPERATIONS, Operation
from provost.core.texts import check_text
from provost.server.api import problems
from provost.server.api.authentication import Token
from provost.server.api.parsing import StrictParser
from provost.server.api.streams import add_streams
from provost.server.web.authentication import make_stranger

_PROBLEMS: Final = frozenset({400, 401, 403, 404, 409, 412, 415, 422, 503})
_QUERY: Final[Any] = Query(...)  # type: ignore[type-arg]  # ninja declares parameters by their defaults
_BODY: Final[Any] = Body(...)  # type: ignore[type-arg]  # as above
_PATH: Final[Any] = Path(...)  # type: ignore[type-arg]  # as above
_IF_MATCH: Final[Any] = Header(  # type: ignore[type-arg]  # as above
    None, alias="If-Match", description='The ETag that was seen, like "3".'
)
_KEY: Final[Any] = Header(  # type: ignore[type-arg]  # as above
    None,
    alias="Idempotency-Key",
    max_length=255,
    description="The same key and the same request again: the same run.",
)
_ETAG: Final = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')

_DESCRIPTION: Final = """
Everything that Provost can do, for programs. Send a token with each request: `Authorization: Bearer TOKEN`.
Errors are problem details (RFC 9457) with a stable `code`. Lists come a page at a time: hand `next` back as
`cursor`. What has a `version` has it as its ETag too; send that as `If-Match` with a change, and the change is
refused (412) if somebody else was faster.
"""


class Api(NinjaAPI):
    """The API, whose document says what its problems look like."""

    def get_openapi_schema(self, **values: Any) -> OpenAPISchema:
        """Return the OpenAPI document."""
        document = super().get_openapi_schema(**values)
        problems.describe_problems(document)
        return document


class Page(Swagger):
    """The interactive page, without a script or a style of its own: the console's policy admits none."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        """Return the page."""
        del request
        url = self.get_openapi_url(api, kwargs)
        page = _PAGE.format(
            title=api.title,
            url=url,
            style=static("ninja/swagger-ui.css"),
            icon=static("ninja/favicon.svg"),
            bundle=static("ninja/swagger-ui-bundle.js"),
            init=static("ninja/swagger-ui-init.js"),
        )
        response = HttpResponse(page)
        response["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return response


_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="{style}"><link rel="icon" href="{icon}"></head>
<body data-csrf-token="" data-api-csrf="">
<script type="application/json" id="swagger-settings">
{{"url": "{url}", "layout": "BaseLayout", "deepLinking": true, "validatorUrl": null}}
</script>
<div id="swagger-ui"></div>
<script src="{bundle}"></script>
<script src="{init}"></script>
</body>
</html>
"""


def build_api() -> NinjaAPI:
    """Return the API with all its routes."""
    api = Api(
        title="Provost",
        version="1",
        description=_DESCRIPTION,
        docs=Page(),
        auth=Token(),
        parser=StrictParser(),
        urls_namespace="api",
        openapi_extra={"info": {"x-provost-version": provost.__version__}},
    )
    problems.install(api)
    for operation in OPERATIONS:
        _add(api, operation)
    add_streams(api)
    return api


def _add(api: NinjaAPI, operation: Operation[Any]) -> None:
    function = getattr(import_module(f"provost.server.api.{operation.room}"), operation.name)
    summary, _, rest = inspect.cleandoc(function.__doc__).partition("\n")
    api.default_router.add_api_operation(
        operation.path,
        [operation.method],
        _make_view(operation, function),
        auth=None if operation.public else Token(),
        response={
            operation.status: None if operation.result is type(None) else operation.result,
            _PROBLEMS - {401} if operation.public else _PROBLEMS: ProblemDocument,
        },
        operation_id=operation.name,
        summary=summary,
        description=rest.strip() or None,
        tags=[operation.room],
    )


def _make_view(operation: Operation[Any], function: Callable[..., Any]) -> Callable[..., HttpResponse]:
    """Return a view, with a signature that tells ninja what it takes."""
    own = inspect.signature(function, eval_str=True).parameters

    def view(request: HttpRequest, **values: Any) -> HttpResponse:
        by = make_stranger() if operation.public else request.auth  # type: ignore[attr-defined]  # ninja's
        _check_query(request, values.get("query"))
        for name in values.keys() & _list_parts(operation.path):
            if not values[name].isprintable():
                raise NotFound("There is nothing of that name.")
        if "version" in own:
            values["version"] = _read_version(values.pop("if_match"))
        if "key" in own:
            values["key"] = values.pop("idempotency_key")
            check_text(values["key"])
        return _answer(operation, function(by, **values))

    parameters = [inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=HttpRequest)]
    parameters += [_describe(operation, one) for one in own.values() if one.name != "by"]
    view.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what ninja reads
    view.__name__ = operation.name
    return view


def _check_query(request: HttpRequest, query: BaseModel | None) -> None:
    """Raise `Refused` for a parameter that is not known: misspelt, it would silently be lost."""
    known = set(type(query).model_fields) if query is not None else set()
    if unknown := sorted(request.GET.keys() - known):
        raise Refused(
            f"There is no parameter {unknown[0]!r} here; known are: {', '.join(sorted(known)) or 'none'}.",
            code="request_invalid",
        )


def _describe(operation: Operation[Any], parameter: inspect.Parameter) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    match parameter.name:
        case "query":
            return inspect.Parameter("query", kind, annotation=parameter.annotation, default=_QUERY)
        case "body":
            return inspect.Parameter("body", kind, annotation=parameter.annotation, default=_BODY)
        case "version":
            return inspect.Parameter("if_match", kind, annotation=str | None, default=_IF_MATCH)
        case "key":
            return inspect.Parameter("idempotency_key", kind, annotation=str | None, default=_KEY)
        case name if name in _list_parts(operation.path):
            return inspect.Parameter(name, kind, annotation=str, default=_PATH)
    raise TypeError(f"{operation.name} takes {parameter.name}, which no route gives.")


@cache
def _list_parts(path: str) -> frozenset[str]:
    return frozenset(name.rpartition(":")[2] for name in re.findall(r"{(.*?)}", path))


def _read_version(etag: str | None) -> int | None:
    if etag is None or etag == "*":
        return None
    if found := _ETAG.fullmatch(etag):
        return int(found[1])
    raise Refused('If-Match is an ETag that Provost gave, like "3".', code="etag_refused")


def _answer(operation: Operation[Any], result: Any) -> HttpResponse:
    if operation.status == HTTPStatus.NO_CONTENT:
        response = HttpResponse(status=operation.status)
        del response["Content-Type"]
        return response
    content = _adapt(operation).dump_json(result)
    response = HttpResponse(content, status=operation.status, content_type="application/json")
    if isinstance(result, BaseModel) and (version := getattr(result, "version", None)):
        response["ETag"] = f'"{version}"'
    return response


@cache
def _adapt(operation: Operation[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(operation.result)


api: Final = build_api()

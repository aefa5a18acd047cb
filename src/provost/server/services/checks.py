"""Checks of what an operator says about assets and accounts, by the connector of the kind."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from pydantic import ValidationError

from provost import connectors
from provost.core.connector import Connector
from provost.core.errors import Refused
from provost.core.model import Become, Capability
from provost.core.secrets import Password, Secret
from provost.server.services.names import check_name, describe_missing
from provost.server.services.nodes import check_path

_LARGEST_PORT = 65535
_ADDRESS = re.compile(r"[A-Za-z0-9_:%\[\]][A-Za-z0-9_.:%\[\]-]{0,254}")


@dataclass(frozen=True, slots=True)
class AssetFields:
    """What an operator says of an asset. A `port` of None is the kind's own."""

    name: str
    kind: str
    address: str
    port: int | None = None
    nodes: tuple[str, ...] = ()
    via: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""


@dataclass(frozen=True, slots=True)
class AccountFields:
    """What an operator says of an account, besides its secrets. None: as it is, or as usual for a new one."""

    username: str
    asset: str
    privileged: bool | None = None
    priority: int | None = None
    become: Become | None = None
    reconcile: bool | None = None
    grace: int | None = None


@cache
def load_connector(kind: str) -> Connector:
    """Return the connector of a kind.

    Raises:
        NotFound: `kind_not_found`; the message lists the kinds.
    """
    if kind not in _list_kinds():
        raise describe_missing("kind", [kind], _list_kinds(), code="kind_not_found")
    return connectors.load(kind)


@cache
def _list_kinds() -> tuple[str, ...]:
    return connectors.list_kinds()


def check_asset(fields: AssetFields) -> AssetFields:
    """Return the fields with the port filled in and the nodes in their one spelling.

    Raises:
        NotFound: there is no such kind.
        Refused: a field cannot be used.
    """
    check_name("an asset", fields.name)
    connector = load_connector(fields.kind)
    if not _ADDRESS.fullmatch(fields.address):
        raise Refused(
            f"{fields.address!r} is not an address: a host name or an IP address.", code="address_refused"
        )
    if not 0 < (port := choose_port(fields)) <= _LARGEST_PORT:
        raise Refused(f"A port is 1 to {_LARGEST_PORT}, not {port}.", code="port_refused")
    try:
        connector.options.model_validate(dict(fields.options))
    except ValidationError as error:
        raise _refuse_options(fields, connector, error) from None
    return replace(fields, port=port, nodes=tuple(sorted({check_path(path) for path in fields.nodes})))


def choose_port(fields: AssetFields) -> int:
    """Return the port that was given, or the kind's own."""
    return load_connector(fields.kind).default_port if fields.port is None else fields.port


def _refuse_options(fields: AssetFields, connector: Connector, error: ValidationError) -> Refused:
    problems = "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'options'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    )
    known = ", ".join(connector.options.model_fields) or "none"
    return Refused(
        f"Asset {fields.name} has options that kind {fields.kind} refuses. {problems}. It knows: {known}.",
        code="option_refused",
    )


def check_account(fields: AccountFields, kind: str) -> None:
    """Raise `Refused` for an account that an asset of this kind cannot have."""
    connector = load_connector(kind)
    connector.check_username(fields.username)
    if fields.become is not None and fields.become not in connector.becomes:
        known = ", ".join(sorted(connector.becomes))
        raise Refused(
            f"No account of kind {kind} gets its rights by {fields.become}; it may be: {known}.",
            code="become_unsupported",
        )


def check_mortal(kind: str, usernames: Iterable[str], *, grace: int) -> None:
    """Raise `Refused` for accounts that cannot have a lifetime on an asset of this kind."""
    connector = load_connector(kind)
    if kept := connector.protected & set(usernames):
        raise Refused(
            f"{', '.join(sorted(kept))} cannot have a lifetime: no asset of the kind {kind} can do without.",
            code="account_protected",
        )
    needed = {Capability.REMOVE} | ({Capability.DISABLE} if grace else set())
    if lacking := needed - connector.capabilities:
        raise Refused(
            f"Assets of kind {kind} have no way to {min(lacking)} accounts, so these cannot have a lifetime"
            f"{'' if Capability.REMOVE in lacking else ' with a grace time'}.",
            code="action_unsupported",
        )


def check_secret(secret: Secret, kind: str) -> None:
    """Raise `Refused` for a secret that an account on an asset of this kind cannot have."""
    connector = load_connector(kind)
    if secret.secret_type not in connector.secret_types:
        known = ", ".join(sorted(connector.secret_types))
        raise Refused(
            f"An account of kind {kind} has no secret of type {secret.secret_type}; it may have: {known}.",
            code="secret_type_refused",
        )
    if isinstance(secret, Password):
        connector.passwords.check(secret.text, kind)

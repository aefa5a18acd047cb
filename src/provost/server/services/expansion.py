"""From what an operator asked for to the assets and accounts that it means; bad input is refused here."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from provost.core.errors import Refused
from provost.core.model import Strategy
from provost.core.push import PushSpec
from provost.core.secrets import Secret
from provost.server.models import Asset
from provost.server.services.assets import find_assets
from provost.server.services.checks import check_secret, load_connector
from provost.server.services.chunks import split
from provost.server.services.nodes import list_asset_ids


@dataclass(frozen=True, slots=True)
class Expansion:
    """The assets that a push means, each once and by name, and its parameters for each of their kinds."""

    assets: tuple[Asset, ...]
    parameters: dict[str, BaseModel]


def expand(*, spec: PushSpec, specified: Secret | None) -> Expansion:
    """Find the assets, and check everything that can be checked before a target is contacted.

    Raises:
        NotFound: an asset or a node that is not there.
        Refused: a username, secret, rule or parameter that cannot be used.
    """
    assets = _find_targets(spec)
    if not assets:
        raise Refused(f"There are no assets in {', '.join(spec.nodes)} yet.", code="no_assets")
    kinds = sorted({asset.kind for asset in assets})
    _check(spec, specified, kinds)
    return Expansion(assets, read_parameters(spec, kinds))


def check_later(*, spec: PushSpec, specified: Secret | None) -> None:
    """Check what can be checked of a push that is to begin later; its nodes may be empty as yet.

    Raises:
        NotFound: as `expand`.
        Refused: as `expand`.
    """
    kinds = sorted({asset.kind for asset in _find_targets(spec)})
    _check(spec, specified, kinds)
    if kinds:
        read_parameters(spec, kinds)


def _check(spec: PushSpec, specified: Secret | None, kinds: Sequence[str]) -> None:
    if not spec.usernames:
        raise Refused("Name at least one account to push.", code="no_accounts")
    if spec.strategy is Strategy.RANDOM:
        spec.rules.check()
    for kind in kinds:
        connector = load_connector(kind)
        if spec.secret_type not in connector.secret_types:
            raise Refused(f"Assets of kind {kind} take no {spec.secret_type}.", code="secret_type_refused")
        for username in spec.usernames:
            connector.check_username(username)
        if specified is not None:
            check_secret(specified, kind)


def _find_targets(spec: PushSpec) -> tuple[Asset, ...]:
    if not spec.assets and not spec.nodes:
        raise Refused("Name at least one asset or node to push to.", code="no_assets")
    found = {asset.id: asset for asset in find_assets(names=spec.assets)}
    for chunk in split(list_asset_ids(paths=spec.nodes)):
        found |= {asset.id: asset for asset in Asset.objects.filter(id__in=chunk)}
    return tuple(sorted(found.values(), key=lambda asset: asset.name))


def read_parameters(spec: PushSpec, kinds: Sequence[str]) -> dict[str, BaseModel]:
    """Return the parameters as each kind's own model.

    Raises:
        Refused: a parameter that no kind knows, or a value that one cannot use.
    """
    models = {kind: load_connector(kind).parameters for kind in kinds}
    known = {name for model in models.values() for name in model.model_fields}
    if unknown := sorted(spec.parameters.keys() - known):
        raise Refused(
            f"No kind among the assets knows the parameter {unknown[0]!r}. "
            f"{', '.join(kinds)}: {', '.join(sorted(known)) or 'none'}.",
            code="parameter_refused",
        )
    try:
        return {
            kind: model.model_validate(
                {name: value for name, value in spec.parameters.items() if name in model.model_fields}
            )
            for kind, model in models.items()
        }
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        why = first["msg"].removeprefix("Value error, ")
        raise Refused(
            f"The parameter {first['loc'][0]} cannot be used: {why}.", code="parameter_refused"
        ) from None

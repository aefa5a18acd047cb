"""From what an operator asked for to the assets and accounts that it means; bad input is refused here."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Exists, OuterRef
from pydantic import BaseModel, ValidationError

from provost.core.errors import Refused
from provost.core.model import Action, Capability, SecretType, Strategy
from provost.core.push import PushSpec
from provost.core.rights import Principal, Right
from provost.core.secrets import Secret
from provost.core.specs import DisableSpec, DiscoverSpec, EnableSpec, RemoveSpec, RotateSpec, Spec
from provost.server.models import Account, Asset
from provost.server.services.arrivals import EVERYWHERE
from provost.server.services.assets import find_assets
from provost.server.services.checks import check_mortal, check_secret, load_connector
from provost.server.services.chunks import split
from provost.server.services.nodes import find_nodes, list_asset_ids
from provost.server.services.reach import check_assets, check_node
from provost.server.services.secrets import select_usable
from provost.server.services.selection import Item, Places, select_items

_MOST: Final = 200_000
"""Records that one run may have: all of them are written down at once."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """What something is to be done to, by assets, each once, and its parameters for each of their kinds."""

    items: tuple[Item, ...]
    parameters: dict[str, BaseModel]


def expand(*, by: Principal, spec: Spec, specified: Secret | None, places: Places | None = None) -> Expansion:
    """Find the assets and accounts, and check everything that can be checked before a target is contacted.

    With `places`, it is about these accounts, wherever the spec says that it is.

    Raises:
        NotFound: an asset or a node that is not there.
        Refused: a username, secret, rule or parameter that cannot be used, or an account that this may not be
            done to.
        Forbidden: the caller may not work on one of the assets, or not with force.
    """
    if places is None:
        assets = _find_targets(by, spec)
    else:
        assets = _read_assets({asset_id for asset_id, _ in places})
        check_assets(by, find_right(spec), assets, what=f"{spec.action} accounts there")
    if not assets:
        kinds = f" of kind {', '.join(spec.kinds)}" if isinstance(spec, PushSpec) and spec.kinds else ""
        where = ", ".join([*spec.nodes, *spec.assets])
        raise Refused(f"There are no assets{kinds} in {where} yet.", code="no_assets")
    if isinstance(spec, PushSpec):
        _check_number(len(assets) * len(set(spec.usernames)))
    found = sorted({asset.kind for asset in assets})
    _check(spec, specified, _group_usernames(spec, assets, places))
    parameters = read_parameters(spec, found)
    items = tuple(select_items(spec=spec, assets=assets, places=places))
    _check_number(len(items))
    return Expansion(items, parameters)


def find_right(spec: Spec) -> Right:
    """Return the right that it takes on every asset: with force, it takes more than to operate there."""
    return Right.ADMINISTER if isinstance(spec, DisableSpec | RemoveSpec) and spec.force else Right.OPERATE


def _check_number(wanted: int) -> None:
    if wanted > _MOST:
        raise Refused(
            f"That would be {wanted} accounts, and one run has {_MOST} at most. Take fewer at a time.",
            code="push_too_large",
        )


def check_later(*, by: Principal, spec: Spec, specified: Secret | None) -> None:
    """Check what can be checked of what is to begin later; its nodes may be empty as yet.

    Raises:
        NotFound: as `expand`.
        Refused: as `expand`.
        Forbidden: as `expand`.
    """
    kinds = sorted({asset.kind for asset in _find_targets(by, spec)})
    _check(spec, specified, dict.fromkeys(kinds, _list_usernames(spec)))
    if kinds:
        read_parameters(spec, kinds)


def check_settings(*, spec: PushSpec, kinds: Sequence[str]) -> None:
    """Check what can be checked of a push whose assets and accounts come later, for assets of these kinds.

    Raises:
        NotFound: there is no such kind.
        Refused: a rule or a parameter cannot be used, or a kind takes no such secret.
    """
    _check(spec.model_copy(update={"usernames": ("a",)}), None, dict.fromkeys(kinds, ("a",)))
    if kinds:
        read_parameters(spec, kinds)


_NEEDED: Final = {
    Action.DISCOVER: Capability.DISCOVER,
    Action.DISABLE: Capability.DISABLE,
    Action.ENABLE: Capability.ENABLE,
    Action.REMOVE: Capability.REMOVE,
}


def _group_usernames(spec: Spec, assets: Iterable[Asset], places: Places | None) -> dict[str, Collection[str]]:
    """Return by kind the usernames that assets of it are to have."""
    if places is None:
        return dict.fromkeys((asset.kind for asset in assets), _list_usernames(spec))
    kinds = {asset.id: asset.kind for asset in assets}
    found: dict[str, set[str]] = {kind: set() for kind in kinds.values()}
    for asset_id, username in places:
        if asset_id in kinds:
            found[kinds[asset_id]].add(username)
    return dict(found)


def _list_usernames(spec: Spec) -> tuple[str, ...]:
    """Return the usernames that something is about; none is all of them, or what is found."""
    return () if isinstance(spec, DiscoverSpec) else spec.usernames


def _check(spec: Spec, specified: Secret | None, usernames_by_kind: Mapping[str, Collection[str]]) -> None:
    if isinstance(spec, PushSpec) and not spec.usernames:
        raise Refused("Name at least one account to push.", code="no_accounts")
    rules = spec.rules if isinstance(spec, PushSpec | RotateSpec) and spec.strategy is Strategy.RANDOM else None
    if rules is not None:
        rules.check()
    whole = DiscoverSpec | DisableSpec | EnableSpec | RemoveSpec
    secret_type = None if isinstance(spec, whole) else spec.secret_type
    needed = _NEEDED.get(Action(spec.action))
    for kind, usernames in sorted(usernames_by_kind.items()):
        connector = load_connector(kind)
        if needed is not None and needed not in connector.capabilities:
            raise Refused(f"Assets of kind {kind} have no way to {spec.action}.", code="action_unsupported")
        if isinstance(spec, PushSpec) and spec.lifetime is not None:
            check_mortal(kind, usernames, grace=spec.grace)
        if secret_type is not None and secret_type not in connector.secret_types:
            raise Refused(f"Assets of kind {kind} take no {secret_type}.", code="secret_type_refused")
        if rules is not None and secret_type is SecretType.PASSWORD:
            connector.passwords.check_rules(rules, kind)
        for username in usernames:
            connector.check_username(username)
        if specified is not None:
            check_secret(specified, kind)


def _find_targets(by: Principal, spec: Spec) -> tuple[Asset, ...]:
    right = find_right(spec)
    by.require(right, what=str(spec.action))
    if not spec.assets and not spec.nodes:
        place = "push to" if isinstance(spec, PushSpec) else f"{spec.action} on"
        raise Refused(f"Name at least one asset or node to {place}.", code="no_assets")
    found = _read_assets(_find_ids(by, right, spec.assets, spec.nodes))
    if isinstance(spec, PushSpec) and spec.kinds:
        for kind in spec.kinds:
            load_connector(kind)
        return tuple(asset for asset in found if asset.kind in spec.kinds)
    return found


def _read_assets(asset_ids: Iterable[int]) -> tuple[Asset, ...]:
    found = [asset for chunk in split(asset_ids) for asset in Asset.objects.filter(id__in=chunk)]
    return tuple(sorted(found, key=lambda asset: asset.name))


def _find_ids(by: Principal, right: Right, assets: Sequence[str], nodes: Sequence[str]) -> list[int]:
    """Return the ids of assets by name, and of those in nodes and below them, each once."""
    named = find_assets(by=by, names=assets)
    if EVERYWHERE in nodes:
        by.require_everywhere(right, what="work on all assets there are")
        return list(Asset.objects.values_list("id", flat=True))
    folders = find_nodes(by=by, paths=nodes)
    for node in folders:
        check_node(by, right, node, what=f"work on {node}")
    check_assets(by, right, named, what="work on all of these assets")
    return sorted({asset.id for asset in named} | list_asset_ids(nodes=folders))


def count_targets(*, by: Principal, assets: Sequence[str], nodes: Sequence[str]) -> tuple[Counter[str], int]:
    """Count the assets that a push would mean, by kind, and those of them that it would skip.

    It skips what has no privileged account with a secret to log in with.  Nothing named is no assets.

    Raises:
        NotFound: an asset or a node that is not there.
        Forbidden: the caller may not push to one of them.
    """
    by.require(Right.OPERATE, what="push")
    # From each account to its secrets: from an asset, SQLite looks through every secret that there is.
    usable = Exists(select_usable().filter(account=OuterRef("pk")))
    kinds: Counter[str] = Counter()
    skipped = 0
    for chunk in split(_find_ids(by, Right.OPERATE, assets, nodes)):
        kinds.update(Asset.objects.filter(id__in=chunk).values_list("kind", flat=True))
        logins = Account.objects.filter(usable, asset_id__in=chunk, privileged=True)
        skipped += len(chunk) - logins.aggregate(assets=Count("asset_id", distinct=True))["assets"]
    return kinds, skipped


def read_parameters(spec: Spec, kinds: Sequence[str]) -> dict[str, BaseModel]:
    """Return the parameters as each kind's own model, of a push or of a removal.

    One named KIND.NAME is of that kind alone.

    Raises:
        Refused: a parameter that no kind knows, or a value that one cannot use.
    """
    ends = isinstance(spec, RemoveSpec)
    models = {
        kind: connector.removal if ends else connector.parameters
        for kind, connector in ((kind, load_connector(kind)) for kind in kinds)
    }
    given = spec.parameters if isinstance(spec, PushSpec | RotateSpec | RemoveSpec) else {}
    known = {name for model in models.values() for name in model.model_fields}
    known |= {f"{kind}.{name}" for kind, model in models.items() for name in model.model_fields}
    if unknown := sorted(given.keys() - known):
        raise Refused(
            f"No kind among the assets knows the parameter {unknown[0]!r}. "
            f"{', '.join(kinds)}: {', '.join(sorted(name for name in known if '.' not in name)) or 'none'}.",
            code="parameter_refused",
        )
    try:
        return {
            kind: model.model_validate(_choose_parameters(given, kind, model)) for kind, model in models.items()
        }
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        why = first["msg"].removeprefix("Value error, ")
        raise Refused(
            f"The parameter {first['loc'][0]} cannot be used: {why}.", code="parameter_refused"
        ) from None


def _choose_parameters(given: Mapping[str, str], kind: str, model: type[BaseModel]) -> dict[str, str]:
    shared = {name: value for name, value in given.items() if name in model.model_fields}
    own = {name.removeprefix(f"{kind}."): value for name, value in given.items() if name.startswith(f"{kind}.")}
    return shared | own

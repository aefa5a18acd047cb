from collections.abc import Sequence

from provost.core.documents import PageDocument, PairDocument, RunDetailDocument
from provost.core.model import SecretType
from provost.core.requests import PairBody, PairQuery
from provost.core.rights import Principal
from provost.server.api.describe_runs import describe_run_detail
from provost.server.api.paging import make_page, read_page
from provost.server.models import Pair
from provost.server.services import pairs, runs


def list_pairs(by: Principal, query: PairQuery) -> PageDocument[PairDocument]:
    """List the pairs of accounts that take turns."""
    return make_page(pairs.list_pairs(by=by, asset=query.asset, page=read_page(query)), _describe)


def add_pair(by: Principal, body: PairBody) -> PairDocument:
    """Let two accounts of an asset take turns: one is in use, and the other one is rotated next."""
    fields = pairs.PairFields(body.name, body.asset, body.active, body.idle, body.secret_type)
    return _describe([pairs.add_pair(by=by, fields=fields)])[0]


def show_pair(by: Principal, name: str) -> PairDocument:
    """Show a pair: which account is in use."""
    return _describe([pairs.find_pair(by=by, name=name)])[0]


def remove_pair(by: Principal, name: str, version: int | None = None) -> None:
    """Let the accounts of a pair take turns no more. They stay as they are."""
    pairs.remove_pair(by=by, name=name, version=version)


def rotate_pair(by: Principal, name: str) -> RunDetailDocument:
    """Rotate a pair's idle account; when its new secret is proven, it is the active one. A server does it."""
    spec = pairs.build_rotation(by=by, name=name)
    return describe_run_detail(by, runs.create_run(by=by, spec=spec, attended=False))


def _describe(found: Sequence[Pair]) -> list[PairDocument]:
    synced = pairs.read_sync(pairs=found)
    return [
        PairDocument(
            name=pair.name,
            asset=pair.asset.name,
            active=f"{pair.active.username}@{pair.asset}",
            idle=f"{pair.idle.username}@{pair.asset}",
            secret_type=SecretType(pair.secret_type),
            sync=synced[pair.active_id],
            switched_at=pair.switched_at,
            created=pair.created,
            version=pair.version,
        )
        for pair in found
    ]

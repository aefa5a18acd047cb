from dataclasses import replace

from provost.core.documents import AssetDetailDocument, AssetDocument, PageDocument, TrustDocument
from provost.core.requests import AssetBody, AssetPatch, AssetQuery, list_given
from provost.core.rights import Principal
from provost.server.api.describe import describe_asset_detail, describe_assets
from provost.server.api.paging import make_page, read_page
from provost.server.services import assets
from provost.server.services.checks import AssetFields


def list_assets(by: Principal, query: AssetQuery) -> PageDocument[AssetDocument]:
    """List assets by name."""
    filters = assets.AssetFilter(query.node, query.kind, query.via, query.search, query.unprivileged)
    found = assets.list_assets(by=by, filters=filters, page=read_page(query))
    return make_page(found, lambda rows: describe_assets(by, rows))


def add_asset(by: Principal, body: AssetBody) -> AssetDocument:
    """Add an asset, and its nodes where they are new."""
    return describe_assets(by, [assets.add_asset(by=by, fields=AssetFields(**dict(body)))])[0]


def show_asset(by: Principal, name: str) -> AssetDetailDocument:
    """Show an asset: how it is reached, its host keys and its privileged accounts."""
    return describe_asset_detail(by, assets.find_asset(by=by, name=name))


def edit_asset(by: Principal, name: str, body: AssetPatch, version: int | None = None) -> AssetDocument:
    """Change what is given of an asset. Where it points elsewhere, that takes the right to administer it."""
    before = assets.describe_fields(by=by, asset=assets.find_asset(by=by, name=name))
    given = {field: value for field, value in list_given(body).items() if value is not None or field == "via"}
    fields = replace(before, **given)
    return describe_assets(by, [assets.edit_asset(by=by, name=name, fields=fields, version=version)])[0]


def remove_asset(by: Principal, name: str, version: int | None = None) -> None:
    """Remove an asset, its accounts, and their secrets with all history. The target itself is left alone."""
    assets.remove_asset(by=by, name=name, version=version)


def trust_asset(by: Principal, name: str) -> TrustDocument:
    """Forget the pinned host keys of an asset: the key of whatever host answers next is pinned."""
    forgotten = assets.trust_asset(by=by, name=name)
    return TrustDocument(asset=name, forgotten=[key.fingerprint for key in forgotten])

from provost.core.documents import TargetsDocument
from provost.core.requests import TargetsBody
from provost.core.rights import Principal
from provost.server.services import expansion


def count_targets(by: Principal, body: TargetsBody) -> TargetsDocument:
    """Count the assets that a push would mean, by kind, and those that it would skip. Nothing is contacted."""
    kinds, skipped = expansion.count_targets(by=by, assets=body.assets, nodes=body.nodes)
    return TargetsDocument(assets=kinds.total(), skipped=skipped, kinds=dict(sorted(kinds.items())))

from functools import cache

from provost import connectors
from provost.core.documents import KindDocument
from provost.core.model import Become
from provost.core.rights import Principal
from provost.server.services.checks import load_connector


def list_kinds(by: Principal) -> list[KindDocument]:
    """List the kinds of targets, with the schemas of their options and parameters."""
    del by  # whoever may come in may ask this
    return [_describe(kind) for kind in connectors.list_kinds()]


@cache
def _describe(kind: str) -> KindDocument:
    connector = load_connector(kind)
    return KindDocument(
        kind=kind,
        default_port=connector.default_port,
        secret_types=sorted(connector.secret_types),
        capabilities=sorted(connector.capabilities),
        becomes=[one for one in Become if one in connector.becomes],
        longest_password=connector.passwords.longest,
        forbidden_in_passwords=connector.passwords.forbidden,
        options=connector.options.model_json_schema(),
        parameters=connector.parameters.model_json_schema(),
        removal=connector.removal.model_json_schema(),
    )

"""The command `provost discover`."""

from provost.cli.begin import begin
from provost.cli.scope import AsJson, Assets, Concurrency, Nodes, make_spec
from provost.cli.server import Detach


def discover(  # a command has as many options
    *,
    assets: Assets = None,
    nodes: Nodes = None,
    concurrency: Concurrency = 50,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Look what accounts there are on assets."""
    spec = make_spec(
        "discover",
        assets=assets,
        nodes=nodes,
        concurrency=concurrency,
    )
    begin(spec, detach=detach, as_json=as_json)

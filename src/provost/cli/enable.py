"""The command `provost enable`."""

from provost.cli.begin import begin
from provost.cli.scope import Accounts, AsJson, Assets, Concurrency, DryRun, Nodes, make_spec
from provost.cli.server import Detach


def enable(  # a command has as many options
    *,
    accounts: Accounts = None,
    assets: Assets = None,
    nodes: Nodes = None,
    concurrency: Concurrency = 50,
    dry_run: DryRun = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Let accounts in again that Provost disabled; one whose lifetime is over then lives for good."""
    spec = make_spec("enable", usernames=accounts, assets=assets, nodes=nodes, concurrency=concurrency)
    begin(spec, dry_run=dry_run, detach=detach, as_json=as_json)

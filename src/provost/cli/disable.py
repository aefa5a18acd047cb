"""The command `provost disable`."""

from provost.cli.begin import begin
from provost.cli.scope import Accounts, AsJson, Assets, Concurrency, DryRun, Force, Nodes, make_spec
from provost.cli.server import Detach


def disable(  # a command has as many options
    *,
    accounts: Accounts = None,
    assets: Assets = None,
    nodes: Nodes = None,
    force: Force = False,
    concurrency: Concurrency = 50,
    dry_run: DryRun = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Let accounts in no more, and end what they have running."""
    spec = make_spec(
        "disable",
        usernames=accounts,
        assets=assets,
        nodes=nodes,
        force=force,
        concurrency=concurrency,
    )
    begin(spec, dry_run=dry_run, detach=detach, as_json=as_json)

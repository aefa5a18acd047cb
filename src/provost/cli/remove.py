"""The command `provost remove`."""

from provost.cli.begin import begin
from provost.cli.pairs import split_pairs
from provost.cli.scope import Accounts, AsJson, Assets, Concurrency, DryRun, Force, Nodes, Params, make_spec
from provost.cli.server import Detach


def remove(  # a command has as many options
    *,
    accounts: Accounts = None,
    assets: Assets = None,
    nodes: Nodes = None,
    params: Params = None,
    force: Force = False,
    concurrency: Concurrency = 50,
    dry_run: DryRun = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Remove accounts from assets, with what Provost made for them, and from the list."""
    spec = make_spec(
        "remove",
        usernames=accounts,
        assets=assets,
        nodes=nodes,
        parameters=split_pairs(params or []),
        force=force,
        concurrency=concurrency,
    )
    begin(spec, dry_run=dry_run, detach=detach, as_json=as_json)

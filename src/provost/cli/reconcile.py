"""The command `provost reconcile`."""

from provost.cli.begin import begin
from provost.cli.scope import Accounts, AsJson, Assets, Concurrency, DryRun, Nodes, SecretTypeOption, make_spec
from provost.cli.server import Detach


def reconcile(  # a command has as many options
    *,
    accounts: Accounts = None,
    assets: Assets = None,
    nodes: Nodes = None,
    secret_type: SecretTypeOption = None,
    concurrency: Concurrency = 50,
    dry_run: DryRun = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Set the secrets in the list again where a target refuses them."""
    spec = make_spec(
        "reconcile",
        usernames=accounts,
        assets=assets,
        nodes=nodes,
        secret_type=secret_type,
        concurrency=concurrency,
    )
    begin(spec, dry_run=dry_run, detach=detach, as_json=as_json)

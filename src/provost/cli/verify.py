"""The command `provost verify`."""

from provost.cli.begin import begin
from provost.cli.scope import Accounts, AsJson, Assets, Concurrency, Nodes, SecretTypeOption, make_spec
from provost.cli.server import Detach


def verify(  # a command has as many options
    *,
    accounts: Accounts = None,
    assets: Assets = None,
    nodes: Nodes = None,
    secret_type: SecretTypeOption = None,
    concurrency: Concurrency = 50,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Log in with the secrets in the list, and tell which are in sync."""
    spec = make_spec(
        "verify",
        usernames=accounts,
        assets=assets,
        nodes=nodes,
        secret_type=secret_type,
        concurrency=concurrency,
    )
    begin(spec, detach=detach, as_json=as_json)

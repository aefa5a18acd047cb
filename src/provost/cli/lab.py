from typing import TYPE_CHECKING, Annotated, Any

import typer

from provost.cli.call import open_here
from provost.cli.output import AsJson, print_json, print_line, print_table

if TYPE_CHECKING:
    from provost.lab import Host, Lab

app = typer.Typer(help="Real Linux hosts on this machine, to try Provost on.", no_args_is_help=True)


@app.command()
def up(
    count: Annotated[int, typer.Argument(min=1, metavar="N", help="How many hosts to start.")],
    *,
    add: Annotated[
        bool, typer.Option("--add", help="Add them as assets in node /lab, with root as privileged account.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start hosts, beside those that run already. Needs root."""
    if add:
        open_here()
    lab = _open()
    hosts = lab.up(count)
    if add:
        try:
            _add(lab, hosts)
        except BaseException:
            lab.down(hosts)
            raise
    if as_json:
        print_json(_describe(lab, hosts))
        return
    _print(hosts)
    print_line(f"The key of every root is in {lab.root_key}. To log in:")
    print_line(
        f"  ssh -i {lab.root_key} -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no "
        f"-p {hosts[0].port} root@{hosts[0].address}"
    )


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the hosts."""
    lab = _open()
    hosts = lab.hosts()
    if as_json:
        print_json(_describe(lab, hosts))
    else:
        _print(hosts)


@app.command()
def down(*, as_json: AsJson = False) -> None:
    """End all hosts and everything that they held."""
    count = _open().down()
    if as_json:
        print_json({"ended": count})
    else:
        print_line(f"Ended {count} hosts." if count else "No host was running.")


def _open() -> "Lab":
    from provost.config.settings import HOME, MASTER_KEY_FILE
    from provost.lab import Lab

    return Lab(HOME / "lab", hide=[HOME, MASTER_KEY_FILE])


def _add(lab: "Lab", hosts: "list[Host]") -> None:
    from django.db import transaction

    from provost.core.secrets import SshKey
    from provost.server.services import accounts, assets
    from provost.server.services.checks import AccountFields, AssetFields

    by = open_here()
    public = lab.root_key.with_suffix(".pub").read_text()
    with transaction.atomic():
        for host in hosts:
            asset = assets.add_asset(
                by=by,
                fields=AssetFields(host.name, "linux", host.address, port=host.port, nodes=("/lab",)),
            )
            assets.pin_host_keys(keys=[(asset.id, host.host_key)])
            accounts.add_account(
                by=by,
                fields=AccountFields("root", host.name, privileged=True),
                secret=SshKey(public, host.root_key),
            )


def _describe(lab: "Lab", hosts: "list[Host]") -> dict[str, Any]:
    return {
        "hosts": [
            {"name": host.name, "address": host.address, "port": host.port, "state": _tell_state(host)}
            for host in hosts
        ],
        "root_key": str(lab.root_key),
    }


def _print(hosts: "list[Host]") -> None:
    print_table(
        ["name", "address", "port", "state"],
        [[host.name, host.address, host.port, _tell_state(host)] for host in hosts],
        "There are no hosts. Start some: provost lab up 5",
    )


def _tell_state(host: "Host") -> str:
    return "up" if host.is_up else "down"

import typer

from provost.cli.output import AsJson, print_json, print_table

app = typer.Typer(help="Kinds: what sorts of systems there are.", no_args_is_help=True)


@app.callback()
def _kind() -> None:
    pass


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the kinds; as JSON with the schemas of their options and parameters."""
    from provost.cli.call import call
    from provost.core.operations import LIST_KINDS

    found = call(LIST_KINDS)
    if as_json:
        print_json({"kinds": found})
        return
    print_table(
        ["kind", "port", "secrets", "options", "parameters"],
        [
            [
                one.kind,
                one.default_port,
                one.secret_types,
                list(one.options.get("properties", {})),
                list(one.parameters.get("properties", {})),
            ]
            for one in found
        ],
    )

from provost.cli.output import AsJson, print_fields, print_json


def whoami(*, as_json: AsJson = False) -> None:
    """Tell who you are to Provost, and what you may do."""
    from provost.cli.call import call
    from provost.cli.user import say_grants
    from provost.core.operations import WHO

    who = call(WHO)
    if as_json:
        print_json({"who": who})
        return
    print_fields(
        [
            ("name", who.name),
            ("by way of", f"{who.face}, token {who.token}" if who.token else who.face),
            ("rights", list(who.rights) or "none"),
            ("grants", say_grants(who.grants) or "none"),
        ]
    )

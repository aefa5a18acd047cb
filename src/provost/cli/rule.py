"""The commands `provost rule ...`: what becomes of unknown accounts that discoveries find."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from provost.cli.call import call, list_given, say
from provost.cli.output import AsJson, print_fields, print_json, print_line, print_table
from provost.cli.push_options import Given, build_adoption, take_adoption_options
from provost.core.onboarding import Onboarding

if TYPE_CHECKING:
    from provost.core.documents import RuleDocument, RulePreviewDocument
    from provost.core.push import PushSpec

app = typer.Typer(
    help="Onboarding rules: which unknown accounts are adopted, listed or ignored.", no_args_is_help=True
)

_Name = Annotated[str, typer.Argument(metavar="NAME")]
_Kind = Annotated[str | None, typer.Option(help="Only on assets of this kind.", show_default=False)]
_Node = Annotated[str | None, typer.Option(help="Only in this folder and below.", show_default=False)]
_Priority = Annotated[
    int | None,
    typer.Option(help="The first rule that fits counts, least first (usual: 10).", show_default=False),
]
_Active = Annotated[bool | None, typer.Option("--active/--inactive", show_default=False)]
_Comment = Annotated[str | None, typer.Option(show_default=False)]
_What = Annotated[Onboarding, typer.Option("--do", help="What becomes of them.")]
_Pattern = Annotated[str, typer.Option(help="Which usernames: svc-*, app[0-9], or one name.")]


@app.command()
@take_adoption_options
def add(
    *,
    name: _Name,
    pattern: _Pattern,
    onboarding: _What,
    kind: _Kind = None,
    node: _Node = None,
    priority: _Priority = None,
    active: _Active = None,
    comment: _Comment = None,
    given: Given,
    as_json: AsJson = False,
) -> None:
    """Save a rule. It takes accounts from the next discovery on. First try: provost rule test."""
    from provost.core.operations import ADD_RULE
    from provost.core.requests import RuleBody

    fields = list_given(kind=kind, node=node, priority=priority, active=active, comment=comment)
    spec = _read_spec(given, onboarding)
    body = say(RuleBody, name=name, pattern=pattern, onboarding=onboarding, spec=spec, **fields)
    _print_rule(call(ADD_RULE, body=body), as_json=as_json)


def _read_spec(given: Given, onboarding: Onboarding, base: "PushSpec | None" = None) -> "PushSpec | None":
    return build_adoption(given, base=base) if onboarding is Onboarding.ADOPT else None


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List rules in the order in which they are tried."""
    from provost.core.operations import LIST_RULES

    found = call(LIST_RULES)
    if as_json:
        print_json({"rules": found})
        return
    columns = ["priority", "name", "pattern", "kind", "node", "onboarding", "active"]
    print_table(
        columns,
        [[getattr(one, column) for column in columns] for one in found],
        "There are no onboarding rules yet. To make one: provost rule add",
    )


@app.command()
def show(name: _Name, *, as_json: AsJson = False) -> None:
    """Show a rule."""
    from provost.core.operations import SHOW_RULE

    _print_rule(call(SHOW_RULE, name=name), as_json=as_json)


@app.command()
@take_adoption_options
def edit(
    *,
    name: _Name,
    rename: Annotated[str | None, typer.Option(help="Its new name.", show_default=False)] = None,
    pattern: Annotated[str | None, typer.Option(show_default=False)] = None,
    onboarding: Annotated[Onboarding | None, typer.Option("--do", show_default=False)] = None,
    kind: _Kind = None,
    node: _Node = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="In no folder alone.")] = False,
    priority: _Priority = None,
    active: _Active = None,
    comment: _Comment = None,
    given: Given,
    as_json: AsJson = False,
) -> None:
    """Change what is given of a rule, and leave the rest. What it has taken already stays as it is."""
    from provost.core.operations import EDIT_RULE, SHOW_RULE
    from provost.core.requests import RulePatch

    fields: dict[str, Any] = list_given(
        name=rename,
        pattern=pattern,
        onboarding=onboarding,
        kind=kind,
        node=node,
        priority=priority,
        active=active,
        comment=comment,
    )
    if everywhere:
        fields["node"] = None
    before = call(SHOW_RULE, name=name)
    if given or (onboarding is Onboarding.ADOPT and before.spec is None):
        fields["spec"] = _read_spec(given, onboarding or before.onboarding, before.spec)
    changed = call(EDIT_RULE, name=name, body=say(RulePatch, **fields), version=before.version)
    _print_rule(changed, as_json=as_json)


@app.command()
def remove(name: _Name, *, as_json: AsJson = False) -> None:
    """Remove a rule. What it has taken stays as it is."""
    from provost.core.operations import REMOVE_RULE

    call(REMOVE_RULE, name=name)
    if as_json:
        print_json({"removed": {"rule": name}})
    else:
        print_line(f"Removed {name}.")


@app.command("test")
def try_(name: _Name, *, as_json: AsJson = False) -> None:
    """Tell which of the accounts found so far a rule would take. Nothing is done."""
    from provost.core.operations import PREVIEW_RULE, SHOW_RULE
    from provost.core.requests import RuleBody

    rule = call(SHOW_RULE, name=name)
    fields = rule.model_dump(include=set(RuleBody.model_fields))
    preview = call(PREVIEW_RULE, body=say(RuleBody, **{**fields, "kind": rule.kind or "", "spec": rule.spec}))
    if as_json:
        print_json({"preview": preview})
    else:
        _print_preview(rule, preview)


def _print_preview(rule: "RuleDocument", preview: "RulePreviewDocument") -> None:
    from provost.cli.found import sum_up_power

    print_table(
        ["account", "may", "last login"],
        [[f"{one.username}@{one.asset}", sum_up_power(one), one.last_login] for one in preview.accounts],
        f"Rule {rule.name} would {rule.onboarding} none of the accounts found so far.",
    )
    if preview.taken:
        those = "this account" if preview.taken == 1 else f"these {preview.taken} accounts"
        if preview.taken > len(preview.accounts):
            those += f", of which {len(preview.accounts)} are shown"
        print_line(f"Rule {rule.name} would {rule.onboarding} {those}.")
    if preview.first_left:
        print_table(
            ["left alone", "why"], [[f"{one.username}@{one.asset}", one.reason] for one in preview.first_left]
        )
    for asset, count in preview.flooded.items():
        print_line(
            f"On {asset} it fits {count} accounts, more than it takes at once: it would take none there."
        )


def _print_rule(rule: "RuleDocument", *, as_json: bool) -> None:
    if as_json:
        print_json({"rule": rule})
        return
    fields: list[tuple[str, object]] = [
        ("rule", rule.name),
        ("pattern", rule.pattern),
        ("kind", rule.kind or "any"),
        ("node", rule.node or "everywhere"),
        ("does", rule.onboarding),
        ("priority", rule.priority),
        ("active", rule.active),
    ]
    if rule.spec:
        fields += [
            ("secret", f"{rule.spec.secret_type}, random"),
            ("parameters", [f"{name}={text}" for name, text in sorted(rule.spec.parameters.items())] or "none"),
            ("login afterwards", rule.spec.verify),
        ]
    print_fields([*fields, ("comment", rule.comment)])

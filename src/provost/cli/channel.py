"""The commands `provost channel add`, `list`, `show`, `edit`, `remove`, `test`, `deliveries` and `send`."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from provost.cli.call import call, call_all, list_given, say
from provost.cli.output import AsJson, print_fields, print_json, print_line, print_table

if TYPE_CHECKING:
    from provost.core.documents import ChannelDocument, DeliveryDocument

app = typer.Typer(help="Channels: tell people and programs by e-mail and webhooks.", no_args_is_help=True)

_PATIENCE: Final = 20.0
_PAUSE: Final = 0.5

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The channel's name.")]
_Events = Annotated[
    list[str] | None,
    typer.Option("--event", metavar="EVENT", help="What it is told of; may be repeated (usual: everything)."),
]
_Node = Annotated[str | None, typer.Option("--node", metavar="PATH", help="Only what is in it and below.")]
_Comment = Annotated[str | None, typer.Option("--comment", help="For people.", show_default=False)]


@app.command()
def add(
    name: _Name,
    *,
    email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Send mail to this address.")] = None,
    webhook: Annotated[str | None, typer.Option(metavar="URL", help="Post to this URL.")] = None,
    event: _Events = None,
    node: _Node = None,
    inactive: Annotated[bool, typer.Option("--inactive", help="It is told nothing as yet.")] = False,
    comment: _Comment = None,
    as_json: AsJson = False,
) -> None:
    """Add a channel. For a webhook, print the secret that it is signed with, alone. It is not shown again."""
    from provost.core.errors import Refused
    from provost.core.notices import ChannelKind
    from provost.core.operations import ADD_CHANNEL
    from provost.core.requests import ChannelBody

    if (email is None) == (webhook is None):
        raise Refused("Give either --email ADDRESS or --webhook URL.", code="usage")
    fields = list_given(events=event or None, node=node, comment=comment)
    kind = ChannelKind.EMAIL if webhook is None else ChannelKind.WEBHOOK
    body = say(ChannelBody, name=name, kind=kind, address=webhook or email, active=not inactive, **fields)
    made = call(ADD_CHANNEL, body=body)
    if as_json:
        print_json({"channel": made})
    elif made.secret:
        sys.stdout.write(f"{made.secret}\n")
        sys.stderr.write(f"Deliveries to {name} are signed with this secret. It is not shown again.\n")
    else:
        print_line(f"Channel {name} is added.")


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List channels by name."""
    from provost.core.notices import SUBJECTS
    from provost.core.operations import LIST_CHANNELS

    found = call(LIST_CHANNELS)
    if as_json:
        print_json({"channels": found})
        return
    print_table(
        ("channel", "kind", "address", "events", "node", "active", "last"),
        [
            (
                one.name,
                one.kind,
                one.address,
                one.events if len(one.events) < len(SUBJECTS) else "all",
                one.node,
                one.active,
                f"{one.latest.event} {one.latest.state}" if one.latest else None,
            )
            for one in found
        ],
        "There are no channels yet. Add one: provost channel add",
    )


@app.command()
def show(name: _Name, *, as_json: AsJson = False) -> None:
    """Show a channel."""
    from provost.core.operations import SHOW_CHANNEL

    _print(call(SHOW_CHANNEL, name=name), as_json=as_json)


@app.command()
def edit(
    name: _Name,
    *,
    rename: Annotated[str | None, typer.Option("--rename", help="Give it another name.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Another address, or URL.")] = None,
    event: _Events = None,
    node: _Node = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Not only in a node.")] = False,
    active: Annotated[bool | None, typer.Option("--active/--inactive", show_default=False)] = None,
    comment: _Comment = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of a channel, and leave the rest. Events are replaced together."""
    from provost.core.operations import EDIT_CHANNEL
    from provost.core.requests import ChannelPatch

    fields = list_given(
        name=rename, address=address, events=event or None, node=node, active=active, comment=comment
    )
    if everywhere:
        fields["node"] = None
    _print(call(EDIT_CHANNEL, name=name, body=say(ChannelPatch, **fields)), as_json=as_json)


@app.command()
def remove(name: _Name, *, as_json: AsJson = False) -> None:
    """Remove a channel, with what it was to tell."""
    from provost.core.operations import REMOVE_CHANNEL

    call(REMOVE_CHANNEL, name=name)
    if as_json:
        print_json({"removed": {"channel": name}})
    else:
        print_line(f"Channel {name} is removed.")


@app.command("test")
def try_(name: _Name, *, as_json: AsJson = False) -> None:
    """Tell a channel that this is a test, and say whether that came (exit status 1: it did not, as yet)."""
    from provost.core.operations import TEST_CHANNEL

    _follow(name, call(TEST_CHANNEL, name=name), as_json=as_json)


@app.command()
def deliveries(
    name: _Name,
    *,
    state: Annotated[
        str | None, typer.Option("--state", help="Only these: queued, delivered or failed.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what a channel was to tell, the newest first."""
    from provost.core.operations import LIST_DELIVERIES
    from provost.core.requests import DeliveryQuery

    found = list(
        call_all(LIST_DELIVERIES, say(DeliveryQuery, **list_given(state=state)), most=limit, name=name)
    )
    if as_json:
        print_json({"deliveries": found})
        return
    print_table(
        ("delivery", "event", "state", "attempts", "created", "next try", "error"),
        [
            (one.id, one.event, one.state, one.attempts, one.created, one.next_try, one.error or None)
            for one in found
        ],
        "Nothing was told by it yet.",
    )


@app.command()
def send(
    name: _Name,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="The delivery's id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Send something once more, and say whether that came (exit status 1: it did not, as yet)."""
    from provost.core.operations import SEND_AGAIN

    _follow(name, call(SEND_AGAIN, name=name, delivery=delivery), as_json=as_json)


def _follow(name: str, delivery: "DeliveryDocument", *, as_json: bool) -> None:
    """Wait until a delivery was tried, and say how that ended. Here, this command is the courier itself."""
    from provost.cli.server import find_chosen
    from provost.core.notices import DeliveryState
    from provost.core.operations import SHOW_DELIVERY

    if find_chosen() is None:
        import asyncio

        from provost.worker.courier import carry_once

        asyncio.run(carry_once())
    tried, patience = delivery.attempts, time.monotonic() + _PATIENCE
    while True:
        delivery = call(SHOW_DELIVERY, name=name, delivery=str(delivery.id))
        over = delivery.state is not DeliveryState.QUEUED or (delivery.attempts > tried and delivery.error)
        if over or time.monotonic() > patience:
            break
        time.sleep(_PAUSE)
    if as_json:
        print_json({"delivery": delivery})
    elif delivery.state is DeliveryState.DELIVERED:
        print_line(f"It was delivered to {name}.")
    else:
        print_line(f"It was not delivered: {delivery.error or 'no server has tried as yet'}")
    if delivery.state is not DeliveryState.DELIVERED:
        raise typer.Exit(1)


def _print(channel: "ChannelDocument", *, as_json: bool) -> None:
    if as_json:
        print_json({"channel": channel})
        return
    last = channel.latest
    print_fields(
        [
            ("name", channel.name),
            ("kind", channel.kind),
            ("address", channel.address),
            ("events", channel.events),
            ("node", channel.node or "everywhere"),
            ("active", channel.active),
            ("comment", channel.comment),
            ("last", f"{last.event} {last.state} {last.error}".strip() if last else None),
        ]
    )

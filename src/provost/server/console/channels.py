"""Notifications: the channels that people and programs are told by, and what became of what they were told."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from provost.core.documents import ChannelDocument, DeliveryDocument
from provost.core.errors import UsageError
from provost.core.inert import make_inert
from provost.core.notices import SUBJECTS, ChannelKind, DeliveryState, Event
from provost.core.requests import ChannelBody, ChannelPatch, DeliveryQuery
from provost.core.rights import Right
from provost.server.api import channels as api
from provost.server.api import nodes
from provost.server.console.filters import read_query
from provost.server.console.forms import Form, read_version
from provost.server.console.visitors import Visit

EVENTS: Final = {
    Event.RUN_FAILED: gettext_lazy("a run did not end well"),
    Event.OUT_OF_SYNC: gettext_lazy("a target no longer takes a secret"),
    Event.ACCOUNT_EXPIRING: gettext_lazy("the lifetime of an account ends soon"),
    Event.ACCOUNT_EXPIRED: gettext_lazy("the lifetime of an account is over"),
    Event.UNKNOWN_ACCOUNTS: gettext_lazy("a target has an account that was not known"),
    Event.TEST: gettext_lazy("a test"),
}
"""What an event is called."""

_PLACES: Final = {
    "name_refused": "name",
    "channel_exists": "name",
    "address_refused": "address",
    "events_refused": "events",
    "node_not_found": "node",
    "node_refused": "node",
}
_SOON: Final = timedelta(seconds=30)


@require_GET
def list_channels(request: Visit) -> HttpResponse:
    """List channels, each with the last thing that it was to tell."""
    found = api.list_channels(request.visitor)
    return render(request, "console/channels.html", {"channels": [_describe(one) for one in found]})


@require_http_methods(["GET", "POST"])
def add_channel(request: Visit) -> HttpResponse:
    """Add a channel; the signing secret of a webhook is in this answer and nowhere else."""
    request.visitor.require_everywhere(Right.ADMINISTER, what="manage channels")
    start = {"kind": ChannelKind.EMAIL, "events": SUBJECTS, "active": True}
    form = Form(ChannelBody, request, start=start, places=_PLACES)
    if request.method == "POST":
        with form.telling():
            made = api.add_channel(request.visitor, form.read())
            if made.secret is None:
                messages.success(request, _("The channel %(name)s is made.") % {"name": made.name})
                return redirect("console:channel_show", made.name)
            facts = {**_tell(request, made.name), "made": made}
            return render(request, "console/channel.html", facts, status=201)
    return render(request, "console/channel_form.html", _fill(request, form), status=form.status)


@require_http_methods(["GET", "POST"])
def edit_channel(request: Visit, name: str) -> HttpResponse:
    """Show what a channel is told, and change it."""
    found = api.show_channel(request.visitor, name)
    start = found.model_dump(include={"name", "address", "events", "node", "active", "comment"})
    form = Form(ChannelPatch, request, start=start, places=_PLACES)
    if request.method == "POST":
        with form.telling():
            changed = api.edit_channel(request.visitor, name, form.read(), read_version(request) or 0)
            messages.success(request, _("The channel is saved."))
            return redirect("console:channel_show", changed.name)
    facts = {**_fill(request, form), "channel": found}
    return render(request, "console/channel_form.html", facts, status=form.status)


@require_GET
def show_channel(request: Visit, name: str) -> HttpResponse:
    """Show a channel, and what became of what it was told; to htmx, the latter alone."""
    facts = _tell(request, name)
    part = request.htmx and not request.htmx.history_restore_request
    return render(request, "console/channel_deliveries.html" if part else "console/channel.html", facts)


@require_POST
def test_channel(request: Visit, name: str) -> HttpResponse:
    """Tell a channel that this is a test."""
    api.test_channel(request.visitor, name)
    messages.success(request, _("A test is on its way: below you see whether it came."))
    return redirect("console:channel_show", name)


@require_POST
def send_again(request: Visit, name: str, delivery: str) -> HttpResponse:
    """Let something be sent once more."""
    request.visitor.require_everywhere(Right.ADMINISTER, what="manage channels")
    try:
        api.send_again(request.visitor, name, delivery)
    except UsageError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("It is sent again: below you see whether it came."))
    return redirect("console:channel_show", name)


@require_POST
def remove_channel(request: Visit, name: str) -> HttpResponse:
    """Remove a channel, with what it was to tell."""
    request.visitor.require_everywhere(Right.ADMINISTER, what="manage channels")
    try:
        api.remove_channel(request.visitor, name, read_version(request) or 0)
    except UsageError as error:
        messages.error(request, error.message)
        return redirect("console:channel_show", name)
    messages.success(request, _("The channel %(name)s is removed.") % {"name": name})
    return redirect("console:channels")


def _tell(request: Visit, name: str) -> dict[str, Any]:
    query = read_query(DeliveryQuery, request, limit=50)
    page = api.list_deliveries(request.visitor, name, query)
    return {
        **_describe(api.show_channel(request.visitor, name)),
        "deliveries": [{"told": one, "event": _name_event(one.event)} for one in page.items],
        "next": page.next,
        "query": query,
        "states": list(DeliveryState),
        "busy": any(_is_due(one) for one in page.items),
    }


def _describe(channel: ChannelDocument) -> dict[str, Any]:
    """Return a channel with what its events are called."""
    return {
        "channel": channel,
        "events": [EVENTS[event] for event in channel.events],
        "everything": len(channel.events) == len(SUBJECTS),
        "latest": _name_event(channel.latest.event) if channel.latest else "",
    }


def _name_event(event: str) -> Any:
    return EVENTS[Event(event)] if event in EVENTS else event


def _is_due(delivery: DeliveryDocument) -> bool:
    """Tell whether something becomes of a delivery soon, so that it pays to look again."""
    return delivery.next_try is not None and delivery.next_try < datetime.now(UTC) + _SOON


def _fill(request: Visit, form: Form[Any]) -> dict[str, Any]:
    places = nodes.list_nodes(request.visitor)
    return {
        "form": form,
        "kinds": [(ChannelKind.EMAIL, _("e-mail")), (ChannelKind.WEBHOOK, _("webhook"))],
        "events": [(event, EVENTS[event]) for event in SUBJECTS],
        "nodes": [("", _("everywhere")), *((one.path, make_inert(one.path)) for one in places)],
    }


urlpatterns: Final[list[URLPattern]] = [
    path("channels", list_channels, name="channels"),
    path("channels/-/new", add_channel, name="channel_new"),
    path("channels/<str:name>", show_channel, name="channel_show"),
    path("channels/<str:name>/edit", edit_channel, name="channel_edit"),
    path("channels/<str:name>/test", test_channel, name="channel_test"),
    path("channels/<str:name>/remove", remove_channel, name="channel_remove"),
    path("channels/<str:name>/deliveries/<str:delivery>/send", send_again, name="channel_send"),
]

"""What the pages about runs are made of: bars, durations, advice, and text from outside made inert."""

from collections.abc import Mapping
from typing import Any, Final

from django import template
from django.utils.translation import gettext as _

from provost.core.documents import RunDocument
from provost.core.inert import make_inert
from provost.server.console import advice, progress, specs, words
from provost.server.templatetags.console import word

register: Final = template.Library()

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400


@register.inclusion_tag("console/parts/bar.html")
def bar(counts: Mapping[str, int]) -> dict[str, Any]:
    """A bar of records by status, with the numbers for who cannot see it."""
    segments = progress.cut_bar(counts)
    label = ", ".join(f"{one.count} {word(one.status)}" for one in segments)
    return {"segments": segments, "label": label or _("no accounts")}


@register.filter
def in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return numbers of records by status, in the order of bars."""
    return [(status, counts[status]) for status in progress.STATUSES if counts.get(status)]


@register.filter
def duration(seconds: float | None) -> str:
    """Return seconds in words."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < _MINUTE:
        return _("%(s)s s") % {"s": whole}
    if whole < _HOUR:
        return _("%(min)s min %(s)s s") % {"min": whole // _MINUTE, "s": whole % _MINUTE}
    if whole < _DAY:
        return _("%(h)s h %(min)s min") % {"h": whole // _HOUR, "min": whole % _HOUR // _MINUTE}
    return _("%(d)s d %(h)s h") % {"d": whole // _DAY, "h": whole % _DAY // _HOUR}


@register.filter
def took(run: RunDocument) -> str:
    """Return how long a run took, in words; nothing as long as it goes on."""
    if run.started is None or run.finished is None:
        return ""
    return duration((run.finished - run.started).total_seconds())


@register.filter
def subject(run: RunDocument) -> str:
    """Return what a run is about: what it does, usernames if it was told any, and how many that are."""
    facts = {
        "action": named(run.action),
        "names": make_inert(specs.join(run.usernames)),
        "count": counted(sum(run.counts.values()), run.action),
    }
    return (_("%(action)s %(names)s: %(count)s") if run.usernames else _("%(action)s: %(count)s")) % facts


@register.filter
def counted(number: int, action: str) -> str:
    """Return a number of records of a run in words: of accounts, secrets or assets."""
    return words.find_unit(action).count(number)


@register.filter
def named(action: str) -> Any:
    """Return what an action is called."""
    return words.NAMES.get(action, make_inert(action))


@register.filter
def meaning(action: str) -> Any:
    """Return what an action does, in a sentence."""
    return words.MEANINGS.get(action, "")


@register.simple_tag
def unit(action: str) -> words.Unit:
    """Return what the records of a run are about."""
    return words.find_unit(action)


@register.simple_tag(name="advice")
def find_advice(reason: str, status: str = "") -> advice.Advice | None:
    """Return what a reason means, and what to do next."""
    return advice.find_advice(reason, str(status))

"""Discovered accounts, and rules for them."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from provost.core.onboarding import Onboarding, Standing
from provost.core.push import PushSpec
from provost.core.requests.base import Flag, Instant, Name, PageQuery, Said, Text


class FoundQuery(PageQuery):
    """Which accounts that discoveries have found; `node`: in it and below.

    `search`: a part of the username or of the asset's name.  `since`: those that appeared, changed or vanished
    at that instant or later.
    """

    asset: Name | None = None
    node: Text | None = None
    standing: Standing | None = None
    can_log_in: bool | None = None
    powerful: bool | None = None
    search: Name | None = None
    since: Instant | None = None


class FoundBody(Said):
    """Accounts that were found, each as USERNAME@ASSET."""

    accounts: tuple[Text, ...] = Field(max_length=1000)


class AcceptBody(FoundBody):
    """Accounts to accept as they are; `seen` is when they were looked at: what has changed since is refused."""

    seen: Instant | None = None


class IgnoreBody(FoundBody):
    """Accounts of which nobody is to be told; with `ignored` of false, again."""

    ignored: Flag = True


def _name_nobody(given: Any) -> Any:
    """Whom it is about, an adoption says elsewhere."""
    return {"usernames": (), **given} if isinstance(given, dict) else given


Adoption = Annotated[PushSpec, BeforeValidator(_name_nobody)]
"""With what secret accounts are adopted: a push without assets, nodes and usernames."""


class AdoptBody(FoundBody):
    """Accounts to give a new secret, each a random one of its own, and to put into the list."""

    spec: Adoption


class RuleBody(Said):
    """What becomes of unknown accounts whose username fits `pattern`, on assets of a `kind` ("": any).

    Those in `node` and below, or (null) everywhere.  The first rule that fits, the least `priority` first, is
    the one that counts.  `spec` is needed to adopt.
    """

    name: Name
    pattern: Name
    onboarding: Onboarding
    priority: int = Field(10, strict=True, ge=-(2**31), le=2**31 - 1)
    kind: Name = ""
    node: Text | None = None
    spec: Adoption | None = None
    active: Flag = True
    comment: Text = ""


class RulePatch(Said):
    """What is to change of a rule; what is not given stays. A `node` of null: everywhere."""

    name: Name | None = None
    pattern: Name | None = None
    onboarding: Onboarding | None = None
    priority: int | None = Field(None, strict=True, ge=-(2**31), le=2**31 - 1)
    kind: Name | None = None
    node: Text | None = None
    spec: Adoption | None = None
    active: Flag | None = None
    comment: Text | None = None

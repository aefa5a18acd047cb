"""Onboarding rules: kept, and looked up. What they do is services/onboarding."""

from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet

from provost.core.errors import Conflict, Refused
from provost.core.onboarding import Onboarding
from provost.core.push import PushSpec
from provost.core.rights import Principal, Right
from provost.server.models import Asset, Node, OnboardingRule
from provost.server.services import audit
from provost.server.services.checks import load_connector
from provost.server.services.expansion import check_settings
from provost.server.services.found import check_adoption
from provost.server.services.names import check_name, check_version, describe_missing
from provost.server.services.nodes import find_node
from provost.server.services.reach import check_node, within

_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class RuleFields:
    """What somebody says of a rule. `kind` of "" and `node` of None: of every one; `spec`: to adopt with."""

    name: str
    pattern: str
    onboarding: Onboarding
    priority: int = 10
    kind: str = ""
    node: str | None = None
    spec: PushSpec | None = None
    active: bool = True
    comment: str = ""


def add_rule(*, by: Principal, fields: RuleFields) -> OnboardingRule:
    """Save a rule. It takes accounts from the next discovery on.

    Raises:
        NotFound: there is no such node or kind.
        Refused: a field cannot be used.
        Conflict: the name is taken.
        Forbidden: the caller may not administer its node; without one, everything.
    """
    with transaction.atomic():
        rule = _save(by, OnboardingRule(), fields)
        audit.write(by=by, action="rule.add", subject=f"rule {rule}", details=_tell(fields))
    return rule


def edit_rule(*, by: Principal, name: str, fields: RuleFields, version: int | None = None) -> OnboardingRule:
    """Give a rule other fields. What it has taken already stays as it is.

    Raises:
        NotFound: there is no such rule, node or kind.
        Refused: a field cannot be used.
        Conflict: the name is taken, or it is not the `version` that was seen.
        Forbidden: as `add_rule`, for where it was before as well.
    """
    with transaction.atomic():
        rule = _find_for_change(by, name, version)
        before, after = _tell(read_fields(rule=rule)), _tell(fields)
        rule.version += 1
        rule = _save(by, rule, fields)
        changes = {field: [before[field], after[field]] for field in after if before[field] != after[field]}
        audit.write(by=by, action="rule.edit", subject=f"rule {name}", details=changes)
    return rule


def remove_rule(*, by: Principal, name: str, version: int | None = None) -> None:
    """Remove a rule. What it has taken stays as it is.

    Raises:
        NotFound: there is no such rule.
        Conflict: it is not the `version` that was seen.
        Forbidden: as `add_rule`.
    """
    with transaction.atomic():
        _find_for_change(by, name, version).delete()
        audit.write(by=by, action="rule.remove", subject=f"rule {name}")


def find_rule(*, by: Principal, name: str) -> OnboardingRule:
    """Return the rule of that name.

    Raises:
        NotFound: there is none that the caller sees; the message lists what there is.
    """
    if (rule := limited(by).filter(name=name).first()) is None:
        known = limited(by).values_list("name", flat=True)
        raise describe_missing("rule", [name], known, code="rule_not_found")
    return rule


def list_rules(*, by: Principal) -> list[OnboardingRule]:
    """List the rules that somebody sees, in the order in which they are tried."""
    return list(limited(by).order_by("priority", "name"))


def limited(by: Principal) -> QuerySet[OnboardingRule]:
    """Return the rules that somebody sees: those of nodes within reach, and those that hold everywhere."""
    reach = by.require(Right.VIEW, what="see onboarding rules")
    rules = OnboardingRule.objects.select_related("node")
    return rules if reach.everywhere else rules.filter(Q(node=None) | within(reach, "node__"))


def read_fields(*, rule: OnboardingRule) -> RuleFields:
    """Return what was said of a rule."""
    return RuleFields(
        name=rule.name,
        pattern=rule.pattern,
        onboarding=Onboarding(rule.onboarding),
        priority=rule.priority,
        kind=rule.kind,
        node=rule.node.full_path if rule.node else None,
        spec=PushSpec.model_validate(rule.spec) if rule.spec else None,
        active=rule.active,
        comment=rule.comment,
    )


def make_rule(*, by: Principal, fields: RuleFields, rule: OnboardingRule | None = None) -> OnboardingRule:
    """Return a rule that is not saved, for looking at what it would take.

    Raises:
        NotFound: there is no such node or kind.
        Refused: a field cannot be used.
    """
    rule = rule or OnboardingRule()
    if not (0 < len(fields.pattern) <= _LONGEST and fields.pattern.isprintable()):
        raise Refused(
            f"{fields.pattern!r} is no pattern for usernames: write it like svc-* or app[0-9].",
            code="pattern_refused",
        )
    if fields.kind:
        load_connector(fields.kind)
    adopts = fields.onboarding is Onboarding.ADOPT
    if adopts and fields.spec is None:
        raise Refused("To adopt accounts, say with what secret.", code="secret_needed")
    rule.node = None if fields.node is None else find_node(by=by, path=fields.node)
    spec = _strip(fields.spec) if adopts else None
    if spec is not None:
        check_adoption(spec)
        check_settings(spec=spec, kinds=[fields.kind] if fields.kind else _list_kinds(rule.node))
    rule.name, rule.pattern, rule.priority = fields.name, fields.pattern, fields.priority
    rule.kind, rule.onboarding = fields.kind, fields.onboarding.value
    rule.spec = spec.model_dump(mode="json") if spec else None
    rule.active, rule.comment = fields.active, fields.comment
    return rule


def _strip(spec: PushSpec | None) -> PushSpec | None:
    """Return a push without what a rule's accounts themselves say."""
    return spec and spec.model_copy(update={"assets": (), "nodes": (), "usernames": ()})


def _list_kinds(node: Node | None) -> list[str]:
    """Return the kinds of assets there that a secret can be set on."""
    assets = Asset.objects.order_by("kind")
    if node is not None:
        assets = assets.filter(nodes__path__startswith=node.path)
    return list(assets.values_list("kind", flat=True).distinct())


def _save(by: Principal, rule: OnboardingRule, fields: RuleFields) -> OnboardingRule:
    by.require(Right.ADMINISTER, what="change onboarding rules")
    check_name("a rule", fields.name)
    make_rule(by=by, fields=fields, rule=rule)
    _check_place(by, rule)
    if OnboardingRule.objects.filter(name=fields.name).exclude(id=rule.id).exists():
        raise Conflict(f"There is a rule {fields.name} already.", code="rule_exists")
    rule.save()
    return rule


def _find_for_change(by: Principal, name: str, version: int | None) -> OnboardingRule:
    found = find_rule(by=by, name=name)
    _check_place(by, found)
    rule = OnboardingRule.objects.select_for_update(of=("self",)).select_related("node").get(id=found.id)
    check_version(rule, version)
    return rule


def _check_place(by: Principal, rule: OnboardingRule) -> None:
    for right in (Right.ADMINISTER, Right.OPERATE):  # what it does later is a push
        if rule.node is None:
            by.require_everywhere(right, what="change onboarding rules that hold everywhere")
        else:
            check_node(by, right, rule.node, what=f"change onboarding rules of {rule.node}")


def _tell(fields: RuleFields) -> dict[str, Any]:
    """Return what the audit trail is told of a rule."""
    spec = _strip(fields.spec)
    settings = (
        spec.model_dump(mode="json", exclude={"assets", "nodes", "usernames", "action"}) if spec else None
    )
    return {
        "name": fields.name,
        "pattern": fields.pattern,
        "onboarding": fields.onboarding,
        "priority": fields.priority,
        "kind": fields.kind,
        "node": fields.node,
        "spec": settings,
        "active": fields.active,
        "comment": fields.comment,
    }

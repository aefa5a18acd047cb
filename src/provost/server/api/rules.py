from dataclasses import replace
from typing import Any

from provost.core.documents import LeftDocument, RuleDocument, RulePreviewDocument
from provost.core.onboarding import Standing
from provost.core.requests import RuleBody, RulePatch, list_given
from provost.core.rights import Principal
from provost.server.api.found import describe_found
from provost.server.models import OnboardingRule
from provost.server.services import onboarding, rules
from provost.server.services.found import StandingAccount

_MAY_BE_NULL = frozenset({"node"})


def list_rules(by: Principal) -> list[RuleDocument]:
    """List onboarding rules in the order in which they are tried."""
    return [_describe(rule) for rule in rules.list_rules(by=by)]


def add_rule(by: Principal, body: RuleBody) -> RuleDocument:
    """Save a rule for unknown accounts. It takes them from the next discovery on."""
    return _describe(rules.add_rule(by=by, fields=_read(body)))


def show_rule(by: Principal, name: str) -> RuleDocument:
    """Show an onboarding rule."""
    return _describe(rules.find_rule(by=by, name=name))


def edit_rule(by: Principal, name: str, body: RulePatch, version: int | None = None) -> RuleDocument:
    """Change what is given of a rule, and leave the rest. What it has taken already stays as it is."""
    before = rules.read_fields(rule=rules.find_rule(by=by, name=name))
    given: dict[str, Any] = {
        field: value for field, value in list_given(body).items() if value is not None or field in _MAY_BE_NULL
    }
    fields = replace(before, **given)
    return _describe(rules.edit_rule(by=by, name=name, fields=fields, version=version))


def remove_rule(by: Principal, name: str, version: int | None = None) -> None:
    """Remove a rule. What it has taken stays as it is."""
    rules.remove_rule(by=by, name=name, version=version)


def preview_rule(by: Principal, body: RuleBody) -> RulePreviewDocument:
    """Tell which of the accounts found so far a rule would take. Nothing is saved, and nothing contacted."""
    found = onboarding.preview(by=by, fields=_read(body))
    return RulePreviewDocument(
        taken=found.taken,
        accounts=[
            describe_found(StandingAccount(row, Standing.UNKNOWN, listed=False)) for row in found.first_taken
        ],
        left=dict(found.left),
        first_left=[
            LeftDocument(username=row.username, asset=row.asset.name, reason=why)
            for row, why in found.first_left
        ],
        flooded=found.flooded,
    )


def _read(body: RuleBody) -> rules.RuleFields:
    return rules.RuleFields(**{name: getattr(body, name) for name in RuleBody.model_fields})


def _describe(rule: OnboardingRule) -> RuleDocument:
    fields = rules.read_fields(rule=rule)
    return RuleDocument(
        name=rule.name,
        priority=rule.priority,
        pattern=rule.pattern,
        kind=rule.kind or None,
        node=fields.node,
        onboarding=fields.onboarding,
        spec=fields.spec,
        active=rule.active,
        comment=rule.comment,
        created=rule.created,
        version=rule.version,
    )

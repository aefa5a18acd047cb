"""What onboarding rules do about the accounts that discoveries find, and what they would do."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from provost.core.errors import ProvostError, Refused
from provost.core.facts import Facts
from provost.core.model import Action
from provost.core.notices import Event, UnknownAccount, UnknownAccounts
from provost.core.onboarding import Hindrance, Onboarding, find_hindrance, fits
from provost.core.push import PushSpec
from provost.core.rights import Face, Principal, Right, make_local
from provost.server.models import Account, Asset, FoundAccount, OnboardingRule, Run
from provost.server.models.runs import RunState
from provost.server.services import audit
from provost.server.services.checks import load_connector
from provost.server.services.chunks import split
from provost.server.services.found import push_found, put_into_list, select_unknown
from provost.server.services.locks import hold_assets
from provost.server.services.notices import tell
from provost.server.services.reach import limit_many
from provost.server.services.rules import RuleFields, make_rule

RULE: Final = "rule "
"""What the name of who does what a rule says begins with. No user has such a name."""

_MOST_ON_ASSET: Final = 100
"""Accounts that a rule takes on one asset after one discovery: of more, somebody is to think first."""

_MOST: Final = 10_000
"""Accounts that a rule takes after one discovery; the rest is for the next."""

_SHOWN: Final = 50
_LONGEST_NAME: Final = 255


def apply_rules(*, run: Run) -> list[Run]:
    """Let rules take the unknown accounts on the assets that a discovery, now over, has looked at.

    What no rule has taken before is looked at, whenever it was found.  Returns the runs that this has made:
    pushes, attended as the discovery is, and those in state `skipped` that say what a rule could not do.
    """
    assets = list(run.records.filter(status="succeeded").exclude(asset=None).values_list("asset_id", flat=True))
    rules = list(OnboardingRule.objects.filter(active=True).select_related("node"))
    chosen: dict[OnboardingRule, _Choice] = {rule: _Choice() for rule in rules}
    patterns = {rule.pattern for rule in rules}
    for chunk in split(assets) if rules else ():
        rows = select_unknown(FoundAccount.objects.filter(asset_id__in=chunk))
        for rule, row, hindrance in _judge(rules, rows, patterns):
            if hindrance is None:
                chosen[rule].add(row)
    effects: list[Run] = []
    for rule, choice in chosen.items():
        effects += _carry_out(run, rule, choice)
    tell_unknown(run=run, asset_ids=assets)
    return effects


@dataclass(slots=True)
class _Choice:
    """What a rule would take, and on which assets that is too much at once, by their names."""

    by_asset: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, row: FoundAccount) -> None:
        self.by_asset[row.asset.name].append(row.id)

    def list_taken(self) -> list[int]:
        taken = [one for rows in self.by_asset.values() if len(rows) <= _MOST_ON_ASSET for one in rows]
        return taken[:_MOST]

    def list_flooded(self) -> dict[str, int]:
        return {name: len(rows) for name, rows in self.by_asset.items() if len(rows) > _MOST_ON_ASSET}


def _carry_out(run: Run, rule: OnboardingRule, choice: _Choice) -> Iterator[Run]:
    if taken := choice.list_taken():
        try:
            with transaction.atomic():
                made = _take(run, rule, taken)
        except ProvostError as error:  # nobody is there to be told: it is written down
            yield _skip(run, rule, error.code, error.message)
        else:
            yield from made
    if flooded := choice.list_flooded():
        name, count = max(flooded.items(), key=lambda item: item[1])
        others = f" and {len(flooded) - 1} more assets" if len(flooded) > 1 else ""
        yield _skip(
            run,
            rule,
            "too_many_found",
            f"Rule {rule} fits {count} unknown accounts on {name}{others}, and takes {_MOST_ON_ASSET} at most "
            "on one asset: it took none there. Look where they come from: provost found list --asset "
            f"{name} --standing unknown",
        )


def _take(run: Run, rule: OnboardingRule, ids: Sequence[int]) -> list[Run]:
    by = _name(rule)
    hold_assets(
        asset_ids={
            asset_id
            for chunk in split(ids)
            for asset_id in FoundAccount.objects.filter(id__in=chunk).values_list("asset_id", flat=True)
        }
    )
    rows = [
        row
        for chunk in split(sorted(ids))
        for row in select_unknown(
            FoundAccount.objects.select_for_update(of=("self",), no_key=True).filter(id__in=chunk)
        )
        .select_related("asset")
        .order_by("asset_id", "id")
    ]
    if not rows:
        return []
    for chunk in split(row.id for row in rows):
        FoundAccount.objects.filter(id__in=chunk).update(rule=rule.name)
    if rule.onboarding == Onboarding.ADOPT:
        made = push_found(by=by, rows=rows, spec=PushSpec.model_validate(rule.spec), attended=run.attended)
        Run.objects.filter(id=made.id).update(cause=run)
        return [made]
    if rule.onboarding == Onboarding.LIST:
        put_into_list(rows)
    else:
        for chunk in split(row.id for row in rows):
            FoundAccount.objects.filter(id__in=chunk).update(ignored=True)
    names = [str(row) for row in rows]
    details = {"accounts": names[:_SHOWN], "number": len(names), "run": str(run.id)}
    audit.write(by=by, action=f"rule.{rule.onboarding}", subject=f"rule {rule}", details=details)
    return []


def _name(rule: OnboardingRule) -> Principal:
    return make_local(f"{RULE}{rule.name}"[:_LONGEST_NAME], face=Face.SERVER)


def _skip(run: Run, rule: OnboardingRule, reason: str, message: str) -> Run:
    spec = rule.spec or run.spec
    return Run.objects.create(
        action=spec.get("action", Action.PUSH),
        state=RunState.SKIPPED,
        spec=spec,
        cause=run,
        requested_by=_name(rule).name,
        reason=reason,
        message=message,
        finished=timezone.now(),
    )


def tell_unknown(*, run: Run, asset_ids: Sequence[int]) -> None:
    """Tell that a discovery has found accounts that are new, and that nobody knows and no rule has taken.

    Those that can neither log in nor do what others may not are no news.
    """
    begun = run.started or run.created
    news, where = [], set()
    for chunk in split(asset_ids):
        rows = select_unknown(FoundAccount.objects.filter(asset_id__in=chunk, first_seen__gte=begun))
        rows = rows.exclude(can_log_in=False, powerful=False).order_by("asset__name", "username")
        for row in rows.select_related("asset").only("username", "can_log_in", "facts", "asset__name")[:_MOST]:
            facts = Facts.model_validate(row.facts)
            news.append(
                UnknownAccount(
                    asset=row.asset.name,
                    username=row.username,
                    can_log_in=facts.can_log_in,
                    superuser=facts.superuser,
                )
            )
            where.add(row.asset_id)
    if news:
        told = UnknownAccounts(accounts=tuple(news), run=run.id)
        tell(event=Event.UNKNOWN_ACCOUNTS, payload=told, asset_ids=where)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would take now: how many, and the first; and what it would leave, by why, and the first."""

    taken: int
    first_taken: list[FoundAccount]
    left: Counter[Hindrance]
    first_left: list[tuple[FoundAccount, Hindrance]]
    flooded: dict[str, int]


def preview(*, by: Principal, fields: RuleFields) -> Preview:
    """Look which of the accounts found so far a rule would take, saved or not, active or not.

    Of very many that fit, the first 10,000 are looked at.

    Raises:
        NotFound: there is no such node or kind.
        Refused: a field cannot be used.
    """
    reach = by.require(Right.VIEW, what="look what a rule would take")
    rule = make_rule(by=by, fields=fields)
    rules = [*OnboardingRule.objects.filter(active=True).exclude(name=fields.name).select_related("node"), rule]
    rules.sort(key=lambda one: (one.priority, one.name))
    rows = select_unknown(limit_many(FoundAccount.objects.all(), reach, asset="asset_id"))
    if rule.node is not None:
        inside = Asset.nodes.through.objects.filter(node__path__startswith=rule.node.path)
        rows = rows.filter(asset_id__in=inside.values("asset_id"))
    if rule.kind:
        rows = rows.filter(asset__kind=rule.kind)
    choice, first, left = _Choice(), [], []
    for fitting, row, hindrance in _judge(rules, rows, {rule.pattern}, _MOST):
        if fitting is not rule:
            left.append((row, Hindrance.EARLIER))
        elif hindrance is not None:
            left.append((row, hindrance))
        else:
            choice.add(row)
            first.append(row)
    flooded = choice.list_flooded()
    return Preview(
        taken=len(choice.list_taken()),
        first_taken=[row for row in first if row.asset.name not in flooded][:_SHOWN],
        left=Counter(why for _, why in left),
        first_left=left[:_SHOWN],
        flooded=flooded,
    )


def _judge(
    rules: Sequence[OnboardingRule],
    rows: QuerySet[FoundAccount],
    patterns: Collection[str],
    most: int | None = None,
) -> Iterator[tuple[OnboardingRule, FoundAccount, Hindrance | None]]:
    """Yield accounts that fit a pattern, with the first rule for each and why it leaves that alone (None: not).

    Accounts that no rule is for are left out; at most so many are looked at.
    """
    names = rows.order_by("asset_id", "username").values_list("id", "username")
    wanted = [one for one, username in names if any(fits(pattern, username) for pattern in patterns)]
    for chunk in split(wanted[:most]):
        found = FoundAccount.objects.filter(id__in=chunk).select_related("asset").defer("accepted")
        there = {row.asset_id for row in found}
        places, acting = _read_places(there), _list_acting(there)
        for row in found:
            rule = next((one for one in rules if _is_for(one, row, places.get(row.asset_id, ()))), None)
            if rule is not None:
                yield rule, row, _find_hindrance(rule, row, acting)


def _is_for(rule: OnboardingRule, row: FoundAccount, places: Iterable[str]) -> bool:
    if rule.kind not in {"", row.asset.kind} or not fits(rule.pattern, row.username):
        return False
    return rule.node is None or any(place.startswith(rule.node.path) for place in places)


def _find_hindrance(rule: OnboardingRule, row: FoundAccount, acting: set[tuple[int, str]]) -> Hindrance | None:
    connector = load_connector(row.asset.kind)
    if rule.onboarding == Onboarding.ADOPT:
        if (row.asset_id, row.username) in acting or row.username == row.asset.options.get("via_account"):
            return Hindrance.ACTING
        if PushSpec.model_validate(rule.spec).secret_type not in connector.secret_types:
            return Hindrance.WRONG_SECRET
        try:
            connector.check_username(row.username)
        except Refused:
            return Hindrance.WRONG_NAME
    return find_hindrance(
        onboarding=Onboarding(rule.onboarding),
        pattern=rule.pattern,
        facts=Facts.model_validate(row.facts),
        powerful=row.powerful,
        protected=connector.protected,
    )


def _read_places(asset_ids: Iterable[int]) -> dict[int, list[str]]:
    """Return the places in the tree where assets lie."""
    places: dict[int, list[str]] = defaultdict(list)
    for chunk in split(asset_ids):
        through = Asset.nodes.through.objects.filter(asset_id__in=chunk)
        for asset_id, place in through.values_list("asset_id", "node__path"):
            places[asset_id].append(place)
    return places


def _list_acting(asset_ids: Iterable[int]) -> set[tuple[int, str]]:
    """Return the privileged accounts of assets, in the list or not."""
    return {
        place
        for chunk in split(asset_ids)
        for place in Account.objects.filter(asset_id__in=chunk, privileged=True).values_list(
            "asset_id", "username"
        )
    }

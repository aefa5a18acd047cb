"""Bringing in a whole inventory at once: all of it, or nothing."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, TypeVar

from django.db import transaction

from provost.core.errors import Refused, UsageError
from provost.core.rights import Principal, Right
from provost.core.secrets import Password, Secret, SshKey
from provost.server.models import Account, Asset
from provost.server.services import audit, guard, secrets
from provost.server.services.accounts import update_fields
from provost.server.services.arrivals import list_covered, note_arrivals
from provost.server.services.assets import (
    check_homeless,
    check_move,
    check_passing,
    check_redirection,
    check_unlocked,
    describe_fields,
    limited,
    list_changes,
    set_via,
)
from provost.server.services.checks import (
    AccountFields,
    AssetFields,
    check_account,
    check_asset,
    check_secret,
    choose_port,
)
from provost.server.services.chunks import CHUNK, split
from provost.server.services.inventory_files import ImportRefused, Inventory, Row
from provost.server.services.locks import hold_assets
from provost.server.services.nodes import check_path, ensure_nodes, list_missing
from provost.server.services.pairs import check_unpaired
from provost.server.services.reach import check_assets, check_gain, within
from provost.vault.keys import read_key

_ACCOUNT_FIELDS: Final = (
    "privileged",
    "priority",
    "become",
    "expires_at",
    "warn_due",
    "expiry_due",
    "version",
)
_ASSET_FIELDS: Final = ("kind", "address", "port", "options", "comment")

T = TypeVar("T")
Errors = list[tuple[int, str, str]]
"""What is wrong: where in the order of rows, what that place is called, and a sentence."""

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Imported:
    """How many nodes, assets, accounts and secrets were changed, and how; and which, by name.

    `changes` has of what was there each field with what was and what is; it holds no secret.
    """

    counts: Counts
    changes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _PlannedAsset:
    fields: AssetFields
    before: AssetFields
    existing: Asset | None
    moved: bool
    rerouted: bool


@dataclass(frozen=True, slots=True)
class _PlannedAccount:
    fields: AccountFields
    secrets: tuple[Secret, ...]
    replace: bool


def import_inventory(*, by: Principal, inventory: Inventory, name: str, dry_run: bool = False) -> Imported:
    """Bring in an inventory, or with `dry_run` tell what would come in: all of it is done, and undone.

    What is there already stays, but for the fields that a row gives; a secret that is there stays unless its
    row says `replace`.  So the same inventory may be brought in again.  `name` is what messages call it.

    Raises:
        ImportRefused: something in it is wrong; nothing was brought in.
        Conflict: a run works on an asset whose accounts it changes.
        Forbidden: the caller may not make one of its changes.
        VaultError: the master key is missing or wrong.
    """
    by.require(Right.OPERATE, what="bring in an inventory")
    errors = [(line, f"line {line}", text) for line, text in inventory.errors]
    with transaction.atomic():
        known = _read_known(by, inventory)
        nodes = _collect(inventory.nodes, lambda row: check_path(row.fields["path"]), errors)
        planned = _plan_assets(by, inventory.assets, known, errors)
        accounts = _plan_accounts(inventory.accounts, planned, known, errors)
        if errors:
            raise ImportRefused(name, [(place, text) for _, place, text in sorted(errors)])
        _check_rights(by, planned, accounts, known)
        changes: dict[str, Any] = {
            "nodes_added": list_missing(paths=_list_paths(planned, nodes)),
            "assets_added": [name for name, plan in planned.items() if plan.existing is None],
            "assets_changed": {
                name: changed
                for name, plan in planned.items()
                if plan.existing and (changed := list_changes(plan.before, plan.fields))
            },
        }
        counted = {"assets": _write_assets(by, planned, known, nodes)}
        counted["accounts"], counted["secrets"], written = _write_accounts(accounts, known)
        counts = {"nodes": {"added": len(changes["nodes_added"])}}
        counts |= {what: dict(counter) for what, counter in counted.items()}
        changes |= written
        if dry_run:
            transaction.set_rollback(True)
        else:
            audit.write(
                by=by,
                action="inventory.import",
                subject=f"inventory {name}"[:600],
                details={**counts, **changes},
            )
    return Imported(counts, changes)


def _check_rights(
    by: Principal,
    planned: Mapping[str, _PlannedAsset],
    accounts: Sequence[_PlannedAccount],
    known: Mapping[str, Asset],
) -> None:
    """Raise `Forbidden` for a change of something that is there and that the caller may not change.

    Nobody else changes any of that before the transaction ends.
    """
    existing = {name: plan for name, plan in planned.items() if plan.existing}
    touched = {plan.fields.asset for plan in accounts} & known.keys() | existing.keys()
    hold_assets(asset_ids=[known[name].id for name in touched])
    check_assets(by, Right.OPERATE, [known[name] for name in sorted(touched)], what="change these assets")
    if by.reach(Right.ADMINISTER).everywhere and by.reach(Right.OPERATE).everywhere:
        return
    gateways = {
        plan.fields.via for plan in planned.values() if plan.rerouted and plan.fields.via
    } & known.keys()
    check_assets(by, Right.OPERATE, [known[name] for name in sorted(gateways)], what="go through these assets")
    for plan in planned.values():
        if plan.existing is None:
            check_homeless(by, plan.fields)
            continue
        check_redirection(by, plan.existing, list_changes(plan.before, plan.fields))
        if plan.moved:
            check_move(by, plan.existing, plan.fields)


def _collect(rows: Sequence[Row], read: Callable[[Row], T], errors: Errors) -> list[T]:
    """Return what `read` makes of the rows, and note the line of each that it refuses."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except UsageError as error:
            errors.append((row.line, row.place, error.message))
    return found


def _read_known(by: Principal, inventory: Inventory) -> dict[str, Asset]:
    """Return the assets that it names and that the caller sees, by name."""
    names = {
        row.fields[name]
        for rows, of_them in ((inventory.assets, ("name", "via")), (inventory.accounts, ("asset",)))
        for row in rows
        for name in of_them
        if name in row.fields
    }
    return {
        asset.name: asset
        for chunk in split(names)
        for asset in limited(by).filter(name__in=chunk).select_related("via").prefetch_related("nodes")
    }


def _plan_assets(
    by: Principal, rows: Sequence[Row], known: dict[str, Asset], errors: Errors
) -> dict[str, _PlannedAsset]:
    planned: dict[str, _PlannedAsset] = {}
    named = {row.fields.get("name") for row in rows}
    unseen = set() if by.reach(Right.VIEW).everywhere else _list_unseen(named - known.keys())

    def plan(row: Row) -> None:
        name = _require(row, "name")
        if name in planned:
            raise Refused(f"asset {name} is here twice.")
        if name in unseen:
            raise Refused(f"there is an asset {name} already, out of your reach.")
        if existing := known.get(name):
            before = describe_fields(by=by, asset=existing)
        else:
            before = AssetFields(name, _require(row, "kind"), _require(row, "address"))
        fields = check_asset(replace(before, **row.fields))
        if fields.kind != before.kind:
            raise Refused(f"asset {name} is of kind {before.kind}, and stays so: remove it and add another.")
        rerouted = fields.via != before.via
        if rerouted and fields.via and fields.via not in known and fields.via not in named:
            raise Refused(f"there is no asset {fields.via!r} to go through, neither here nor in the inventory.")
        planned[name] = _PlannedAsset(
            fields,
            before,
            existing,
            moved=existing is None or fields.nodes != before.nodes,
            rerouted=rerouted,
        )

    _collect(rows, plan, errors)
    return planned


def _list_unseen(names: Collection[str | None]) -> set[str]:
    return {
        name
        for chunk in split(names)
        for name in Asset.objects.filter(name__in=chunk).values_list("name", flat=True)
    }


def _require(row: Row, name: str) -> str:
    if not row.fields.get(name):
        raise Refused(f"the field {name} is missing.")
    return str(row.fields[name])


def _plan_accounts(
    rows: Sequence[Row],
    planned: dict[str, _PlannedAsset],
    known: dict[str, Asset],
    errors: Errors,
) -> list[_PlannedAccount]:
    kinds = {name: asset.kind for name, asset in known.items()}
    kinds |= {name: plan.fields.kind for name, plan in planned.items()}
    existing = _read_accounts(known).keys()
    seen: set[tuple[str, str]] = set()

    def plan(row: Row) -> _PlannedAccount:
        username, asset = _require(row, "username"), _require(row, "asset")
        if (asset, username) in seen:
            raise Refused(f"account {username} on {asset} is here twice.")
        seen.add((asset, username))
        if asset not in kinds:
            raise Refused(f"there is no asset {asset!r}, neither here nor in the inventory.")
        fields = AccountFields(
            username, asset, **{name: row.fields.get(name) for name in ("privileged", "priority", "become")}
        )
        check_account(fields, kinds[asset])
        held: list[Secret] = []
        if "password" in row.fields:
            held.append(Password(row.fields["password"]))
        if "key" in row.fields:
            held.append(_read_key(row.fields["key"]))
        if not held and (asset, username) not in existing:
            raise Refused(f"account {username} on {asset} is new: give its password or key.")
        for secret in held:
            check_secret(secret, kinds[asset])
        return _PlannedAccount(fields, tuple(held), replace=row.fields.get("replace", False))

    return _collect(rows, plan, errors)


@lru_cache(maxsize=1)
def _read_key(text: str) -> SshKey:
    """Read a key that many accounts in a row may share. Only the last one is remembered."""
    return read_key(text)


def _read_accounts(assets: dict[str, Asset]) -> dict[tuple[str, str], Account]:
    """Return all accounts of assets, by the names of both."""
    names = {asset.id: name for name, asset in assets.items()}
    return {
        (names[account.asset_id], account.username): account
        for chunk in split(names)
        for account in Account.objects.filter(asset_id__in=chunk)
    }


def _write_assets(
    by: Principal, planned: dict[str, _PlannedAsset], known: dict[str, Asset], nodes: Sequence[str]
) -> Counter[str]:
    """Write the assets, add the new ones to `known`, and count what changed."""
    counts: Counter[str] = Counter()
    added, changed = [], []
    for name, plan in planned.items():
        asset = plan.existing or Asset(name=name)
        values = {field: getattr(plan.fields, field) for field in _ASSET_FIELDS} | {
            "port": choose_port(plan.fields),
            "options": dict(plan.fields.options),
        }
        if plan.existing is not None:
            check_passing(asset, plan.fields)
        differs = any(getattr(asset, field) != value for field, value in values.items())
        for field, value in values.items():
            setattr(asset, field, value)
        touched = differs or plan.moved or plan.rerouted
        if plan.existing is None:
            added.append(asset)
        elif touched:
            asset.version += 1
            changed.append(asset)
        counts["added" if plan.existing is None else "updated" if touched else "unchanged"] += 1
    Asset.objects.bulk_create(added)
    Asset.objects.bulk_update(changed, [*_ASSET_FIELDS, "version"], batch_size=CHUNK)
    known |= {asset.name: asset for asset in added}
    _write_nodes(by, planned, known, nodes)
    set_via(
        by=by,
        gateways={
            known[name].id: known[plan.fields.via].id if plan.fields.via else None
            for name, plan in planned.items()
            if plan.rerouted
        },
    )
    return counts


def _list_paths(planned: Mapping[str, _PlannedAsset], nodes: Sequence[str]) -> set[str]:
    """Return the nodes that are named by themselves, and those that assets come into."""
    return {*nodes, *(path for plan in planned.values() if plan.moved for path in plan.fields.nodes)}


def _write_nodes(
    by: Principal, planned: Mapping[str, _PlannedAsset], known: dict[str, Asset], nodes: Sequence[str]
) -> None:
    made = ensure_nodes(by=by, paths=_list_paths(planned, nodes))
    moved = [plan for plan in planned.values() if plan.moved]
    places = Asset.nodes.through
    covered = list_covered(asset_ids=[plan.existing.id for plan in moved if plan.existing])
    for plan in moved:
        if plan.existing:
            joined = [made[path] for path in plan.fields.nodes if path not in plan.before.nodes]
            check_gain(by, plan.existing.nodes.all(), joined, what=f"move asset {plan.existing}")
    seen = within(by.reach(Right.VIEW), "node__")
    for chunk in split(plan.existing.id for plan in moved if plan.existing):
        places.objects.filter(seen, asset_id__in=chunk).delete()
    places.objects.bulk_create(
        places(asset_id=known[plan.fields.name].id, node_id=made[path].id)
        for plan in moved
        for path in plan.fields.nodes
    )
    note_arrivals(asset_ids=[known[plan.fields.name].id for plan in moved], covered=covered)


def _write_accounts(
    planned: Sequence[_PlannedAccount], known: dict[str, Asset]
) -> tuple[Counter[str], Counter[str], dict[str, Any]]:
    """Write the accounts and their secrets. Returns how many changed, and which, for the audit trail."""
    counts: Counter[str] = Counter()
    changes: dict[str, Any] = {}
    accounts = _read_accounts(known)
    added, changed = [], []
    for plan in planned:
        key = plan.fields.asset, plan.fields.username
        if key in accounts:
            if differs := update_fields(accounts[key], plan.fields):
                accounts[key].version += 1
                changed.append(accounts[key])
                changes[_name(plan)] = differs
            counts["updated" if differs else "unchanged"] += 1
        else:
            accounts[key] = Account(asset=known[plan.fields.asset], username=plan.fields.username)
            update_fields(accounts[key], plan.fields)
            added.append(accounts[key])
            counts["added"] += 1
    privileged = [
        account.id for account in changed if "privileged" in changes[str(account)] and account.privileged
    ]
    check_unpaired(privileged, what="work with it itself")
    Account.objects.bulk_create(added)
    Account.objects.bulk_update(changed, _ACCOUNT_FIELDS, batch_size=CHUNK)
    held = secrets.list_current_types(account_ids=[account.id for account in accounts.values()])
    wanted, kept = [], 0
    given: list[str] = []
    for plan in planned:
        account = accounts[plan.fields.asset, plan.fields.username]
        for secret in plan.secrets:
            if plan.replace or secret.secret_type not in held.get(account.id, set()):
                wanted.append((account.id, secret))
                given.append(f"{secret.secret_type} of {_name(plan)}")
            else:
                kept += 1
    touched = {account_id for account_id, _ in wanted} | {account.id for account in changed}
    check_unlocked({account.asset_id for account in accounts.values() if account.id in touched})
    secrets.set_current(secrets=wanted)
    guard.forget_refusals(account_ids=[account_id for account_id, _ in wanted])
    written = {
        "accounts_added": [str(account) for account in added],
        "accounts_changed": changes,
        "secrets_set": given,
    }
    return counts, Counter(set=len(wanted), kept=kept), written


def _name(plan: _PlannedAccount) -> str:
    return f"{plan.fields.username}@{plan.fields.asset}"

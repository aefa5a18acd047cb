"""Bringing in a whole inventory at once: all of a file, or nothing of it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from django.db import transaction

from provost.core.errors import Refused, UsageError
from provost.core.secrets import Password, Secret, SshKey
from provost.server.models import Account, Asset, Node
from provost.server.services import secrets
from provost.server.services.accounts import update_fields
from provost.server.services.assets import set_via
from provost.server.services.checks import (
    AccountFields,
    AssetFields,
    check_account,
    check_asset,
    check_secret,
    choose_port,
)
from provost.server.services.chunks import CHUNK, split
from provost.server.services.inventory_files import Inventory, Row, read_inventory
from provost.server.services.nodes import check_path, ensure_nodes
from provost.vault.keys import read_key

_SHOWN: Final = 20
_ASSET_FIELDS: Final = ("kind", "address", "port", "options", "comment")

T = TypeVar("T")
Errors = list[tuple[int, str]]
Counts = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class _PlannedAsset:
    fields: AssetFields
    existing: Asset | None
    moved: bool
    rerouted: bool


@dataclass(frozen=True, slots=True)
class _PlannedAccount:
    fields: AccountFields
    secrets: tuple[Secret, ...]
    replace: bool


def import_file(*, path: Path) -> Counts:
    """Bring in a YAML or CSV file. Returns how many nodes, assets, accounts and secrets were changed, and how.

    What is there already stays, but for the fields that the file gives; a secret that is there stays unless its
    row says `replace`.  So the same file may be brought in again.

    Raises:
        Refused: something in the file is wrong; the message lists it by line, and nothing was brought in.
        VaultError: the master key is missing or wrong.
    """
    inventory = read_inventory(path)
    errors = inventory.errors
    with transaction.atomic():
        known = _read_known(inventory)
        nodes = _collect(inventory.nodes, lambda row: check_path(row.fields["path"]), errors)
        planned = _plan_assets(inventory.assets, known, errors)
        accounts = _plan_accounts(inventory.accounts, planned, known, path.parent, errors)
        if errors:
            raise _refuse(path, errors)
        nodes_before = Node.objects.count()
        counts = {"assets": _write_assets(planned, known, nodes)}
        counts["accounts"], counts["secrets"] = _write_accounts(accounts, known)
        return {"nodes": {"added": Node.objects.count() - nodes_before}} | {
            what: dict(changes) for what, changes in counts.items()
        }


def _refuse(path: Path, errors: Errors) -> Refused:
    lines = [f"line {line}: {text}" for line, text in sorted(errors)[:_SHOWN]]
    if more := len(errors) - len(lines):
        lines.append(f"and {more} more.")
    return Refused(
        "\n".join([f"Nothing was brought in: {path} has {len(errors)} errors.", *lines]), code="import_refused"
    )


def _collect(rows: Sequence[Row], read: Callable[[Row], T], errors: Errors) -> list[T]:
    """Return what `read` makes of the rows, and note the line of each that it refuses."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except UsageError as error:
            errors.append((row.line, error.message))
    return found


def _read_known(inventory: Inventory) -> dict[str, Asset]:
    """Return the assets that the file names and that are in the inventory, by name."""
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
        for asset in Asset.objects.filter(name__in=chunk).select_related("via").prefetch_related("nodes")
    }


def _plan_assets(rows: Sequence[Row], known: dict[str, Asset], errors: Errors) -> dict[str, _PlannedAsset]:
    planned: dict[str, _PlannedAsset] = {}
    named = {row.fields.get("name") for row in rows}

    def plan(row: Row) -> None:
        name = _require(row, "name")
        if name in planned:
            raise Refused(f"asset {name} is in the file twice.")
        if existing := known.get(name):
            before = _describe(existing)
        else:
            before = AssetFields(name, _require(row, "kind"), _require(row, "address"))
        fields = check_asset(replace(before, **row.fields))
        if fields.via and fields.via not in known and fields.via not in named:
            raise Refused(f"there is no asset {fields.via!r} to go through, neither here nor in the inventory.")
        planned[name] = _PlannedAsset(
            fields,
            existing,
            moved=existing is None or fields.nodes != before.nodes,
            rerouted=fields.via != (before.via if existing else None),
        )

    _collect(rows, plan, errors)
    return planned


def _describe(asset: Asset) -> AssetFields:
    return AssetFields(
        name=asset.name,
        kind=asset.kind,
        address=asset.address,
        port=asset.port,
        nodes=tuple(sorted(node.full_path for node in asset.nodes.all())),
        via=asset.via.name if asset.via else None,
        options=asset.options,
        comment=asset.comment,
    )


def _require(row: Row, name: str) -> str:
    if not row.fields.get(name):
        raise Refused(f"the field {name} is missing.")
    return str(row.fields[name])


def _plan_accounts(
    rows: Sequence[Row],
    planned: dict[str, _PlannedAsset],
    known: dict[str, Asset],
    folder: Path,
    errors: Errors,
) -> list[_PlannedAccount]:
    kinds = {name: asset.kind for name, asset in known.items()}
    kinds |= {name: plan.fields.kind for name, plan in planned.items()}
    existing = _read_accounts(known).keys()
    seen: set[tuple[str, str]] = set()
    read_key_file = _cache_keys(folder)

    def plan(row: Row) -> _PlannedAccount:
        username, asset = _require(row, "username"), _require(row, "asset")
        if (asset, username) in seen:
            raise Refused(f"account {username} on {asset} is in the file twice.")
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
        if "key_file" in row.fields:
            held.append(read_key_file(row.fields["key_file"]))
        if not held and (asset, username) not in existing:
            raise Refused(f"account {username} on {asset} is new: give its password or key_file.")
        for secret in held:
            check_secret(secret, kinds[asset])
        return _PlannedAccount(fields, tuple(held), replace=row.fields.get("replace", False))

    return _collect(rows, plan, errors)


def _cache_keys(folder: Path) -> Callable[[str], SshKey]:
    """Return what reads key files, named relative to `folder`, each once however many accounts share it."""

    @cache
    def read(name: str) -> SshKey:
        path = folder / name
        try:
            return read_key(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise Refused(f"the key file {path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise Refused(f"the key file {path} does not hold text.") from None
        except Refused as error:
            raise Refused(f"the key file {path}: {error.message}") from None

    return read


def _read_accounts(assets: dict[str, Asset]) -> dict[tuple[str, str], Account]:
    """Return all accounts of assets, by the names of both."""
    names = {asset.id: name for name, asset in assets.items()}
    return {
        (names[account.asset_id], account.username): account
        for chunk in split(names)
        for account in Account.objects.filter(asset_id__in=chunk)
    }


def _write_assets(
    planned: dict[str, _PlannedAsset], known: dict[str, Asset], nodes: Sequence[str]
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
        differs = any(getattr(asset, field) != value for field, value in values.items())
        for field, value in values.items():
            setattr(asset, field, value)
        if plan.existing is None:
            added.append(asset)
        elif differs:
            changed.append(asset)
        touched = differs or plan.moved or plan.rerouted
        counts["added" if plan.existing is None else "updated" if touched else "unchanged"] += 1
    Asset.objects.bulk_create(added)
    Asset.objects.bulk_update(changed, _ASSET_FIELDS, batch_size=CHUNK)
    known |= {asset.name: asset for asset in added}
    _write_nodes([plan for plan in planned.values() if plan.moved], known, nodes)
    set_via(
        gateways={
            known[name].id: known[plan.fields.via].id if plan.fields.via else None
            for name, plan in planned.items()
            if plan.rerouted
        }
    )
    return counts


def _write_nodes(moved: Sequence[_PlannedAsset], known: dict[str, Asset], nodes: Sequence[str]) -> None:
    made = ensure_nodes(paths={*nodes, *(path for plan in moved for path in plan.fields.nodes)})
    places = Asset.nodes.through
    for chunk in split(plan.existing.id for plan in moved if plan.existing):
        places.objects.filter(asset_id__in=chunk).delete()
    places.objects.bulk_create(
        places(asset_id=known[plan.fields.name].id, node_id=made[path].id)
        for plan in moved
        for path in plan.fields.nodes
    )


def _write_accounts(
    planned: Sequence[_PlannedAccount], known: dict[str, Asset]
) -> tuple[Counter[str], Counter[str]]:
    """Write the accounts and their secrets, and count what changed."""
    counts: Counter[str] = Counter()
    accounts = _read_accounts(known)
    added, changed = [], []
    for plan in planned:
        key = plan.fields.asset, plan.fields.username
        if key in accounts:
            differs = update_fields(accounts[key], plan.fields)
            changed += [accounts[key]] if differs else []
            counts["updated" if differs else "unchanged"] += 1
        else:
            accounts[key] = Account(asset=known[plan.fields.asset], username=plan.fields.username)
            update_fields(accounts[key], plan.fields)
            added.append(accounts[key])
            counts["added"] += 1
    Account.objects.bulk_create(added)
    Account.objects.bulk_update(changed, ["privileged", "priority", "become"], batch_size=CHUNK)
    held = secrets.list_current_types(account_ids=[account.id for account in accounts.values()])
    wanted, kept = [], 0
    for plan in planned:
        account = accounts[plan.fields.asset, plan.fields.username]
        for secret in plan.secrets:
            if plan.replace or secret.secret_type not in held.get(account.id, set()):
                wanted.append((account.id, secret))
            else:
                kept += 1
    secrets.set_current(secrets=wanted)
    return counts, Counter(set=len(wanted), kept=kept)

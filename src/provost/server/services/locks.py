"""At most one run works on an asset at a time. A lock ends with its owner, or with its lease."""

import os
import socket
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from provost.core.errors import Conflict
from provost.core.model import Action
from provost.server.models import Asset, AssetLock, Record
from provost.server.models.runs import RunState
from provost.server.services.chunks import split

LEASE: Final = timedelta(seconds=30)
"""How long a run, and its locks, are held without a word from their owner."""

_PARTS: Final = 5


@cache
def name_owner() -> str:
    """Return what names this process and no other: machine, boot, process namespace, process id and start."""
    return "/".join([*_name_place(), str(os.getpid()), _read_start(os.getpid())])


def is_gone(owner: str) -> bool:
    """Tell whether an owner has certainly ended. Of another machine's process nothing is known."""
    parts = owner.split("/")
    if len(parts) != _PARTS:
        return False
    machine, boot, namespace, process, started = parts
    here = _name_place()
    if (machine, boot, namespace) == here:
        return _read_start(int(process)) != started
    return machine == here[0] and boot != here[1]


def acquire_locks(*, run_id: UUID, asset_ids: Sequence[int]) -> set[int]:
    """Lock those of the assets that are there and that no other run works on, and return them."""
    now = timezone.now()
    with transaction.atomic():
        for chunk in split(hold_assets(asset_ids=asset_ids)):
            stale = [
                lock.asset_id
                for lock in AssetLock.objects.select_for_update(skip_locked=True).filter(asset_id__in=chunk)
                if lock.expires < now or is_gone(lock.owner)
            ]
            AssetLock.objects.filter(asset_id__in=stale).delete()
            AssetLock.objects.bulk_create(
                (
                    AssetLock(asset_id=asset_id, run_id=run_id, owner=name_owner(), expires=now + LEASE)
                    for asset_id in chunk
                ),
                ignore_conflicts=True,
            )
        mine = AssetLock.objects.filter(run_id=run_id, owner=name_owner())
        return {
            asset_id
            for chunk in split(asset_ids)
            for asset_id in mine.filter(asset_id__in=chunk).values_list("asset_id", flat=True)
        }


def hold_assets(*, asset_ids: Iterable[int]) -> list[int]:
    """Let nobody else lock, change or remove assets until the transaction ends; return those that are there."""
    held: list[int] = []
    for chunk in split(sorted(asset_ids)):
        rows = Asset.objects.select_for_update(no_key=True).filter(id__in=chunk).order_by("id")
        held += rows.values_list("id", flat=True)
    return held


def renew_locks(*, run_id: UUID) -> None:
    """Put off the end of all locks that this process holds for the run."""
    AssetLock.objects.filter(run_id=run_id, owner=name_owner()).update(expires=timezone.now() + LEASE)


_ENDING: Final = Q(
    status=None,
    run__state__in=[RunState.QUEUED, RunState.RUNNING],
    run__action__in=[Action.DISABLE, Action.REMOVE],
)


def being_ended() -> Exists:
    """Return what tells accounts that a run disables or removes, or is about to, to be part of a query."""
    return Exists(Record.objects.filter(_ENDING, asset_id=OuterRef("asset_id"), username=OuterRef("username")))


def check_not_ended(*, asset_id: int, usernames: Iterable[str]) -> None:
    """Raise `Conflict` while a run disables or removes an account of an asset, in the list or not."""
    ending = Record.objects.filter(_ENDING, asset_id=asset_id, username__in=usernames).first()
    if ending is not None:
        raise Conflict(
            f"A run is about to disable or remove {ending}. Try again when it is over.", code="asset_locked"
        )


def release_locks(*, run_id: UUID, asset_ids: Sequence[int] | None = None) -> None:
    """Unlock these assets, or all that this process holds for the run."""
    mine = AssetLock.objects.filter(run_id=run_id, owner=name_owner())
    if asset_ids is None:
        mine.delete()
        return
    for chunk in split(asset_ids):
        mine.filter(asset_id__in=chunk).delete()


@cache
def _name_place() -> tuple[str, str, str]:
    """Return the machine, its present boot, and this process's namespace of process ids."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except FileNotFoundError:
        machine = ""
    return f"{socket.gethostname()}.{machine}", boot, Path("/proc/self/ns/pid").readlink().name


def _read_start(process: int) -> str:
    """Return when a process started, in clock ticks since boot (field 22 of stat, proc(5)), or nothing."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""

"""Templates at work: the clock has them done for the assets that arrived."""

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from provost.core.errors import ProvostError, UsageError
from provost.core.push import PushSpec
from provost.core.rights import Face, make_local
from provost.core.specs import SPECS
from provost.server.models import Account, Arrival, Run, Task
from provost.server.services import held, secrets
from provost.server.services.arrivals import list_covered
from provost.server.services.checks import load_connector
from provost.server.services.chunks import split
from provost.server.services.runs import create_run
from provost.server.services.tasks import TEMPLATE, name_starter, skip

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 1000
_PUT_OFF: Final = timedelta(hours=1)


def claim_arrivals(*, now: datetime) -> list[Run]:
    """Write down a run of each template for the assets that arrived: at most 1000 of each template.

    Any number of processes may do this at once; each arrival is one process's alone.  One without a privileged
    account that has a secret waits for one.  What a template cannot be done for gets a run in state `skipped`
    that says why.  One at which Provost itself fails is tried again in an hour, and keeps no other waiting.
    """
    ready = _select_ready(now).order_by("task_id").values_list("task_id", flat=True).distinct()
    return [run for task_id in ready for run in _claim_or_put_off(task_id, now)]


def _select_ready(now: datetime) -> QuerySet[Arrival]:
    usable = Exists(secrets.select_usable().filter(account=OuterRef("pk")))
    logins = Account.objects.filter(usable, asset_id=OuterRef("asset_id"), privileged=True)
    return Arrival.objects.filter(Exists(logins), due__lte=now, task__active=True, task__new_assets=True)


def _claim_or_put_off(task_id: UUID, now: datetime) -> list[Run]:
    try:
        return _claim(task_id, now)
    except (InterfaceError, OperationalError) as error:  # the database's fault: they stay due
        logger.error("Template %s could not be done; trying again.", task_id, exc_info=error)  # noqa: TRY400  # the log leaves its text out
    except Exception as error:  # whatever it is, the others are due as well
        logger.error("Template %s could not be done; it is put off.", task_id, exc_info=error)  # noqa: TRY400  # as above
        reason, message = "internal_error", "Provost met a fault of its own; its log says more."
        if isinstance(error, ProvostError):
            reason, message = error.code, error.message
        with transaction.atomic():
            if (task := _lock(task_id)) is not None:
                task.last_run = skip(task, reason, message, starter=TEMPLATE)
                task.save(update_fields=["last_run"])
                _select_ready(now).filter(task=task).update(due=now + _PUT_OFF)
    return []


def _lock(task_id: UUID) -> Task | None:
    """Return a template, unless another process has it; until the transaction ends nobody else does."""
    return Task.objects.select_for_update(skip_locked=True).filter(id=task_id).first()


def _claim(task_id: UUID, now: datetime) -> list[Run]:
    """Do a template, unless another process has it. The claim and its runs are one transaction."""
    with transaction.atomic():
        if (task := _lock(task_id)) is None:
            return []
        found = list(
            _select_ready(now).filter(task=task).select_related("asset").order_by("asset_id")[:_AT_ONCE]
        )
        for chunk in split(one.id for one in found):
            Arrival.objects.filter(id__in=chunk).delete()
        covered = list_covered(asset_ids=[one.asset_id for one in found])
        kinds: dict[str, list[int]] = defaultdict(list)
        for one in found:
            if (one.asset_id, task.id) in covered:
                kinds[one.asset.kind].append(one.asset_id)
        runs = _begin(task, kinds) if kinds else []
        if runs:
            task.last_run = runs[-1]
            task.save(update_fields=["last_run"])
        return [run for run in runs if not run.reason]


def _begin(task: Task, kinds: dict[str, list[int]]) -> list[Run]:
    """Write down a run for assets, by kind; where that is refused, one for each kind, or why there is none."""
    try:
        with transaction.atomic():
            return [_create(task, list(kinds), [asset_id for ids in kinds.values() for asset_id in ids])]
    except UsageError as error:  # nobody is there to be told: it is written down
        if len(kinds) > 1:
            return [run for kind, ids in kinds.items() for run in _begin(task, {kind: ids})]
        return [skip(task, error.code, error.message, starter=TEMPLATE)]


def _create(task: Task, kinds: Sequence[str], asset_ids: Collection[int]) -> Run:
    spec = SPECS.validate_python(task.spec)
    if not isinstance(spec, PushSpec):
        raise TypeError(task.spec["action"])
    by = make_local(name_starter(task, TEMPLATE), face=Face.SERVER)
    places = [(asset_id, username) for asset_id in asset_ids for username in spec.usernames]
    specified = held.read_for_task(task_id=task.id)
    return create_run(
        by=by, spec=_narrow(spec, kinds), specified=specified, task=task, attended=False, places=places
    )


def _narrow(spec: PushSpec, kinds: Sequence[str]) -> PushSpec:
    """Return a push without the parameters that none of these kinds knows: they are for other assets."""
    known = set()
    for kind in kinds:
        for name in load_connector(kind).parameters.model_fields:
            known |= {name, f"{kind}.{name}"}
    parameters = {name: value for name, value in spec.parameters.items() if name in known}
    return spec.model_copy(update={"parameters": parameters})

"""What a run is to do, as whoever works it off needs it."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from provost import connectors, engine
from provost.core.connector import Timeouts
from provost.core.job import Job
from provost.core.keys import KeyAlgorithm
from provost.core.model import SecretType
from provost.core.push import PushSpec
from provost.core.secrets import Secret
from provost.core.specs import RotateSpec, Spec
from provost.engine import Event, Limits
from provost.server.models import Run
from provost.server.services.expansion import read_parameters
from provost.server.services.leases import Lease
from provost.server.services.runs import read_spec, settle_interrupted

_SLOW_KEYS: Final = frozenset({KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_4096})


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for, with its specified secret, and the parameters of each kind of asset that it means."""

    spec: Spec
    specified: Secret | None
    parameters: dict[str, BaseModel]
    dry_run: bool
    attended: bool
    cancelled: bool

    def is_slow(self) -> bool:
        """Tell whether the secrets of the run take long to make."""
        if not isinstance(self.spec, PushSpec | RotateSpec):
            return False
        return self.spec.secret_type is SecretType.SSH_KEY and self.spec.key_algorithm in _SLOW_KEYS

    def start(
        self, jobs: AsyncGenerator[Job, None], cancel: asyncio.Event, halt: asyncio.Event
    ) -> AsyncGenerator[Event, None]:
        """Let the engine run the jobs, with connectors for this run alone."""
        limits = Limits(
            concurrency=self.spec.concurrency,
            timeouts=Timeouts(connect=self.spec.connect_timeout, command=self.spec.command_timeout),
        )
        loaded = {kind: connectors.load(kind) for kind in self.parameters}
        return engine.run(jobs, loaded, limits, cancel, halt)


def read_order(*, lease: Lease) -> Order:
    """Return what the run that is held is to do.

    Raises:
        VaultError: its specified secret does not decrypt.
    """
    settle_interrupted()
    run = Run.objects.get(id=lease.run_id)
    spec, specified = read_spec(run=run)
    kinds = set(run.records.exclude(asset=None).values_list("asset__kind", flat=True))
    return Order(
        spec=spec,
        specified=specified,
        parameters=read_parameters(spec, sorted(kinds)),
        dry_run=run.dry_run,
        attended=run.attended,
        cancelled=run.cancel_requested,
    )

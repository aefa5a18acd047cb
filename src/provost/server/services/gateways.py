"""The turn at a gateway: until a run has got through it, or not, no other tries.

A gateway's account may be refused only so often, whoever goes through it: so the guard has to know what the run
before was told.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from provost.server.services.locks import acquire_locks, release_locks
from provost.server.services.targets import list_gateways


class Turns:
    """What one run has locked: the assets that it works on, and the gateways that it has yet to get through."""

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id
        self._routes: dict[int, frozenset[int]] = {}
        self._working: set[int] = set()
        self._held: set[int] = set()
        self._passed: set[int] = set()

    def enter(self, asset_ids: Sequence[int]) -> set[int]:
        """Lock those of the assets that no other run works on or is about to reach; return them."""
        self._routes |= list_gateways(asset_ids=asset_ids)
        ahead = self._list_gateways(asset_ids) - self._passed
        locked = acquire_locks(run_id=self._run_id, asset_ids=sorted(ahead.union(asset_ids)))
        free = locked | self._passed
        entered = {one for one in asset_ids if one in locked and self._routes.get(one, frozenset()) <= free}
        self._working |= entered
        self._held |= self._list_gateways(entered) & ahead
        release_locks(run_id=self._run_id, asset_ids=sorted(locked - self._working - self._held))
        return entered

    def leave(self, asset_ids: Collection[int], *, tried: Iterable[int] = ()) -> None:
        """Unlock assets whose jobs are over, and the gateways of those that were `tried`."""
        self._working.difference_update(asset_ids)
        passed = self._list_gateways(tried)
        self._passed |= passed
        self._held -= passed
        over = passed.union(asset_ids) - self._working - self._held
        release_locks(run_id=self._run_id, asset_ids=sorted(over))

    def _list_gateways(self, asset_ids: Iterable[int]) -> set[int]:
        return {gateway for one in asset_ids for gateway in self._routes.get(one, ())}

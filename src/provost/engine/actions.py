"""What a job may be to do, each as a function of the work on it."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from provost.core.model import Action
from provost.engine.checking import reconcile, verify
from provost.engine.discovery import discover
from provost.engine.job import Work
from provost.engine.push import push
from provost.engine.removal import disable, enable, remove
from provost.engine.rotation import rotate

ACTIONS: Final[Mapping[Action, Callable[[Work], Awaitable[None]]]] = MappingProxyType(
    {
        Action.PUSH: push,
        Action.DISCOVER: discover,
        Action.VERIFY: verify,
        Action.ROTATE: rotate,
        Action.RECONCILE: reconcile,
        Action.DISABLE: disable,
        Action.ENABLE: enable,
        Action.REMOVE: remove,
    }
)

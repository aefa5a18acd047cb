"""The kinds of targets that Provost can talk to: one module or package here for each, named after its kind.

A kind's module has the name `connector`, the class that implements `provost.core.connector.Connector`.  Others
add kinds through the entry-point group `provost.connectors`, whose entries name such a class; they cannot
replace a kind that is here.  A name that begins with an underscore is not a kind.
"""

import pkgutil
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from provost.core.connector import Connector
from provost.core.errors import NotFound

GROUP: Final = "provost.connectors"


def list_kinds() -> tuple[str, ...]:
    """Return every kind there is, sorted. Imports none of them."""
    return tuple(sorted({*_list_shipped(), *entry_points(group=GROUP).names}))


def load(kind: str) -> Connector:
    """Return a fresh connector for one run; of all the kinds, only this one's module is imported.

    Raises:
        NotFound: there is no such kind.
    """
    made: Connector
    if kind in _list_shipped():
        made = import_module(f"{__name__}.{kind}").connector()
    elif found := entry_points(group=GROUP, name=kind):
        made = next(iter(found)).load()()
    else:
        raise NotFound(f"There is no kind {kind!r}; there is: {', '.join(list_kinds())}.", code="unknown_kind")
    return made


def _list_shipped() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")}

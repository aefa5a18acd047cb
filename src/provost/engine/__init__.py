"""The engine: it runs jobs and yields events.  It writes no database, and knows no kind of target."""

from provost.engine.events import Event, HostKeySeen, RefusalSeen, SecretProven, Settled, Started
from provost.engine.fanout import run
from provost.engine.limits import Limits

__all__ = ["Event", "HostKeySeen", "Limits", "RefusalSeen", "SecretProven", "Settled", "Started", "run"]

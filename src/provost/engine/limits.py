from dataclasses import dataclass, field

from provost.core.connector import Timeouts
from provost.core.errors import Refused


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a run may push. Times are in seconds.

    `concurrency` assets are worked on at once.  A job that meets an error worth another try gets `attempts` in
    all; before the second one it waits up to `backoff`, and up to twice as long before each further one, never
    longer than `longest_backoff`.  `logins` is how many verifying logins one asset sees at once: sshd begins to
    drop connections at ten that are not yet authenticated (sshd_config(5), MaxStartups).
    """

    concurrency: int = 50
    timeouts: Timeouts = field(default_factory=Timeouts)
    attempts: int = 3
    backoff: float = 1.0
    longest_backoff: float = 15.0
    logins: int = 4

    def __post_init__(self) -> None:
        for name in ("concurrency", "attempts", "logins"):
            if getattr(self, name) < 1:
                raise Refused(f"A run needs {name} of at least 1.", code="limits_impossible")

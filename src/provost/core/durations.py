"""Spans of time as people write them: 90s, 15m, 12h, 30d."""

import re
from typing import Final

from provost.core.errors import Refused

_WRITTEN: Final = re.compile(r"(0|[1-9][0-9]{0,9})([smhd])")
_SECONDS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def parse_duration(text: str) -> int:
    """Return the seconds of a span like "30d".

    Raises:
        Refused: `duration_refused`, it is not one.
    """
    if not (match := _WRITTEN.fullmatch(text.strip())):
        raise Refused(
            f"{text!r} is not a span of time: write it like 90s, 15m, 12h or 30d.", code="duration_refused"
        )
    return int(match[1]) * _SECONDS[match[2]]


def write_duration(seconds: int) -> str:
    """Return a span in the largest unit that it is whole in: 86400 is "1d"."""
    if seconds == 0:
        return "0s"
    unit, size = next((unit, size) for unit, size in _SECONDS.items() if seconds % size == 0)
    return f"{seconds // size}{unit}"

"""What the console says to do about a reason, beside the page of reasons."""

import re
from pathlib import Path

from provost.server.console.advice import ADVICE

PAGE = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text()


def list_reasons() -> set[str]:
    """Return the codes in the first column of each table about records and runs."""
    part = PAGE.partition("## Reasons that are no fault")[2].partition("## Errors of a command")[0]
    cells = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    return {code for cell in cells for code in re.findall(r"`([a-z_]+)`", cell)}


def test_every_reason_has_advice_and_nothing_else_has() -> None:
    """A reason that is added to docs/reasons.md needs its advice; one that goes takes it along."""
    reasons = list_reasons()
    assert len(reasons) > 60
    assert reasons == ADVICE.keys()

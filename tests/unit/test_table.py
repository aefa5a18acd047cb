from itertools import product

import pytest

from provost.conformance import TABLE_CASES
from provost.core.model import Decision, Presence, SecretType, Strategy
from provost.core.table import TABLE, decide


@pytest.mark.parametrize(
    ("presence", "in_list", "decision"),
    [
        (Presence.ABSENT, False, Decision.CREATE),
        (Presence.PRESENT, True, Decision.LEAVE),
        (Presence.PRESENT, False, Decision.ADOPT),
        (Presence.ABSENT, True, Decision.RESTORE),
        (Presence.INCOMPLETE, False, Decision.CREATE),
        (Presence.INCOMPLETE, True, Decision.RESTORE),
    ],
)
def test_decide_follows_the_law(presence: Presence, in_list: bool, decision: Decision) -> None:
    """Each of the four rules as the law states it; a creation that was cut off counts as not on the target."""
    assert decide(presence, in_list=in_list) is decision


def test_the_table_cannot_be_changed() -> None:
    """No code can bend the table while the program runs."""
    with pytest.raises(TypeError):
        TABLE[True, True] = Decision.ADOPT  # type: ignore[index]


def test_the_shared_cases_are_the_full_table() -> None:
    """The cases cover each cell by secret type and strategy once, and agree with the table on the decision."""
    cells = [
        (case["on_target"], case["in_list"], case["secret_type"], case["strategy"]) for case in TABLE_CASES
    ]
    everything = product([False, True], [False, True], list(SecretType), list(Strategy))
    assert sorted(cells) == sorted((*cell[:2], str(cell[2]), str(cell[3])) for cell in everything)
    for case in TABLE_CASES:
        assert case["decision"] == TABLE[case["on_target"], case["in_list"]]

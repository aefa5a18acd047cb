"""The page of reasons beside the source."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = re.compile(r'code(?:: str)? ?= ?"([a-z_]+)"|make_problem\(\s*\d+,\s*"([a-z_]+)"')


def test_every_code_has_its_line() -> None:
    """Whatever code an error has, docs/reasons.md says what it means."""
    page = (ROOT / "docs" / "reasons.md").read_text()
    codes = {
        code
        for file in (ROOT / "src" / "provost").rglob("*.py")
        for found in CODE.findall(file.read_text())
        for code in found
        if code
    }
    assert len(codes) > 100
    assert sorted(code for code in codes if f"`{code}`" not in page) == []

"""The cases of the suite that are data."""

from importlib.resources import files
from typing import Any, Final

import yaml

TABLE_CASES: Final[list[dict[str, Any]]] = yaml.safe_load(
    files(__package__).joinpath("table.yaml").read_text(encoding="utf-8")
)["cases"]
"""Every cell of the table of a push; the file says what its columns mean."""

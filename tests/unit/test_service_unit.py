import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "provost.service"


def test_unit_is_one_that_systemd_accepts(tmp_path: Path) -> None:
    """systemd-analyze has nothing to say of it, the program's place aside, and counts its exposure as low."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/provost/bin/provost", "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    words = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", unit]
    exposed = subprocess.run(words, capture_output=True, text=True, check=False)
    assert exposed.returncode == 0, exposed.stdout

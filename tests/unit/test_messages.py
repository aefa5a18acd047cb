"""The catalogues of what the console says, beside its source."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest
from tests.conftest import do_without

ROOT = Path(__file__).parents[2]
CATALOGUES = sorted((ROOT / "src/provost/server/locale").glob("*/LC_MESSAGES/django.po"))
PLACES = re.compile(r"%\(\w+\)[sd]|%[sd]")


def test_catalogues_hold_what_the_source_says(tmp_path: Path) -> None:
    """`make messages` was run: no string of the source is missing in a catalogue, and none is left over."""
    if shutil.which("xgettext") is None:
        do_without("xgettext is not installed (Debian: apt-get install gettext)")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/messages.py", "--check"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PROVOST_HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: file.parents[1].name)
def test_every_string_is_translated(file: Path) -> None:
    """Each has a translation with the same placeholders, and the compiled catalogue is of this one."""
    catalogue = polib.pofile(str(file))
    assert [entry.msgid for entry in catalogue if not entry.translated() or entry.fuzzy] == []
    for entry in catalogue:
        wanted = set(PLACES.findall(entry.msgid)) | set(PLACES.findall(entry.msgid_plural))
        for text in (entry.msgstr, *entry.msgstr_plural.values()):
            assert not text or set(PLACES.findall(text)) == wanted, entry.msgid
    compiled = {entry.msgid: entry for entry in polib.mofile(str(file.with_suffix(".mo")))}
    assert {(one.msgid, one.msgstr) for one in catalogue} == {
        (one.msgid, one.msgstr) for one in compiled.values()
    }

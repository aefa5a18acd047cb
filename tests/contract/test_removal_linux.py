"""The cases of tests/cases/removal.yaml, on real hosts, and what needs more than one step."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from provost.connectors.linux.parameters import LinuxRemoval
from provost.core.connector import Applied, Removal
from provost.core.errors import ChangeRefused

pytestmark = pytest.mark.lab
CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "removal.yaml").read_text(encoding="utf-8")
)["cases"]
# Started as the account, in the background, with nothing that keeps the test's own pipes open.
TOOLS = """
runs() { grep -s -l -E "^Uid:.*[[:space:]]$(id -u "$1")[[:space:]]" /proc/[0-9]*/status | grep -q .; }
runas() {
    user=$1
    shift
    if command -v setpriv >/dev/null; then
        setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@" >/dev/null 2>&1 </dev/null &
    else
        su -s /bin/sh -c "exec $*" "$user" >/dev/null 2>&1 </dev/null &
    fi
    sleep 0.2
}
"""


def add_users(host):
    host.run(
        "for name in al alice; do "
        "if command -v useradd >/dev/null; then useradd -m $name; else adduser -D $name; fi; "
        "echo $name:secret | chpasswd; done"
    )


def tell(applied: Applied) -> str:
    if applied.error is None:
        return "done"
    return f"{'refused' if isinstance(applied.error, ChangeRefused) else 'unsure'} {applied.error.code}"


async def act(session, case, username="al") -> Applied:
    if case["do"] == "disable":
        [applied] = [one async for one in session.disable([username])]
    else:
        parameters = {name: case[name] for name in ("home", "archive_folder") if name in case}
        removal = Removal(username, LinuxRemoval.model_validate(parameters))
        [applied] = [one async for one in session.remove([removal])]
    return applied


@pytest.mark.parametrize("kind", ["linux", "busybox"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['do']} {case['it']}")
async def test_case(request, kind, case, aim_at, connect):
    """One case: the answer, what it says, what is there afterwards; and the same once more does no harm."""
    if kind not in case.get("kinds", [kind]):
        pytest.skip("not on this kind")
    host = request.getfixturevalue("host" if kind == "linux" else "busybox_host")
    add_users(host)
    host.run(TOOLS + case["prepare"])
    session = await connect(aim_at(host))
    applied = await act(session, case)
    assert tell(applied) == case["answer"], applied
    assert case.get("says", "") in applied.message, applied
    for command in case.get("afterwards", ()):
        done = host.run(TOOLS + command, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    again = await act(session, case)
    assert tell(again) == case["answer"], again
    assert host.run("grep -c ^alice: /etc/passwd").stdout == "1\n"

"""The REST API beside its document, by schemathesis, over a real server."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.server.conftest import wait_for

from provost.core.operations import OPERATIONS

SPEC = {"nodes": ["/prod"], "usernames": ["alice"], "secret_type": "password", "connect_timeout": 1}


def test_the_api_does_what_its_document_says(api, client, request, tmp_path):
    """schemathesis: whatever is sent, no server error, and no answer that the document does not tell."""
    if request.config.getoption("database") == "sqlite":
        pytest.skip("once is enough, on PostgreSQL: it takes less than SQLite does")
    run = client.post("runs", json={"spec": SPEC, "dry_run": True}).raise_for_status().json()["id"]
    task = {"name": "nightly", "spec": SPEC, "schedule": {"cron": "0 2 * * *"}, "active": False}
    client.post("tasks", json=task).raise_for_status()
    client.post("users", json={"username": "carl"}).raise_for_status()
    client.post("tokens", json={"name": "carl", "user": "carl", "days": 1}).raise_for_status()
    channel = {"name": "pager", "kind": "email", "address": "ops@example.org", "active": False}
    client.post("channels", json=channel).raise_for_status()
    wait_for(client, run)
    known = {"/channels/": "pager", "/assets/": "web1", "/tasks/": "nightly", "/users/": "carl"}
    lines = []
    for prefix, name in known.items():
        for operation in OPERATIONS:
            if operation.path.startswith(prefix) and operation.method != "DELETE":
                lines.append(f'[[operations]]\ninclude-operation-id = "{operation.name}"')
                lines.append(f'parameters = {{ "path.name" = "{name}" }}')
    for operation_id in ("show_run", "list_records", "list_reasons", "watch_run", "export_run", "report_run"):
        lines.append(f'[[operations]]\ninclude-operation-id = "{operation_id}"')
        lines.append(f'parameters = {{ "path.run" = "{run}" }}')
    for operation_id in ("show_account", "edit_account", "list_history", "reveal"):
        lines.append(f'[[operations]]\ninclude-operation-id = "{operation_id}"')
        lines.append('parameters = { "path.account" = "root@web1" }')
    (tmp_path / "schemathesis.toml").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{api.server.url}/api/v1/openapi.json",
            "--header",
            f"Authorization: Bearer {api.token}",
            "--checks",
            "all",
            # Rules that a JSON schema cannot say make some of what it allows be refused.
            "--exclude-checks",
            "positive_data_acceptance",
            "--phases",
            "coverage,fuzzing",
            "--max-examples",
            "2",
            "--exclude-operation-id",
            "set_up",
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

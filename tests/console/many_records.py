"""Make a run of 10,000 records, and one that was skipped, in the database of PROVOST_HOME; print their numbers.

usage: many_records.py ASSET... (those that half of the records belong to; the others' are gone)
"""

import sys

import django

django.setup()

from provost.server.models import Asset, Record, Run  # noqa: E402  # Django comes first

COUNT = 10_000
HOSTILE = "<script>document.title='ran'</script>\x1b[31m<img src=x onerror=document.title='ran'>\u202egnp"
SPEC = {"assets": [], "nodes": ["/prod"], "usernames": [HOSTILE], "secret_type": "password"}


def main() -> None:
    """Make them."""
    run = Run.objects.create(action="push", spec=SPEC, state="finished", requested_by=HOSTILE)
    Run.objects.filter(id=run.id).update(started=run.created, finished=run.created)
    assets = list(Asset.objects.filter(name__in=sys.argv[1:]))
    rows = []
    for number in range(COUNT):
        asset = assets[number // 2 % len(assets)] if number % 2 else None
        failed = number % 10 == 0
        rows.append(
            Record(
                run=run,
                asset=asset,
                asset_name=asset.name if asset else f"gone{number:05}{HOSTILE if failed else ''}",
                username=f"user{number:05}{HOSTILE if failed else ''}",
                secret_type="password",
                decision="create",
                status="failed" if failed else "succeeded",
                reason="create_refused" if failed else "",
                message=f"useradd: {HOSTILE}" if failed else "",
                seconds=0.5,
                actor="root",
            )
        )
    Record.objects.bulk_create(rows, batch_size=500)
    skipped = Run.objects.create(
        action="push", spec=SPEC, state="skipped", reason="no_assets", message=f"None in {HOSTILE}"
    )
    sys.stdout.write(f"{run.id} {skipped.id}\n")


main()

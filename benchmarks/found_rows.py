"""Put 100 found accounts on each of the first N assets into the database of PROVOST_HOME: half are in the list.

A discovery of as many hosts would take longer than what is to be measured.  usage: found_rows.py N
"""

import sys
from datetime import UTC, datetime

import django

django.setup()

from provost.core.facts import Facts, KeyFacts  # noqa: E402  # Django comes first
from provost.server.models import Account, Asset, FoundAccount  # noqa: E402

EACH = 100
SHELL = "/bin/bash"
KEY = KeyFacts(fingerprint=f"SHA256:{'x' * 43}", algorithm="ssh-ed25519", comment="somebody@somewhere")


def make(asset: Asset, number: int, now: datetime) -> FoundAccount:
    """Return one of the accounts of an asset: some stand differently, or may do more, than others."""
    facts = Facts(
        username=f"found{number}",
        uid=1000 + number,
        groups=(f"found{number}", "adm"),
        home=f"/home/found{number}",
        shell=SHELL,
        system=False,
        can_log_in=number % 3 == 0,
        locked=False,
        superuser=False,
        privileges=("(ALL) ALL",) if number % 20 == 0 else (),
        keys=(KEY,) * (number % 3),
    ).model_dump(mode="json")
    return FoundAccount(
        asset=asset,
        username=f"found{number}",
        facts=facts,
        accepted=facts,
        can_log_in=number % 3 == 0,
        powerful=number % 20 == 0,
        ignored=number % 10 == 0,
        changed_at=now if number % 25 == 0 else None,
        vanished_at=None if number % 50 else now,
        first_seen=now,
        last_seen=now,
    )


def main() -> None:
    """Make what is not there yet."""
    now = datetime.now(UTC)
    for asset in Asset.objects.filter(found=None).order_by("name")[: int(sys.argv[1])]:
        found = [make(asset, number, now) for number in range(EACH)]
        FoundAccount.objects.bulk_create(found, batch_size=500)
        listed = [Account(asset=asset, username=one.username, listed_at=now) for one in found[::2]]
        Account.objects.bulk_create(listed, batch_size=500)


main()

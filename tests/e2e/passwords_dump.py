"""Print what `reveal` would tell of every account that has a password: [[asset, username, password], ...]."""

import json
import sys

from provost.config.start import start

start()

from provost.core.model import SecretType  # noqa: E402  # Django is set up now
from provost.core.rights import make_local  # noqa: E402
from provost.server.services import accounts, secrets  # noqa: E402

found, _ = accounts.list_accounts(by=make_local("tester"))
held = secrets.read_current(account_ids=[account.id for account in found])
dump = [
    [account.asset.name, account.username, held[account.id][SecretType.PASSWORD].text]
    for account in found
    if SecretType.PASSWORD in held[account.id]
]
json.dump(dump, sys.stdout)

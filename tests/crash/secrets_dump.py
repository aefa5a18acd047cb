"""Print every stored secret of a data folder as JSON: [[asset, username, secret type, state, text], ...]."""

import json
import sys

from provost.config.start import start

start()

from provost.core.model import SecretState  # noqa: E402  # Django is set up now
from provost.core.secrets import Password  # noqa: E402
from provost.server.models.secrets import SecretVersion  # noqa: E402
from provost.server.services.secrets import decrypt  # noqa: E402

rows = SecretVersion.objects.exclude(state=SecretState.RETIRED).select_related("account__asset")
found = []
for row in rows:
    secret = decrypt(row)
    text = secret.text if isinstance(secret, Password) else secret.private
    found.append([row.account.asset.name, row.account.username, row.secret_type, row.state, text])
json.dump(found, sys.stdout)

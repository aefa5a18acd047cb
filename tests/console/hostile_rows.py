"""Put rows whose every string is hostile into the database of PROVOST_HOME; print them and the console's URLs.

Services refuse such names, so they are written past them: a database may hold what an older version let in.
The answer is one JSON document.
"""

import json
import sys
from datetime import UTC, datetime

import django

django.setup()

from provost.core.notices import ChannelKind, Event  # noqa: E402  # as below
from provost.core.push import PushSpec  # noqa: E402  # Django comes first
from provost.core.rights import Face, Principal, make_local  # noqa: E402
from provost.core.secrets import Password  # noqa: E402
from provost.server.console.urls import urlpatterns  # noqa: E402
from provost.server.models import (  # noqa: E402
    Account,
    Asset,
    Channel,
    Delivery,
    FoundAccount,
    HostKey,
    Node,
    OnboardingRule,
    Record,
    Run,
    Task,
    Token,
    User,
)
from provost.server.services import accounts, assets, audit, channels, runs, tasks, tokens, users  # noqa: E402
from provost.server.services.checks import AccountFields, AssetFields  # noqa: E402
from provost.server.services.tasks import TaskFields  # noqa: E402
from provost.server.services.users import UserFields  # noqa: E402

NAME = (
    "\u202egnp{{7|add:70}}\x1b[31m\x07\x9b\u2066\"'><img src=x onerror=window.ran=1><svg onload=window.ran=1>"
    "<b hx-get=elsewhere hx-trigger=load>javascript:ran=1"
)
"""A name: it stands in addresses, where a slash is none of it, and is at most 150 long."""
TEXT = f"</title></textarea></td><script>window.ran=1</script><iframe srcdoc='<script>'>\x00\r\n{NAME}"


def main() -> None:
    """Make them as they should be, and then hostile."""
    by = make_local("tester")
    for name, via in (("gate", None), ("bad", "gate")):
        fields = AssetFields(name, "memory", "192.0.2.1", nodes=("/bad/below",), via=via)
        assets.add_asset(by=by, fields=fields)
        for username in ("root", "alice"):
            account = AccountFields(username, name, privileged=True)
            accounts.add_account(by=by, fields=account, secret=Password("Correct-horse-1"))
    assets.add_asset(by=by, fields=AssetFields("lone", "memory", "192.0.2.1"))
    spec = PushSpec(assets=("bad",), usernames=("alice",), secret_type="password")
    tasks.create_task(by=by, fields=TaskFields("bad", spec), specified=None)
    users.add_user(by=by, username="bad", fields=UserFields())
    tokens.create_token(by=by, user="bad", name="bad", rights=None, days=1)
    channels.add_channel(
        by=by,
        fields=channels.ChannelFields(
            "bad", ChannelKind.EMAIL, "bad@example.org", (Event.RUN_FAILED,), "/bad/below", active=False
        ),
    )
    channels.test_channel(by=by, name="bad")
    for dry_run in (False, True):
        runs.create_run(by=by, spec=spec, specified=None, dry_run=dry_run)
    hostile = spec.model_copy(update={"assets": (NAME,), "nodes": (f"/{NAME}",), "usernames": (NAME,)})
    now = datetime.now(UTC)
    done = {"state": "finished", "reason": NAME[:50], "message": TEXT, "requested_by": NAME, "owner": NAME}
    Run.objects.update(spec=hostile.model_dump(mode="json"), started=now, finished=now, **done)
    names = {"asset_name": NAME, "username": NAME, "actor": NAME}
    Record.objects.update(status="failed", reason=NAME[:50], message=TEXT, settled_at=now, **names)
    Node.objects.filter(name="below").update(name=NAME, full_path=f"/bad/{NAME}")
    asset = Asset.objects.get(name="bad")
    Asset.objects.filter(name="gate").update(name=f"gate{NAME}", comment=TEXT, address=NAME)
    Asset.objects.filter(name="bad").update(name=NAME, comment=TEXT, address=NAME, options={NAME: TEXT})
    Asset.objects.filter(name="lone").update(name=f"lone{NAME}")
    HostKey.objects.create(asset=asset, key=f"ssh-ed25519 {TEXT}", fingerprint=NAME[:100])
    Account.objects.filter(username="alice").update(username=NAME)
    Record.objects.update(account=Account.objects.get(asset=asset, username=NAME))
    Task.objects.update(name=NAME, comment=TEXT, spec=hostile.model_dump(mode="json"))
    Channel.objects.update(name=NAME, address=NAME, comment=TEXT)
    Delivery.objects.update(state="failed", event=NAME[:30], error=TEXT, payload={"run": NAME, NAME: TEXT})
    User.objects.filter(username="bad").update(username=NAME)
    Token.objects.filter(name="bad").update(name=NAME)
    who = Principal(NAME, Face.API, token=NAME, source=NAME)
    audit.write(by=who, action="asset.edit", subject=f"account {NAME}@{NAME}", details={NAME: [TEXT, NAME]})
    key = {"fingerprint": NAME, "algorithm": NAME, "comment": TEXT, "options": TEXT}
    texts = dict.fromkeys(("home", "shell", "comment"), TEXT) | {"groups": [TEXT], "privileges": [TEXT]}
    FoundAccount.objects.create(
        asset=asset,
        username=NAME,
        facts={"username": NAME, "keys": [key], **texts},
        accepted={"username": NAME},
        changes=[{"field": NAME, "before": [TEXT], "after": [TEXT]}],
        changed_at=now,
        first_seen=now,
        last_seen=now,
        rule=NAME,
    )
    OnboardingRule.objects.create(
        name=NAME, pattern=NAME, onboarding="list", comment=TEXT, node=asset.nodes.get()
    )
    told = {
        "name": NAME,
        "text": TEXT,
        "run": str(Run.objects.get(dry_run=False).id),
        "preview": str(Run.objects.get(dry_run=True).id),
        "urls": {pattern.name: str(pattern.pattern) for pattern in urlpatterns},
    }
    sys.stdout.write(json.dumps(told))


main()

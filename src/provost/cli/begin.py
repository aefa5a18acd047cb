"""Beginning a run: here, and worked off in the foreground, or on a server, and followed."""

from typing import TYPE_CHECKING

from provost.cli.server import check_detach, find_chosen

if TYPE_CHECKING:
    from provost.core.secrets import Secret
    from provost.core.specs import Spec


def begin(
    spec: "Spec", *, specified: "Secret | None" = None, dry_run: bool = False, detach: bool, as_json: bool
) -> None:
    """Do what `spec` says, report it, and exit with its status; with `detach`, only have a server begin it.

    Raises:
        UsageError: it cannot be done.
    """
    check_detach(detach=detach)
    if find_chosen():
        from uuid import uuid4

        from provost.cli.call import call, say
        from provost.cli.secrets import make_secret_body
        from provost.cli.watch import watch
        from provost.core.operations import PUSH
        from provost.core.requests import PushBody

        secret = make_secret_body(specified) if specified else None
        body = say(PushBody, spec=spec, secret=secret, dry_run=dry_run)
        watch(call(PUSH, body=body, key=str(uuid4())), detach=detach, as_json=as_json)
    else:
        from provost.cli.call import open_here

        by = open_here()
        from provost.cli.work import work_off
        from provost.server.services.runs import create_run

        run = create_run(by=by, spec=spec, specified=specified, dry_run=dry_run, attended=True)
        work_off(run, as_json=as_json)

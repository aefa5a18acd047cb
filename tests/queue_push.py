"""Write down a push that nobody attends to, and print its run's id.

usage: queue_push.py SPEC     a PushSpec as JSON
"""

import sys

from provost.config.start import start

start()

from provost.core.push import PushSpec  # noqa: E402  # Django is set up now
from provost.core.rights import make_local  # noqa: E402
from provost.server.services.runs import create_run  # noqa: E402

spec = PushSpec.model_validate_json(sys.argv[1])
run = create_run(by=make_local("tester"), spec=spec, specified=None, attended=False)
sys.stdout.write(f"{run.id}\n")

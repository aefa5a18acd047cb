"""The program `provost`, made to kill itself at one boundary of the engine, whatever kind it works on.

usage: kinds_victim.py BOUNDARY provost-arguments...
"""

import sys

from tests.crash.victim import kill_after, kill_before

from provost.config.start import start

BOUNDARIES = ("after-stage", "opened", "observed", "answered", "verified", "before-record", "after-record")


def arrange(boundary: str) -> None:
    """Set the trap."""
    from provost.engine.job import Work
    from provost.engine.ledger import Ledger
    from provost.server.services import execution

    match boundary:
        case "after-stage":
            kill_after(execution, "stage_jobs")
        case "opened":
            kill_after(Work, "_open_as")
        case "observed":
            kill_after(Work, "observe")
        case "answered":
            kill_before(Ledger, "answer")
        case "verified":
            kill_after(Work, "log_in")
        case "before-record":
            kill_before(execution, "record_outcomes")
        case "after-record":
            kill_after(execution, "record_outcomes")
        case _:
            raise SystemExit(f"There is no boundary {boundary}")


if __name__ == "__main__":
    chosen, sys.argv[1:] = sys.argv[1], sys.argv[2:]
    start()
    arrange(chosen)
    from provost.cli.main import main

    main()

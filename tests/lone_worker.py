"""A server without faces: Provost's worker alone. It says `ready`; SIGTERM ends it in good order.

With the argument `settled`, its clock is believed from the start: lives end at once.
"""

import logging
import signal
import sys
import threading

from provost.config.start import start


def main() -> None:
    """Work until SIGTERM; the exit status is 0 when all ended in good order."""
    from provost.worker import Worker, clock

    if "settled" in sys.argv:
        clock._SETTLED = 0.0  # type: ignore[misc]  # nobody waits ten minutes
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    worker = Worker()
    worker.start()
    print("ready", flush=True)  # noqa: T201  # whoever started it waits for this
    while not ended.wait(0.2):  # a signal may reach another thread, and this one has to wake up for it
        pass
    sys.exit(not worker.stop(60))


if __name__ == "__main__":
    start()
    main()

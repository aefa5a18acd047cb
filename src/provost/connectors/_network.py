"""What goes wrong on the network, in an operator's words, for every kind.

The underscore keeps this module out of the list of kinds.
"""

import socket

from provost.core.errors import Unreachable
from provost.core.job import Target


def explain_failure(error: BaseException, target: Target) -> Unreachable:
    """Turn what the system raised while connecting (an OSError, a timeout) into an error for the operator."""
    name, place = target.asset, f"{target.address} port {target.port}"
    if isinstance(error, TimeoutError):
        return Unreachable(f"{name} ({place}) did not answer in time.", code="connect_timeout")
    if isinstance(error, socket.gaierror):
        return Unreachable(
            f"The address of {name}, {target.address}, cannot be resolved.", code="address_unknown"
        )
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(
            f"{name} ({place}) refuses connections: is its server running?", code="connection_refused"
        )
    return Unreachable(f"The connection to {name} ({place}) failed: {error}.", code="unreachable")

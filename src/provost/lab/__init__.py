"""Real Linux hosts on one machine: each with its own file system, users, host key and sshd."""

from provost.lab.host import Host
from provost.lab.lab import Lab, check_machine
from provost.lab.processes import LabError

__all__ = ["Host", "Lab", "LabError", "check_machine"]

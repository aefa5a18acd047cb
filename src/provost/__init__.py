"""Provost creates accounts and SSH keys on target systems and loses no secret on the way."""

__version__ = "0.1.0"

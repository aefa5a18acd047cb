"""Parameters of Linux accounts: what is refused before any host is contacted."""

import pytest
from pydantic import ValidationError

from provost.connectors.linux.parameters import LinuxParameters


@pytest.mark.parametrize(
    "options", ["", 'from="10.0.0.0/8"', 'restrict,command="echo \\"hi\\"",no-pty', 'From="a",PTY']
)
def test_key_options_as_sshd_has_them(options):
    """Flags, and values in quotes, separated by commas."""
    assert LinuxParameters(key_options=options).key_options == options


@pytest.mark.parametrize(
    "options",
    ["from=10.0.0.0/8", "foo", "no-ptty", "cert-authority", 'from="a', "no-pty,", 'from="a"b', "no-pty\\"],
)
def test_key_options_that_sshd_would_reject(options):
    """An option that sshd does not know, or without its quotes, would make a key that never logs in."""
    with pytest.raises(ValidationError):
        LinuxParameters(key_options=options)

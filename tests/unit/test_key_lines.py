"""Lines of authorized_keys, as sshd reads them."""

import pytest

from provost.core.keys import read_key_line

BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIMDLqcTxrBpO0ljUykrn/DSYFaEcCP1gbz1DvqYFLjkz"


@pytest.mark.parametrize(
    ("line", "options", "comment"),
    [
        (f"ssh-ed25519 {BLOB}", "", ""),
        (f"  ssh-ed25519\t{BLOB}  a comment  of words ", "", "a comment  of words"),
        (f"no-pty ssh-ed25519 {BLOB} x", "no-pty", "x"),
        (
            f'command="echo \\"a b\\"; ssh-rsa AAAA",no-pty ssh-ed25519 {BLOB}',
            'command="echo \\"a b\\"; ssh-rsa AAAA",no-pty',
            "",
        ),
    ],
)
def test_a_key(line, options, comment):
    """Options, blob and comment are told apart, whatever the quotes hold."""
    key = read_key_line(line)
    assert key is not None
    assert (key.algorithm, key.options, key.comment) == ("ssh-ed25519", options, comment)
    assert key.fingerprint.startswith("SHA256:")


@pytest.mark.parametrize(
    "line",
    [
        "",
        f"# ssh-ed25519 {BLOB}",
        f"ssh-rsa {BLOB}",
        "ssh-ed25519 AAAA",
        f"ssh-ed25519 {BLOB[:-1]}",
        f'command="open ssh-ed25519 {BLOB}',
        f"no-pty, ssh-ed25519-ssh-ed25519 {BLOB}",
        "root:$6$x:19000:0:99999:7:::",
        'a="' * 20000,
    ],
)
def test_no_key(line):
    """A comment, a blob of another algorithm or cut short, quotes without an end: no key, and soon told."""
    assert read_key_line(line) is None

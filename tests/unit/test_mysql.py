"""What the kind `mysql` computes without a server."""

import subprocess

import pytest
from pydantic import ValidationError

from provost.connectors.mysql import MysqlConnector
from provost.connectors.mysql.hosts import Claim, Client, attribute, match, read_listed
from provost.connectors.mysql.parameters import Grant, MysqlOptions, MysqlParameters, read_grant
from provost.connectors.mysql.verifiers import crypt_sha256, hash_native, hash_sha2
from provost.core.errors import Refused


def test_native_hashes() -> None:
    """The hash is the one that PASSWORD() has always returned."""
    assert hash_native(b"password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_sha2_hashes() -> None:
    """A hash of a real server's (hashcat's example for it) comes out of its salt and password."""
    salt = bytes.fromhex("F9CC98CE08892924F50A213B6BC571A2C11778C5")
    kept = "bTy95Y99eAME1dwEkHOA1ndHGBWz.1bxSSRkuTXFGV/"
    assert hash_sha2(b"hashcat", salt) == f"$A$005${salt.decode('latin-1')}{kept}"
    made = {hash_sha2(b"secret") for _ in range(3)}
    assert len(made) == 3
    assert {len(one) for one in made} == {70}


@pytest.mark.parametrize("password", ["x", "a" * 31, "a" * 32, "a" * 33, "a" * 255, "pässwörd Ω 🔑"])
def test_sha_crypt_of_any_length(password: str) -> None:
    """Passwords shorter and longer than a block are hashed as OpenSSL does it."""
    words = ["openssl", "passwd", "-5", "-salt", "saltstring123456", "-stdin"]
    told = subprocess.run(words, input=password, capture_output=True, text=True, check=True).stdout
    assert crypt_sha256(password.encode(), b"saltstring123456") == told.strip().rpartition("$")[2]


@pytest.mark.parametrize(
    ("mine", "others", "client", "claim"),
    [
        ("%", [], "10.0.0.1", Claim.OURS),
        ("%", ["localhost"], "10.0.0.1", Claim.OURS),
        ("%", ["localhost"], "localhost", Claim.THEIRS),
        ("localhost", ["%"], "localhost", Claim.OURS),
        ("localhost", ["%"], "10.0.0.1", Claim.THEIRS),
        ("10.1.%", ["%", "10.%"], "10.1.2.3", Claim.OURS),
        ("10.%", ["%", "10.1.%"], "10.1.2.3", Claim.THEIRS),
        ("10.1.%", ["10.1.2.3"], "10.1.2.3", Claim.THEIRS),
        ("%.example.com", ["%"], "web.Example.com", Claim.UNSURE),
        ("%.example.com", [], "web.Example.com", Claim.OURS),
        ("%.example.com", ["web.%"], "web.example.com", Claim.THEIRS),
        ("127.0.0.1", ["%"], "localhost", Claim.UNSURE),
        ("%", ["127.0.0.1"], "localhost", Claim.UNSURE),
        ("%", ["10.%"], "localhost", Claim.OURS),
        ("%", ["10.%"], "web.example.com", Claim.UNSURE),
        ("10.%", ["%"], "web.example.com", Claim.UNSURE),
        ("127.0.0.1", [], "localhost", Claim.OURS),
        ("10.0.0.0/255.0.0.0", ["%"], "10.1.2.3", Claim.OURS),
        ("10.0.0.0/255.0.0.0", ["10.1.%"], "10.1.2.3", Claim.UNSURE),
        ("10.0.0.0/8", ["%"], "192.168.0.1", Claim.THEIRS),
        ("fe80::%", [], "fe80::1", Claim.OURS),
        ("1_.0.0.1", ["%"], "10.0.0.1", Claim.OURS),
    ],
)
def test_whose_client_it_is(mine: str, others: list[str], client: str, claim: Claim) -> None:
    """The more specific pattern has the client; where servers differ, or a name hides it, nobody knows."""
    assert attribute(mine, others, Client.read(client)) is claim


@pytest.mark.parametrize(
    ("pattern", "host", "address", "matched"),
    [
        ("10.%", "192.168.0.1", None, False),
        ("web.example.com", "10.0.0.1", None, False),
        ("localhost", "web.example.com", None, False),
        ("10.%", "web.example.com", None, None),
        ("10.%", "web.example.com", "10.0.0.1", True),
        ("10.%", "web.example.com", "192.168.0.1", False),
        ("10.%", "localhost", None, False),
        ("127.0.0.1", "localhost", None, None),
    ],
)
def test_what_a_pattern_means(pattern: str, host: str, address: str | None, matched: bool | None) -> None:
    """What a name's address is, only its own end knows."""
    assert match(pattern, Client.read(host, address)) is matched


@pytest.mark.parametrize(
    ("listed", "host"),
    [("10.0.0.1:3456", "10.0.0.1"), ("localhost", "localhost"), ("[::1]:80", "::1"), ("::1:55555", "::1")],
)
def test_clients_of_a_list(listed: str, host: str) -> None:
    """A port is no part of the host."""
    assert read_listed(listed).host == host


def test_grants() -> None:
    """Privileges and one place, in any case and spacing."""
    assert read_grant("select,  Create  View on app_1.*") == Grant(("SELECT", "CREATE VIEW"), "app_1", "*")
    assert read_grant("ALL PRIVILEGES ON app.orders") == Grant(("ALL PRIVILEGES",), "app", "orders")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT", "SELECT ON *.*", "SELECT ON app", "SUPER ON app.*", "GRANT OPTION ON app.*",
        "SELECT ON mysql.*", "SELECT ON MySQL.user", "SELECT ON app.* TO 'x'@'%'", "SELECT ON `app`.*",
        "SELECT ON a`b.*", " ON app.*",
        "SELECT; DROP USER x ON app.*", "SELECT ON app.*; DROP", "SELECT, ON app.*", "PROXY ON app.*",
    ],
)  # fmt: skip
def test_what_is_no_grant(text: str) -> None:
    """Global powers, the server's own databases, and whatever else could be meant, are refused."""
    with pytest.raises(ValueError, match=r"is not like|is none of|own"):
        read_grant(text)


@pytest.mark.parametrize(
    "given",
    [
        {"roles": "PUBLIC"}, {"roles": "a b "*40}, {"default_role": "x"}, {"roles": "x", "default_role": "y"},
        {"grants": "SUPER ON *.*"}, {"max_user_connections": -1}, {"plugin": "unix_socket"}, {"else": "x"},
        {"roles": ["a\nb"]},
    ],
)  # fmt: skip
def test_parameters_that_cannot_be(given: dict[str, object]) -> None:
    """Each is refused with a sentence."""
    with pytest.raises(ValidationError):
        MysqlParameters.model_validate(given)


def test_parameters_as_texts() -> None:
    """As the command line gives them."""
    made = MysqlParameters.model_validate(
        {"roles": "reader, writer", "default_role": "reader", "grants": "SELECT ON a.*; EXECUTE ON b.*"}
    )
    assert made.roles == ("reader", "writer")
    assert made.grants == ("SELECT ON a.*", "EXECUTE ON b.*")


def test_host_patterns() -> None:
    """A pattern is what a server can hold, in small letters as it keeps them."""
    for host in ("%", "10.1.%", "10.0.0.0/255.0.0.0", "fe80::1", "db-1.example.com"):
        assert MysqlOptions(account_host=host).account_host == host
    assert MysqlOptions(account_host="%.Example.COM").account_host == "%.example.com"
    for host in ("", "a b", "'%'", "%'; --", "a@b", "x" * 256):
        with pytest.raises(ValidationError):
            MysqlOptions(account_host=host)


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a\0b", "a\nb", "a@%", "app@10.0.%", "😀", "a" * 81, "\ud800"]
)
def test_usernames_that_cannot_be(name: str) -> None:
    """What servers would cut, trim or take for another, and what names a host."""
    with pytest.raises(Refused) as caught:
        MysqlConnector().check_username(name)
    assert caught.value.code == "username_refused"

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from provost.server.web.proxies import Headers, Origin, find_origin

TRUSTED = [ip_network("10.0.0.0/24"), ip_network("fd00::/8")]


def find(peer: str, headers: Headers = (), *, secure: bool = False) -> Origin:
    return find_origin(peer, secure=secure, headers=headers, trusted=TRUSTED)


def test_chain_of_proxies_is_read_from_the_right() -> None:
    """The first address from the right that is no proxy is the client; what is left of it may be forged."""
    headers = [(b"X-Forwarded-For", b"6.6.6.6, 192.0.2.7"), (b"x-forwarded-for", b"10.0.0.9")]
    assert find("10.0.0.5", headers).source == "192.0.2.7"


def test_what_cannot_be_read_ends_the_chain() -> None:
    """A proxy's own address stands for a client that it does not name."""
    assert find("10.0.0.5", [(b"x-forwarded-for", b"6.6.6.6, unknown")]).source == "10.0.0.5"
    assert find("10.0.0.5").source == "10.0.0.5"


def test_mapped_addresses_are_those_that_they_map() -> None:
    """A socket for both families tells IPv4 clients as ::ffff:..."""
    assert find("::ffff:10.0.0.5", [(b"x-forwarded-for", b"192.0.2.7")]).source == "192.0.2.7"
    assert find("::ffff:192.0.2.7").source == "192.0.2.7"


def test_tls_and_id_of_a_trusted_proxy() -> None:
    """A trusted proxy says whether TLS was used, and gives the request its id if that is a sane one."""
    headers = [(b"x-forwarded-proto", b"https"), (b"x-request-id", b"abc-1")]
    assert find("10.0.0.5", headers) == Origin("10.0.0.5", secure=True, request_id="abc-1")
    assert find("10.0.0.5", [(b"x-request-id", b"a\x1b[31m")]).request_id is None
    assert find("10.0.0.5", [(b"x-request-id", b"a" * 65)]).request_id is None


NAMES = st.sampled_from([b"x-forwarded-for", b"X-Forwarded-For", b"x-forwarded-proto", b"x-request-id"])


@given(headers=st.lists(st.tuples(NAMES, st.binary() | st.sampled_from([b"10.0.0.5", b"https", b"ok"]))))
def test_others_are_never_believed(headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever an untrusted peer sends, it is told by its own address."""
    assert find("192.0.2.7", headers) == Origin("192.0.2.7", secure=False)


@given(headers=st.lists(st.tuples(NAMES, st.binary())))
def test_no_header_breaks_it(headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever a trusted proxy passes on, there is an answer."""
    assert find("10.0.0.5", headers).source

"""What a trusted proxy says of the client: what is believed, what is sent on, and that nothing said can do harm."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modes import BOTH, COMPILED, INTERPRETED, Mode

from wire.cases import FRESH_ID, PROXY, TRUSTED, Case
from wire.heads import fields_of, requests
from wire.reading import Believed, Request, read_request, read_trusted

both = pytest.mark.parametrize("mode", BOTH)
thorough = settings(derandomize=True, deadline=None, max_examples=400)
TRUST = ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "unix")


@both
@pytest.mark.parametrize("case", TRUSTED.values(), ids=TRUSTED)
def test_what_becomes_of_a_trusted_proxys_request(mode: Mode, case: Case) -> None:
    for size in range(len(case.given)):
        assert read_trusted(mode, case.given[:size], case.peer) is None
    outcome = read_trusted(mode, case.given, case.peer)
    assert outcome is not None
    assert (outcome.sent, outcome.client) == (case.sent, case.facts["client"])


def test_the_cases_use_the_id_that_the_reading_makes_up() -> None:
    assert f"X-Request-Id: {FRESH_ID}".encode() in TRUSTED["nothing of a trusted proxy"].sent


@both
def test_whom_a_trust_holds(mode: Mode) -> None:
    trust = mode["wire.forwarded"].Trust(TRUST)
    for peer in (b"10.0.0.0", b"10.255.255.255", b"192.0.2.7", b"2001:db8::", b"2001:db8:ffff::1", b"unix"):
        assert trust.holds(peer), peer
    for peer in (b"9.255.255.255", b"11.0.0.0", b"192.0.2.8", b"2001:db9::", b"::a00:1", b"::1", b"", b"unix:", b"x"):
        assert not trust.holds(peer), peer


@both
def test_a_trust_of_nobody_and_one_of_everybody(mode: Mode) -> None:
    nobody = mode["wire.forwarded"].Trust(())
    everybody = mode["wire.forwarded"].Trust(("0.0.0.0/0", "::/0"))
    for peer in (b"10.0.0.1", b"::1"):
        assert not nobody.holds(peer)
        assert everybody.holds(peer)
    assert not nobody.holds(b"unix")
    assert not everybody.holds(b"unix")  # named by itself, as it has no address
    assert everybody.client(b"1.1.1.1, 2.2.2.2", b"3.3.3.3") == b"1.1.1.1"


@both
@pytest.mark.parametrize(
    ("text", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:0", "192.0.2.1"),
        ("192.0.2.1:65535", "192.0.2.1"),
        ("2001:DB9::0:1", "2001:db9::1"),
        ("[2001:db9::1]", "2001:db9::1"),
        ("[2001:db9::1]:80", "2001:db9::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:80", "192.0.2.1"),
        ("1.1.1.1, 192.0.2.1 \t", "192.0.2.1"),
        ("1.1.1.1, ::ffff:10.1.1.1", "1.1.1.1"),
    ],
)
def test_addresses_that_are_read(mode: Mode, text: str, client: str) -> None:
    trust = mode["wire.forwarded"].Trust(TRUST)
    for _ in range(2):  # read, and remembered
        assert trust.client(text.encode(), PROXY) == client.encode()


@both
@pytest.mark.parametrize(
    "text",
    [
        "", " ", ",",
        "unknown", "_hidden", "localhost", "unix:", "1.1.1", "01.1.1.1", "1.1.1.1.", "0x1010101", "16843009",
        "1.1.1.1:", "1.1.1.1:65536", "1.1.1.1:x", "1.1.1.1:-1", "1.1.1.1:80:80", "[1.1.1.1]", "[1.1.1.1]:80", "[::1",
        "::1]", "[::1]x", "[::1]:", "[::1]:65536", "[[::1]]", "fe80::1%eth0", "[fe80::1%25eth0]:1", '"[::1]:80"',
        "1.1.1.1 2.2.2.2", "1.1.1.1;", "\xb9.1.1.1", "1.1.1.1/32", ":80",
        "::ffff:1.1.1.256", "1" * 65, "::1" + " " * 70 + "x",
    ],
)  # fmt: skip
def test_what_is_no_address_ends_the_walk(mode: Mode, text: str) -> None:
    trust = mode["wire.forwarded"].Trust(TRUST)
    given = f"8.8.8.8,{text},10.0.0.1".encode("latin-1")
    assert trust.client(given, PROXY) == b"10.0.0.1"
    assert trust.client(f"8.8.8.8,{text}".encode("latin-1"), PROXY) == (PROXY if text.strip(" ,") else b"8.8.8.8")


@both
def test_more_addresses_than_are_remembered(mode: Mode) -> None:
    trust = mode["wire.forwarded"].Trust(TRUST)
    for number in range(5000):
        address = b"9.0.%d.%d" % divmod(number, 256)
        assert trust.client(address, PROXY) == address


# Properties.

_ADDRESSES = (
    st.ip_addresses().map(str)
    | st.sampled_from(("10.1.2.3", "192.0.2.7", "2001:db8::9", "::ffff:10.0.0.1"))
    | st.ip_addresses(v=6).map(lambda address: f"[{address}]:80")
    | st.ip_addresses(v=4).map(lambda address: f"{address}:80")
)
_JUNK = st.sampled_from(("", "unknown", "_x", "1.1.1.1:x", "[::1", "]", "%", ":", "::", '"')) | st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=8
)
_LISTS = st.lists(_ADDRESSES | _JUNK, max_size=6).map(lambda texts: ", ".join(texts).encode("latin-1"))
_ANYTHING = st.binary(max_size=80) | st.lists(st.sampled_from(b"0123456789abcdef.:,[] \t")).map(bytes)


def _is_trusted(text: str) -> bool:
    address = ip_address(text)
    return any(address in ip_network(network) for network in TRUST if network != "unix")


@thorough
@given(_LISTS | _ANYTHING, st.sampled_from((b"10.0.0.9", b"2001:db8::9", b"unix")))
def test_the_client_is_the_first_from_the_right_that_is_not_trusted(value: bytes, peer: bytes) -> None:
    found = {mode["wire.forwarded"].Trust(TRUST).client(value, peer) for mode in (COMPILED, INTERPRETED)}
    (client,) = found
    if client != peer:
        text = client.decode("ascii")
        assert str(ip_address(text)) == text or ip_address(text).version == 6  # inet_ntop: ::1.2.3.4
    trust = COMPILED["wire.forwarded"].Trust(TRUST)
    expected = peer
    for member in reversed(value.strip(b", \t").split(b",")):
        address = trust.client(member, b"")
        if not address or (expected != peer and not trust.holds(expected)):
            break
        expected = address
    assert client == expected


@thorough
@given(_LISTS, st.lists(st.sampled_from(("10.9.9.9", "2001:db8::2", "192.0.2.7:1")), max_size=3), st.ip_addresses())
def test_what_stands_left_of_the_client_does_not_count(before: bytes, hops: list[str], address: object) -> None:
    text = str(address)
    if _is_trusted(text) or getattr(address, "ipv4_mapped", None) is not None:
        return
    value = b",".join([before, text.encode(), *[hop.encode() for hop in hops]])
    client = COMPILED["wire.forwarded"].Trust(TRUST).client(value, PROXY)
    assert ip_address(client.decode()) == address


@thorough
@given(_LISTS | _ANYTHING)
def test_appending_adds_one_member_and_changes_none(value: bytes) -> None:
    """And it does so again: what was sent on, sent on by another proxy, has one member more."""
    sent = value = value.strip(b" \t")
    for times in (1, 2):
        head = COMPILED["wire.http1"].RequestHead()
        head.forwarded_for, head.host = sent, b"a"
        line = COMPILED["wire.forwarded"].forwarded_fields(head, PROXY, b"http").partition(b"\r\n")[0]
        if b"\r\n" in value:
            return  # the parser lets none through
        name, _, sent = line.partition(b": ")
        assert name == b"X-Forwarded-For"
        before = value.strip(b", \t")
        assert sent == b", ".join([before, *[PROXY] * times] if before else [PROXY] * times)


@thorough
@given(requests())
def test_a_trusted_proxys_request_is_clean(data: bytes) -> None:
    """As anybody's, and each of the fields that Fairlead vouches for is there once."""
    plain = read_request(COMPILED, data)
    if not isinstance(plain, Request):
        return
    outcome = read_trusted(COMPILED, data, PROXY)
    assert outcome == read_trusted(INTERPRETED, data, PROXY)
    assert isinstance(outcome, Believed)
    assert outcome.end == plain.end  # nothing that is said of the client changes where a request ends
    line, fields = fields_of(outcome.sent)
    names = [name for name, _ in fields]
    for name in (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id"):
        assert names.count(name) == 1
    assert not [name for name in names if b"_" in name and name.replace(b"_", b"-").startswith((b"x-forw", b"x-req"))]
    ours = (b"x-forwarded-", b"forwarded", b"x-request-id")
    assert (line, [pair for pair in fields if not pair[0].startswith(ours)]) == fields_of(plain.sent)


@thorough
@given(requests())
def test_what_was_sent_on_is_sent_on_again_with_the_peer_appended(data: bytes) -> None:
    first = read_trusted(COMPILED, data, PROXY) if isinstance(read_request(COMPILED, data), Request) else None
    if first is None or b"\r\nHost: \r\n" in first.sent:
        return  # a request of HTTP/1.0 without Host gets an empty one, which is refused in HTTP/1.1
    again = read_trusted(COMPILED, first.sent, PROXY)
    assert again is not None
    assert again.client == first.client
    before, after = fields_of(first.sent)[1], fields_of(again.sent)[1]
    longer = [(k, v + b", " + PROXY) if k == b"x-forwarded-for" else (k, v) for k, v in before]
    assert sorted(after) == sorted(longer)


@thorough
@given(st.ip_addresses(), st.integers(0, 128), st.ip_addresses())
def test_networks_hold_what_the_library_says(base: object, bits: int, other: object) -> None:
    width = 32 if getattr(base, "version", 0) == 4 else 128
    network = ip_network(f"{base}/{min(bits, width)}", strict=False)
    if getattr(network.network_address, "ipv4_mapped", None) is not None or getattr(other, "ipv4_mapped", None):
        return
    trust = COMPILED["wire.forwarded"].Trust((str(network),))
    assert trust.holds(str(other).encode()) == (ip_address(str(other)) in network)
    assert trust.holds(str(network.broadcast_address).encode())

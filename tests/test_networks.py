"""What `trusted_proxies` may list."""

import pytest
from fairlead.networks import parse_proxy
from fairlead.wire.forwarded import Trust
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/08", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("::1", "::1"),
        ("::/0", "::/0"),
        ("unix", "unix"),
    ],
)
def test_networks_and_addresses(text: str, canonical: str) -> None:
    assert parse_proxy(text) == canonical
    assert parse_proxy(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("10.0.0.1/8", "write '10.0.0.0/8' for the network, or '10.0.0.1' for the address"),
        ("2001:db8::1/32", "write '2001:db8::/32' for the network, or '2001:db8::1' for the address"),
        ("10.0.0.1:80", "write '10.0.0.1', without port"),
        ("[2001:db8::1]:80", "write '2001:db8::1', without port"),
        ("[::1]", "write '::1', without port"),
        ("::ffff:10.0.0.0/104", "an IPv4 network written as IPv6; write '10.0.0.0/8'"),
        ("::ffff:10.0.0.1", "an IPv4 network written as IPv6; write '10.0.0.1'"),
        ("10.0.0.0/255.0.0.0", "must be a network such as"),
        ("10.0.0.0/33", "must be a network such as"),
        ("10.0.0.0/", "must be a network such as"),
        ("10.0.0", "must be a network such as"),
        ("010.0.0.1", "must be a network such as"),
        ("10/8", "must be a network such as"),
        ("1", "must be a network such as"),
        ("fe80::1%eth0", "must be a network such as"),
        ("lb.example", "must be a network such as"),
        ("unix:/run/lb.sock", "an address, or unix"),
        ("Unix", "an address, or unix"),
        ("*", "must be a network such as"),
        ("", "must be a network such as"),
    ],
)
def test_what_is_none_is_refused_with_what_would_be_right(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=r"^is '") as refused:
        parse_proxy(text)
    assert advice in str(refused.value)


@given(st.text(max_size=20) | st.from_regex(r"\A[0-9a-f.:/]{1,20}\Z"))
def test_anything_else_is_refused_and_what_is_taken_can_be_used(text: str) -> None:
    try:
        canonical = parse_proxy(text)
    except ValueError:
        return
    assert Trust((canonical,)).holds(canonical.partition("/")[0].encode())

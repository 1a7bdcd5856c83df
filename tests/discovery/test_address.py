"""The text form of addresses: canonical, or refused with a word on what would be right."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from fairlead.discovery.address import bind_address, endpoint_address, host_port
from hypothesis import given
from hypothesis import strategies as st

BASE = Path("/base")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("10.0.0.1:080", "10.0.0.1:80"),
        ("[2001:DB8:0:0::1]:80", "[2001:db8::1]:80"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
        ("unix:./app.sock", "unix:/base/app.sock"),
        ("unix:/run//app.sock", "unix:/run/app.sock"),
    ],
)
def test_what_an_endpoint_may_be(text: str, canonical: str) -> None:
    assert endpoint_address(text, BASE) == canonical
    assert endpoint_address(canonical, BASE) == canonical


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("localhost:80", "is a name and not an address"),
        ("my-app:8080", "is a name and not an address"),
        ("my-app", "is a name without a port"),
        ("10.0.0.1", "write 10.0.0.1:80"),
        ("::1", r"write \[::1\]:80"),
        ("[::1]", r"write \[::1\]:80"),
        ("2001:db8:0:0:0:0:0:0:1:80", r"write \[2001:db8:0:0:0:0:0:0:1\]:80"),
        ("10.0.0.256:80", "is not an IP address"),
        ("10.0.0.01:80", "is not an IP address"),
        ("[::g]:80", "is not an IP address"),
        ("[fe80::1%eth0]:80", "has a zone"),
        ("10.0.0.1:0", "from 1 to 65535"),
        ("10.0.0.1:65536", "from 1 to 65535"),
        ("10.0.0.1:http", "from 1 to 65535"),
        ("http://10.0.0.1:80", "is no address; write IP:PORT"),
        ("10.0.0.1:", "from 1 to 65535"),
        (":80", "is not an IP address"),
        ("", "has no port"),
        ("unix:", "names no file"),
        ("unix:/a\0b", "names no file"),
        ("unix:/" + "x" * 107, "longer than the 107 bytes"),
        ("unix:/" + "é" * 60, "longer than the 107 bytes"),
    ],
)
def test_what_an_endpoint_may_not_be(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        endpoint_address(text, BASE)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (":8080", "0.0.0.0:8080"),
        ("0.0.0.0:8080", "0.0.0.0:8080"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("[::]:80", "[::]:80"),
        ("unix:app.sock", "unix:/base/app.sock"),
    ],
)
def test_what_can_be_bound(text: str, canonical: str) -> None:
    assert bind_address(text, BASE) == canonical


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("8080", "write ':8080'"),
        ("localhost:80", "write 127.0.0.1:80"),
        ("*:80", r"write ':80' for IPv4 or '\[::\]:80'"),
        ("127.0.0.1", "write 127.0.0.1:80"),
        ("127.0.0.1:65536", "from 0 to 65535"),
        ("unix:", "names no file"),
    ],
)
def test_what_cannot_be_bound(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        bind_address(text, BASE)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.integers(1, 65535))
def test_every_address_has_one_form(address: IPv4Address | IPv6Address, port: int) -> None:
    if isinstance(address, IPv4Address):
        assert endpoint_address(f"{address}:{port}", BASE) == f"{address}:{port}"
    else:
        assert endpoint_address(f"[{address.exploded.upper()}]:{port}", BASE) == f"[{address}]:{port}"


@given(st.text(alphabet=st.sampled_from("0123456789abf:.[]%*unix/-é\0 "), max_size=30))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    for read in (endpoint_address, bind_address):
        try:
            assert read(read(text, BASE), BASE) == read(text, BASE)
        except ValueError as error:
            assert str(error)


def test_the_two_parts_of_a_name_and_a_port() -> None:
    assert host_port("shop:80") == ("shop", 80)

"""Routes: the first that matches wins, whatever their number, and however host and path are spelt."""

from __future__ import annotations

from typing import Any

import pytest
from fairlead.dataplane.router import Router
from fairlead.model import Route
from hypothesis import given
from hypothesis import strategies as st

HOSTS = st.sampled_from(["", "a.com", "b.a.com", "*.a.com", "*.com", "c"])
PATHS = st.sampled_from(["/", "/v1", "/v1/", "/v1/a", "/v1/a/b", "/v10", "/v2"])
ROUTES = st.lists(st.tuples(HOSTS, PATHS), min_size=1, max_size=10)


def router(*routes: tuple[str, str]) -> Router:
    """A router whose services are the places of the routes."""
    services: dict[str, Any] = {str(place): place for place in range(len(routes))}
    return Router(
        [Route(service=str(place), host=host, path=path) for place, (host, path) in enumerate(routes)], services
    )


def match(routed: Router, host: str, target: str) -> object:
    return routed.match(host.encode(), target.encode())


def takes(route: tuple[str, str], host: str, path: str) -> bool:
    """The rule, said plainly."""
    wanted, prefix = route[0], route[1].rstrip("/")
    is_host = wanted in ("", host) or (wanted.startswith("*.") and host.endswith(wanted[1:]) and host != wanted[1:])
    return is_host and (path == prefix or path.startswith(prefix + "/") or not prefix)


@given(ROUTES, st.sampled_from(["a.com", "b.a.com", "x.b.a.com", "com", "c"]), PATHS)
def test_the_first_route_that_takes_it_wins(routes: list[tuple[str, str]], host: str, path: str) -> None:
    expected = next((place for place, route in enumerate(routes) if takes(route, host, path)), None)
    assert match(router(*routes), host, path) == expected


@pytest.mark.parametrize(
    "host",
    ["a.com", "A.COM", "a.com:8080", "a.com.", "a.com.:80"],
    ids=["plain", "case", "port", "dot", "dot and port"],
)
def test_a_host_is_compared_without_case_port_and_final_dot(host: str) -> None:
    assert match(router(("a.com", "/"), ("", "/")), host, "/") == 0


def test_an_ipv6_literal_keeps_its_colons() -> None:
    routed = router(("[2001:db8::1]", "/"))
    assert match(routed, "[2001:db8::1]:8080", "/") == 0
    assert match(routed, "[2001:db8::2]:8080", "/") is None


def test_a_prefix_ends_at_a_segment_and_a_query_is_no_path() -> None:
    routed = router(("", "/v1"))
    assert match(routed, "x", "/v1?a=/b") == 0
    assert match(routed, "x", "/v1/x") == 0
    assert match(routed, "x", "/v10") is None
    assert match(routed, "x", "/?/v1") is None


def test_a_path_is_compared_as_it_is_forwarded() -> None:
    routed = router(("", "/admin"))
    for spelling in ("/%61dmin", "//admin", "/./admin", "/x/../admin", "/ADMIN"):
        assert match(routed, "x", spelling) is None


def test_asterisk_form_goes_where_everything_goes() -> None:
    assert match(router(("", "/v1"), ("", "/")), "x", "*") == 1


def test_thousands_of_routes_are_tables_and_not_a_list() -> None:
    hosts = [(f"host{number}.com", f"/p{number}") for number in range(5000)]
    routed = router(*hosts, ("", "/"))
    assert match(routed, "host4999.com", "/p4999/x") == 4999
    assert match(routed, "host4999.com", "/p1") == 5000
    assert match(routed, "other.com", "/") == 5000


def test_the_memory_of_hosts_is_bounded_and_a_client_cannot_fill_it() -> None:
    routed = router(("a.com", "/"), ("", "/v1"))
    for number in range(3000):
        assert match(routed, f"{number}.example", "/v1") == 1
    assert match(routed, "a.com", "/") == 0

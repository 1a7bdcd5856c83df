"""What a route may say, and which can never be reached."""

from typing import Any

import pytest
from fairlead.dataplane.router import Router
from fairlead.model import Route
from fairlead.routes import Reach, parse_host, parse_path
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("", ""),
        ("api.example.com", "api.example.com"),
        ("API.Example.com", "api.example.com"),
        ("*.example.com", "*.example.com"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("[::1]", "[::1]"),
        ("my_app.svc", "my_app.svc"),
    ],
)
def test_hosts(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("*", "leave the host out"),
        ("api.example.com:80", "write 'api.example.com', ports are not compared"),
        ("http://api.example.com", "more than a host"),
        ("api.example.com/v1", "more than a host"),
        ("api.example.com.", "without the dot"),
        ("api.*.com", "must be a name"),
        ("*example.com", "must be a name"),
        ("a..b", "must be a name"),
        ("bücher.example", "must be a name"),
        ("a b", "must be a name"),
        (".".join(["a" * 60] * 5), "must be a name"),
    ],
)
def test_what_is_no_host(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice.replace("*", r"\*")):
        parse_host(text)


@pytest.mark.parametrize("text", ["/", "/v1", "/v1/", "/a%20b", "/a=b&c;d,e:f@g!$'()*+~"])
def test_paths(text: str) -> None:
    assert parse_path(text) == text


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "write '/'"),
        ("v1", "write '/v1'"),
        ("/v1?x=y", "no '?' or '#'"),
        ("/v1#x", "no '?' or '#'"),
        ("/a b", "percent-encoded"),
        ("/é", "percent-encoded"),
        ("/" + "x" * 2048, "percent-encoded"),
    ],
)
def test_what_is_no_path(text: str, advice: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_path(text)
    assert advice in str(refused.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("", "/"), ("", "/")),
        (("", "/"), ("a.com", "/v1")),
        (("a.com", "/v1"), ("a.com", "/v1/")),
        (("a.com", "/v1"), ("a.com", "/v1/users")),
        (("*.com", "/"), ("b.a.com", "/")),
        (("*.com", "/"), ("*.a.com", "/")),
        (("[::1]", "/"), ("[::1]", "/x")),
    ],
)
def test_routes_that_an_earlier_one_takes_everything_from(first: tuple[str, str], second: tuple[str, str]) -> None:
    reach = Reach()
    assert reach.add(Route(service="x", host=first[0], path=first[1]), 7) == ""
    hidden = reach.add(Route(service="x", host=second[0], path=second[1]), 8)
    assert hidden.startswith("is never reached: the route in line 7 takes ")
    if first != second:
        backwards = Reach()
        assert backwards.add(Route(service="x", host=second[0], path=second[1]), 7) == ""
        assert (backwards.add(Route(service="x", host=first[0], path=first[1]), 8) == "") == (
            first[1].rstrip("/") != second[1].rstrip("/") or first[0] != second[0]
        )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a.com", "/"), ("b.com", "/")),
        (("a.com", "/"), ("", "/")),
        (("*.a.com", "/"), ("a.com", "/")),
        (("", "/v1"), ("", "/v10")),
        (("", "/v1"), ("a.com", "/")),
    ],
)
def test_routes_beside_each_other(first: tuple[str, str], second: tuple[str, str]) -> None:
    reach = Reach()
    for host, path in (first, second):
        assert reach.add(Route(service="x", host=host, path=path), 1) == ""


HOSTS = st.sampled_from(["", "a.com", "b.a.com", "*.a.com", "*.com", "*.b.a.com", "c"])
PATHS = st.sampled_from(["/", "/v1", "/v1/", "/v1/a", "/v1/a/b", "/v10", "//", "/v1//a"])


@given(st.lists(st.tuples(HOSTS, PATHS), min_size=1, max_size=8), st.tuples(HOSTS, PATHS))
def test_the_router_agrees_on_what_is_never_reached(earlier: list[tuple[str, str]], last: tuple[str, str]) -> None:
    """A request made for exactly the last route reaches it if and only if the last route is not called hidden."""
    routes = [Route(service=str(place), host=host, path=path) for place, (host, path) in enumerate([*earlier, last])]
    reach = Reach()
    hidden = [reach.add(route, 1) for route in routes]
    services: dict[str, Any] = {route.service: route.service for route in routes}
    router = Router(routes, services)
    host = last[0].replace("*", "exactly-this") or "exactly-this-host"
    reached: object = router.match(host.encode(), last[1].encode())
    assert (reached != routes[-1].service) == bool(hidden[-1])

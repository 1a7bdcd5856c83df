"""What a route may say, and whether it can ever be reached: the first match wins, so an earlier one may take it all.

The rules mirror the data plane's router: hosts are compared in lower case, "*.suffix" takes any depth below the suffix,
paths match at segment boundaries and as they came. Cost: a look-up for each label and segment, whatever the number of
routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from fairlead.model import Route
from fairlead.yaml_nodes import quoted

_NAME: Final = re.compile(r"(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)
_IPV6: Final = re.compile(r"\[[0-9a-f:.]{2,45}\]", re.ASCII)
_PATH: Final = re.compile(r"/[!-\"$->@-~]*", re.ASCII)  # visible ASCII but "#" and "?"
_MAX_PATH: Final = 2048


def parse_host(text: str) -> str:
    """The canonical form of a host: exact, "*.suffix", or "" for any. Raises ValueError saying what is wrong."""
    host = text.lower()
    if not host or _IPV6.fullmatch(host):
        return host
    if host == "*":
        raise ValueError("is '*'; leave the host out to take any")
    if "://" in host or "/" in host:
        raise ValueError(f"is {quoted(text)}, which is more than a host; put the path into path:")
    name, colon, _ = host.partition(":")
    if colon:
        raise ValueError(f"is {quoted(text)}, with a port; write {quoted(name)}, ports are not compared")
    if host.endswith("."):
        raise ValueError(f"is {quoted(text)}; write it without the dot at its end")
    if len(host) > 255 or not _NAME.fullmatch(host):
        raise ValueError(f"is {quoted(text)}, and must be a name such as api.example.com or *.example.com")
    return host


def parse_path(text: str) -> str:
    """A path prefix. Raises ValueError saying what is wrong."""
    if not text.startswith("/"):
        raise ValueError(f"is {quoted(text)}, and must start with '/'; write {quoted('/' + text)}")
    if len(text) > _MAX_PATH or not _PATH.fullmatch(text):
        raise ValueError(f"is {quoted(text)}, and must be a path as clients send it: percent-encoded, no '?' or '#'")
    return text


class Reach:
    """The routes of a listener in their order, each with the line that it stands in."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], tuple[int, Route]] = {}

    def add(self, route: Route, line: int) -> str:
        """Add a route; says which earlier one takes all of its requests, or ""."""
        prefixes = list(_prefixes(route.path))
        for host in _hosts(route.host):
            for prefix in prefixes:
                if (host, prefix) in self._taken:
                    return _taken_by(*self._taken[host, prefix])
        self._taken[route.host, prefixes[-1]] = (line, route)
        return ""


def _taken_by(line: int, route: Route) -> str:
    what = f"host {route.host or '(any)'} and path {route.path}"
    return f"is never reached: the route in line {line} takes {what}; put this one before it or remove it"


def _hosts(host: str) -> Iterator[str]:
    """The hosts of routes that take every request of this one."""
    yield host
    rest = host.removeprefix("*.") if host.startswith("*.") else host
    while "." in rest and not rest.startswith("["):
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    yield ""


def _prefixes(path: str) -> Iterator[str]:
    prefix = ""
    yield prefix
    for segment in path.rstrip("/").split("/")[1:]:
        prefix = f"{prefix}/{segment}"
        yield prefix

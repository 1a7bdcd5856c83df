"""Host and path to a service: the first route of the configuration that matches wins.

A request costs a lookup for each segment of its path, whatever the number of routes: each host has a table from path
prefix to (place in the configuration, service), and the lowest place wins. Paths are compared as they came and are
forwarded as they came: nothing is decoded for one and not for the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fairlead.model import Route

if TYPE_CHECKING:
    from fairlead.dataplane.service import LiveService

_Table = dict[bytes, tuple[int, "LiveService"]]
_KNOWN_HOSTS = 1024  # spellings of hosts whose tables are remembered; clients choose them, so they are bounded


class Router:
    """Routes compiled into tables. `only` is the service when there is one route and it takes everything."""

    def __init__(self, routes: Sequence[Route], services: Mapping[str, LiveService]) -> None:
        self._tables: dict[bytes, _Table] = {}
        self._depth = 0
        for place, route in enumerate(routes):
            path = route.path.rstrip("/").encode()
            table = self._tables.setdefault(route.host.lower().encode(), {})
            table.setdefault(path, (place, services[route.service]))
            self._depth = max(self._depth, path.count(b"/"))
        self._known: dict[bytes, tuple[_Table, ...]] = {}
        self.only = None
        if len(routes) == 1 and not routes[0].host and self._depth == 0:
            self.only = services[routes[0].service]

    def match(self, host: bytes, target: bytes) -> LiveService | None:
        """The service for a request's host (with or without port) and target, or None."""
        if self.only is not None:
            return self.only
        tables = self._known.get(host)
        if tables is None:
            tables = self._tables_of(host)
            if len(self._known) >= _KNOWN_HOSTS:
                self._known.clear()
            self._known[host] = tables
        return self._search(tables, target.partition(b"?")[0])

    def _tables_of(self, host: bytes) -> tuple[_Table, ...]:
        """The tables whose host matches: exact, by suffix ("*.example.com" takes any depth), any."""
        name = host.lower()
        name = name.partition(b"]")[0] + b"]" if name.startswith(b"[") else name.partition(b":")[0]
        name = name.removesuffix(b".")
        found = [name]
        rest = name
        while b"." in rest:
            rest = rest.partition(b".")[2]
            found.append(b"*." + rest)
        found.append(b"")
        return tuple(self._tables[key] for key in found if key in self._tables)

    def _search(self, tables: tuple[_Table, ...], path: bytes) -> LiveService | None:
        best_place = -1
        best = None
        prefix = b""
        depth = 0
        end = 0
        while True:
            for table in tables:
                entry = table.get(prefix)
                if entry is not None and (best is None or entry[0] < best_place):
                    best_place, best = entry
            if end == len(path) or depth == self._depth:
                return best
            depth += 1
            end = path.find(b"/", end + 1)
            if end < 0:
                end = len(path)
            prefix = path[:end]

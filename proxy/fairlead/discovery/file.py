"""A file that lists the endpoints, followed as it changes: for whatever knows them and can write a file.

It holds a YAML (hence JSON) list of addresses, or of mappings with `address`, `weight` and `state`. A file that is
missing, broken or empty keeps the endpoints of its last good version, since a half-written file must not take a service
down; only an explicit `[]` means that there are none.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from fairlead.discovery.address import IsName, endpoint_address
from fairlead.discovery.changes import changes
from fairlead.discovery.seam import Found, LastGood
from fairlead.errors import ConfigError
from fairlead.fields import read_weight
from fairlead.model import Endpoint, State
from fairlead.yaml_nodes import Document, Value, quoted, read_text, suggest

_SCHEME: Final = "file:"
_ENTRY: Final = ("address", "weight", "state")
_STATES: Final = (State.READY, State.DRAINING, State.UNREADY)  # what ejects endpoints is the proxy, never a file


@final
@dataclass(frozen=True, slots=True)
class FileSource:
    """`path` is absolute."""

    path: Path
    weight: int = 1

    @property
    def text(self) -> str:
        return f"{_SCHEME}//{self.path}"

    async def watch(self) -> AsyncGenerator[Found, None]:
        """The endpoints after each change of the file that changed them."""
        memory = LastGood()
        async with aclosing(changes(self.path)) as changed:
            async for _ in changed:
                if found := self._look(memory):
                    yield found

    def _look(self, memory: LastGood) -> Found | None:
        try:
            endpoints = read_endpoints(read_text(self.path), self.path, self.weight)
        except ConfigError as error:
            more = len(error.problems) - 1
            return memory.update(None, error.problems[0] + (f" (and {more} more)" if more else ""))
        return memory.update(endpoints)


def read_endpoints(text: str, path: Path, weight: int) -> tuple[Endpoint, ...]:
    """The endpoints that a file's text lists; `weight` is of those without one. Raises ConfigError."""
    document = Document(str(path), "endpoints")
    found: dict[str, Endpoint] = {}
    root = document.root(text)
    if root.is_null:
        root.complain("is empty; write [] when there are none")
        document.check()
    for item in root.items():
        endpoint = _endpoint(item, path.parent, weight)
        if endpoint is not None and endpoint.address in found:
            item.complain(f"{endpoint.address} is listed twice; remove one, or give it a weight")
        elif endpoint is not None:
            found[endpoint.address] = endpoint
    document.check()
    return tuple(found.values())


def _endpoint(item: Value, base_dir: Path, weight: int) -> Endpoint | None:
    if not item.is_mapping:
        address = _address(item, base_dir)
        return Endpoint(address, weight) if address else None
    given = item.mapping(_ENTRY)
    if "address" not in given:
        item.complain("has no address; write {address: IP:PORT}")
        return None
    address = _address(given["address"], base_dir)
    weight = read_weight(given["weight"]) if "weight" in given else weight
    state = _state(given["state"]) if "state" in given else State.READY
    return Endpoint(address, weight, state) if address else None


def _address(value: Value, base_dir: Path) -> str | None:
    text = value.text()
    if text is None:
        return None
    try:
        return endpoint_address(text, base_dir)
    except IsName as error:
        value.complain(f"{error}; write its IP address")
        return None
    except ValueError as error:
        value.complain(str(error))
        return None


def _state(value: Value) -> State:
    text = value.text()
    if text is None:
        return State.READY
    for state in _STATES:
        if text == state.value:
            return state
    value.complain(f"is {quoted(text)}, which is no state; {suggest(text, [state.value for state in _STATES])}")
    return State.READY


def parse(text: str, weight: int, base_dir: Path) -> FileSource:
    """From "file:PATH" or "file://PATH", relative to `base_dir`. Raises ValueError saying what is wrong."""
    path = text[len(_SCHEME) :].removeprefix("//")
    if not path or path.endswith("/") or not path.isprintable():
        raise ValueError(f"{text!r} names no file; write {_SCHEME}endpoints.yaml or {_SCHEME}///etc/endpoints.yaml")
    return FileSource((base_dir / path).absolute(), weight)

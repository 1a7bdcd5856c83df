"""Fields of settings and their text form: the key of a field, what its value may look like, and how it is written.

Driven by the dataclasses alone, so that a new field of a group is read, shown and documented without a change here. A
float in seconds ends in `_s` and takes "250ms"; an int in bytes ends in `_bytes` and takes "32KiB"; `min` and `max` in
the metadata narrow what a number may be, `floor` does so but for 0; where `auto` is set, "auto" gives model.AUTO. Knows
no particular group.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, is_dataclass
from enum import Enum
from types import MappingProxyType, UnionType
from typing import Any, Final, Literal, TypeVar, final, get_args, get_origin, get_type_hints

from fairlead.model import AUTO
from fairlead.yaml_nodes import Value, quoted

_SECONDS: Final = "_s"
_BYTES: Final = "_bytes"
_AUTO: Final = "auto"
_NAME: Final = "name"  # a field of this name is the key under which the group stands
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?", re.ASCII)
_NUMBER: Final = re.compile(r"-?(\d{1,20}(\.\d{1,20})?|\.\d{1,20})(e[+-]?\d{1,3})?", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d{1,15}", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,15})\s*(B|KiB|MiB|GiB)?", re.ASCII)
_UNITS: Final[Mapping[str, int]] = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_TRUE: Final = ("true", "yes", "on")
_FALSE: Final = ("false", "no", "off")
_MAX_INT: Final = 2**31 - 1  # the data plane counts in C
_MAX_SECONDS: Final = 365 * 86400.0
_MAX_WEIGHT: Final = 65535

_T = TypeVar("_T")
Readers = Mapping[str, Callable[[Value], Any]]
_NO_READERS: Final[Readers] = MappingProxyType({})


@final
@dataclass(frozen=True, slots=True)
class Member:
    """A field as the file knows it. `default` is MISSING when it must be given."""

    name: str
    key: str
    type: Any
    default: Any
    doc: str
    least: float
    most: float
    floor: int  # 0 stands for no limit, and what lies between it and this serves nobody
    is_auto: bool

    @property
    def kind(self) -> str:
        """What a value of it is, in the words of the reference page."""
        if self.choices:
            return " or ".join(self.choices)
        if is_dataclass(self.type) or get_origin(self.type) is Mapping:
            return "mapping"
        if get_origin(self.type) is tuple:
            return "list"
        if self.type is float:
            number = "duration" if self.name.endswith(_SECONDS) else "number"
            return f"{number} or {_AUTO}" if self.is_auto else number
        if self.type is int:
            number = "size" if self.name.endswith(_BYTES) else "whole number"
            return f"{number} or {_AUTO}" if self.is_auto else number
        return "true or false" if self.type is bool else "text"

    @property
    def choices(self) -> tuple[str, ...]:
        """The only texts that it may be, if it is so narrow."""
        if get_origin(self.type) is Literal:
            return get_args(self.type)
        if isinstance(self.type, type) and issubclass(self.type, Enum):
            return tuple(str(choice.value) for choice in self.type)
        return ()


@functools.cache
def members(group: type) -> tuple[Member, ...]:
    """The fields of a group that have a key."""
    hints = get_type_hints(group)
    return tuple(_member(field, hints[field.name]) for field in dataclasses.fields(group) if field.name != _NAME)


def _member(field: dataclasses.Field[Any], hint: object) -> Member:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    if isinstance(hint, UnionType):  # a group or None
        hint = get_args(hint)[0]
    most = _MAX_SECONDS if field.name.endswith(_SECONDS) else _MAX_INT
    about = field.metadata
    return Member(
        name=field.name,
        key=about.get("key", field.name.removesuffix(_SECONDS)),
        type=hint,
        default=default,
        doc=about.get("doc", ""),
        least=about.get("min", 0),
        most=about.get("max", most),
        floor=about.get("floor", 0),
        is_auto=about.get("auto", False),
    )


def read_group(value: Value, group: type, readers: Readers = _NO_READERS) -> dict[str, Any]:
    """The fields that a mapping gives, by field name; what is wrong is complained of and left out.

    A field named in `readers` is read by that function, which gives None when it has complained.
    """
    known = {member.key: member for member in members(group)}
    given = {} if value.is_null else value.mapping(known)  # all of a section commented out is no section
    found = {}
    for key, inner in given.items():
        member = known[key]
        read = readers.get(member.name)
        result = read(inner) if read else read_member(inner, member)
        if result is not None:
            found[member.name] = result
    for member in known.values():
        if member.default is MISSING and member.key not in given and (value.is_mapping or value.is_null):
            value.complain(f"has no {member.key!r}; add {member.key}: ...")
    return found


def build(group: type[_T], found: Mapping[str, Any], **given: object) -> _T | None:
    """The group, or None when a field is missing that has no default: that has been complained of."""
    hashable: type = group  # mypy does not know that a type of anything is hashable
    complete = all(member.default is not MISSING or member.name in found for member in members(hashable))
    return group(**found, **given) if complete else None


def read_member(value: Value, member: Member) -> object:
    """A field's value, or None after complaining."""
    if is_dataclass(member.type) and isinstance(member.type, type):
        return build(member.type, read_group(value, member.type))
    text = value.text()
    if text is None:
        return None
    try:
        return parse_member(text, member)
    except ValueError as error:
        value.complain(str(error))
        return None


def parse_member(text: str, member: Member) -> object:
    """The value that a text means for this field. Raises ValueError saying what is wrong."""
    if member.choices:
        if text not in member.choices:
            raise ValueError(f"is {quoted(text)}, and must be {member.kind}")
        return member.type(text) if isinstance(member.type, type) else text
    if member.type is bool:
        if text not in _TRUE + _FALSE:
            raise ValueError(f"is {quoted(text)}, and must be true or false")
        return text in _TRUE
    if member.is_auto and text == _AUTO:
        return AUTO
    if member.type is float:
        if member.is_auto and text == _AUTO:
            return float(AUTO)
        number = _duration(text) if member.name.endswith(_SECONDS) else _number(text)
        return _within(number, member.least, member.most)
    if member.type is int:
        return _whole(text, member)
    return text


def _whole(text: str, member: Member) -> int:
    whole = int(_within(_size(text) if member.name.endswith(_BYTES) else integer(text), member.least, member.most))
    if 0 < whole < member.floor:
        raise ValueError(f"is {whole}, too little for anything; set at least {member.floor}, or 0 for no limit")
    return whole


def integer(text: str) -> int:
    """A whole number. Raises ValueError saying what is wrong."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"is {quoted(text)}, and must be a whole number")
    return int(text)


def read_weight(value: Value) -> int:
    """An endpoint's weight, or 1 after complaining."""
    text = value.text()
    if text is not None:
        try:
            return int(_within(integer(text), 1, _MAX_WEIGHT))
        except ValueError as error:
            value.complain(str(error))
    return 1


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"is {quoted(text)}, and must be a number")
    return float(text)


def _duration(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    parts = _DURATION.fullmatch(text)
    if not text or parts is None or len(text) > 40:
        raise ValueError(f"is {quoted(text)}, and must be a duration: seconds, or such as 250ms, 5s, 1m30s or 1h")
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in parts.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _size(text: str) -> int:
    parts = _SIZE.fullmatch(text)
    if parts is None:
        raise ValueError(f"is {quoted(text)}, and must be a size: bytes, or such as 32KiB, 1MiB or 1GiB")
    return int(parts[1]) * _UNITS[parts[2] or ""]


def _within(number: float, least: float, most: float) -> float:
    if not least <= number <= most:
        raise ValueError(f"is {number:g}, and must be from {least:g} to {most:.10g}")
    return number


def to_plain(group: object) -> dict[str, Any]:
    """A group in the shape and with the keys of the file, durations in seconds and sizes in bytes."""
    kind: type = type(group)
    plain = {member.key: _plain(getattr(group, member.name)) for member in members(kind)}
    return plain | {member.key: _AUTO for member in members(kind) if member.is_auto and plain[member.key] == AUTO}


def _plain(value: object) -> object:
    if is_dataclass(value):
        return to_plain(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def checked(value: Value, parse: Callable[[str], _T]) -> _T | None:
    """What `parse` makes of a text; a ValueError that it raises becomes the complaint."""
    text = value.text()
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        value.complain(str(error))
        return None

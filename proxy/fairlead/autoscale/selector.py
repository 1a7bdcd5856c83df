"""Label selectors as the Kubernetes API reads them: equality (`a=b`, `a!=b`) and sets (`a in (b,c)`, `a`, `!a`).

Owns the grammar and its refusals. Pure. Invariant: a Selector that exists has valid keys and values, and selects the
labels that an API server would select: `!=` and `notin` hold for an absent key, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

_TOKEN: Final = re.compile(r"\s*(==|!=|=|!|,|\(|\)|<|>|[^\s=!,()<>]+)", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_DOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_LONGEST_DOMAIN: Final = 253
_LONGEST: Final = 4096
_MARKS: Final = frozenset(("==", "!=", "=", "!", ",", "(", ")", "<", ">"))
_END: Final = ""
_SPACE: Final = " \t\n\r\f\v"


class Operator(StrEnum):
    """How a key is compared."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "!"
    GREATER = ">"
    LESS = "<"


@final
@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition; all of a selector must hold."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.ABSENT:
                return value is None
        if value is None or not _INTEGER.fullmatch(value):
            return False
        is_more = int(value) > int(self.values[0])
        return is_more if self.operator is Operator.GREATER else int(value) < int(self.values[0])


@final
@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements together; without any it selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse(text: str) -> Selector:
    """The selector that a text means. Raises ValueError, in the words of an API server, when it means none."""
    if len(text) > _LONGEST:
        raise ValueError(f"unable to parse requirement: longer than {_LONGEST} characters")
    reading = _Reading(text)
    requirements = []
    while reading.peek() != _END:
        requirements.append(_requirement(reading))
        if reading.peek() == _END:
            break
        reading.expect(",", "',' or end of string")
        if reading.peek() == _END:
            raise reading.refuse("identifier after ','")
    return Selector(tuple(requirements))


def _requirement(reading: _Reading) -> Requirement:
    if reading.peek() == "!":
        reading.take()
        return Requirement(_key(reading), Operator.ABSENT)
    key = _key(reading)
    operator = reading.peek()
    if operator in (_END, ","):
        return Requirement(key, Operator.EXISTS)
    reading.take()
    match operator:
        case "=" | "==":
            return Requirement(key, Operator.IN, (_value(reading),))
        case "!=":
            return Requirement(key, Operator.NOT_IN, (_value(reading),))
        case "in" | "notin":
            return Requirement(key, Operator(operator), _values(reading))
        case "<" | ">":
            return Requirement(key, Operator(operator), (_number(reading),))
    raise ValueError(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")


def _key(reading: _Reading) -> str:
    key = reading.word("identifier")
    domain, slash, name = key.rpartition("/")
    is_good = _NAME.fullmatch(name) and (not slash or (_DOMAIN.fullmatch(domain) and len(domain) <= _LONGEST_DOMAIN))
    if not is_good:
        raise ValueError(f"unable to parse requirement: {key[:100]!r} is no label key")
    return key


def _value(reading: _Reading) -> str:
    """A value, which may be empty: `a=` and `a=,b` say so."""
    if reading.peek() in (_END, ","):
        return ""
    return _checked(reading.word("identifier"))


def _values(reading: _Reading) -> tuple[str, ...]:
    reading.expect("(", "'('")
    values = []
    while True:
        values.append("" if reading.peek() in (",", ")") else _checked(reading.word("',', ')' or identifier")))
        if reading.peek() == ")":
            reading.take()
            return tuple(dict.fromkeys(values))
        reading.expect(",", "',' or ')'")


def _number(reading: _Reading) -> str:
    text = reading.word("an integer")
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"unable to parse requirement: found '{text[:100]}', expected: an integer")
    return text


def _checked(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"unable to parse requirement: {value[:100]!r} is no label value")
    return value


class _Reading:
    """The tokens of a text, and where the reading is."""

    def __init__(self, text: str) -> None:
        self._tokens = [match[1] for match in _TOKEN.finditer(text.strip(_SPACE))]
        self._next = 0

    def peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def take(self) -> str:
        token = self.peek()
        self._next += 1
        return token

    def expect(self, token: str, what: str) -> None:
        if self.peek() != token:
            raise self.refuse(what)
        self.take()

    def word(self, what: str) -> str:
        if self.peek() in _MARKS or self.peek() == _END:
            raise self.refuse(what)
        return self.take()

    def refuse(self, what: str) -> ValueError:
        return ValueError(f"unable to parse requirement: found '{self.peek()}', expected: {what}")

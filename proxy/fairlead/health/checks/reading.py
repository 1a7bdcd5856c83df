"""The `checks` of a service in a configuration document, to their settings: what a field may say, for which kind.

Never touches files or the network, so that checking a configuration is the same reading as starting with it. As in
reader.py, None means that it has complained; a key that is given as its default is as good as not given, because what
is in effect is shown with every default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from fairlead.fields import build, checked, members, read_group
from fairlead.health.checks.settings import CheckSettings
from fairlead.health.checks.texts import status_range, unescaped
from fairlead.yaml_nodes import Value, quoted

_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "path": ("http",),
    "method": ("http",),
    "host": ("http", "grpc"),
    "headers": ("http",),
    "status": ("http",),
    "body": ("http",),
    "send": ("tcp",),
    "expect": ("tcp",),
    "grpc_service": ("grpc",),
}  # which keys are for which kinds; those that are not here are for all
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)  # RFC 9110 5.6.2
_PATH: Final = re.compile(r"/[!-~]{0,2047}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._~-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?", re.ASCII)
_FIELD: Final = re.compile(r"[ -~]{0,1024}", re.ASCII)
_OWN: Final = frozenset(("host", "connection", "content-length", "transfer-encoding", "te", "expect", "upgrade"))
_MOST_TEXT: Final = 4096

_T = TypeVar("_T")


def read_checks(value: Value) -> CheckSettings | None:
    """None, without a complaint, when nothing is written there."""
    if value.is_null:
        return None
    readers: dict[str, Callable[[Value], object]] = {
        "path": lambda inner: checked(inner, _path),
        "host": lambda inner: checked(inner, _host),
        "headers": _headers,
        "status": _statuses,
        "body": lambda inner: checked(inner, _escaped),
        "send": lambda inner: checked(inner, _escaped),
        "expect": lambda inner: checked(inner, _escaped),
        "grpc_service": lambda inner: checked(inner, _short),
    }
    settings = build(CheckSettings, read_group(value, CheckSettings, readers))
    if settings is not None and value.is_mapping:
        _check_kind(value, settings)
    return settings


def _check_kind(value: Value, settings: CheckSettings) -> None:
    """What is given must have a meaning for the kind of check that it is."""
    given = value.mapping()
    for member in members(CheckSettings):
        kinds = _KINDS.get(member.name, (settings.kind,))
        if settings.kind not in kinds and getattr(settings, member.name) != member.default:
            given[member.key].complain(f"is for kind: {' or '.join(kinds)}, and this is {settings.kind}; remove it")
    if settings.kind == "http" and settings.method == "HEAD" and settings.body:
        given["body"].complain("cannot be seen with method: HEAD, whose reply has none; use GET")


def _headers(value: Value) -> dict[str, str]:
    found = {}
    for name, inner in value.mapping().items():
        text = checked(inner, _field)
        if not _TOKEN.fullmatch(name):
            inner.complain(f"is given for {quoted(name)}, which is no name of a header field")
        elif name.lower() in _OWN:
            own = "; use host" if name.lower() == "host" else ""
            inner.complain(f"is given for {name}, which a check sets by itself{own}")
        elif text is not None:
            found[name] = text
    return found


def _statuses(value: Value) -> tuple[str, ...] | None:
    if value.is_list and not value.items():
        value.complain("is empty; list at least one, such as 200-399")
        return None
    read = [checked(item, _status) for item in (value.items() if value.is_list else [value])]
    return tuple(text for text in read if text is not None)


def _status(text: str) -> str:
    status_range(text)
    return text


def _path(text: str) -> str:
    if not _PATH.fullmatch(text) or "#" in text:
        raise ValueError(f"is {quoted(text)}, and must start with / and hold neither blanks nor #; escape them as %20")
    return text


def _host(text: str) -> str:
    if text and not _HOST.fullmatch(text):
        raise ValueError(f"is {quoted(text)}, and must be a host, with a port or without")
    return text


def _field(text: str) -> str:
    if not _FIELD.fullmatch(text) or text != text.strip():
        raise ValueError(f"is {quoted(text)}, and must be visible ASCII of at most 1024 characters")
    return text


def _escaped(text: str) -> str:
    unescaped(text)
    return _short(text)


def _short(text: str) -> str:
    if len(text) > _MOST_TEXT:
        raise ValueError(f"has {len(text)} characters, and may have {_MOST_TEXT}")
    return text

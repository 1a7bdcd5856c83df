"""Who is asking: the user that the aggregation layer vouches for with its own client certificate.

Pure. The certificate has been verified against the authority that may vouch (server.py); here its name is checked, and
the headers are read that are worth nothing without it. Never believes a header of anybody else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final
from urllib.parse import unquote

AUTHENTICATED: Final = "system:authenticated"
_CONFIGMAP_CA: Final = "requestheader-client-ca-file"


@final
@dataclass(frozen=True, slots=True)
class User:
    """As an access review takes it."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to believe: the authority (PEM), the common names that may vouch, and the headers that they use."""

    ca: str
    names: tuple[str, ...] = ()  # all that the authority signed, if none
    user_headers: tuple[str, ...] = ("X-Remote-User",)
    uid_headers: tuple[str, ...] = ("X-Remote-Uid",)
    group_headers: tuple[str, ...] = ("X-Remote-Group",)
    extra_prefixes: tuple[str, ...] = ("X-Remote-Extra-",)


def trust_of(data: Mapping[str, str]) -> Trust:
    """What the configmap extension-apiserver-authentication says. Raises ValueError when it does not say it."""
    if not data.get(_CONFIGMAP_CA):
        raise ValueError(f"it has no {_CONFIGMAP_CA}: the API server is not set up to aggregate other APIs")
    found = Trust(
        ca=data[_CONFIGMAP_CA],
        names=_list(data, "requestheader-allowed-names"),
        user_headers=_list(data, "requestheader-username-headers"),
        uid_headers=_list(data, "requestheader-uid-headers") or ("X-Remote-Uid",),
        group_headers=_list(data, "requestheader-group-headers"),
        extra_prefixes=_list(data, "requestheader-extra-headers-prefix"),
    )
    if not found.user_headers:
        raise ValueError("it has no requestheader-username-headers")
    return found


def caller(certificate: Mapping[str, Any] | None, headers: Iterable[tuple[str, str]], trust: Trust) -> User | None:
    """The user, or None for a caller who is nobody. `certificate` as ssl's getpeercert gives a verified one."""
    if not certificate:
        return None
    names = _common_names(certificate)
    if trust.names and not set(trust.names) & set(names[-1:]):
        return None
    fields = [(name.lower(), value) for name, value in headers]
    user = next(iter(_values(fields, trust.user_headers)), "")
    if not user:
        return None
    groups = dict.fromkeys(_values(fields, trust.group_headers))
    return User(
        name=user,
        uid=next(iter(_values(fields, trust.uid_headers)), ""),
        groups=tuple(dict.fromkeys([*groups, AUTHENTICATED])),
        extra=_extra(fields, trust.extra_prefixes),
    )


def _common_names(certificate: Mapping[str, Any]) -> list[str]:
    subject: Sequence[Sequence[tuple[str, str]]] = certificate.get("subject", ())
    return [value for part in subject for key, value in part if key == "commonName"]


def _values(fields: Sequence[tuple[str, str]], names: Sequence[str]) -> list[str]:
    """Of the first of these headers that is there."""
    for name in names:
        if found := [value for key, value in fields if key == name.lower() and value]:
            return found
    return []


def _extra(fields: Sequence[tuple[str, str]], prefixes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    extra: dict[str, tuple[str, ...]] = {}
    for prefix in map(str.lower, prefixes):
        for name, value in fields:
            if name.startswith(prefix):
                key = unquote(name.removeprefix(prefix))
                extra[key] = (*extra.get(key, ()), value)
    return extra


def _list(data: Mapping[str, str], key: str) -> tuple[str, ...]:
    try:
        found = json.loads(data.get(key, "[]") or "[]")
    except ValueError as error:
        raise ValueError(f"its {key} is no JSON") from error
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError(f"its {key} is no list of texts")
    return tuple(found)

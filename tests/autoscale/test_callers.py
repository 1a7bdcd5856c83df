"""Who is believed to ask, and what the cluster says about that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fairlead.autoscale.access import Remembered
from fairlead.autoscale.callers import Trust, User, caller, trust_of
from fairlead.autoscale.pods import Unavailable
from fairlead.autoscale.requests import Attributes

FRONT_PROXY: dict[str, Any] = {"subject": ((("organizationName", "x"),), (("commonName", "front-proxy-client"),))}
TRUST = Trust(ca="PEM", names=("front-proxy-client",))
CONFIGMAP = {
    "requestheader-allowed-names": '["front-proxy-client"]',
    "requestheader-client-ca-file": "PEM",
    "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    "requestheader-group-headers": '["X-Remote-Group"]',
    "requestheader-username-headers": '["X-Remote-User"]',
}


def test_the_headers_of_the_front_proxy_name_the_user() -> None:
    headers = [
        ("X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id", "JTI=1"),
        ("X-Remote-Group", "system:serviceaccounts"),
        ("x-remote-group", "system:authenticated"),
        ("X-Remote-Uid", "4c22"),
        ("X-Remote-User", "hpa"),
    ]
    assert caller(FRONT_PROXY, headers, TRUST) == User(
        "hpa",
        "4c22",
        ("system:serviceaccounts", "system:authenticated"),
        {"authentication.kubernetes.io/credential-id": ("JTI=1",)},
    )


def test_whoever_is_vouched_for_is_authenticated() -> None:
    """The aggregator asks for discovery without a group, and a Role is bound to this one."""
    user = caller(FRONT_PROXY, [("X-Remote-User", "system:kube-aggregator")], TRUST)
    assert user is not None
    assert user.groups == ("system:authenticated",)


@pytest.mark.parametrize(
    ("certificate", "headers"),
    [
        (None, [("X-Remote-User", "hpa")]),
        ({}, [("X-Remote-User", "hpa")]),
        ({"subject": ((("commonName", "somebody"),),)}, [("X-Remote-User", "hpa")]),
        ({"subject": ((("organizationName", "front-proxy-client"),),)}, [("X-Remote-User", "hpa")]),
        (FRONT_PROXY, []),
        (FRONT_PROXY, [("X-Remote-User", "")]),
        (FRONT_PROXY, [("X-Remote-Group", "system:masters")]),
    ],
)
def test_all_others_are_nobody(certificate: dict[str, Any] | None, headers: list[tuple[str, str]]) -> None:
    assert caller(certificate, headers, TRUST) is None


def test_without_allowed_names_the_authority_is_enough() -> None:
    certificate = {"subject": ((("commonName", "somebody"),),)}
    assert caller(certificate, [("X-Remote-User", "hpa")], Trust(ca="PEM")) is not None


def test_the_configmap_is_read() -> None:
    assert trust_of(CONFIGMAP) == TRUST
    assert trust_of({**CONFIGMAP, "requestheader-uid-headers": '["X-Uid"]'}).uid_headers == ("X-Uid",)


@pytest.mark.parametrize(
    "change",
    [
        {"requestheader-client-ca-file": ""},
        {"requestheader-username-headers": "[]"},
        {"requestheader-allowed-names": "front-proxy-client"},
        {"requestheader-allowed-names": json.dumps({"a": 1})},
        {"requestheader-group-headers": "[1]"},
    ],
)
def test_a_configmap_that_does_not_say_it_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="it"):
        trust_of({**CONFIGMAP, **change})


class Asked:
    """An authorizer that counts, and says what a test wants."""

    def __init__(self) -> None:
        self.count = 0
        self.answer: bool | Unavailable = True

    async def allows(self, user: User, asked: Attributes) -> bool:
        self.count += 1
        if isinstance(self.answer, Unavailable):
            raise self.answer
        return self.answer


GET = Attributes(verb="get", path="/apis")


async def test_an_answer_is_remembered_for_ten_seconds_either_way() -> None:
    now = [0.0]
    inner = Asked()
    remembered = Remembered(inner, lambda: now[0])
    user = User("hpa", extra={"a": ("b",)})
    assert [await remembered.allows(user, GET) for _ in range(3)] == [True] * 3
    inner.answer = False
    now[0] = 9.9
    assert await remembered.allows(user, GET)
    assert not await remembered.allows(User("hpa", extra={"a": ("c",)}), GET), "another credential"
    now[0] = 10.0
    assert not await remembered.allows(user, GET)
    assert inner.count == 3


async def test_the_masters_need_not_be_asked_about() -> None:
    inner = Asked()
    inner.answer = Unavailable("down")
    assert await Remembered(inner, lambda: 0.0).allows(User("system:kube-aggregator", groups=("system:masters",)), GET)


async def test_a_failure_to_ask_is_not_remembered() -> None:
    inner = Asked()
    remembered = Remembered(inner, lambda: 0.0)
    inner.answer = Unavailable("down")
    with pytest.raises(Unavailable):
        await remembered.allows(User("hpa"), GET)
    inner.answer = True
    assert await remembered.allows(User("hpa"), GET)


async def test_what_is_remembered_is_bounded() -> None:
    inner = Asked()
    remembered = Remembered(inner, lambda: 0.0)
    for number in range(1200):
        await remembered.allows(User(str(number)), GET)
    await remembered.allows(User("1199"), GET)
    assert inner.count == 1200
    await remembered.allows(User("0"), GET)
    assert inner.count == 1201

"""The cases of the folder h1cases: HTTP/1.1 messages that other projects wrote, and what a proxy may do with each.

Read where they are: beside the project, or where FAIRLEAD_H1CASES says. Never copied into it.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_BESIDE: Final = Path(__file__).resolve().parents[3] / "shared" / "h1cases"

# How the sources speak. "Ambiguous" is not among them: there a guard leaves it to its user.
_TAKEN: Final = ("parses", "Compliant", "Acceptable", "accepted")
_REFUSED: Final = ("error", "raises", "Severe", "NoMoreData", "ChunkMissingTerminator", "truncated", "502", "no last")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One message. See the folder's README.md for what the fields mean."""

    number: int
    name: str
    is_reply: bool
    data: bytes
    expectation: str
    floor: str  # the least that the RFCs ask for
    may_begin: bool  # it may be found bad after its head has gone on
    is_incomplete: bool
    most: int  # requests that it may be taken for
    most_by_rfc: int
    source_says: str  # what the source does with it, in its own words
    anchors: int  # how many of the three proxies that it was tried with pass it
    method: str  # of the request that a reply answers
    then_close: bool

    @property
    def source_takes_it(self) -> bool | None:
        """Whether the source takes the message for a good one; None when it only has doubts."""
        if self.source_says.startswith(_TAKEN):
            return True
        return False if self.source_says.startswith(_REFUSED) else None


def folder() -> Path | None:
    """Where the cases are, if they are anywhere."""
    given = os.environ.get("FAIRLEAD_H1CASES")
    place = Path(given) if given else _BESIDE
    return place if (place / "cases.json").is_file() else None


def load() -> list[Case]:
    """All cases; none where there is no such folder."""
    place = folder()
    if place is None:
        return []
    return [_case(number, each) for number, each in enumerate(json.loads((place / "cases.json").read_text())["cases"])]


def _case(number: int, given: dict[str, Any]) -> Case:
    most = given.get("max_upstream", 1)
    return Case(
        number=number,
        name=given["name"],
        is_reply=given["kind"] == "response",
        data=base64.b64decode(given["bytes_b64"]),
        expectation=given["expectation"],
        floor=given.get("rfc_min", given["expectation"]),
        may_begin=given["stage"] == "body",
        is_incomplete=bool(given.get("incomplete")),
        most=most,
        most_by_rfc=given.get("rfc_max_upstream", max(1, most)),
        source_says=given["source_expectation"],
        anchors=given["anchors_ok"],
        method=given.get("request_method", ""),
        then_close=given.get("upstream_then") == "close",
    )

"""The reference page: current, complete, and right in what it shows."""

from dataclasses import dataclass, field
from pathlib import Path

from fairlead.autoscale.settings import Described, MetricsApi
from fairlead.config import parse
from fairlead.discovery import SOURCES
from fairlead.fields import members
from fairlead.model import Listener, ListenerLimits, ListenerTimeouts, Route, ServiceLimits, ServiceTimeouts
from fairlead.reference import EXAMPLE, _section, reference
from fairlead.settings import AccessLog, Admin, Drain, Kubernetes, ServiceSettings, Settings

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
GROUPS = [Settings, Listener, Route, ListenerTimeouts, ListenerLimits, ServiceSettings, ServiceTimeouts, ServiceLimits]
GROUPS += [Admin, Kubernetes, Drain, AccessLog, MetricsApi, Described]


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == reference(), "run: PYTHONPATH=proxy python -m fairlead.config > docs/configuration.md"


def test_the_example_is_a_configuration() -> None:
    assert set(parse(EXAMPLE, "example", Path("/")).services) == {"api", "shop", "cache"}


def test_every_key_has_a_row_with_a_meaning() -> None:
    rows = [line.split(" | ") for line in reference().splitlines() if line.startswith("| `")]
    meanings = {row[0].strip("| `") for row in rows if row[-1].strip(" |")}
    for group in GROUPS:
        assert {member.key for member in members(group)} <= meanings


def test_every_source_is_explained() -> None:
    for scheme in SOURCES:
        assert not scheme or f"| `{scheme}:" in reference()
    assert "| |" not in reference()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A group."""

    must: str = field(metadata={"doc": "needed"})
    wait_s: float = field(default=0.25, metadata={"doc": "a"})
    long_s: float = field(default=90.0, metadata={"doc": "b"})
    never_s: float = field(default=0.0, metadata={"doc": "c"})
    room_bytes: int = field(default=1000, metadata={"doc": "d"})
    big_bytes: int = field(default=1 << 20, metadata={"doc": "e"})
    count: int = field(default=7, metadata={"doc": "f"})
    is_on: bool = field(default=True, metadata={"doc": "g"})
    share: float = field(default=0.5, metadata={"doc": "h"})


def test_a_row_shows_type_default_and_sentence() -> None:
    assert (
        _section("sample", Sample, "More.")
        == """\
## sample

A group.

| key | value | default | meaning |
|---|---|---|---|
| `must` | text | **required** | needed |
| `wait` | duration | `250ms` | a |
| `long` | duration | `90s` | b |
| `never` | duration | `0` | c |
| `room_bytes` | size | `1000` | d |
| `big_bytes` | size | `1MiB` | e |
| `count` | whole number | `7` | f |
| `is_on` | true or false | `true` | g |
| `share` | number | `0.5` | h |

More.
"""
    )

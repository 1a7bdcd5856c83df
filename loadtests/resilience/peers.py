"""The proxies, each with what its documentation advises against endpoints that fail; Fairlead as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtests.compare.peers.envoy import Envoy
from loadtests.compare.peers.fairlead import Fairlead
from loadtests.compare.peers.haproxy import HAProxy
from loadtests.compare.peers.seam import Peer, Place, fill

_HERE: Final = Path(__file__).parent
_TEMPLATES: Final = {"fairlead": "fairlead.yaml", "haproxy": "haproxy.cfg", "envoy": "envoy.yaml"}
PEERS: Final[tuple[Peer, ...]] = (Fairlead(), HAProxy(), Envoy())


def command(peer: Peer, place: Place, endpoints: Sequence[int]) -> Sequence[str]:
    """How the peer is started in the foreground. Its configuration takes the place of the one that it compares with."""
    words = peer.command(place)
    path = place.directory / _TEMPLATES[peer.name]
    text = _HERE.joinpath(path.name).read_text()
    if len(endpoints) < 3:  # a line that names an endpoint that is not there goes
        text = "".join(line for line in text.splitlines(keepends=True) if "@UP3@" not in line)
    path.write_text(fill(text, place, {f"UP{i}": str(port) for i, port in enumerate(endpoints, 1)}))
    return words

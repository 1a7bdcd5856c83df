"""The proxies that are compared, by name. A new one is a class like these and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loadtests.compare.peers.envoy import Envoy
from loadtests.compare.peers.fairlead import Fairlead
from loadtests.compare.peers.haproxy import HAProxy
from loadtests.compare.peers.nginx import Nginx
from loadtests.compare.peers.seam import Peer, Place

__all__ = ["PEERS", "Peer", "Place"]

PEERS: Final[Mapping[str, Peer]] = {peer.name: peer for peer in (Fairlead(), Nginx(), HAProxy(), Envoy())}

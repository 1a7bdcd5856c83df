"""What the metrics API shows and whom it trusts: read from files or the cluster, and read again when they change.

Owns the last good certificate and the last good authority. Invariant: whatever is wrong with what is read later, what
was good stays in force, and the log says once what is wrong.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Final, final

from fairlead.autoscale import certificates
from fairlead.autoscale.callers import Trust
from fairlead.autoscale.certificates import Identity
from fairlead.autoscale.cluster import Cluster
from fairlead.autoscale.pods import Unavailable
from fairlead.autoscale.settings import MetricsApi
from fairlead.discovery.changes import changes
from fairlead.errors import ConfigError

_LOG: Final = logging.getLogger("fairlead.autoscale")
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
_AGAIN_S: Final = 60.0  # an authority is replaced once in years, and announced before it signs
_RETRY_S: Final = 5.0

Apply = Callable[[ssl.SSLContext, Trust], None]


@final
class Credentials:
    """Those of one configuration. Raises ConfigError when the files cannot be used, or no certificate be made."""

    def __init__(self, api: MetricsApi) -> None:
        self._api = api
        self._told = ""
        self._identity: Identity | None = None
        self.trust = Trust(ca="", names=api.client_names)
        try:
            self._identity = self._read_identity()
            self.trust = self._read_trust()
            self.context = certificates.context(self._identity, self.trust.ca)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError([f"metrics_api: {error}"]) from error

    async def follow(self, apply: Apply, cluster: Cluster | None) -> None:
        """Call `apply` with what is good, now and after each change. Without a `client_ca` the cluster is asked."""
        apply(self.context, self.trust)
        async with asyncio.TaskGroup() as group:
            for path in {self._api.certificate, self._api.key, self._api.client_ca} - {""}:
                group.create_task(self._follow_file(Path(path), apply))
            if not self._api.client_ca and cluster is not None:
                group.create_task(self._follow_cluster(cluster, apply))

    async def _follow_file(self, path: Path, apply: Apply) -> None:
        async with aclosing(changes(path)) as moments:
            async for _ in moments:
                try:
                    self._use(self._read_identity(), self._read_trust(), apply)
                except (OSError, ValueError) as error:
                    self._tell(f"what was good stays in force: {error}")

    async def _follow_cluster(self, cluster: Cluster, apply: Apply) -> None:
        while True:
            wait_s = _AGAIN_S
            try:
                self._use(self._read_identity(), await cluster.trust(), apply)
            except (Unavailable, OSError, ValueError) as error:
                self._tell(str(error))
                wait_s = _AGAIN_S if self.trust.ca else _RETRY_S
            await asyncio.sleep(wait_s)

    def _use(self, identity: Identity, trust: Trust, apply: Apply) -> None:
        self._told = ""
        if identity != self._identity or trust != self.trust:
            self.context = certificates.context(identity, trust.ca)
            self._identity, self.trust = identity, trust
            apply(self.context, trust)
            _LOG.info("metrics API: its certificate, or whom it trusts, is new")

    def _read_identity(self) -> Identity:
        if not self._api.certificate:
            return self._identity or certificates.made(self._api.server_names)
        return Identity(Path(self._api.certificate).read_bytes(), Path(self._api.key).read_bytes())

    def _read_trust(self) -> Trust:
        if not self._api.client_ca:
            return self.trust
        ca = Path(self._api.client_ca).read_text("ascii")
        if _CERTIFICATE not in ca:
            raise ValueError(f"{self._api.client_ca} has no certificate in it")
        return replace(self.trust, ca=ca)

    def _tell(self, problem: str) -> None:
        if problem != self._told:
            self._told = problem
            _LOG.warning("metrics API: %s", problem)

"""A metrics API server over TLS, with one Service behind it that gets 200 requests a second from three pods."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from types import TracebackType

from autoscale import recorded
from autoscale.authority import CLIENT, SERVER, SERVER_NAME, Authority
from autoscale.recorded import Connection
from fairlead.autoscale import certificates
from fairlead.autoscale.answers import Answers
from fairlead.autoscale.callers import Trust, User
from fairlead.autoscale.certificates import Identity
from fairlead.autoscale.objects import objects
from fairlead.autoscale.pods import Pod, Unavailable
from fairlead.autoscale.replicas import Alone
from fairlead.autoscale.requests import Attributes
from fairlead.autoscale.samples import Sample, ServiceSample, Tally
from fairlead.autoscale.selector import Selector
from fairlead.autoscale.server import Server
from fairlead.autoscale.window import Window
from fairlead.control.sockets import open_listening

NAMESPACE, SERVICE = "hpa-b", "my-app"
PODS = {f"my-app-{number}": f"10.0.0.{number}" for number in range(1, 4)}
TRUST = ("front-proxy-client",)


class Decisions:
    """An authorizer that says what a test wants, and knows what it was asked."""

    def __init__(self) -> None:
        self.answer: bool | Unavailable | Exception = True
        self.asked: list[tuple[User, Attributes]] = []

    async def allows(self, user: User, asked: Attributes) -> bool:
        self.asked.append((user, asked))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class KnownPods:
    """All pods of the namespace are the app's, whatever the selector."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def select(self, namespace: str, selector: Selector, text: str) -> list[Pod]:
        self.asked.append((namespace, text))
        return [Pod(name, frozenset({address})) for name, address in PODS.items()]


class Serving:
    """To be entered. The server's certificate is signed by `authority`, callers' by `front_proxy`."""

    def __init__(self, folder: Path, front_proxy: Authority) -> None:
        self.authority = Authority(folder, "serving-ca")
        self.front_proxy = front_proxy
        self.decisions = Decisions()
        self.pods = KnownPods()
        self.server = Server(self._answers, self.decisions)
        self.port = 0
        pair = self.authority.sign(SERVER_NAME, SERVER)
        self._identity = Identity(pair.certificate.read_bytes(), pair.key.read_bytes())
        self._client = front_proxy.sign("front-proxy-client", CLIENT)
        self._open: list[Connection] = []
        self._window = _traffic(time.time())

    async def __aenter__(self) -> Serving:
        listening = open_listening("127.0.0.1:0", 1)[0]
        self.port = listening.getsockname()[1]
        context = self.secure(self.front_proxy)
        await self.server.start(listening, context)
        return self

    def secure(self, front_proxy: Authority) -> ssl.SSLContext:
        """Trust this authority from now on."""
        ca = front_proxy.ca.read_text()
        context = certificates.context(self._identity, ca)
        self.server.secure(context, Trust(ca=ca, names=TRUST))
        return context

    async def connect(self) -> Connection:
        """As the aggregation layer does: with its client certificate, checking ours."""
        return await self.connect_with(self._client.client(self.authority.ca))

    async def connect_with(self, context: ssl.SSLContext) -> Connection:
        self._open.append(await recorded.connect(self.port, context))
        return self._open[-1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._open:
            await connection.close()
        await self.server.stop()

    def _answers(self) -> Answers:
        known = objects({"shop": (f"k8s://{NAMESPACE}/{SERVICE}:http",)}, {})
        return Answers(Alone(self._window), known, self.pods, hold_s=300.0)


def _traffic(now: float) -> Window:
    """200 requests a second for 30 seconds up to now, 5 % of them errors, from 20 ms to 200 ms."""
    window = Window(30.0)
    for second in range(31):
        requests = 200 * second
        each = Tally(requests // 3, requests // 60, 4 * second)
        total = Tally(requests, requests // 20, 12 * second)
        counts = {200: requests // 2, 220: requests // 2}
        endpoints = {f"{address}:8080": each for address in PODS.values()}
        sample = ServiceSample(total=total, counts=counts, sum_us=requests * 60_000, ready=3, endpoints=endpoints)
        window.add(Sample(now - 30 + second, float(second), second, {"shop": sample}))
    return window

"""The check of kind grpc: Health/Check over HTTP/2 in cleartext, with prior knowledge, and the answer SERVING.

HTTP/2 is spoken by the library h2. Imported only where a check of this kind is configured: nobody else is to pay for
that library. A check costs a millisecond of CPU, as much as ten
of kind http, nearly all of it in that library.
"""

from __future__ import annotations

from typing import Final, final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from fairlead.engine.reactor import Reactor
from fairlead.health.checks.grpc_health import CODES, OK, PATH, Serving, request, response
from fairlead.health.checks.probe import Probe, Told
from fairlead.health.checks.results import Result
from fairlead.health.checks.settings import MOST_BYTES, CheckSettings

_CONFIG: Final = H2Configuration(client_side=True, header_encoding=None)
_TYPE: Final = 3  # where a frame says its type; the first one has to be SETTINGS (RFC 9113 3.4), which h2 does not
_SETTINGS: Final = 4  # look at before it has all of what, of a text, it takes for a frame of megabytes
_MOST_MESSAGE: Final = 4096  # the answer has a handful of bytes


@final
class GrpcQuestion:
    """See the module."""

    def __init__(self, settings: CheckSettings) -> None:
        self.timeout_s = settings.timeout_s
        self.message = request(settings.grpc_service)
        self.asked = repr(settings.grpc_service) if settings.grpc_service else "the server"
        self._host = settings.host

    def headers(self, address: str) -> list[tuple[str, str]]:
        """The head of the request to the endpoint with this address."""
        return [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", PATH),
            (":authority", self._host or ("localhost" if address.startswith("unix:") else address)),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("grpc-timeout", f"{max(1, round(self.timeout_s * 1000))}m"),
            ("user-agent", "fairlead-check"),
        ]

    def probe(self, reactor: Reactor, address: str, told: Told) -> Probe:
        return _GrpcProbe(reactor, self, address, told)


@final
class _GrpcProbe(Probe):
    def __init__(self, reactor: Reactor, question: GrpcQuestion, address: str, told: Told) -> None:
        super().__init__(reactor, question.timeout_s, told)
        self._question = question
        self._address = address
        self._http2 = H2Connection(_CONFIG)
        self._http_status = b""
        self._grpc_status = b""
        self._message = b""
        self._seen = 0  # bytes

    def ask(self) -> None:
        http2 = self._http2
        http2.initiate_connection()
        stream = http2.get_next_available_stream_id()
        http2.send_headers(stream, self._question.headers(self._address))
        http2.send_data(stream, self._question.message, end_stream=True)
        self.write(http2.data_to_send())

    def answer(self, data: bytes) -> None:
        first, self._seen = self._seen, self._seen + len(data)
        if first <= _TYPE < self._seen and data[_TYPE - first] != _SETTINGS:
            self.conclude(Result.BAD_REPLY, "no HTTP/2 with prior knowledge")
        elif self._seen > MOST_BYTES:
            self.conclude(Result.BAD_REPLY, f"an answer of more than {MOST_BYTES} bytes")
        else:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        try:
            events = self._http2.receive_data(data)
        except ProtocolError as error:
            self.conclude(Result.BAD_REPLY, f"no good HTTP/2: {type(error).__name__}")
            return
        for event in events:
            self._take(event)
        if self.is_open and (reply := self._http2.data_to_send()):
            self.write(reply)  # acknowledgements

    def _take(self, event: Event) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            fields = dict(event.headers or ())
            self._http_status = fields.get(b":status", self._http_status)
            self._grpc_status = fields.get(b"grpc-status", self._grpc_status)
        elif isinstance(event, DataReceived):
            self._message += event.data or b""
            if len(self._message) > _MOST_MESSAGE:
                self.conclude(Result.BAD_REPLY, f"an answer of more than {_MOST_MESSAGE} bytes")
        elif isinstance(event, StreamEnded):
            self._judge()
        elif isinstance(event, StreamReset | ConnectionTerminated):
            self.conclude(Result.CLOSED, f"ended by the endpoint: {_named(event.error_code)}")

    def _judge(self) -> None:
        if self._http_status != b"200":
            self.conclude(Result.WRONG_REPLY, f"HTTP status {_shown(self._http_status)}")
        elif not self._grpc_status:
            self.conclude(Result.BAD_REPLY, "an answer without grpc-status")
        elif self._grpc_status != OK:
            self.conclude(Result.WRONG_REPLY, f"gRPC status {CODES.get(self._grpc_status, _shown(self._grpc_status))}")
        else:
            self._judge_message()

    def _judge_message(self) -> None:
        try:
            status = response(self._message)
        except ValueError as error:
            self.conclude(Result.BAD_REPLY, f"no HealthCheckResponse: {error}")
            return
        if status == Serving.SERVING:
            self.conclude(Result.PASSED)
        else:
            said = Serving(status).name if status in Serving.__members__.values() else "a status that is unknown"
            self.conclude(Result.WRONG_REPLY, f"{self._question.asked} is {said}")


def _shown(status: bytes) -> str:
    """What an endpoint gave for a number: nothing else of what it sends is repeated in logs."""
    return status.decode() if status.isdigit() and len(status) < 4 else "that is no number"


def _named(code: object) -> str:
    """What the endpoint gave as its reason."""
    return code.name if isinstance(code, ErrorCodes) else "an unknown error"

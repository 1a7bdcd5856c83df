"""The error vocabulary: what went wrong, on which side, and what the client is told.

One table maps a kind to the status that a client gets; the reply's `Fairlead-Error` field, the metric's label and the
access log's reason are the kind's own value, so that they cannot disagree. Never raised on the path of a request:
there a kind is a plain value.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """Why Fairlead itself answered or closed. The value is the text of `Fairlead-Error`."""

    BAD_REQUEST = "bad-request"
    HEAD_TOO_LARGE = "head-too-large"
    URI_TOO_LONG = "uri-too-long"
    VERSION = "http-version"
    NOT_IMPLEMENTED = "not-implemented"
    METHOD = "method-not-allowed"
    BODY_TOO_LARGE = "body-too-large"
    EXTENSIONS_TOO_LARGE = "chunk-extensions-too-large"
    TRAILERS_TOO_LARGE = "trailers-too-large"
    REQUEST_TIMEOUT = "request-timeout"
    REQUEST_TOO_SLOW = "request-too-slow"
    TOO_MANY_CONNECTIONS = "too-many-connections"
    NO_ROUTE = "no-route"
    NO_ENDPOINT = "no-endpoint"
    CONNECT_FAILED = "connect-failed"
    CONNECT_TIMEOUT = "connect-timeout"
    UPSTREAM_RESET = "upstream-reset"
    UPSTREAM_TIMEOUT = "upstream-timeout"
    BAD_REPLY = "bad-reply"
    OVERLOADED = "overloaded"
    QUEUE_FULL = "queue-full"
    QUEUE_TIMEOUT = "queue-timeout"
    DEADLINE_EXCEEDED = "deadline-exceeded"
    CLIENT_GONE = "client-gone"
    CLIENT_TOO_SLOW = "client-too-slow"
    IDLE = "idle"
    DRAIN = "drain"


STATUS: Final[Mapping[Kind, int]] = {
    Kind.BAD_REQUEST: 400,
    Kind.HEAD_TOO_LARGE: 431,
    Kind.URI_TOO_LONG: 414,
    Kind.VERSION: 505,
    Kind.NOT_IMPLEMENTED: 501,
    Kind.METHOD: 405,
    Kind.BODY_TOO_LARGE: 413,
    Kind.EXTENSIONS_TOO_LARGE: 413,
    Kind.TRAILERS_TOO_LARGE: 431,
    Kind.REQUEST_TIMEOUT: 408,
    Kind.REQUEST_TOO_SLOW: 408,
    Kind.TOO_MANY_CONNECTIONS: 503,
    Kind.NO_ROUTE: 404,
    Kind.NO_ENDPOINT: 503,
    Kind.CONNECT_FAILED: 502,
    Kind.CONNECT_TIMEOUT: 504,
    Kind.UPSTREAM_RESET: 502,
    Kind.UPSTREAM_TIMEOUT: 504,
    Kind.BAD_REPLY: 502,
    Kind.OVERLOADED: 503,
    Kind.QUEUE_FULL: 503,
    Kind.QUEUE_TIMEOUT: 503,
    Kind.DEADLINE_EXCEEDED: 504,
    # Never sent: nginx's code for the log and the counter, where a connection was closed and nothing answered.
    Kind.CLIENT_GONE: 499,
    Kind.CLIENT_TOO_SLOW: 499,
    Kind.IDLE: 499,
    Kind.DRAIN: 499,
}


# For want of room, not for what the request is: whoever comes again later may be served.
REFUSALS: Final = (Kind.NO_ENDPOINT, Kind.OVERLOADED, Kind.QUEUE_FULL, Kind.QUEUE_TIMEOUT)


class ConfigError(Exception):
    """A configuration that cannot be used. `problems` are lines "FILE:LINE: FIELD: what is wrong; what to do"."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

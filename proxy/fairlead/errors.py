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
    REQUEST_TIMEOUT = "request-timeout"
    NO_ROUTE = "no-route"
    NO_ENDPOINT = "no-endpoint"
    CONNECT_FAILED = "connect-failed"
    CONNECT_TIMEOUT = "connect-timeout"
    UPSTREAM_RESET = "upstream-reset"
    UPSTREAM_TIMEOUT = "upstream-timeout"
    BAD_REPLY = "bad-reply"
    OVERLOADED = "overloaded"
    CLIENT_GONE = "client-gone"


STATUS: Final[Mapping[Kind, int]] = {
    Kind.BAD_REQUEST: 400,
    Kind.HEAD_TOO_LARGE: 431,
    Kind.URI_TOO_LONG: 414,
    Kind.VERSION: 505,
    Kind.NOT_IMPLEMENTED: 501,
    Kind.METHOD: 405,
    Kind.REQUEST_TIMEOUT: 408,
    Kind.NO_ROUTE: 404,
    Kind.NO_ENDPOINT: 503,
    Kind.CONNECT_FAILED: 502,
    Kind.CONNECT_TIMEOUT: 504,
    Kind.UPSTREAM_RESET: 502,
    Kind.UPSTREAM_TIMEOUT: 504,
    Kind.BAD_REPLY: 502,
    Kind.OVERLOADED: 503,
    Kind.CLIENT_GONE: 499,  # never sent: nginx's code for the log and the counter
}


class ConfigError(Exception):
    """A configuration that cannot be used. `problems` are lines "FILE:LINE: FIELD: what is wrong; what to do"."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

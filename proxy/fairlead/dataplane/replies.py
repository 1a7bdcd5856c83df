"""The replies that Fairlead makes itself: a status, `Fairlead-Error`, and one line of text."""

from __future__ import annotations

import time
from http import HTTPStatus

from fairlead.errors import STATUS, Kind

_TEXT = {
    Kind.BAD_REQUEST: "the request breaks the rules of HTTP/1.1",
    Kind.HEAD_TOO_LARGE: "the header fields are too large or too many",
    Kind.URI_TOO_LONG: "the request target is too long",
    Kind.VERSION: "this HTTP version is not served here",
    Kind.NOT_IMPLEMENTED: "the transfer coding is not understood",
    Kind.METHOD: "this method is not forwarded",
    Kind.BODY_TOO_LARGE: "the body is larger than is allowed",
    Kind.EXTENSIONS_TOO_LARGE: "the body has more chunk extensions than are allowed",
    Kind.TRAILERS_TOO_LARGE: "the trailer fields are larger than is allowed",
    Kind.REQUEST_TIMEOUT: "the request did not arrive in time",
    Kind.REQUEST_TOO_SLOW: "the body arrived too slowly",
    Kind.TOO_MANY_CONNECTIONS: "this client has too many connections",
    Kind.NO_ROUTE: "no route matches this host and path",
    Kind.NO_ENDPOINT: "the service has no endpoint that can serve",
    Kind.CONNECT_FAILED: "no endpoint of the service accepted a connection",
    Kind.CONNECT_TIMEOUT: "no endpoint of the service accepted a connection in time",
    Kind.UPSTREAM_RESET: "the endpoint closed the connection before it had replied",
    Kind.UPSTREAM_TIMEOUT: "the endpoint did not reply in time",
    Kind.BAD_REPLY: "the endpoint's reply breaks the rules of HTTP/1.1",
    Kind.OVERLOADED: "there is no room for one more request: endpoints or memory are at their limit",
    Kind.QUEUE_FULL: "no endpoint has room for one more request, and as many wait already as may",
    Kind.QUEUE_TIMEOUT: "no endpoint had room for the request in the time that it might wait",
    Kind.DEADLINE_EXCEEDED: "the request was not answered within the time that it may take",
}


def own_reply(kind: Kind, *, close: bool, is_head: bool, retry_after_s: int = 0, more: bytes = b"") -> bytes:
    """A whole reply for `kind`, with `more` fields, each line ended.

    `close` announces the end of the connection; a reply to HEAD has no content.
    """
    status = HTTPStatus(STATUS[kind])
    text = f"{kind}: {_TEXT[kind]}\n".encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Fairlead-Error: {kind}",
        time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()),  # RFC 9110 6.6.1
        "Content-Type: text/plain; charset=utf-8",
        "Cache-Control: no-store",
        f"Content-Length: {len(text)}",
    ]
    if kind is Kind.METHOD:
        lines.append("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")  # RFC 9110 15.5.6: a 405 has one
    if retry_after_s:
        lines.append(f"Retry-After: {retry_after_s}")
    if close:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n").encode() + more + b"\r\n"
    return head if is_head else head + text

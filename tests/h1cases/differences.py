"""Where Fairlead differs from what the source of a case does with it, and why: one line for each reason.

Each source has its own trade: a parser takes whatever can be parsed, a server refuses what an application should not
see, a guard only warns. A case that is named here and does not differ, or differs and is not named, fails a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# What the source takes and Fairlead does not.
_STRICTER: Final[Mapping[str, tuple[str, ...]]] = {
    "the bytes end before the message does: it is waited for, and never forwarded as a whole one": (
        "llhttp/finish/It-should-be-unsafe-to-finish-after-incomplete-PUT-request",
        "llhttp/finish/It-should-be-unsafe-to-finish-inside-of-the-header",
        "llhttp/transfer-encoding/Chunk-extensions",
        "llhttp/content-length/resp/Tabs-in-Content-Length-surrounding",
        "llhttp/sample/resp/Google-301",
        "llhttp/transfer-encoding/resp/Chunk-extensions-quoting",
    ),
    "the last request has no Host, which HTTP/1.1 must have (RFC 9112 3.2)": (
        "llhttp/connection/CRLF-between-requests-implicit-keep-alive",
    ),
    "another protocol than HTTP/1.0 or HTTP/1.1: a reverse proxy cannot know what it means (RFC 9112 2.3)": (
        "llhttp/method/SOURCE-request-with-ICE",
        "llhttp/method/OPTIONS-request-with-RTSP",
        "llhttp/method/ANNOUNCE-request-with-RTSP",
        "llhttp/sample/No-HTTP-version",
        "llhttp/sample/resp/RTSP-response",
        "llhttp/sample/resp/ICE-response",
        "llhttp/sample/resp/HTTP-version-0-9",
        "aws/acceptable/Non-RFC-but-OK-HTTP-0-9",
        "aws/acceptable/Empty-version-which-means-HTTP-0-9",
        "aws/acceptable/Unknown-but-OK-HTTP-1-2",
    ),
    "the target * belongs to OPTIONS alone (RFC 9112 3.2.4)": ("llhttp/method/M-SEARCH-request",),
    "a fragment is never sent (RFC 9110 4.2.5), and routes that stop at it are fooled (CVE-2023-45539)": (
        "llhttp/uri/Fragment-in-URI",
        "llhttp/transfer-encoding/POST-with-chunked-as-last-transfer-encoding",
        "llhttp/transfer-encoding/POST-with-chunked-as-last-transfer-encoding-multiple-headers",
        "aws/rfc-compliant/Compliant-URL",
    ),
    "user information in a target makes two hosts of one, and is an error to a recipient (RFC 9110 4.2.4)": (
        "llhttp/uri/host-port-and-basic-auth",
        "gun/valid-rfc9112_target_absolute_userinfo_01",
    ),
    "a byte beyond ASCII is in no URI (RFC 3986 2): endpoints would guess its encoding": (
        "gun/valid-027",
        "aws/rfc-compliant/International-in-URI",
    ),
    "CONNECT asks for a tunnel to anywhere (RFC 9110 9.3.6)": ("gun/valid-rfc9112_target_authority_ipv6_01",),
    "a request line has exactly two spaces and no empty part (RFC 9112 3)": (
        "aws/rfc-compliant/Empty-URI",
        "aws/uri-specific-test-cases/Extra-spaces-in-version",
        "aws/uri-specific-test-cases/space-in-URI",
    ),
    "a transfer coding besides chunked: 501, as its end is an endpoint's guess (RFC 9112 6.1)": (
        "gun/valid-025_line",
        "gun/valid-rfc9112_smuggle_gzip_chunked_01",
        "gun/valid-rfc9112_smuggle_te_identity_chunked_01",
        "aws/rfc-compliant/Different-Transfer-Encoding-headers-combined",
    ),
    "several Transfer-Encoding lines: readers that take one of them differ on which": (
        "gun/valid-025",
        "gun/valid-029",
        "aws/rfc-compliant/Different-Transfer-Encoding-headers",
        "aws/rfc-compliant/Transfer-Encoding-with-a-param-chunked-custom-param",
    ),
    "a reply whose last coding is not chunked would be cut off without anybody's noticing (RFC 9112 6.3)": (
        "llhttp/transfer-encoding/resp/chunked-before-other-transfer-encoding",
        "llhttp/transfer-encoding/resp/multiple-transfer-encoding-where-chunked-is-not-the-last-one",
        "llhttp/transfer-encoding/resp/chunkedchunked-transfer-encoding-does-not-enable-chunked-enconding",
    ),
    "whitespace before a colon must be refused in a request (RFC 9112 5.1)": (
        "aws/acceptable/No-TE-CL-headers-some-others-are-non-compliant",
        "aws/acceptable/TE-and-some-others-are-non-compliant",
        "aws/acceptable/CL-and-some-others-are-non-compliant",
    ),
    "a control byte in a field name is in no token (RFC 9110 5.6.2)": (
        "aws/acceptable/A-non-essential-header-with-a-non-printable-character-x01",
    ),
    "an empty line before a status line is a byte that no request asked for (RFC 9112 9.2)": (
        "llhttp/connection/resp/HTTP-100-first-then-400",
        "llhttp/sample/resp/Response-starting-with-CRLF",
    ),
    "lines end with CRLF: a reader that takes LF and one that does not see two heads": ("ngx/extra/lf-lines",),
}

# What the source refuses and Fairlead does not.
_LAXER: Final[Mapping[str, tuple[str, ...]]] = {
    "what follows the last message of a connection is thrown away, the message itself is good (RFC 9112 9.6)": (
        "llhttp/connection/No-restart-when-keep-alive-is-off-1-0",
        "llhttp/connection/CRLF-between-requests-explicit-close",
        "llhttp/connection/CRLF-between-requests-explicit-close-followed-by-tab",
        "llhttp/connection/resp/HTTP-1-1-with-keep-alive-disabled-and-204-status",
        "llhttp/connection/resp/HTTP-1-1-with-keep-alive-disabled-content-length",
    ),
    "not an error but how that parser tells of an Upgrade": ("llhttp/connection/Setting-a-flag-and-pausing",),
    "a method is any token, and the endpoint's business (RFC 9110 9.1)": (
        "llhttp/invalid/HTTP-protocol-and-ANNOUNCE-method",
        "llhttp/invalid/Invalid-method",
        "gun/invalid-003c",
    ),
    "Content-Type twice is for the endpoint to judge: it frames and routes nothing": ("gun/invalid-041",),
}

DIFFERENCES: Final = {name: why for reasons in (_STRICTER, _LAXER) for why, names in reasons.items() for name in names}

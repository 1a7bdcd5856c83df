"""What is forwarded of a message and what is refused, case by case. docs/http1.md names its rules by these cases."""

from dataclasses import dataclass, field

from fairlead.errors import STATUS, Kind

BAD = Kind.BAD_REQUEST


@dataclass(frozen=True)
class Case:
    """A head and its outcome: refused as `kind`, or forwarded as `sent`; unchanged when that is not given.

    `facts` are values that the parsed head must have besides.
    """

    given: bytes
    kind: Kind | None = None
    sent: bytes = b""
    facts: dict[str, object] = field(default_factory=dict)
    is_head: bool = False  # replies: the request was HEAD
    peer: bytes = b""  # the trusted proxy that sends the request; `sent` is then all that the endpoint gets

    @property
    def action(self) -> str:
        """What docs/http1.md calls this: "400", "normalised" or "passed" (a trusted proxy's: beside what is added)."""
        if self.kind is not None:
            return str(STATUS[self.kind])
        if self.peer:
            return "passed" if set(self.given.splitlines()) <= set(self.sent.splitlines()) else "normalised"
        return "normalised" if self.sent and self.sent != self.given else "passed"


def head(*lines: str) -> bytes:
    return b"".join(line.encode("latin-1") + b"\r\n" for line in lines) + b"\r\n"


def get(*fields: str) -> bytes:
    """A GET of / from the host a.example with these fields."""
    return head("GET / HTTP/1.1", "Host: a.example", *fields)


def post(*fields: str) -> bytes:
    return head("POST / HTTP/1.1", "Host: a.example", *fields)


def ok(*fields: str) -> bytes:
    """A reply with status 200 and these fields."""
    return head("HTTP/1.1 200 OK", *fields)


REQUEST_LINES: dict[str, Case] = {
    "a request in its usual form": Case(
        get(), facts={"method": b"GET", "target": b"/", "host": b"a.example", "minor": 1}
    ),
    "an unknown method that is a token": Case(head("X-Y!# / HTTP/1.1", "Host: a"), facts={"method": b"X-Y!#"}),
    "a method of 64 bytes": Case(head("M" * 64 + " / HTTP/1.1", "Host: a")),
    "a method of more than 64 bytes": Case(head("M" * 65 + " / HTTP/1.1", "Host: a"), BAD),
    "a method in lower case is another method": Case(
        head("get / HTTP/1.1", "Host: a"), facts={"method": b"get", "is_idempotent": False}
    ),
    "HEAD is told apart": Case(head("HEAD / HTTP/1.1", "Host: a"), facts={"is_head": True, "is_idempotent": True}),
    "POST is not idempotent": Case(head("POST / HTTP/1.1", "Host: a"), facts={"is_idempotent": False}),
    "CONNECT": Case(head("CONNECT a.example:443 HTTP/1.1", "Host: a.example:443"), Kind.METHOD),
    "TRACE": Case(head("TRACE / HTTP/1.1", "Host: a"), Kind.METHOD),
    "CONNECT and TRACE in any case": Case(head("trace / HTTP/1.1", "Host: a"), Kind.METHOD),
    "an illegal byte in the method": Case(head("GE(T / HTTP/1.1", "Host: a"), BAD),
    "a byte beyond ASCII in the method": Case(head("G\xffT / HTTP/1.1", "Host: a"), BAD),
    "no method": Case(head(" / HTTP/1.1", "Host: a"), BAD),
    "two spaces in the request line": Case(head("GET  / HTTP/1.1", "Host: a"), BAD),
    "two spaces before the version": Case(head("GET /  HTTP/1.1", "Host: a"), BAD),
    "a tab in the request line": Case(head("GET\t/ HTTP/1.1", "Host: a"), BAD),
    "a space after the version": Case(head("GET / HTTP/1.1 ", "Host: a"), BAD),
    "a space in the target": Case(head("GET /a b HTTP/1.1", "Host: a"), BAD),
    "a control byte in the target": Case(head("GET /\x01 HTTP/1.1", "Host: a"), BAD),
    "NUL in the target": Case(head("GET /\x00 HTTP/1.1", "Host: a"), BAD),
    "DEL in the target": Case(head("GET /\x7f HTTP/1.1", "Host: a"), BAD),
    "a byte beyond ASCII in the target": Case(head("GET /\xe9 HTTP/1.1", "Host: a"), BAD),
    "a fragment in the target": Case(head("GET /a#b HTTP/1.1", "Host: a"), BAD),
    "a target with ASCII that a URI must encode": Case(head('GET /a|b{"c"}\\^` HTTP/1.1', "Host: a")),
    "dots, slashes and encoded bytes in the path": Case(head("GET //a/../%2e%2F/./b?c=/../d HTTP/1.1", "Host: a")),
    "no target": Case(head("GET HTTP/1.1", "Host: a"), BAD),
    "HTTP/0.9": Case(b"GET /\r\n", BAD),
    "HTTP/0.9 by name": Case(head("GET / HTTP/0.9", "Host: a"), Kind.VERSION),
    "HTTP/1.2": Case(head("GET / HTTP/1.2", "Host: a"), Kind.VERSION),
    "HTTP/2.0": Case(head("PRI * HTTP/2.0"), Kind.VERSION),
    "a version with two digits": Case(head("GET / HTTP/1.10", "Host: a"), BAD),
    "a version in lower case": Case(head("GET / http/1.1", "Host: a"), BAD),
    "a version that is none": Case(head("GET / HTTP/x.1", "Host: a"), BAD),
    "another protocol": Case(head("GET / ICY/1.1", "Host: a"), BAD),
    "HTTP/1.0": Case(
        head("GET / HTTP/1.0", "Host: a", "X: y"),
        sent=head("GET / HTTP/1.1", "Host: a", "X: y"),
        facts={"minor": 0, "keep_alive": False},
    ),
    "HTTP/1.0 without Host": Case(
        head("GET / HTTP/1.0", "X: y"), sent=head("GET / HTTP/1.1", "Host: ", "X: y"), facts={"host": b"", "minor": 0}
    ),
    "HTTP/1.0 that asks for keep-alive": Case(
        head("GET / HTTP/1.0", "Host: a", "Connection: Keep-Alive"),
        sent=head("GET / HTTP/1.1", "Host: a"),
        facts={"keep_alive": True},
    ),
    "empty lines before a request": Case(b"\r\n\r\n" + get(), sent=get()),
    "four empty lines before a request": Case(b"\r\n" * 4 + get(), sent=get()),
    "more than four empty lines before a request": Case(b"\r\n" * 5 + get(), BAD),
    "a bare LF before a request": Case(b"\n" + get(), BAD),
    "a bare CR before a request": Case(b"\r" + get(), BAD),
    "a bare LF at the end of the request line": Case(b"GET / HTTP/1.1\nHost: a\r\n\r\n", BAD),
    "a bare CR at the end of the request line": Case(b"GET / HTTP/1.1\rHost: a\r\n\r\n", BAD),
    "a bare CR in the request line": Case(b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    "the beginning of a TLS connection": Case(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", BAD),
}

TARGETS: dict[str, Case] = {
    "absolute-form": Case(
        head("GET http://b.example:8080/p?q HTTP/1.1", "Host: b.example:8080"),
        sent=head("GET /p?q HTTP/1.1", "Host: b.example:8080"),
        facts={"target": b"/p?q", "host": b"b.example:8080"},
    ),
    "absolute-form that disagrees with Host": Case(
        head("GET http://b.example/ HTTP/1.1", "Host: a.example", "X: y"),
        sent=head("GET / HTTP/1.1", "Host: b.example", "X: y"),
        facts={"host": b"b.example"},
    ),
    "absolute-form without Host": Case(head("GET http://b.example/ HTTP/1.1", "X: y"), BAD),
    "absolute-form with two Hosts": Case(head("GET http://b/ HTTP/1.1", "Host: b", "Host: b"), BAD),
    "absolute-form with an invalid Host": Case(head("GET http://b/ HTTP/1.1", "Host: a b"), BAD),
    "absolute-form in HTTP/1.0 without Host": Case(
        head("GET http://b/p HTTP/1.0"), sent=head("GET /p HTTP/1.1", "Host: b"), facts={"host": b"b"}
    ),
    "absolute-form of https and in any case": Case(
        head("GET HTTPS://b/ HTTP/1.1", "Host: b"), sent=head("GET / HTTP/1.1", "Host: b")
    ),
    "absolute-form without a path": Case(
        head("GET http://b HTTP/1.1", "Host: b"), sent=head("GET / HTTP/1.1", "Host: b"), facts={"target": b"/"}
    ),
    "absolute-form with a query and no path": Case(
        head("GET http://b?q=/ HTTP/1.1", "Host: b"), sent=head("GET /?q=/ HTTP/1.1", "Host: b")
    ),
    "absolute-form of OPTIONS without a path": Case(
        head("OPTIONS http://b HTTP/1.1", "Host: b"), sent=head("OPTIONS * HTTP/1.1", "Host: b")
    ),
    "absolute-form with user information": Case(head("GET http://u@b/ HTTP/1.1", "Host: b"), BAD),
    "absolute-form with a password": Case(head("GET http://u:1@b/ HTTP/1.1", "Host: b"), BAD),
    "absolute-form without an authority": Case(head("GET http:///p HTTP/1.1", "Host: b"), BAD),
    "absolute-form with a port and no host": Case(head("GET http://:80/p HTTP/1.1", "Host: b"), BAD),
    "absolute-form with a backslash in its authority": Case(head("GET http://b\\@c/ HTTP/1.1", "Host: b"), BAD),
    "absolute-form of another scheme": Case(head("GET ftp://b/ HTTP/1.1", "Host: b"), BAD),
    "authority-form": Case(head("GET b:80 HTTP/1.1", "Host: b"), BAD),
    "a path that does not start with a slash": Case(head("GET p HTTP/1.1", "Host: b"), BAD),
    "a query without a path": Case(head("GET ?q HTTP/1.1", "Host: b"), BAD),
    "a target that looks like an authority": Case(head("GET //b.example/p HTTP/1.1", "Host: a"), facts={"host": b"a"}),
    "asterisk-form of OPTIONS": Case(head("OPTIONS * HTTP/1.1", "Host: a"), facts={"target": b"*"}),
    "asterisk-form of another method": Case(head("GET * HTTP/1.1", "Host: a"), BAD),
    "OPTIONS with Max-Forwards": Case(
        head("OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards: 10", "X: y"),
        sent=head("OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards: 9", "X: y"),
    ),
    "OPTIONS with Max-Forwards: 0": Case(head("OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards: 0"), Kind.METHOD),
    "OPTIONS with a Max-Forwards that is no number": Case(
        head("OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards: -1"), BAD
    ),
    "Max-Forwards of another method": Case(get("Max-Forwards: 0")),
}

HOSTS: dict[str, Case] = {
    "no Host": Case(head("GET / HTTP/1.1", "X: y"), BAD),
    "two Hosts": Case(head("GET / HTTP/1.1", "Host: a", "Host: a"), BAD),
    "two Hosts in HTTP/1.0": Case(head("GET / HTTP/1.0", "Host: a", "Host: a"), BAD),
    "an empty Host": Case(head("GET / HTTP/1.1", "Host:"), BAD),
    "Host with a port": Case(head("GET / HTTP/1.1", "Host: a:8080"), facts={"host": b"a:8080"}),
    "Host with an empty port": Case(head("GET / HTTP/1.1", "Host: a:"), facts={"host": b"a:"}),
    "Host with port 0": Case(head("GET / HTTP/1.1", "Host: a:0")),
    "Host with port 65535": Case(head("GET / HTTP/1.1", "Host: a:65535")),
    "Host with port 65536": Case(head("GET / HTTP/1.1", "Host: a:65536"), BAD),
    "Host with a port of six digits": Case(head("GET / HTTP/1.1", "Host: a:000080"), BAD),
    "Host with a port that is no number": Case(head("GET / HTTP/1.1", "Host: a:8x"), BAD),
    "Host with a signed port": Case(head("GET / HTTP/1.1", "Host: a:+80"), BAD),
    "Host with two ports": Case(head("GET / HTTP/1.1", "Host: a:80:80"), BAD),
    "Host that is a port only": Case(head("GET / HTTP/1.1", "Host: :80"), BAD),
    "Host with user information": Case(head("GET / HTTP/1.1", "Host: u@a"), BAD),
    "Host with a path": Case(head("GET / HTTP/1.1", "Host: a/b"), BAD),
    "Host with a comma": Case(head("GET / HTTP/1.1", "Host: a,b"), BAD),
    "Host with a space": Case(head("GET / HTTP/1.1", "Host: a b"), BAD),
    "Host with a byte beyond ASCII": Case(head("GET / HTTP/1.1", "Host: \xe4"), BAD),
    "Host that is a URI": Case(head("GET / HTTP/1.1", "Host: http://a"), BAD),
    "Host with encoded bytes": Case(head("GET / HTTP/1.1", "Host: %C3%a4.example:80")),
    "Host with a broken encoding": Case(head("GET / HTTP/1.1", "Host: a%2"), BAD),
    "Host with an encoding that is no number": Case(head("GET / HTTP/1.1", "Host: a%zz:80"), BAD),
    "Host that is an IPv4 address": Case(head("GET / HTTP/1.1", "Host: 127.0.0.1:80")),
    "Host that is an IPv6 address": Case(head("GET / HTTP/1.1", "Host: [2001:db8::1]:80")),
    "Host that is an IPv6 address without a port": Case(head("GET / HTTP/1.1", "Host: [::ffff:1.2.3.4]")),
    "Host that is no IPv6 address": Case(head("GET / HTTP/1.1", "Host: [1::2::3]"), BAD),
    "Host that is an IPv4 address in brackets": Case(head("GET / HTTP/1.1", "Host: [127.0.0.1]"), BAD),
    "Host that is an IPv6 address with a zone": Case(head("GET / HTTP/1.1", "Host: [fe80::1%25eth0]"), BAD),
    "Host with something behind the brackets": Case(head("GET / HTTP/1.1", "Host: [::1]a:80"), BAD),
    "Host with an open bracket": Case(head("GET / HTTP/1.1", "Host: [::1"), BAD),
    "Host with brackets only": Case(head("GET / HTTP/1.1", "Host: []"), BAD),
    "Host in any case of its name": Case(head("GET / HTTP/1.1", "hOsT: a"), facts={"host": b"a"}),
}

FRAMING: dict[str, Case] = {
    "neither Content-Length nor Transfer-Encoding": Case(post(), facts={"framing": 0, "content_length": 0}),
    "Content-Length": Case(post("Content-Length: 10"), facts={"framing": 1, "content_length": 10}),
    "a body on GET": Case(get("Content-Length: 10"), facts={"framing": 1, "content_length": 10}),
    "Content-Length with leading zeros": Case(post("Content-Length: 0010"), facts={"content_length": 10}),
    "Content-Length of 18 digits": Case(post("Content-Length: " + "9" * 18), facts={"content_length": 10**18 - 1}),
    "Content-Length of more than 18 digits": Case(post("Content-Length: " + "0" * 18 + "1"), BAD),
    "Content-Length beyond 64 bits": Case(post("Content-Length: 18446744073709551616"), BAD),
    "Content-Length twice": Case(post("Content-Length: 10", "Content-Length: 10"), BAD),
    "Content-Lengths that differ": Case(post("Content-Length: 10", "content-length: 11"), BAD),
    "a list in Content-Length": Case(post("Content-Length: 10, 10"), BAD),
    "an empty Content-Length": Case(post("Content-Length:"), BAD),
    "a signed Content-Length": Case(post("Content-Length: +10"), BAD),
    "a negative Content-Length": Case(post("Content-Length: -1"), BAD),
    "a hexadecimal Content-Length": Case(post("Content-Length: 0x10"), BAD),
    "an underscore in Content-Length": Case(post("Content-Length: 1_0"), BAD),
    "a space within Content-Length": Case(post("Content-Length: 1 0"), BAD),
    "a fraction in Content-Length": Case(post("Content-Length: 1.0"), BAD),
    "digits beyond ASCII in Content-Length": Case(post("Content-Length: \xb2"), BAD),
    "a space that is none around Content-Length": Case(post("Content-Length: \xa010"), BAD),
    "whitespace around Content-Length": Case(post("Content-Length:\t 10 \t"), sent=post("Content-Length: 10")),
    "Transfer-Encoding: chunked": Case(post("Transfer-Encoding: chunked"), facts={"framing": 2}),
    "chunked in any case": Case(
        post("TRANSFER-ENCODING: Chunked", "X: y"),
        sent=post("X: y", "Transfer-Encoding: chunked"),
        facts={"framing": 2},
    ),
    "Transfer-Encoding with Content-Length": Case(post("Transfer-Encoding: chunked", "Content-Length: 10"), BAD),
    "Content-Length with Transfer-Encoding": Case(post("Content-Length: 10", "Transfer-Encoding: chunked"), BAD),
    "an unknown Transfer-Encoding with Content-Length": Case(post("Content-Length: 10", "Transfer-Encoding: x"), BAD),
    "an empty Transfer-Encoding with Content-Length": Case(post("Content-Length: 10", "Transfer-Encoding:"), BAD),
    "Transfer-Encoding in HTTP/1.0": Case(head("POST / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked"), BAD),
    "Transfer-Encoding twice": Case(post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), BAD),
    "codings on two lines": Case(post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), BAD),
    "chunked twice": Case(post("Transfer-Encoding: chunked, chunked"), BAD),
    "chunked that is not final": Case(post("Transfer-Encoding: chunked, gzip"), BAD),
    "a coding other than chunked alone": Case(post("Transfer-Encoding: gzip"), BAD),
    "the coding identity": Case(post("Transfer-Encoding: identity"), BAD),
    "an unknown coding before chunked": Case(post("Transfer-Encoding: gzip, chunked"), Kind.NOT_IMPLEMENTED),
    "an empty member before chunked": Case(post("Transfer-Encoding: ,chunked"), BAD),
    "an empty member after chunked": Case(post("Transfer-Encoding: chunked,"), BAD),
    "an empty Transfer-Encoding": Case(post("Transfer-Encoding:"), BAD),
    "a parameter of chunked": Case(post("Transfer-Encoding: chunked;a=b"), BAD),
    "a quoted chunked": Case(post('Transfer-Encoding: "chunked"'), BAD),
    "a vertical tab before chunked": Case(post("Transfer-Encoding: \x0bchunked"), BAD),
    "a form feed after chunked": Case(post("Transfer-Encoding: chunked\x0c"), BAD),
    "a no-break space before chunked": Case(post("Transfer-Encoding: \xa0chunked"), BAD),
    "a letter that lowers to one of chunked": Case(
        post("Transfer-Encoding: chun\u212aed".replace("\u212a", "\xe2\x84\xaa")), BAD
    ),
    "a Transfer-Encoding whose name has an underscore": Case(
        post("Transfer_Encoding: chunked", "Content-Length: 10"),
        sent=post("Content-Length: 10"),
        facts={"framing": 1},
    ),
    "a Content-Length whose name has an underscore": Case(
        post("Content_Length: 10", "Content-Length: 5"), sent=post("Content-Length: 5"), facts={"content_length": 5}
    ),
    "a name with an underscore that shadows nothing": Case(get("X_Y: z")),
}

FIELDS: dict[str, Case] = {
    "fields in their usual form": Case(get("Accept: */*", "x-lower: 1", "X-Empty: ", "X: a  b\tc")),
    "no space after the colon": Case(get("A:b", "C: d"), sent=get("A: b", "C: d")),
    "whitespace around a value": Case(get("A: \t b \t", "C: d"), sent=get("A: b", "C: d")),
    "an empty value": Case(get("A:", "C:   "), sent=get("A: ", "C: ")),
    "bytes beyond ASCII in a value": Case(get("A: \xe9\xff\x80")),
    "every letter that a name may have": Case(get("!#$%&'*+-.^_`|~09azAZ: x")),
    "whitespace before the colon": Case(get("A : b"), BAD),
    "a tab before the colon": Case(get("Content-Length\t: 5"), BAD),
    "an empty name": Case(get(": b"), BAD),
    "an illegal byte in a name": Case(get("A(B: c"), BAD),
    "a byte beyond ASCII in a name": Case(get("\xff: c"), BAD),
    "a byte beyond ASCII within a name": Case(get("Content-Length\xff: 5"), BAD),
    "NUL in a name": Case(get("A\x00: c"), BAD),
    "a line without a colon": Case(get("A"), BAD),
    "an obs-fold": Case(get("A: b", " c"), BAD),
    "an obs-fold of a tab": Case(get("A: b", "\tc"), BAD),
    "a first field line that starts with whitespace": Case(head("GET / HTTP/1.1", " Host: a", "Host: b"), BAD),
    "NUL in a value": Case(get("A: b\x00c"), BAD),
    "DEL in a value": Case(get("A: b\x7fc"), BAD),
    "a control byte in a value": Case(get("A: b\x0bc"), BAD),
    "a bare CR in a value": Case(get("A: b\rc"), BAD),
    "a bare LF in a value": Case(get("A: b\nC: d"), BAD),
    "a bare LF at the end of the head": Case(get()[:-2] + b"\n", BAD),
    "a bare CR at the end of the head": Case(get()[:-2] + b"\rX", BAD),
    "CR CR LF at the end of a line": Case(get("A: b\r"), BAD),
}

CONNECTION: dict[str, Case] = {
    "Connection: close": Case(get("Connection: close"), sent=get(), facts={"keep_alive": False}),
    "Connection: keep-alive": Case(get("Connection: keep-alive"), sent=get(), facts={"keep_alive": True}),
    "close beside keep-alive": Case(get("Connection: Keep-Alive, CLOSE"), sent=get(), facts={"keep_alive": False}),
    "hop-by-hop fields": Case(
        get("A: b", "Keep-Alive: 5", "Proxy-Connection: close", "TE: gzip", "Upgrade: x", "C: d"),
        sent=get("A: b", "C: d"),
        facts={"keep_alive": True, "upgrade": b""},
    ),
    "a field named by Connection": Case(
        get("A: b", "Connection: close, x-hop", "X-Hop: 1", "C: d", "x-HOP: 2", "E: f"),
        sent=get("A: b", "C: d", "E: f"),
    ),
    "a field named by Connection that comes first": Case(
        get("X-Hop: 1", "A: b", "Connection: X-Hop"), sent=get("A: b")
    ),
    "a Connection list with odd whitespace": Case(
        get("Connection: ,\t close ,, x-hop\t,", "X-Hop: 1"), sent=get(), facts={"keep_alive": False}
    ),
    "Connection on two lines": Case(
        get("Connection: x-a", "Connection: x-b, close", "X-A: 1", "X-B: 2"), sent=get(), facts={"keep_alive": False}
    ),
    "Host named by Connection": Case(get("Connection: Host"), sent=get()),
    "Content-Length named by Connection": Case(
        post("Connection: content-length", "Content-Length: 5"), sent=post("Content-Length: 5"), facts={"framing": 1}
    ),
    "Transfer-Encoding named by Connection": Case(
        post("Connection: Transfer-Encoding", "Transfer-Encoding: chunked"),
        sent=post("Transfer-Encoding: chunked"),
        facts={"framing": 2},
    ),
    "Authorization named by Connection": Case(
        get("Connection: authorization, cookie", "Authorization: x", "Cookie: y"),
        sent=get("Authorization: x", "Cookie: y"),
    ),
    "X-Forwarded-For named by Connection": Case(
        get("Connection: X-Forwarded-For, close", "X-Forwarded-For: 1.2.3.4"),
        sent=get(),
        facts={"forwarded_for": None},
    ),
    "the first line cannot be named by Connection": Case(
        head("GET / HTTP/1.1", "Connection: GET / HTTP/1.1, get", "Host: a"), sent=head("GET / HTTP/1.1", "Host: a")
    ),
    "a line made anew that Connection names": Case(get("A:b", "Connection: a", "C: d"), sent=get("C: d")),
    "a Host made anew beside a field named by Connection": Case(
        head("GET http://b/ HTTP/1.1", "X-Hop: 1", "Host: a", "Connection: x-hop", "C: d"),
        sent=head("GET / HTTP/1.1", "Host: b", "C: d"),
    ),
    "TE: trailers": Case(
        get("TE: gzip;q=0.5 , Trailers", "Connection: TE"), sent=get("TE: trailers", "Connection: TE")
    ),
    "TE: trailers on the second line of TE": Case(
        get("TE: trailers", "TE: gzip", "Connection: te"), sent=get("TE: trailers", "Connection: TE")
    ),
    "TE that Connection does not name": Case(get("TE: trailers"), sent=get()),
    "TE without trailers": Case(get("TE: xtrailers", "Connection: TE"), sent=get()),
    "Upgrade": Case(
        get("Upgrade: websocket", "Connection: keep-alive, Upgrade", "A: b"),
        sent=get("A: b", "Upgrade: websocket", "Connection: upgrade"),
        facts={"upgrade": b"websocket", "keep_alive": True},
    ),
    "Upgrade beside TE": Case(
        get("Upgrade: x", "TE: trailers", "Connection: TE, Upgrade"),
        sent=get("TE: trailers", "Upgrade: x", "Connection: TE, upgrade"),
    ),
    "Upgrade that Connection does not name": Case(get("Upgrade: websocket"), sent=get(), facts={"upgrade": b""}),
    "Upgrade in HTTP/1.0": Case(
        head("GET / HTTP/1.0", "Host: a", "Upgrade: websocket", "Connection: upgrade"),
        sent=head("GET / HTTP/1.1", "Host: a"),
        facts={"upgrade": b""},
    ),
    "Upgrade to another HTTP": Case(
        get("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"),
        sent=get(),
        facts={"upgrade": b""},
    ),
    "Upgrade to HTTP by its name": Case(get("Upgrade: HTTP/2.0", "Connection: Upgrade"), sent=get()),
    "Upgrade of a request with content": Case(
        post("Upgrade: x", "Content-Length: 4", "Connection: upgrade"),
        sent=post("Content-Length: 4"),
        facts={"upgrade": b"", "content_length": 4},
    ),
    "Upgrade of a request with chunked content": Case(
        post("Connection: upgrade, te", "TE: trailers", "Transfer-Encoding: chunked", "Upgrade: x"),
        sent=post("Transfer-Encoding: chunked", "TE: trailers", "Connection: TE"),
        facts={"upgrade": b"", "framing": 2},
    ),
    "Upgrade of a request with Content-Length: 0": Case(
        post("Upgrade: x", "Content-Length: 0", "Connection: upgrade"),
        sent=post("Content-Length: 0", "Upgrade: x", "Connection: upgrade"),
        facts={"upgrade": b"x"},
    ),
    "Upgrade to nothing": Case(get("Upgrade:", "Connection: Upgrade"), sent=get(), facts={"upgrade": b""}),
    "Expect: 100-continue": Case(
        post("Expect: 100-Continue", "Content-Length: 5"), facts={"expect_continue": True, "framing": 1}
    ),
    "another Expect": Case(post("Expect: tea", "Content-Length: 5"), facts={"expect_continue": False}),
    "Expect in HTTP/1.0": Case(
        head("POST / HTTP/1.0", "Host: a", "Expect: 100-continue", "Content-Length: 5"),
        sent=head("POST / HTTP/1.1", "Host: a", "Content-Length: 5"),
        facts={"expect_continue": False},
    ),
}

FORWARDED: dict[str, Case] = {
    "X-Forwarded-For of the client": Case(
        get("X-Forwarded-For: 1.1.1.1", "A: b", "x-forwarded-for: 2.2.2.2"),
        sent=get("A: b"),
        facts={"forwarded_for": None},
    ),
    "any X-Forwarded field of the client": Case(
        get("X-Forwarded-Proto: https", "X-Forwarded-Host: b", "X-Forwarded-: c", "X-Forwarded-" + "y" * 40 + ": d"),
        sent=get(),
    ),
    "Forwarded of the client": Case(get("Forwarded: for=1.1.1.1"), sent=get()),
    "X-Request-Id of the client": Case(get("X-Request-ID: me"), sent=get(), facts={"request_id": None}),
    "underscores that shadow X-Forwarded-For": Case(
        get("X_Forwarded_For: 1.1.1.1", "X-Forwarded_For: 1.1.1.1", "x_forwarded_Proto: https"),
        sent=get(),
        facts={"forwarded_for": None},
    ),
    "underscores that shadow X-Request-Id": Case(get("X_Request_Id: me"), sent=get(), facts={"request_id": None}),
    "a name that only starts like X-Forwarded": Case(get("X-Forwarded: 1", "X-Forward-For: 2")),
}

PROXY = b"10.0.0.9"  # is trusted, as are the others of 10.0.0.0/8 and 2001:db8::/32, and those on Unix sockets
FRESH_ID = "fresh"  # what Fairlead makes up


def _believed(
    *given: str,
    kept: tuple[str, ...] = (),
    to: str = "10.0.0.9",
    proto: str = "http",
    host: str = "a.example",
    request_id: str = FRESH_ID,
    client: bytes = PROXY,
    peer: bytes = PROXY,
) -> Case:
    """A GET of a trusted proxy: the fields that it gives, those that are kept as they are, and what is said besides."""
    added = [f"X-Forwarded-For: {to}"] if to else []
    added += [f"X-Forwarded-Proto: {proto}", f"X-Forwarded-Host: {host}", f"X-Request-Id: {request_id}"]
    return Case(get(*given), sent=get(*kept, *added), facts={"client": client}, peer=peer)


_LONG_ID = "aZ09-._~:/+=@".ljust(128, "x")

TRUSTED: dict[str, Case] = {
    "nothing of a trusted proxy": _believed(),
    "X-Forwarded-For of a trusted proxy": _believed(
        "X-Forwarded-For: 192.0.2.7", to="192.0.2.7, 10.0.0.9", client=b"192.0.2.7"
    ),
    "X-Forwarded-For of a trusted proxy on two lines": _believed(
        "X-Forwarded-For: 1.1.1.1,192.0.2.7", "A: b", "x-forwarded-for: 10.0.0.1", kept=("A: b",),
        to="1.1.1.1,192.0.2.7, 10.0.0.1, 10.0.0.9", client=b"192.0.2.7",
    ),
    "X-Forwarded-For of a trusted proxy with empty members at its ends": _believed(
        "X-Forwarded-For: , 192.0.2.7 ,\t,", to="192.0.2.7, 10.0.0.9", client=b"192.0.2.7"
    ),
    "an empty X-Forwarded-For of a trusted proxy": _believed("X-Forwarded-For:"),
    "an address with a port in X-Forwarded-For": _believed(
        "X-Forwarded-For: 192.0.2.7:8080", to="192.0.2.7:8080, 10.0.0.9", client=b"192.0.2.7"
    ),
    "an IPv6 address with brackets and a port in X-Forwarded-For": _believed(
        "X-Forwarded-For: [2001:DB9:0::7]:443, 2001:db8::5", to="[2001:DB9:0::7]:443, 2001:db8::5, 10.0.0.9",
        client=b"2001:db9::7",
    ),
    "trusted addresses only in X-Forwarded-For": _believed(
        "X-Forwarded-For: 10.1.1.1, [2001:db8::1]", to="10.1.1.1, [2001:db8::1], 10.0.0.9", client=b"10.1.1.1"
    ),
    "unknown in X-Forwarded-For": _believed(
        "X-Forwarded-For: 192.0.2.7, unknown, 10.0.0.1", to="192.0.2.7, unknown, 10.0.0.1, 10.0.0.9", client=b"10.0.0.1"
    ),
    "a hidden address in X-Forwarded-For": _believed("X-Forwarded-For: 1.1.1.1, _x", to="1.1.1.1, _x, 10.0.0.9"),
    "an empty member within X-Forwarded-For": _believed(
        "X-Forwarded-For: 1.1.1.1,, 10.0.0.1", to="1.1.1.1,, 10.0.0.1, 10.0.0.9", client=b"10.0.0.1"
    ),
    "X-Forwarded-For of a trusted proxy on a Unix socket": _believed(
        "X-Forwarded-For: 192.0.2.7", to="192.0.2.7", client=b"192.0.2.7", peer=b"unix"
    ),
    "nothing of a trusted proxy on a Unix socket": _believed(to="", client=b"unix", peer=b"unix"),
    "X-Forwarded-For of a trusted proxy that Connection names": _believed(
        "Connection: X-Forwarded-For, X-Forwarded-Proto, X-Request-Id, Forwarded, X-Forwarded-Port",
        "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "X-Request-Id: i", "Forwarded: for=x",
        "X-Forwarded-Port: 1", kept=("Forwarded: for=x", "X-Forwarded-Port: 1"),
        to="192.0.2.7, 10.0.0.9", proto="https", request_id="i", client=b"192.0.2.7",
    ),
    "X-Forwarded-Proto of a trusted proxy": _believed("X-Forwarded-Proto: https", proto="https"),
    "X-Forwarded-Proto of a trusted proxy, twice the same": _believed(
        "X-Forwarded-Proto: HTTPS, https", "X-Forwarded-Proto: https", proto="HTTPS"
    ),
    "X-Forwarded-Proto of a trusted proxy, on lines that differ": _believed(
        "X-Forwarded-Proto: https", "X-Forwarded-Proto: http"
    ),
    "X-Forwarded-Proto of a trusted proxy, with members that differ": _believed("X-Forwarded-Proto: https, http"),
    "X-Forwarded-Proto of a trusted proxy, empty beside another": _believed(
        "X-Forwarded-Proto:", "X-Forwarded-Proto: https"
    ),
    "X-Forwarded-Proto of a trusted proxy that is no scheme": _believed("X-Forwarded-Proto: https;q=1"),
    "X-Forwarded-Host of a trusted proxy": _believed("X-Forwarded-Host: shop.example:8443", host="shop.example:8443"),
    "X-Forwarded-Host of a trusted proxy, on lines that differ": _believed(
        "X-Forwarded-Host: shop.example", "X-Forwarded-Host: evil.example"
    ),
    "X-Forwarded-Host of a trusted proxy that is no host": _believed("X-Forwarded-Host: u@b.example/"),
    "other X-Forwarded fields of a trusted proxy": _believed(
        "X-Forwarded-Port: 8443", "X-Forwarded-Prefix: /a", "X-Forwarded-: c",
        kept=("X-Forwarded-Port: 8443", "X-Forwarded-Prefix: /a", "X-Forwarded-: c"),
    ),
    "Forwarded of a trusted proxy": _believed(
        'Forwarded: for="[2001:db9::1]";proto=https', "Forwarded: for=_x",
        kept=('Forwarded: for="[2001:db9::1]";proto=https', "Forwarded: for=_x"),
    ),
    "X-Request-Id of a trusted proxy": _believed("X-Request-Id: 7f00-1", request_id="7f00-1"),
    "X-Request-Id of 128 bytes": _believed(f"X-Request-Id: {_LONG_ID}", request_id=_LONG_ID),
    "X-Request-Id of more than 128 bytes": _believed(f"X-Request-Id: {_LONG_ID}x"),
    "X-Request-Id with a quote": _believed("X-Request-Id: a\"b"),
    "X-Request-Id with a space": _believed("X-Request-Id: a b"),
    "X-Request-Id with a byte beyond ASCII": _believed("X-Request-Id: a\xe9"),
    "an empty X-Request-Id": _believed("X-Request-Id:"),
    "X-Request-Id twice": _believed("X-Request-Id: a", "X-Request-ID: a"),
    "X-Request-Id twice, once empty": _believed("X-Request-Id:", "X-Request-Id: a"),
    "underscores of a trusted proxy that shadow": _believed(
        "X_Forwarded_For: 1.1.1.1", "X-Forwarded_Proto: https", "x_request_id: a", "X-Forwarded-Client_Cert: c",
        "X_Forwarded-Host: b",
    ),
}  # fmt: skip

REQUESTS: dict[str, Case] = REQUEST_LINES | TARGETS | HOSTS | FRAMING | FIELDS | CONNECTION | FORWARDED

REPLIES: dict[str, Case] = {
    "a reply in its usual form": Case(
        ok("Content-Type: text/plain", "Content-Length: 5"),
        facts={"status": 200, "framing": 1, "content_length": 5, "keep_alive": True, "untouched": True},
    ),
    "a reply without a length": Case(ok("A: b"), facts={"framing": 3, "keep_alive": False, "untouched": True}),
    "a chunked reply": Case(
        ok("Transfer-Encoding: chunked"), facts={"framing": 2, "keep_alive": True, "untouched": False}
    ),
    "a reply of HTTP/1.0": Case(
        head("HTTP/1.0 200 OK", "Content-Length: 5"),
        sent=ok("Content-Length: 5"),
        facts={"minor": 0, "keep_alive": False},
    ),
    "a reply of HTTP/1.0 that keeps alive": Case(
        head("HTTP/1.0 200 OK", "Content-Length: 5", "Connection: keep-alive"),
        sent=ok("Content-Length: 5"),
        facts={"keep_alive": True},
    ),
    "a reply that closes": Case(
        ok("Content-Length: 5", "Connection: close"), sent=ok("Content-Length: 5"), facts={"keep_alive": False}
    ),
    "a reply with hop-by-hop fields": Case(
        ok("Content-Length: 5", "Keep-Alive: timeout=5", "A: b", "Connection: x-hop", "X-Hop: 1", "Upgrade: h2"),
        sent=ok("Content-Length: 5", "A: b"),
        facts={"upgrade": b"", "untouched": False},
    ),
    "an empty reason phrase": Case(head("HTTP/1.1 200 ", "Content-Length: 0")),
    "a reason phrase with bytes beyond ASCII": Case(head("HTTP/1.1 404 n\xe9ant", "Content-Length: 0")),
    "no space after the status code": Case(
        head("HTTP/1.1 200", "Content-Length: 0"), sent=head("HTTP/1.1 200 ", "Content-Length: 0")
    ),
    "a status code of two digits": Case(head("HTTP/1.1 20 OK"), Kind.BAD_REPLY),
    "a status code of four digits": Case(head("HTTP/1.1 2000 OK"), Kind.BAD_REPLY),
    "a status code below 100": Case(head("HTTP/1.1 099 OK"), Kind.BAD_REPLY),
    "a status code of 600": Case(head("HTTP/1.1 600 OK"), Kind.BAD_REPLY),
    "a signed status code": Case(head("HTTP/1.1 +20 OK"), Kind.BAD_REPLY),
    "two spaces before the status code": Case(head("HTTP/1.1  200 OK"), Kind.BAD_REPLY),
    "a reply of HTTP/2.0": Case(head("HTTP/2.0 200 OK"), Kind.BAD_REPLY),
    "a reply that is not HTTP": Case(b"SSH-2.0-OpenSSH_9.2\r\n", Kind.BAD_REPLY),
    "an empty line before a reply": Case(b"\r\n" + ok("Content-Length: 0"), Kind.BAD_REPLY),
    "a control byte in the reason phrase": Case(head("HTTP/1.1 200 O\x01K"), Kind.BAD_REPLY),
    "a bare LF in a reply": Case(b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", Kind.BAD_REPLY),
    "NUL in a reply": Case(ok("A: b\x00"), Kind.BAD_REPLY),
    "an obs-fold in a reply": Case(ok("A: b", " c"), Kind.BAD_REPLY),
    "whitespace before the colon in a reply": Case(
        ok("A : b", "Content-Length \t: 5", "C:d"), sent=ok("A: b", "Content-Length: 5", "C: d"), facts={"framing": 1}
    ),
    "whitespace and no colon in a reply": Case(ok("A b: c"), Kind.BAD_REPLY),
    "fields in a reply that only requests have": Case(
        ok(
            "Host: b",
            "TE:  x",
            "Expect:y",
            "X-Request-Id: 1",
            "X-Forwarded-For:z",
            "X_Request_Id: 2",
            "Content-Length: 0",
        ),
        sent=ok(
            "Host: b",
            "TE: x",
            "Expect: y",
            "X-Request-Id: 1",
            "X-Forwarded-For: z",
            "X_Request_Id: 2",
            "Content-Length: 0",
        ),
    ),
    "Fairlead-Error of an endpoint": Case(
        ok("Fairlead-Error: no-endpoint", "Content-Length: 0"), sent=ok("Content-Length: 0")
    ),
    "Content-Length twice in a reply": Case(ok("Content-Length: 5", "Content-Length: 5"), Kind.BAD_REPLY),
    "an invalid Content-Length in a reply": Case(ok("Content-Length: 5, 5"), Kind.BAD_REPLY),
    "Transfer-Encoding with Content-Length in a reply": Case(
        ok("Content-Length: 5", "Transfer-Encoding: chunked"), Kind.BAD_REPLY
    ),
    "a coding other than chunked in a reply": Case(ok("Transfer-Encoding: gzip, chunked"), Kind.BAD_REPLY),
    "Transfer-Encoding in a reply of HTTP/1.0": Case(
        head("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"), Kind.BAD_REPLY
    ),
    "a reply to HEAD with Content-Length": Case(
        ok("Content-Length: 5"), is_head=True, facts={"framing": 0, "keep_alive": True, "untouched": True}
    ),
    "a reply to HEAD with Transfer-Encoding": Case(
        ok("Transfer-Encoding: chunked", "A: b"),
        is_head=True,
        sent=ok("A: b"),
        facts={"framing": 0, "keep_alive": True},
    ),
    "a reply to HEAD without a length": Case(ok("A: b"), is_head=True, facts={"framing": 0, "keep_alive": True}),
    "204 with Content-Length": Case(
        head("HTTP/1.1 204 No Content", "Content-Length: 5"), sent=head("HTTP/1.1 204 No Content"), facts={"framing": 0}
    ),
    "204 with Transfer-Encoding": Case(
        head("HTTP/1.1 204 No Content", "Transfer-Encoding: chunked"),
        sent=head("HTTP/1.1 204 No Content"),
        facts={"framing": 0},
    ),
    "304 with Content-Length": Case(
        head("HTTP/1.1 304 Not Modified", "Content-Length: 5"), facts={"framing": 0, "keep_alive": True}
    ),
    "205 is framed as any other": Case(head("HTTP/1.1 205 Reset Content", "Content-Length: 0"), facts={"framing": 1}),
    "205 without a length": Case(head("HTTP/1.1 205 Reset Content"), facts={"framing": 3}),
    "100 Continue": Case(head("HTTP/1.1 100 Continue"), facts={"status": 100, "framing": 0, "keep_alive": True}),
    "103 with fields": Case(head("HTTP/1.1 103 Early Hints", "Link: </a>"), facts={"status": 103, "framing": 0}),
    "100 with Content-Length": Case(
        head("HTTP/1.1 100 Continue", "Content-Length: 5"), sent=head("HTTP/1.1 100 Continue")
    ),
    "101 with Upgrade": Case(
        head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", "A: b"),
        sent=head("HTTP/1.1 101 Switching Protocols", "A: b", "Upgrade: websocket", "Connection: upgrade"),
        facts={"upgrade": b"websocket", "framing": 0},
    ),
    "101 without Upgrade": Case(head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade"), Kind.BAD_REPLY),
    "101 whose Upgrade Connection does not name": Case(head("HTTP/1.1 101 S", "Upgrade: websocket"), Kind.BAD_REPLY),
}

_HELLO = b"5\r\nhello\r\n"
# Chunked bodies: what is given and, when it is good, what is sent on.
BODIES: dict[str, tuple[bytes, bytes | None]] = {
    "a chunked body": (_HELLO + b"0\r\n\r\n", _HELLO + b"0\r\n\r\n"),
    "an empty chunked body": (b"0\r\n\r\n", b"0\r\n\r\n"),
    "several chunks that come together": (b"2\r\nhe\r\n3\r\nllo\r\n000\r\n\r\n", _HELLO + b"0\r\n\r\n"),
    "a chunk size with leading zeros and in any case": (
        b"00000A\r\n0123456789\r\n0\r\n\r\n",
        b"a\r\n0123456789\r\n0\r\n\r\n",
    ),
    "chunk extensions": (b'5;a;b=c ; d = "e;\\"f"\r\nhello\r\n0;x\r\n\r\n', _HELLO + b"0\r\n\r\n"),
    "whitespace before a chunk extension": (b"5 \t;a\r\nhello\r\n0\r\n\r\n", _HELLO + b"0\r\n\r\n"),
    "trailers": (_HELLO + b"0\r\nX-Sum:abc\t\r\nY: \xe9\r\n\r\n", _HELLO + b"0\r\nX-Sum: abc\r\nY: \xe9\r\n\r\n"),
    "trailers that mean something in a head only": (
        _HELLO + b"0\r\nAuthorization: a\r\nX-Forwarded-For: b\r\nX_Forwarded_Proto: c\r\nCookie: d\r\nX: y\r\n\r\n",
        _HELLO + b"0\r\nX: y\r\n\r\n",
    ),
    "Content-Length in trailers": (_HELLO + b"0\r\nContent-Length: 5\r\n\r\n", None),
    "Transfer-Encoding in trailers": (_HELLO + b"0\r\ntransfer_encoding: chunked\r\n\r\n", None),
    "Host in trailers": (_HELLO + b"0\r\nHost: b\r\n\r\n", None),
    "a chunk without a size": (b"\r\nhello\r\n", None),
    "a chunk size that is not hexadecimal": (b"g\r\n", None),
    "a chunk size with a prefix": (b"0x5\r\nhello\r\n", None),
    "a signed chunk size": (b"+5\r\nhello\r\n", None),
    "a negative chunk size": (b"-5\r\nhello\r\n", None),
    "an underscore in a chunk size": (b"1_0\r\n", None),
    "whitespace before a chunk size": (b" 5\r\nhello\r\n", None),
    "whitespace after a chunk size": (b"5 \r\nhello\r\n", None),
    "a second number after a chunk size": (b"5 5\r\nhello\r\n", None),
    "a byte beyond ASCII in a chunk size": (b"5\xff\r\nhello\r\n", None),
    "a chunk size of 15 digits": (b"00000000000000a\r\n0123456789\r\n0\r\n\r\n", b"a\r\n0123456789\r\n0\r\n\r\n"),
    "a chunk size of more than 15 digits": (b"0000000000000005\r\nhello\r\n", None),
    "a chunk size beyond 64 bits": (b"10000000000000005\r\nhello\r\n", None),
    "a bare LF after a chunk size": (b"5\nhello\r\n", None),
    "a bare CR after a chunk size": (b"5\rhello\r\n", None),
    "a bare LF in a chunk extension": (b"5;a\nhello\r\n0\r\n\r\n", None),
    "a bare CR in a chunk extension": (b"5;a\rb\r\nhello\r\n", None),
    "a bare LF in a quoted chunk extension": (b'5;a="\n"\r\nhello\r\n', None),
    "a control byte in a chunk extension": (b"5;a\x00\r\nhello\r\n", None),
    "a chunk extension without a name": (b"5;\r\nhello\r\n", None),
    "a chunk extension without a semicolon": (b"5 a\r\nhello\r\n", None),
    "a chunk extension that is not closed": (b'5;a="b\r\nhello\r\n', None),
    "whitespace after a chunk extension": (b"5;a \r\nhello\r\n", None),
    "chunk data longer than its size": (b"5\r\nhello!\r\n0\r\n\r\n", None),
    "chunk data shorter than its size": (b"6\r\nhello\r\n0\r\n\r\n", None),
    "a bare LF after chunk data": (b"5\r\nhello\n0\r\n\r\n", None),
    "a bare CR after chunk data": (b"5\r\nhello\r0\r\n\r\n", None),
    "no line end after chunk data": (b"5\r\nhello0\r\n\r\n", None),
    "a bare LF at the end of a body": (_HELLO + b"0\r\n\n", None),
    "a bare CR at the end of a body": (_HELLO + b"0\r\n\rX", None),
    "a bare LF in trailers": (_HELLO + b"0\r\nA: b\nC: d\r\n\r\n", None),
    "a bare CR in trailers": (_HELLO + b"0\r\nA: b\rC: d\r\n\r\n", None),
    "NUL in trailers": (_HELLO + b"0\r\nA: \x00\r\n\r\n", None),
    "an obs-fold in trailers": (_HELLO + b"0\r\nA: b\r\n c\r\n\r\n", None),
    "a trailer without a colon": (_HELLO + b"0\r\nA\r\n\r\n", None),
    "a trailer without a name": (_HELLO + b"0\r\n: a\r\n\r\n", None),
    "whitespace before the colon of a trailer": (_HELLO + b"0\r\nA : b\r\n\r\n", None),
}

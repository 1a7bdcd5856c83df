"""A DNS server on the loopback, over UDP and TCP, that answers as a test wants it to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class Silence(Enum):
    """No answer at all."""

    SILENCE = "silence"


class DnsServer:
    """`answers` is (name, type) to records with their time to live, to an error code, or to silence.

    A name that is in none of them does not exist; one that is there with another type has no such records.
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, list[str]] | dns.rcode.Rcode | Silence] = {}
        self.truncates = False
        self.port = 0
        self.asked: list[tuple[str, str, str]] = []
        self.was_asked = asyncio.Event()

    def give(self, name: str, ttl: int, *addresses: str) -> None:
        """The A and AAAA records of a name."""
        v6 = [address for address in addresses if ":" in address]
        v4 = [address for address in addresses if ":" not in address]
        self.answers[name, "A"] = (ttl, v4)
        self.answers[name, "AAAA"] = (ttl, v6)

    def fail(self, name: str, how: dns.rcode.Rcode | Silence, *types: str) -> None:
        for rdtype in types or ("A", "AAAA"):
            self.answers[name, rdtype] = how

    def reply(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, rdtype = question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, rdtype, transport))
        self.was_asked.set()
        response = dns.message.make_response(query)
        answer = self.answers.get((name, rdtype))
        if isinstance(answer, Silence):
            return None
        if isinstance(answer, dns.rcode.Rcode):
            response.set_rcode(answer)
        elif answer is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif answer[1] and self.truncates and transport == "udp":
            response.flags |= dns.flags.TC
        elif answer[1]:
            response.answer.append(dns.rrset.from_text(question.name, answer[0], "IN", rdtype, *answer[1]))
        return response.to_wire()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # which uvloop's is, but does not say

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (reply := self._server.reply(data, "udp")) is not None:
            self._transport.sendto(reply, addr)


@asynccontextmanager
async def dns_server() -> AsyncIterator[DnsServer]:
    """A server that runs, on a port that is free for UDP and TCP."""
    server = DnsServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2))
        if (reply := server.reply(await reader.readexactly(size), "tcp")) is not None:
            writer.write(len(reply).to_bytes(2) + reply)
        writer.close()
        await writer.wait_closed()

    loop = asyncio.get_running_loop()
    while True:
        tcp = await asyncio.start_server(serve, "127.0.0.1", 0)
        server.port = tcp.sockets[0].getsockname()[1]
        try:
            udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(server), ("127.0.0.1", server.port))
        except OSError:  # another process has this port for UDP
            tcp.close()
            continue
        break
    try:
        yield server
    finally:
        udp.close()
        tcp.close()
        await tcp.wait_closed()

"""HTTP messages on their way: what each side gets of what the other sent."""

from pathlib import Path

import pytest
from dataplane.stage import GET, OK, Peer, Set, Stage, Stand, service
from fairlead.model import ListenerTimeouts, Route


async def exchange(client: Peer, server: Peer, reply: bytes = OK, request: bytes = GET) -> None:
    """One small request and its reply."""
    await client.send(request)
    await server.message()
    await server.send(reply)
    assert (await client.message()).status == 200


async def test_both_sides_are_kept_alive_and_the_connection_is_used_again() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        for _ in range(3):
            request = await server.message()
            assert request.line == b"GET / HTTP/1.1"
            await server.send(OK)
            reply = await client.message()
            assert (reply.status, reply.body) == (200, b"ok")
            assert stand.live.idle != []
            await client.send(GET)
        await server.message()
        assert stand.live.connections == 1
        assert not stand.has_caller()
        assert stage.counts() == {"200": 3}


async def test_what_the_endpoint_gets_of_a_request() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(
            b"GET /path?q HTTP/1.1\r\nHost: shop.example:80\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: evil\r\n"
            b"X-Forwarded-Host: evil\r\nX-Request-Id: theirs\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\n"
            b"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nAccept: */*\r\n\r\n"
        )
        server = await stand.accept()
        request = await server.message()
        assert request.line == b"GET /path?q HTTP/1.1"
        assert request.one(b"Host") == b"shop.example:80"
        assert request.one(b"X-Forwarded-For") == b"127.0.0.1"
        assert request.one(b"X-Forwarded-Proto") == b"http"
        assert request.one(b"X-Forwarded-Host") == b"shop.example:80"
        assert request.one(b"Accept") == b"*/*"
        assert len(request.one(b"X-Request-Id")) == 28
        for gone in (b"X-Private", b"Keep-Alive", b"Proxy-Connection", b"TE", b"Connection"):
            assert request.all(gone) == []
        await server.send(OK)
        await client.message()


async def test_what_the_client_gets_of_a_reply() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(
            b"HTTP/1.1 200 Fine\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n"
            b"Fairlead-Error: forged\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok"
        )
        reply = await client.message()
        assert reply.line == b"HTTP/1.1 200 Fine"
        assert reply.all(b"Set-Cookie") == [b"a", b"b"]
        for gone in (b"X-Private", b"Keep-Alive", b"Connection", b"Fairlead-Error"):
            assert reply.all(gone) == []


async def test_absolute_form_is_sent_on_as_a_path_and_names_the_host() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"GET http://right.example/x?y HTTP/1.1\r\nHost: wrong.example\r\n\r\n")
        server = await stand.accept()
        request = await server.message()
        assert request.line == b"GET /x?y HTTP/1.1"
        assert request.one(b"Host") == b"right.example"
        assert request.one(b"X-Forwarded-Host") == b"right.example"


async def test_host_and_path_choose_the_service() -> None:
    async with Stage() as stage:
        shop, api, other = stage.stand(), stage.stand(), stage.stand()
        stage.change(service("api", api), service("other", other))
        routes = (
            Route(service="api", host="api.example", path="/v1"),
            Route(service="other", host="*.example"),
            Route(service="app", path="/shop"),
        )
        stage.play(shop, scene=Set(routes=routes))
        client = await stage.client()
        wanted: list[tuple[bytes, bytes, Stand]] = [
            (b"api.example", b"/v1/x", api),
            (b"API.example:80", b"/v1", api),
            (b"api.example", b"/v10", other),
            (b"b.a.example", b"/", other),
            (b"example", b"/shop/", shop),
        ]
        served: dict[Stand, Peer] = {}
        for host, path, stand in wanted:
            await client.send(b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (path, host))
            if stand not in served:
                served[stand] = await stand.accept()
            assert (await served[stand].message()).line.split()[1] == path
            await served[stand].send(OK)
            assert (await client.message()).status == 200
        await client.send(b"GET / HTTP/1.1\r\nHost: nowhere\r\n\r\n")
        reply = await client.message()
        assert (reply.status, reply.error) == (404, b"no-route")
        await client.send(b"HEAD / HTTP/1.1\r\nHost: nowhere\r\n\r\n")
        reply = await client.message(has_content=False)
        assert (reply.status, reply.error) == (404, b"no-route")
        assert stage.counts("") == {"404": 2}
        await exchange(client, served[shop], request=b"GET /shop HTTP/1.1\r\nHost: a\r\n\r\n")


async def test_a_client_is_kept_after_a_reply_of_our_own_for_as_long_as_after_any_other() -> None:
    async with Stage() as stage:
        stage.play(
            scene=Set(routes=(Route(service="app", host="x"),), timeouts=ListenerTimeouts(head_s=0.1, keepalive_s=0.4))
        )
        client = await stage.client()
        await client.send(b"GET / HTTP/1.1\r\n")
        await stage.until(lambda: stage.listener.received)
        await client.send(b"Host: a\r\n\r\n")
        assert (await client.message()).status == 404
        began = stage.reactor.loop.time()
        await client.ends()
        assert stage.reactor.loop.time() - began > 0.35


@pytest.mark.parametrize(
    ("request_head", "reply", "is_head"),
    [
        (b"HEAD / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", True),
        (b"HEAD / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HEAD / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\n", b"HTTP/1.1 204 No Content\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\n", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False),
    ],
)
async def test_replies_without_content_end_with_their_head(request_head: bytes, reply: bytes, is_head: bool) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(request_head + b"Host: a\r\n\r\n")
        server = await stand.accept()
        await server.message()
        await server.send(reply)
        got = await client.message(has_content=not is_head)
        assert got.line == reply.partition(b"\r\n")[0]
        assert got.body == b""
        await stage.until(lambda: stand.live.idle)
        await exchange(client, server)


async def test_a_chunked_reply_passes_with_trailers_and_without_extensions() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhel")
        await server.send(b"lo\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\n")
        reply = await client.message()
        assert reply.body == b"hello world"
        assert reply.trailers == b"X-Sum: 1\r\n"
        await exchange(client, server)
        assert stand.live.connections == 1


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_request_with_a_body_passes_in_either_framing(is_chunked: bool) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        if is_chunked:
            head, body = b"Transfer-Encoding: chunked", b"3\r\nabc\r\n3;x\r\ndef\r\n0\r\nX-Sum: 1\r\n\r\n"
        else:
            head, body = b"Content-Length: 6", b"abcdef"
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n" + body[:4])
        server = await stand.accept()
        await client.send(body[4:])
        request = await server.message()
        assert request.body == b"abcdef"
        assert request.trailers == (b"X-Sum: 1\r\n" if is_chunked else b"")
        await server.send(OK)
        assert (await client.message()).body == b"ok"
        await exchange(client, server)


async def test_a_close_delimited_reply_is_rechunked_for_a_client_of_1_1() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\n\r\nfirst")
        await client.until(b"first\r\n")
        await server.send(b" second")
        server.close()
        assert await client.until(b"0\r\n\r\n") == b"7\r\n second\r\n0\r\n\r\n"
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await client.message()).status == 200


async def test_clients_of_1_0() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        server = await stand.accept()
        request = await server.message()
        assert request.line == b"GET / HTTP/1.1"
        assert request.one(b"Host") == b""
        await server.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
        reply = await client.message()
        assert (reply.status, reply.body, reply.one(b"Connection")) == (200, b"ok", b"close")
        await client.ends()

        kept = await stage.client()
        for _ in range(2):
            await kept.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            await server.message()
            await server.send(OK)
            reply = await kept.message()
            assert (reply.body, reply.one(b"Connection")) == (b"ok", b"keep-alive")
        await kept.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")
        reply = await kept.head()
        assert (reply.one(b"Connection"), reply.one(b"Transfer-Encoding")) == (b"close", b"")
        assert await kept.rest() == b"ok"

        until_close = await stage.client()
        await until_close.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        await server.message()
        await server.send(b"HTTP/1.0 200 OK\r\n\r\nall")
        server.close()
        reply = await until_close.head()
        assert (reply.one(b"Connection"), reply.one(b"Transfer-Encoding")) == (b"close", b"")
        assert await until_close.rest() == b"all"


async def test_a_client_of_1_0_that_asked_to_be_kept_is_closed_after_a_reply_of_our_own() -> None:
    async with Stage() as stage:
        stage.play()
        client = await stage.client()
        await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        reply = await client.message()
        assert (reply.status, reply.error, reply.one(b"Connection")) == (503, b"no-endpoint", b"close")
        await client.ends()


async def test_the_client_asks_to_close() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        server = await stand.accept()
        assert (await server.message()).all(b"Connection") == []
        await server.send(OK)
        assert (await client.message()).one(b"Connection") == b"close"
        await client.ends()
        await stage.until(lambda: stand.live.idle)


async def test_the_endpoint_asks_to_close() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        reply = await client.message()
        assert (reply.body, reply.one(b"Connection")) == (b"ok", b"")
        await server.ends()
        await client.send(GET)
        assert await stand.accept()


async def test_interim_replies_reach_the_client_in_order_and_are_counted() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        hints = await client.head()
        assert (hints.status, hints.one(b"Link")) == (103, b"</a>")
        await server.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n" + OK)
        assert [(await client.head()).status, (await client.head()).status] == [102, 103]
        assert (await client.message()).body == b"ok"
        assert stage.counts() == {"200": 1}
        received = (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
            b"HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n" + OK
        )
        assert stage.listener.sent == len(received)
        assert stage.listener.received == len(GET)
        assert stage.records[0][11] == 2  # bytes of the reply's content


async def test_a_client_that_expects_100_gets_it_from_the_endpoint() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        server = await stand.accept()
        assert (await server.head()).one(b"Expect") == b"100-continue"
        await server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert (await client.head()).status == 100
        await client.send(b"body")
        assert await server.take(4) == b"body"
        await server.send(OK)
        assert (await client.message()).status == 200
        await exchange(client, server)


async def test_a_client_that_expects_100_and_is_refused_is_closed_not_misread() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n")
        server = await stand.accept()
        await server.head()
        await server.send(b"HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno")
        reply = await client.message()
        assert (reply.status, reply.body, reply.one(b"Connection")) == (417, b"no", b"close")
        await client.send(GET)  # were it read as a request, the endpoint would get it
        await client.ends()
        await server.ends()
        assert not stand.has_caller()


async def test_a_reply_that_ends_before_the_request_closes_both_sides() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome")
        server = await stand.accept()
        await server.head()
        await server.take(4)
        await server.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 6\r\n\r\nto")
        await client.until(b"to")
        await client.send(b"more")  # while the reply is under way the request still flows
        assert await server.take(4) == b"more"
        await server.send(b"o big")
        assert await client.until(b"o big"[:4]) == b"o bi"
        await client.send(GET * 3)
        await client.ends()
        assert not stand.has_caller()
        assert stage.counts() == {"413": 1}


async def test_a_reply_that_starts_before_the_request_has_ended_may_outlast_it() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
        server = await stand.accept()
        await server.head()
        await server.take(2)
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nAB")
        await client.until(b"AB")
        await client.send(b"cd")
        assert await server.take(2) == b"cd"
        await server.send(b"CD")
        assert await client.take(2) == b"CD"
        await exchange(client, server)
        assert stand.live.connections == 1


@pytest.mark.parametrize("family", ["v6", "unix"])
async def test_listeners_and_endpoints_of_other_families(family: str, tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        stand = stage.stand(family)
        stage.play(stand, scene=Set(family=family))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        request = await server.message()
        assert request.all(b"X-Forwarded-For") == ([b"::1"] if family == "v6" else [])
        await server.send(OK)
        assert (await client.message()).body == b"ok"
        await exchange(client, server)

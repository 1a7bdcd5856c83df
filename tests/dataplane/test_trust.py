"""Behind another proxy: whose word is taken on who the client is, over real sockets."""

from pathlib import Path

import pytest
from dataplane.stage import GET, OK, Message, Peer, Set, Stage, Stand, service
from fairlead.model import Listener, ListenerTimeouts, Route

TRUSTING = ("127.0.0.0/8", "::1", "10.0.0.0/8", "unix")
CLIENT = 3  # where a record has the client's address
REQUEST_ID = 15


def get(*fields: str) -> bytes:
    return "\r\n".join(["GET / HTTP/1.1", "Host: a.example", *fields, "", ""]).encode()


async def through(client: Peer, server: Peer, *fields: str) -> Message:
    """A request with these fields as the endpoint gets it, replied to."""
    await client.send(get(*fields))
    request = await server.message()
    await server.send(OK)
    assert (await client.message()).status == 200
    return request


async def joined(stage: Stage, stand: Stand) -> tuple[Peer, Peer]:
    """A connection of a client, and the one to the endpoint, which the first request has opened."""
    client = await stage.client()
    await client.send(GET)
    server = await stand.accept()
    await server.message()
    await server.send(OK)
    await client.message()
    stage.records.clear()
    return client, server


@pytest.mark.parametrize(
    ("family", "peer", "chain"),
    [("v4", b"127.0.0.1", b"192.0.2.7, 127.0.0.1"), ("v6", b"::1", b"192.0.2.7, ::1"), ("unix", b"unix", b"192.0.2.7")],
)
async def test_a_trusted_proxy_is_believed(family: str, peer: bytes, chain: bytes, tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(family=family, trusted_proxies=TRUSTING))
        client, server = await joined(stage, stand)
        request = await through(
            client,
            server,
            "X-Forwarded-For: 192.0.2.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: shop.example",
            "X-Forwarded-Port: 8443",
            "Forwarded: for=192.0.2.7",
            "X-Request-Id: 7f-1",
            "Connection: X-Forwarded-For, X-Request-Id",
            "X_Forwarded_For: 6.6.6.6",
        )
        assert request.one(b"Host") == b"a.example"
        assert request.one(b"X-Forwarded-For") == chain
        assert request.one(b"X-Forwarded-Proto") == b"https"
        assert request.one(b"X-Forwarded-Host") == b"shop.example"
        assert request.one(b"X-Forwarded-Port") == b"8443"
        assert request.one(b"Forwarded") == b"for=192.0.2.7"
        assert request.one(b"X-Request-Id") == b"7f-1"
        assert request.all(b"X_Forwarded_For") == []
        (record,) = stage.records
        assert (record[CLIENT], record[REQUEST_ID]) == (b"192.0.2.7", b"7f-1")
        # Nothing of it is left for the next request of the connection.
        request = await through(client, server)
        assert request.all(b"X-Forwarded-For") == ([] if family == "unix" else [peer])
        assert request.one(b"X-Forwarded-Proto") == b"http"
        assert request.one(b"X-Forwarded-Host") == b"a.example"
        assert len(request.one(b"X-Request-Id")) == 28
        assert request.all(b"Forwarded") == []
        assert stage.records[1][CLIENT] == peer


async def test_nobody_is_believed_by_default_and_none_but_those_that_are_named() -> None:
    for trusted in ((), ("10.0.0.0/8", "::1", "127.0.0.2", "unix")):
        async with Stage() as stage:
            stand = stage.stand()
            stage.play(stand, scene=Set(trusted_proxies=trusted))
            client, server = await joined(stage, stand)
            request = await through(client, server, "X-Forwarded-For: 10.0.0.1", "X-Request-Id: 7f-1", "Forwarded: a=b")
            assert request.one(b"X-Forwarded-For") == b"127.0.0.1"
            assert request.one(b"X-Request-Id") != b"7f-1"
            assert request.all(b"Forwarded") == []
            assert stage.records[0][CLIENT] == b"127.0.0.1"


async def test_who_is_trusted_is_kept_by_address_not_by_what_came_before() -> None:
    """Two connections take turns: what a trusted one said is not said for the other."""
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(trusted_proxies=("127.0.0.0/8",)))
        trusted, server = await joined(stage, stand)
        address = stage.address
        untrusting = stage.plane._listeners["web"].spec
        stage.change(listeners=(Listener(name="web", bind=address, routes=untrusting.routes),))
        other = await stage.client()
        claims = ("X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "X-Request-Id: 7f-1")
        for _ in range(2):
            assert (await through(trusted, server, *claims)).one(b"X-Forwarded-Proto") == b"https"
            request = await through(other, server, *claims)
            assert request.one(b"X-Forwarded-For") == b"127.0.0.1"
            assert request.one(b"X-Forwarded-Proto") == b"http"
            assert request.one(b"X-Request-Id") != b"7f-1"
        assert [record[CLIENT] for record in stage.records] == [b"192.0.2.7", b"127.0.0.1"] * 2


async def test_the_route_is_chosen_by_the_host_whatever_a_proxy_says() -> None:
    async with Stage() as stage:
        app, other = stage.stand(), stage.stand()
        stage.change(service("other", other))
        routes = (Route(service="other", host="other.example"), Route(service="app"))
        stage.play(app, scene=Set(routes=routes, trusted_proxies=TRUSTING))
        client, server = await joined(stage, app)
        request = await through(client, server, "X-Forwarded-Host: other.example")
        assert request.one(b"X-Forwarded-Host") == b"other.example"
        assert not other.has_caller()


async def test_pipelined_requests_of_a_proxy_have_a_client_each() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(trusted_proxies=TRUSTING))
        client, server = await joined(stage, stand)
        await client.send(get("X-Forwarded-For: 1.1.1.1") + get() + get("X-Forwarded-For: 2.2.2.2, 10.0.0.3"))
        for chain in (b"1.1.1.1, 127.0.0.1", b"127.0.0.1", b"2.2.2.2, 10.0.0.3, 127.0.0.1"):
            assert (await server.message()).one(b"X-Forwarded-For") == chain
            await server.send(OK)
            await client.message()
        assert [record[CLIENT] for record in stage.records] == [b"1.1.1.1", b"127.0.0.1", b"2.2.2.2"]


async def test_a_request_that_is_refused_is_nobodys_but_the_proxys() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(trusted_proxies=TRUSTING))
        client, server = await joined(stage, stand)
        await through(client, server, "X-Forwarded-For: 1.1.1.1")
        await client.send(get("X-Forwarded-For: 2.2.2.2", "Content-Length: x"))
        assert (await client.message()).status == 400
        assert [record[CLIENT] for record in stage.records] == [b"1.1.1.1", b"127.0.0.1"]


async def test_a_request_without_a_route_and_one_whose_body_stalls_have_their_client() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        scene = Set(
            routes=(Route(service="app", path="/a"),),
            trusted_proxies=TRUSTING,
            timeouts=ListenerTimeouts(body_s=0.2),
        )
        stage.play(stand, scene=scene)
        client = await stage.client()
        await client.send(get("X-Forwarded-For: 1.1.1.1"))
        assert (await client.message()).status == 404
        await client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 2.2.2.2\r\nContent-Length: 5\r\n\r\n")
        assert (await client.message()).status == 408
        assert [record[CLIENT] for record in stage.records] == [b"1.1.1.1", b"2.2.2.2"]


async def test_a_tunnel_is_recorded_for_its_client() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(trusted_proxies=TRUSTING))
        client, server = await joined(stage, stand)
        await client.send(get("X-Forwarded-For: 1.1.1.1", "Connection: upgrade", "Upgrade: x"))
        await server.message()
        await server.send(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        assert (await client.head()).status == 101
        client.shut()
        await server.ends()
        server.shut()
        await client.ends()
        assert [record[CLIENT] for record in stage.records] == [b"1.1.1.1"]

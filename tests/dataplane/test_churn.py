"""A thousand clients and endpoints that come and go at random points: nothing is left, and no reply is another's."""

import asyncio
import random
from collections.abc import Coroutine

import pytest
from dataplane.stage import Peer, PeerClosedError, Set, Stage
from fairlead.model import Protocol

_SESSIONS = 1000
_AT_ONCE = 50
_LOST = (PeerClosedError, ConnectionError)


async def serve(peer: Peer, dice: random.Random) -> None:
    """Answer each request with its own target, unless the dice say otherwise."""
    try:
        while True:
            request = await peer.message()
            target = request.line.split()[1]
            fate = dice.random()
            body = target + b" " + request.body
            reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            if fate < 0.05:
                peer.reset()
                return
            if fate < 0.1:
                await peer.send(reply[: dice.randrange(len(reply))])
                (peer.close if fate < 0.075 else peer.reset)()
                return
            if fate < 0.15:
                await peer.send(reply + b"surplus")
            elif fate < 0.3:
                middle = dice.randrange(len(reply))
                await peer.send(reply[:middle])
                await asyncio.sleep(0)
                await peer.send(reply[middle:])
            else:
                await peer.send(reply)
    except _LOST:
        peer.close()


async def visit(stage: Stage, number: int, dice: random.Random) -> int:
    """One client: some requests, cut off anywhere. Returns how many of its replies were right."""
    peer = await stage.client()
    served = 0
    try:
        for turn in range(dice.randrange(1, 4)):
            body = b"x" * dice.choice([0, 10, 3000])
            target = b"/%d/%d" % (number, turn)
            verb = b"POST" if body else b"GET"
            request = b"%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (verb, target, len(body)) + body
            if dice.random() < 0.2:
                await peer.send(request[: dice.randrange(len(request))])
                break
            await peer.send(request)
            if dice.random() < 0.2:
                break
            reply = await peer.message()
            if reply.status == 200:
                assert reply.body == target + b" " + body
                served += 1
            else:
                assert reply.error in (b"upstream-reset", b"bad-reply"), reply
    except _LOST:
        pass
    finally:
        dice.choice([peer.close, peer.reset])()
    return served


async def _crowd(visits: list[Coroutine[None, None, int]]) -> int:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(each: Coroutine[None, None, int]) -> int:
        async with gate:
            return await each

    return sum(await asyncio.gather(*(one(each) for each in visits)))


@pytest.mark.parametrize("seed", [1, 2])
async def test_http_clients_and_endpoints_at_random(seed: int) -> None:
    dice = random.Random(seed)
    async with Stage() as stage:
        stands = [stage.stand(), stage.stand()]
        stage.play(*stands)
        async with (
            stands[0].attended(lambda peer: serve(peer, dice)),
            stands[1].attended(lambda peer: serve(peer, dice)),
        ):
            served = await _crowd([visit(stage, number, dice) for number in range(_SESSIONS)])
            assert served > _SESSIONS / 2
            await stage.until(lambda: stage.listener.active == 0)
            assert all(stand.live.in_flight == 0 for stand in stands)
            assert stage.listener.connections == _SESSIONS


async def test_tcp_sessions_at_random() -> None:
    dice = random.Random(3)
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protocol=Protocol.TCP))

        async def echo(peer: Peer) -> None:
            try:
                while data := await asyncio.get_running_loop().sock_recv(peer.sock, 65536):
                    await peer.send(data)
                    if dice.random() < 0.1:
                        dice.choice([peer.close, peer.reset])()
                        return
            except ConnectionError:
                pass
            peer.close()

        async def call(number: int) -> int:
            peer = await stage.client()
            words = b"%d " % number * dice.choice([1, 10, 20000])
            try:
                await peer.send(words)
                if dice.random() < 0.3:
                    peer.shut()
                if dice.random() < 0.7:
                    assert words.startswith(await peer.take(min(len(words), dice.randrange(1, 5000))))
            except _LOST:
                return 0
            finally:
                dice.choice([peer.close, peer.reset])()
            return 1

        async with stand.attended(echo):
            assert await _crowd([call(number) for number in range(_SESSIONS)]) > _SESSIONS / 2
            await stage.until(stage.is_empty)
            stage.check()
            assert len(stage.records) == _SESSIONS

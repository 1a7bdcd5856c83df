"""Names to addresses against a real server on the loopback, and by a hosts file."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import dns.rcode
import pytest
import pytest_asyncio
from fairlead.discovery.dns import DnsSource
from fairlead.discovery.resolver import Answer, SystemResolver, Unresolved

from discovery.dns_server import DnsServer, Silence, dns_server
from discovery.watching import addresses, step


@pytest_asyncio.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with dns_server() as running:
        yield running


IMPATIENT_S = 0.2  # for look-ups that get no answer; the others have all the time that a busy machine needs
PATIENT_S = 10.0


def resolver(
    server: DnsServer, tmp_path: Path, more: str = "", hosts: str = "", limit_s: float = PATIENT_S
) -> SystemResolver:
    """Asks that server alone."""
    (tmp_path / "resolv.conf").write_text(f"nameserver 127.0.0.1\n{more}\n")
    (tmp_path / "hosts").write_text(hosts)
    return SystemResolver(tmp_path / "hosts", tmp_path / "resolv.conf", server.port, limit_s)


def limit_of(how: dns.rcode.Rcode | Silence) -> float:
    return IMPATIENT_S if how is Silence.SILENCE else PATIENT_S


async def test_all_records_of_both_families_in_order_and_once(server: DnsServer, tmp_path: Path) -> None:
    server.give("shop.example", 30, "10.0.0.10", "10.0.0.9", "2001:db8::2", "2001:DB8::1")
    found = await resolver(server, tmp_path)("shop.example")
    assert found == Answer(("10.0.0.9", "10.0.0.10", "2001:db8::1", "2001:db8::2"), 30)


async def test_the_shortest_time_to_live_counts(server: DnsServer, tmp_path: Path) -> None:
    server.answers["shop.example", "A"] = (60, ["10.0.0.1"])
    server.answers["shop.example", "AAAA"] = (7, ["2001:db8::1"])
    assert (await resolver(server, tmp_path)("shop.example")).ttl_s == 7


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (dns.rcode.SERVFAIL, "the DNS servers failed: SERVFAIL"),
        (dns.rcode.REFUSED, "the DNS servers failed: REFUSED"),
        (dns.rcode.NXDOMAIN, "no such name (NXDOMAIN)"),
        (Silence.SILENCE, "no answer from the DNS servers in 0.2 s"),
    ],
)
async def test_why_a_name_has_no_address(
    server: DnsServer, tmp_path: Path, how: dns.rcode.Rcode | Silence, reason: str
) -> None:
    server.fail("shop.example", how)
    with pytest.raises(Unresolved) as failed:
        await resolver(server, tmp_path, limit_s=limit_of(how))("shop.example")
    assert str(failed.value) == reason


async def test_a_name_without_addresses(server: DnsServer, tmp_path: Path) -> None:
    server.give("shop.example", 30)
    with pytest.raises(Unresolved, match="the name has no addresses"):
        await resolver(server, tmp_path)("shop.example")


@pytest.mark.parametrize("how", [dns.rcode.SERVFAIL, Silence.SILENCE])
async def test_one_family_that_fails_does_not_take_the_other_away(
    server: DnsServer, tmp_path: Path, how: dns.rcode.Rcode | Silence
) -> None:
    server.give("shop.example", 30, "10.0.0.1")
    server.fail("shop.example", how, "AAAA")
    found = await resolver(server, tmp_path, limit_s=limit_of(how))("shop.example")
    assert found.addresses == ("10.0.0.1",)
    assert found.problem.startswith("AAAA: ")


async def test_one_family_that_fails_and_none_of_the_other_is_a_failure(server: DnsServer, tmp_path: Path) -> None:
    server.give("shop.example", 30)
    server.fail("shop.example", dns.rcode.SERVFAIL, "A")
    with pytest.raises(Unresolved, match="A: the DNS servers failed: SERVFAIL"):
        await resolver(server, tmp_path)("shop.example")


async def test_a_truncated_answer_is_asked_for_again_over_tcp(server: DnsServer, tmp_path: Path) -> None:
    server.truncates = True
    many = [f"10.0.{i // 250}.{i % 250}" for i in range(400)]
    server.give("shop.example", 30, *many)
    assert set((await resolver(server, tmp_path)("shop.example")).addresses) == set(many)
    assert ("shop.example", "A", "tcp") in server.asked


async def test_search_domains_and_ndots_hold_as_resolv_conf_says(server: DnsServer, tmp_path: Path) -> None:
    server.give("shop.prod.svc.local", 30, "10.0.0.1")
    ask = resolver(server, tmp_path, "search web.svc.local prod.svc.local\noptions ndots:5")
    assert (await ask("shop")).addresses == ("10.0.0.1",)
    assert server.asked[0][0] == "shop.web.svc.local"
    with pytest.raises(Unresolved):
        await ask("shop.")  # a dot at the end: nothing is added


async def test_the_hosts_file_comes_first_and_is_read_anew(server: DnsServer, tmp_path: Path) -> None:
    server.give("shop", 30, "10.0.0.1")
    ask = resolver(
        server, tmp_path, hosts="# comment\n\n10.9.9.9 other SHOP # shop2\n::9 shop\nfe80::1%lo shop\nx shop"
    )
    assert (await ask("shop")).addresses == ("10.9.9.9", "::9")
    assert server.asked == []
    (tmp_path / "hosts").write_text("10.9.9.9 other")
    assert (await ask("shop")).addresses == ("10.0.0.1",)


async def test_localhost_is_never_asked_for(server: DnsServer, tmp_path: Path) -> None:
    assert (await resolver(server, tmp_path)("localhost")).addresses == ("127.0.0.1", "::1")
    assert (await resolver(server, tmp_path, hosts="127.0.0.1 localhost")("localhost")).addresses == ("127.0.0.1",)
    assert "127.0.0.1" in (await SystemResolver()("localhost")).addresses
    assert server.asked == []


@pytest.mark.parametrize("text", [None, "", "nameserver nonsense"])
async def test_no_server_to_ask_is_a_reason_too(tmp_path: Path, text: str | None) -> None:
    conf = tmp_path / "resolv.conf"
    if text is not None:
        conf.write_text(text)
    with pytest.raises(Unresolved, match=r"names no DNS server|the DNS servers failed|no answer"):
        await SystemResolver(tmp_path / "hosts", conf, port=9, limit_s=0.2)("shop.example")


async def test_a_source_follows_a_real_server(server: DnsServer, tmp_path: Path) -> None:
    """Changed, failing, gone, silent and well again: by what the server says, with a clock of the test's own."""
    tick = asyncio.Event()
    patient, impatient = resolver(server, tmp_path), resolver(server, tmp_path, limit_s=IMPATIENT_S)

    async def resolve(name: str) -> Answer:
        return await (impatient if Silence.SILENCE in server.answers.values() else patient)(name)

    async def sleep(pause: float) -> None:
        await tick.wait()
        tick.clear()

    watch = DnsSource("shop.example", 80, 1, resolve, sleep).watch()
    server.give("shop.example", 1, "10.0.0.1")
    assert addresses(await step(watch)) == ["10.0.0.1:80"]
    server.give("shop.example", 1, "10.0.0.2", "2001:db8::2")
    tick.set()
    assert addresses(await step(watch)) == ["10.0.0.2:80", "[2001:db8::2]:80"]
    for how in (dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN, Silence.SILENCE):
        server.fail("shop.example", how)
        tick.set()
        failed = await step(watch)
        assert addresses(failed) == ["10.0.0.2:80", "[2001:db8::2]:80"]
        assert failed.problem.startswith("shop.example: ")
    server.give("shop.example", 1, "10.0.0.3")
    tick.set()
    assert addresses(await step(watch)) == ["10.0.0.3:80"]
    await watch.aclose()


async def test_a_look_up_that_is_cancelled_leaves_nothing_behind(server: DnsServer, tmp_path: Path) -> None:
    server.fail("shop.example", Silence.SILENCE)
    watch = DnsSource("shop.example", 80, 1, resolver(server, tmp_path)).watch()
    consumer = asyncio.ensure_future(anext(watch))
    await server.was_asked.wait()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    await watch.aclose()
    assert len(asyncio.all_tasks()) == 1

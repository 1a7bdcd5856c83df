"""Listening sockets: one for each worker, with options that connections inherit, and reasons where there is none."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from control.helpers import descriptors
from fairlead.control.sockets import Sockets, explain, open_listening
from fairlead.errors import ConfigError

LOCAL = "127.0.0.1:0"


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    opened = Sockets(2)
    yield opened
    opened.keep({})


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=10)


def taken(share: bool = False) -> tuple[socket.socket, str]:
    """Somebody else's listening socket, and its address."""
    other = socket.socket()
    if share:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    other.bind(("127.0.0.1", 0))
    other.listen()
    return other, f"127.0.0.1:{other.getsockname()[1]}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_each_worker_has_its_own_socket_on_the_same_address(sockets: Sockets) -> None:
    sockets.open({"web": LOCAL})
    fds = [sockets.fd("web", LOCAL, worker) for worker in range(2)]
    assert len({os.fstat(fd).st_ino for fd in fds}) == 2
    names = []
    for fd in fds:
        with socket.socket(fileno=os.dup(fd)) as listening:
            names.append(listening.getsockname())
            assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
            assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert not os.get_blocking(fd)
        assert not os.get_inheritable(fd)
    assert names[0] == names[1]
    assert sockets.address("web", LOCAL) == f"127.0.0.1:{names[0][1]}"


def accept(sockets: Sockets) -> socket.socket:
    """The connection that waits; the kernel has chosen one of the two workers for it."""
    for worker in range(2):
        with socket.socket(fileno=os.dup(sockets.fd("web", LOCAL, worker))) as listening, suppress(BlockingIOError):
            return listening.accept()[0]
    raise AssertionError("no connection waits")


def test_accepted_connections_inherit_their_options(sockets: Sockets) -> None:
    sockets.open({"web": LOCAL})
    with connect(sockets.address("web", LOCAL)), accept(sockets) as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_client_that_reads_nothing_is_given_little_of_the_kernels_memory(sockets: Sockets) -> None:
    """Without a bound of its own it is given what a fast one may be given: 2.8 MB and more over loopback."""
    sockets.open({"web": LOCAL})
    taken = 0
    with connect(sockets.address("web", LOCAL)), accept(sockets) as accepted, suppress(BlockingIOError):
        accepted.setblocking(False)
        while taken < 10_000_000:
            taken += accepted.send(bytes(65_536))
    assert 65_536 <= taken <= 1_000_000


def test_what_is_open_stays_open(sockets: Sockets) -> None:
    sockets.open({"web": LOCAL})
    address, fd = sockets.address("web", LOCAL), sockets.fd("web", LOCAL, 0)
    sockets.open({"web": LOCAL, "more": LOCAL})
    sockets.keep({"web": LOCAL, "more": LOCAL})
    assert (sockets.address("web", LOCAL), sockets.fd("web", LOCAL, 0)) == (address, fd)


def test_listeners_on_any_free_port_have_each_their_own(sockets: Sockets) -> None:
    sockets.open({"one": LOCAL, "two": LOCAL})
    assert sockets.address("one", LOCAL) != sockets.address("two", LOCAL)
    sockets.keep({"two": LOCAL})
    with pytest.raises(KeyError):
        sockets.fd("one", LOCAL, 0)
    connect(sockets.address("two", LOCAL)).close()


def test_a_renamed_listener_keeps_its_socket(sockets: Sockets) -> None:
    bind = f"127.0.0.1:{free_port()}"
    sockets.open({"old": bind})
    fd = sockets.fd("old", bind, 1)
    sockets.open({"new": bind})
    sockets.keep({"new": bind})
    assert sockets.fd("new", bind, 1) == fd


def test_keep_closes_the_others(sockets: Sockets) -> None:
    sockets.open({"web": LOCAL})
    address = sockets.address("web", LOCAL)
    sockets.keep({})
    with pytest.raises(ConnectionRefusedError):
        connect(address)
    assert sockets.address("web", LOCAL) == LOCAL


@pytest.mark.parametrize("share", [False, True], ids=["exclusive", "shareable"])
def test_an_address_that_another_process_has_is_refused(sockets: Sockets, share: bool) -> None:
    other, bind = taken(share)
    with other, pytest.raises(ConfigError) as refused:
        sockets.open({"web": bind})
    assert refused.value.problems == [
        f"listener web: {bind}: the address is in use by another process; stop it or choose another"
    ]


def test_every_problem_is_told_and_nothing_has_changed(sockets: Sockets, tmp_path: Path) -> None:
    sockets.open({"old": LOCAL})
    other, bind = taken()
    wanted = {
        "old": LOCAL,
        "fresh": LOCAL,
        "busy": bind,
        "far": "192.0.2.1:0",
        "long": f"unix:{tmp_path}/{'x' * 120}",
        "lost": f"unix:{tmp_path}/nowhere/app.sock",
        "fine": f"unix:{tmp_path}/fine.sock",
    }
    before = descriptors()
    with other, pytest.raises(ConfigError) as refused:
        sockets.open(wanted)
    before.pop(other.fileno(), None)
    told = [problem.split(":")[0] for problem in refused.value.problems]
    assert told == ["listener busy", "listener far", "listener long", "listener lost"]
    assert "no such address" in str(refused.value)
    assert os.listdir(tmp_path) == []
    connect(sockets.address("old", LOCAL)).close()
    with pytest.raises(KeyError):
        sockets.fd("fresh", LOCAL, 0)


def test_the_wildcard_may_follow_an_address_of_ours(sockets: Sockets) -> None:
    port = free_port()
    one, every = f"127.0.0.1:{port}", f"0.0.0.0:{port}"
    sockets.open({"web": one})
    sockets.open({"web": every})  # a reload: the old one is closed only once the new one is there
    sockets.keep({"web": every})
    connect(one).close()


def test_one_port_may_be_asked_for_on_several_addresses_at_once(sockets: Sockets) -> None:
    port = free_port()
    binds = {"one": f"127.0.0.1:{port}", "two": f"127.0.0.2:{port}", "every": f"0.0.0.0:{port}"}
    sockets.open(binds)
    assert {sockets.address(name, bind) for name, bind in binds.items()} == set(binds.values())


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6_is_ipv6_only(sockets: Sockets) -> None:
    sockets.open({"web": "[::1]:0", "every": "[::]:0"})
    address = sockets.address("web", "[::1]:0")
    assert address.startswith("[::1]:")
    assert not address.endswith(":0")
    connect(address).close()
    with pytest.raises(ConnectionRefusedError):
        connect("127.0.0.1:" + sockets.address("every", "[::]:0").rpartition(":")[2])


def test_every_ipv4_address_is_written_without_one() -> None:
    (opened,) = open_listening(":0", 1)
    with opened:
        assert opened.getsockname()[0] == "0.0.0.0"


def test_workers_share_a_unix_socket(sockets: Sockets, tmp_path: Path) -> None:
    bind = f"unix:{tmp_path}/app.sock"
    sockets.open({"web": bind})
    assert sockets.fd("web", bind, 0) == sockets.fd("web", bind, 1)
    assert sockets.address("web", bind) == bind
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/app.sock")
    sockets.keep({})
    assert os.listdir(tmp_path) == []


def test_a_unix_path_that_ends_like_a_port_is_a_path(sockets: Sockets, tmp_path: Path) -> None:
    bind = f"unix:{tmp_path}/app:0"
    sockets.open({"old": bind})
    fd = sockets.fd("old", bind, 0)
    sockets.open({"new": bind})
    assert sockets.fd("new", bind, 0) == fd
    sockets.keep({})
    assert os.listdir(tmp_path) == []


def test_a_unix_socket_that_nobody_listens_on_is_replaced(sockets: Sockets, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/app.sock")
        dead.listen()
    sockets.open({"web": f"unix:{tmp_path}/app.sock"})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/app.sock")


@pytest.mark.parametrize("waiting", [0, 2], ids=["idle", "with a full queue"])
def test_a_unix_socket_that_somebody_listens_on_is_refused(sockets: Sockets, tmp_path: Path, waiting: int) -> None:
    path = f"{tmp_path}/app.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen(0)
        clients = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(waiting)]
        refusals = [client.connect_ex(path) for client in clients]
        assert all(refusals[1:])
        with pytest.raises(ConfigError, match="in use by another process"):
            sockets.open({"web": f"unix:{path}"})
        for client in clients:
            client.close()
    assert os.path.exists(path)


def test_a_file_in_the_way_is_not_removed(sockets: Sockets, tmp_path: Path) -> None:
    (tmp_path / "app.sock").write_text("precious")
    with pytest.raises(ConfigError, match=r"app\.sock: the address is in use"):
        sockets.open({"web": f"unix:{tmp_path}/app.sock"})
    assert (tmp_path / "app.sock").read_text() == "precious"


def test_a_reason_is_found_for_every_error() -> None:
    assert "CAP_NET_BIND_SERVICE" in explain(PermissionError(13, "Permission denied"))
    assert explain(OSError(22, "Invalid argument")) == "Invalid argument"
    assert explain(OSError("AF_UNIX path too long")) == "AF_UNIX path too long"

"""Credentials: a Pod's, whose token changes while it runs, and a user's, by context; over TLS as in a cluster."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fairlead.discovery.kubernetes import access as module
from fairlead.discovery.kubernetes import api as api_module
from fairlead.discovery.kubernetes.access import Access, log_in
from fairlead.discovery.kubernetes.answers import ApiError, What
from fairlead.discovery.kubernetes.api import Api
from kubernetes.api_server import ApiServer

SERVICES = What("services", "", "default")
PATH = "/api/v1/namespaces/default/services"


def sign(key: Path, certificate: Path) -> None:
    """A certificate for 127.0.0.1 that signs itself."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=api"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True, timeout=30)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """With its key in the same file; also the CA of the service account."""
    path = tmp_path / "tls.pem"
    sign(path, tmp_path / "ca.crt")
    path.write_text(path.read_text() + (tmp_path / "ca.crt").read_text())
    return path


@pytest.fixture
async def secure(certificate: Path) -> AsyncIterator[ApiServer]:
    """A stand-in that speaks TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = ApiServer(context)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def account(secure: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a service account, as it is mounted in a Pod; its CA is that of the server."""
    monkeypatch.setattr(module, "_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(secure.port))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (tmp_path / "token").write_text("secret")
    return tmp_path


async def test_a_pod_uses_its_service_account_and_reads_its_token_again(secure: ApiServer, account: Path) -> None:
    api = Api(Access())
    try:
        assert (await api.get(PATH, {}, SERVICES))["items"] == []
        secure.tokens = {"rotated": "tester"}
        (account / "token").write_text("rotated")
        assert (await api.get(PATH, {}, SERVICES))["items"] == []
    finally:
        await api.close()


async def test_a_server_that_another_authority_vouches_for_is_not_believed(
    secure: ApiServer, account: Path, tmp_path: Path
) -> None:
    good = (account / "ca.crt").read_text()
    sign(tmp_path / "other.key", account / "ca.crt")
    api = Api(Access())
    try:
        with pytest.raises(ApiError, match=r"TLS: .*certificate verify failed"):
            await api.get(PATH, {}, SERVICES)
        (account / "ca.crt").write_text(good)  # it is read again
        assert (await api.get(PATH, {}, SERVICES))["items"] == []
    finally:
        await api.close()


async def test_a_context_of_a_kubeconfig(server: ApiServer, tmp_path: Path) -> None:
    config = json.loads(server.kubeconfig("wrong"))
    config["contexts"].append({"name": "other", "context": {"cluster": "here", "user": "you"}})
    config["users"].append({"name": "you", "user": {"token": "secret"}})
    (tmp_path / "config").write_text(json.dumps(config))
    assert await (await log_in(Access(str(tmp_path / "config")))).headers() == {"authorization": "Bearer wrong"}
    login = await log_in(Access(str(tmp_path / "config"), "other"))
    assert await login.headers() == {"authorization": "Bearer secret"}
    assert login.host == server.url


@pytest.mark.parametrize(
    ("text", "context", "says"),
    [
        (None, "", "no way to a Kubernetes API: this is no Pod with a service account, and there is no kubeconfig"),
        ("{}", "", "cannot be used"),
        ("nonsense: [", "", "cannot be used"),
        ("", "missing", "context missing cannot be used"),
    ],
)
async def test_what_is_missing_is_said(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, context: str, says: str
) -> None:
    monkeypatch.setattr(module, "_ACCOUNT", tmp_path / "nothing")
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text or server.kubeconfig())
    with pytest.raises(ApiError) as error:
        await log_in(Access(str(path), context))
    assert says in str(error.value)


async def test_a_certificate_that_is_none_is_said(account: Path) -> None:
    (account / "ca.crt").write_text("nonsense")
    api = Api(Access())
    with pytest.raises(ApiError, match="a certificate of the Kubernetes API cannot be read"):
        await api.get(PATH, {}, SERVICES)
    await api.close()


async def test_a_connection_whose_other_side_vanishes_ends_by_itself(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []
    make = api_module._socket

    def remember(address: tuple[Any, ...]) -> socket.socket:
        made.append(make(address))
        return made[-1]

    monkeypatch.setattr(api_module, "_socket", remember)
    (tmp_path / "config").write_text(server.kubeconfig())
    api = Api(Access(str(tmp_path / "config")))
    try:
        await api.get(PATH, {}, SERVICES)
        (connection,) = made
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        times = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT]
        idle, interval, count, unacknowledged_ms = (connection.getsockopt(socket.IPPROTO_TCP, name) for name in times)
        assert idle + interval * count <= 30
        assert unacknowledged_ms <= 30_000
    finally:
        await api.close()

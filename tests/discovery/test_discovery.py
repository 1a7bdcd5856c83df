"""The registry of sources."""

from pathlib import Path

import pytest
from fairlead.discovery import SOURCES, Source, parse
from fairlead.discovery.dns import DnsSource
from fairlead.discovery.file import FileSource
from fairlead.discovery.kubernetes.source import KubernetesSource
from fairlead.discovery.seam import Found, LastGood
from fairlead.discovery.static import StaticSource
from fairlead.model import Endpoint

BASE = Path("/base")


def test_the_schemes() -> None:
    assert list(SOURCES) == ["", "dns", "file", "k8s"]


@pytest.mark.parametrize(
    ("text", "source", "canonical"),
    [
        ("10.0.0.1:80", StaticSource("10.0.0.1:80", 7), "10.0.0.1:80"),
        ("[::1]:80", StaticSource("[::1]:80", 7), "[::1]:80"),
        ("unix:app.sock", StaticSource("unix:/base/app.sock", 7), "unix:/base/app.sock"),
        ("dns://Shop.example.COM:80", DnsSource("shop.example.com", 80, 7), "dns://shop.example.com:80"),
        ("dns://localhost:80/", DnsSource("localhost", 80, 7), "dns://localhost:80"),
        ("DNS://a_b.c.:80", DnsSource("a_b.c.", 80, 7), "dns://a_b.c.:80"),
        ("k8s://a/b:http", KubernetesSource("a", "b", "http", 7), "k8s://a/b:http"),
        ("file:x.yaml", FileSource(Path("/base/x.yaml"), 7), "file:///base/x.yaml"),
        ("file://./x.yaml", FileSource(Path("/base/x.yaml"), 7), "file:///base/x.yaml"),
        ("file:///etc/x.yaml", FileSource(Path("/etc/x.yaml"), 7), "file:///etc/x.yaml"),
    ],
)
def test_each_scheme_is_read_by_its_source(text: str, source: Source, canonical: str) -> None:
    found = parse(text, 7, BASE)
    assert found == source
    assert (found.text, found.weight) == (canonical, 7)
    assert parse(found.text, 7, BASE) == found  # equal across a reload, so that it can go on running
    assert parse(found.text, 8, BASE) != found


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("k8s://my-app:http", "does not name a namespace and a Service; write k8s://default/my-app:http"),
        ("k8://default/my-app:http", "did you mean k8s://?"),
        ("http://10.0.0.1:80", "http:// is no source of endpoints; use IP:PORT"),
        ("dsn://shop:80", "did you mean dns://?"),
        ("unix:///run/app.sock", "written unix:/run/app.sock"),
        ("my-app:8080", "write dns://my-app:8080"),
        ("my-app", "write dns://my-app:80"),
        ("dns:shop:80", "write dns://shop:80"),
        ("dns://shop", "write dns://shop:80"),
        ("dns://", "write dns://my-app:80"),
        ("dns://10.0.0.1:80", "an address is written without dns://"),
        ("dns://[::1]:80", "an address is written without dns://"),
        ("dns://shop:0", "from 1 to 65535"),
        ("dns://-shop:80", "is no DNS name"),
        ("dns://shöp:80", "xn--"),
        ("dns://a..b:80", "is no DNS name"),
        (f"dns://{'a.' * 127}a:80", "is no DNS name"),
        ("file:", "names no file"),
        ("file:///etc/", "names no file"),
    ],
)
def test_what_is_no_source_is_refused_with_advice(text: str, advice: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(text, 1, BASE)
    assert advice in str(refused.value)


def test_what_was_good_stays_and_nothing_is_said_twice() -> None:
    memory = LastGood()
    one = (Endpoint("10.0.0.1:80"),)
    assert memory.update(None, "down") == Found((), "down")
    assert memory.update(None, "down") is None
    assert memory.update(one) == Found(one)
    assert memory.update(one) is None
    assert memory.update(None, "down") == Found(one, "down")
    assert memory.update(one) == Found(one)
    assert memory.update(()) == Found(())

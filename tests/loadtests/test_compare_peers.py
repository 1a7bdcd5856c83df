"""The configurations of the proxies, without running them."""

from pathlib import Path

import pytest
import yaml

from loadtests.compare.peers import PEERS, Place
from loadtests.compare.peers.nginx import Nginx
from loadtests.compare.peers.seam import TEMPLATES, fill
from loadtests.compare.processes import CompareError
from loadtests.compare.workloads.endpoints import Many


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(directory=tmp_path, l7=10001, l4=10002, admin=10003, upstreams=(10004, 10005), connections=16000)


def test_all_names_of_a_template_are_filled(place: Place) -> None:
    assert fill("@L7@ @L4@ @ADMIN@ @UP1@ @UP2@ @CONNECTIONS@ @DIR@ @MORE@", place, {"MORE": "more"}) == (
        f"10001 10002 10003 10004 10005 16000 {place.directory} more"
    )


def test_an_unknown_name_is_an_error(place: Place) -> None:
    with pytest.raises(CompareError, match="@PORT@"):
        fill("listen @PORT@;", place)


def test_what_only_looks_like_a_name_stays(place: Place) -> None:
    assert fill('"@type": type.googleapis.com/x', place) == '"@type": type.googleapis.com/x'


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_writes_its_configuration_and_names_it(name: str, place: Place) -> None:
    command = PEERS[name].command(place)
    (path,) = [Path(word) for word in command if word.startswith(f"{place.directory}/")]
    text = path.read_text()
    assert all(str(port) in text for port in (place.l7, place.l4, *place.upstreams))
    assert "@L" not in text and "@UP" not in text


@pytest.mark.parametrize("name", ["fairlead.yaml", "envoy.yaml", "many-endpoints.yaml"])
def test_a_filled_template_is_yaml(name: str, place: Place) -> None:
    assert isinstance(yaml.safe_load(fill((TEMPLATES / name).read_text(), place)), dict)


def test_nginx_has_slots_to_spare_so_that_it_closes_no_idle_client(place: Place) -> None:
    Nginx().command(place)
    assert "worker_connections 20000;" in (place.directory / "nginx.conf").read_text()


def test_many_endpoints_stand_in_a_file_beside_the_configuration(place: Place) -> None:
    Many(port=10004).command(place)
    text = (place.directory / "endpoints.yaml").read_text()
    assert text.count("\n") == 10_000
    assert yaml.safe_load(text.partition("\n")[0]) == [{"address": "127.1.0.1:10004", "weight": 1}]

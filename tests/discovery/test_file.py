"""Endpoints in a file: what it may say, and what it may not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fairlead.discovery.file import FileSource, read_endpoints
from fairlead.errors import ConfigError
from fairlead.model import Endpoint, State
from hypothesis import given
from hypothesis import strategies as st

from discovery.watching import addresses, step

PATH = Path("/etc/endpoints.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read_endpoints(text, PATH, 1)
    return refused.value.problems


@pytest.mark.parametrize(
    ("text", "endpoints"),
    [
        ("[]", []),
        ("- 10.0.0.2:80\n- 10.0.0.1:80", [Endpoint("10.0.0.2:80", 5), Endpoint("10.0.0.1:80", 5)]),
        ('["[::1]:80", "unix:app.sock"]', [Endpoint("[::1]:80", 5), Endpoint("unix:/etc/app.sock", 5)]),
        ('[{"address": "10.0.0.1:80", "weight": 3}]', [Endpoint("10.0.0.1:80", 3)]),
        ("- {address: 10.0.0.1:80, state: draining}", [Endpoint("10.0.0.1:80", 5, State.DRAINING)]),
        ("- {address: 10.0.0.1:80, state: unready}", [Endpoint("10.0.0.1:80", 5, State.UNREADY)]),
        ("- {address: 10.0.0.1:80, state: ready, weight: 65535}", [Endpoint("10.0.0.1:80", 65535)]),
    ],
)
def test_what_a_file_may_say(text: str, endpoints: list[Endpoint]) -> None:
    assert read_endpoints(text, PATH, 5) == tuple(endpoints)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1: endpoints: is empty; write [] when there are none"),
        ("# nothing", "1: endpoints: is empty; write [] when there are none"),
        ("a: b", "1: endpoints: is a mapping, and must be a list"),
        ("10.0.0.1:80", "1: endpoints: is '10.0.0.1:80', and must be a list"),
        (
            "- 10.0.0.1:80\n- {address: 10.0.0.2:80, weight: 0}",
            "2: endpoints[1].weight: is 0, and must be from 1 to 65535",
        ),
        ("- {address: 10.0.0.2:80, weight: [1]}", "1: endpoints[0].weight: is a list, and must be a text or a number"),
        ("- {weight: 1}", "1: endpoints[0]: has no address; write {address: IP:PORT}"),
        ("- {address: 10.0.0.1:80, wieght: 1}", "1: endpoints[0].wieght: is unknown; did you mean 'weight'?"),
        (
            "- {address: 10.0.0.1:80, state: ejected}",
            "1: endpoints[0].state: is 'ejected', which is no state; known are draining, ready, unready",
        ),
        ("- {address: 10.0.0.1:80, state: }", "1: endpoints[0].state: is empty, and must be a text or a number"),
        ("- {address: [], state: ready}", "1: endpoints[0].address: is a list, and must be a text or a number"),
        (
            "\n- dns://shop:80",
            "2: endpoints[0]: 'dns://shop:80' is no address; write IP:PORT or unix:/PATH",
        ),
        (
            "- shop:80",
            "1: endpoints[0]: 'shop:80' is a name and not an address; write its IP address",
        ),
        (
            "- 10.0.0.1:80\n- 10.0.0.1:080",
            "2: endpoints[1]: 10.0.0.1:80 is listed twice; remove one, or give it a weight",
        ),
        ("- [", "2: endpoints: is not YAML: while parsing a flow node: did not find expected node content"),
    ],
)
def test_what_it_may_not_say(text: str, problem: str) -> None:
    assert problems(text) == [f"{PATH}:{problem}"]


def test_every_problem_is_reported() -> None:
    assert len(problems("- nonsense\n- {weight: x, address: 10.0.0.1:80}\n- {}")) == 3


@given(st.text(alphabet=st.sampled_from("-[]{}:,\"' \n\tabc.0189#&*!|>%@`"), max_size=60))
def test_any_text_is_endpoints_or_problems_with_their_line(text: str) -> None:
    try:
        read_endpoints(text, PATH, 1)
    except ConfigError as error:
        assert all(problem.startswith(f"{PATH}:") and problem.split(":")[1].isdecimal() for problem in error.problems)


async def test_the_problem_of_a_broken_file_says_how_many_more_there_are(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text("- 10.0.0.1\n- 10.0.0.2\n- 10.0.0.3\n")
    watch = FileSource(path).watch()
    found = await step(watch)
    assert found.endpoints == ()
    assert (
        found.problem == f"{path}:1: endpoints[0]: '10.0.0.1' has no port; write 10.0.0.1:80 for port 80 (and 2 more)"
    )
    await watch.aclose()


async def test_a_list_that_becomes_empty_on_purpose_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text("[10.0.0.1:80]")
    watch = FileSource(path).watch()
    assert addresses(await step(watch)) == ["10.0.0.1:80"]
    (tmp_path / "new").write_text("[]")
    (tmp_path / "new").rename(path)
    found = await step(watch)
    assert (found.endpoints, found.problem) == ((), "")
    await watch.aclose()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "1: file: does not exist; create it or name another"),
        (lambda path: path.mkdir(), "1: file: is a directory; name a file in it"),
        (lambda path: path.write_bytes(b"- 10.0.0.1:80\n# \xff"), "2: file: is not UTF-8 text; save it as UTF-8"),
    ],
)
async def test_a_file_that_cannot_be_read(tmp_path: Path, make: Callable[[Path], object], problem: str) -> None:
    path = tmp_path / "endpoints.yaml"
    make(path)
    watch = FileSource(path).watch()
    found = await step(watch)
    assert (found.endpoints, found.problem) == ((), f"{path}:{problem}")
    await watch.aclose()

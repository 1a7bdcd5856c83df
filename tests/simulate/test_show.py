"""The command, its table and its plot."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairlead.cli import main
from fairlead.simulate.reading import names

TEXT = "{seconds: 2s, rate: 300, endpoints: {good: {count: 2}, bad: {changes: [{at: 1s, fails: 1}]}}}"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "120")
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    return str(path)


def test_a_table_of_all_policies(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", file]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("mine: 300 requests/s for 2 s, 2 workers")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if "|" in line][2:]
    assert [row[0] for row in rows] == ["round-robin", "random", "weighted", "least-request", "peak-ewma", "hash"]
    failed = {row[0]: int(row[2].split()[0].replace(",", "")) for row in rows}
    assert failed["peak-ewma"] < failed["round-robin"]


def test_some_policies_and_another_seed(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for seed in ("1", "1", "2"):
        options = ["--policy", "random", "--policy", "hash", "--seed", seed, "--slow-start", "5"]
        assert main(["simulate", file, *options]) == 0
        printed.append(capsys.readouterr().out)
    assert "round-robin" not in printed[0]
    assert "slow start 5 s" in printed[0]
    assert printed[0] == printed[1] != printed[2]


def test_without_a_scenario_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate"]) == 0
    assert capsys.readouterr().out.split() == names()


def test_what_is_wrong_is_said(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, said in (
        (["nonsense"], "nonsense: is no scenario"),
        ([file, "--policy", "nonsense"], "--policy: 'nonsense' is no policy"),
        ([file, "--policy", "random", "--plot", "x.txt"], "--plot: x.txt must end in one of .svg, .png, .pdf"),
        ([file, "--policy", "random", "--plot", str(tmp_path / "no" / "x.svg")], "cannot be written: No such file"),
    ):
        assert main(["simulate", *options]) == 2
        assert said in capsys.readouterr().err


def test_a_plot_is_the_same_for_the_same_run(file: str, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg", "c.png"):
        options = ["--policy", "random", "--policy", "peak-ewma", "--plot", str(tmp_path / name)]
        assert main(["simulate", file, *options]) == 0
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    assert "peak-ewma" in svg
    assert "failed requests/s" in svg
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")

"""The command: what its options mean, and what it says of those that mean nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fairlead
import pytest
from fairlead import cli, main
from fairlead.settings import AUTO_WORKERS, Admin, Settings

GOOD = """
listeners:
  web: {bind: "127.0.0.1:0", service: shop}
services:
  shop: {endpoints: "10.0.0.1:80"}
"""


class Started:
    """What `fairlead run` would have served."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.path: Path | None = None

    def run(self, settings: Settings, path: Path | None) -> int:
        self.settings, self.path = settings, path
        return 0


@pytest.fixture(autouse=True)
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "configure_logging", lambda: None)
    started = Started()
    monkeypatch.setattr(main, "run", started.run)
    return started


def fairlead_says(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines of a command that is refused."""
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_the_one_liner(started: Started) -> None:
    to = ["--to", "10.0.0.1:80", "--to", "10.0.0.2:80"]
    assert cli.main(["run", "--listen", "127.0.0.1:8080", *to]) == 0
    settings = started.settings
    assert settings is not None
    assert started.path is None
    assert [listener.bind for listener in settings.listeners.values()] == ["127.0.0.1:8080"]
    assert [source.text for source in settings.services["default"].sources] == ["10.0.0.1:80", "10.0.0.2:80"]
    assert (settings.services["default"].balance, settings.workers, settings.admin) == (
        "round-robin", AUTO_WORKERS, Admin()
    )  # fmt: skip


def test_the_one_liner_with_everything(started: Started) -> None:
    more = ["--tcp", "--balance", "random", "--workers", "3", "--admin", "off"]
    assert cli.main(["run", "--listen", ":6379", "--to", "10.0.0.1:6379", *more]) == 0
    settings = started.settings
    assert settings is not None
    assert [listener.protocol for listener in settings.listeners.values()] == ["tcp"]
    assert (settings.services["default"].balance, settings.workers, settings.admin.bind) == ("random", 3, "")


@pytest.mark.parametrize("arguments", [["run"], ["run", "-c", "fairlead.yaml"]])
def test_a_file(started: Started, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "fairlead.yaml").write_text(GOOD)
    assert cli.main(arguments) == 0
    assert started.settings is not None
    assert started.settings.listeners.keys() == {"web"}
    assert started.path == tmp_path / "fairlead.yaml"  # whole: it is read again after a change of directory


def test_nothing_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = fairlead_says(capsys, "run")
    assert line == "fairlead.yaml: is not here; give -c FILE, or --listen ADDRESS --to ADDRESS"


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = fairlead_says(capsys, "run", "-c", "mine.yaml")
    assert line.startswith("mine.yaml:1: file: does not exist")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [(["--to", "10.0.0.1:80"], "--listen"), (["--listen", ":80"], "--to")],
)
def test_half_a_one_liner(capsys: pytest.CaptureFixture[str], arguments: list[str], option: str) -> None:
    (line,) = fairlead_says(capsys, "run", *arguments)
    assert line.startswith(f"{option}: is missing")


def test_a_file_and_a_one_liner(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = fairlead_says(capsys, "run", "-c", "fairlead.yaml", "--listen", ":80", "--to", "10.0.0.1:80")
    assert line.startswith("--config: cannot be given together")


@pytest.mark.parametrize("file", [[], ["-c", "fairlead.yaml"]])
def test_options_that_a_file_would_hide(capsys: pytest.CaptureFixture[str], tmp_path: Path, file: list[str]) -> None:
    (tmp_path / "fairlead.yaml").write_text(GOOD)
    options = ["--tcp", "--balance", "random", "--workers", "0", "--admin", ""]
    lines = fairlead_says(capsys, "run", *file, *options)
    assert [line.partition(":")[0] for line in lines] == ["--tcp", "--balance", "--workers", "--admin"]


def test_every_mistake_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--listen", "80", "--to", "10.0.0.1", "--balance", "rundom", "--workers", "-1", "--admin", "nowhere"]
    lines = fairlead_says(capsys, "run", *options)
    assert [line.partition(":")[0] for line in lines] == ["--listen", "--to", "--balance", "--admin", "--workers"]
    assert "did you mean 'random'" in lines[2]


def test_check_says_that_a_file_is_good(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert cli.main(["check", "-c", "mine.yaml"]) == 0
    assert capsys.readouterr().out == "mine.yaml: good: 1 listeners, 1 services\n"


def test_check_names_the_line_of_each_mistake(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "fairlead.yaml").write_text(
        GOOD.replace("service: shop", "service: shep").replace("10.0.0.1", "10.0.1")
    )
    lines = fairlead_says(capsys, "check")
    assert [line.split(": ")[0] for line in lines] == ["fairlead.yaml:3", "fairlead.yaml:5"]
    assert "shop" in lines[0]


def test_check_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = fairlead_says(capsys, "check")
    assert line.startswith("fairlead.yaml:1: file: does not exist")


def test_check_needs_neither_the_engine_nor_the_loop(tmp_path: Path) -> None:
    (tmp_path / "fairlead.yaml").write_text(GOOD)
    code = (
        "import sys; from fairlead import cli; assert cli.main(['check']) == 0;"
        "print([name for name in ('uvloop', 'aiohttp', 'fairlead.engine.reactor') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.stdout.splitlines()[1] == "[]", done.stderr


@pytest.mark.parametrize("arguments", [[], ["dance"], ["run", "--workers", "many"], ["run", "--speed"]])
def test_what_is_no_command(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: fairlead" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"fairlead {fairlead.__version__}\n"

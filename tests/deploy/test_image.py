"""The images' recipes: hadolint's rules, and ours."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import fairlead
import pytest
from deploy.rendering import ROOT

DOCKERFILES = [ROOT / "Dockerfile", ROOT / "deploy/example/Dockerfile"]
named = pytest.mark.parametrize("path", DOCKERFILES, ids=["fairlead", "my-app"])


@named
def test_hadolint_finds_nothing(path: Path) -> None:
    hadolint = shutil.which("hadolint") or shutil.which(str(Path(sys.executable).with_name("hadolint")))
    if hadolint is None:
        pytest.skip("hadolint is not installed: `make deploy-check` does it (79 MB)")
    done = subprocess.run([hadolint, "--no-color", str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@named
def test_the_last_stage_runs_as_a_number_and_without_a_shell(path: Path) -> None:
    last = re.split(r"^FROM ", path.read_text(), flags=re.M)[-1]
    assert re.findall(r"^USER (.*)$", last, flags=re.M) == ["65532:65532"]
    assert re.findall(r"^(RUN|SHELL)\b", last, flags=re.M) == []
    for word in ("ENTRYPOINT", "CMD"):
        assert re.search(rf"^{word} \[", last, flags=re.M)


def test_its_version_is_that_of_this_tree() -> None:
    assert f"ARG VERSION={fairlead.__version__}\n" in DOCKERFILES[0].read_text()
    assert f"ARG FAIRLEAD=fairlead:{fairlead.__version__}\n" in DOCKERFILES[1].read_text()


def test_only_what_it_is_made_of_is_sent_to_the_build() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILES[0].read_text(), flags=re.M)
    assert {line[1:] for line in lines if line.startswith("!")} == {name for line in copied for name in line.split()}

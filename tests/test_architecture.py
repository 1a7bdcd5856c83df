"""The shape of the code: which way imports point, that each module says what it owns, that functions stay short.

Data flows discovery -> services -> snapshot -> balance -> data plane -> reports -> observe. A package may import only
what ALLOWED says: what it stands on, never what stands on it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fairlead
import pytest

ROOT = Path(fairlead.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py"))
BASE = {"model", "errors"}  # whatever stands on nothing

ALLOWED = {
    "wire": BASE,
    "balance": BASE,
    "engine": BASE,
    "discovery": BASE | {"fields", "yaml_nodes"},
    "health": BASE | {"fields", "yaml_nodes", "engine", "wire", "observe.totals", "observe.histogram"},
    "observe": BASE | {"health.verdicts", "health.checks.results"},
    "autoscale": BASE | {"settings", "fields", "yaml_nodes", "observe.totals", "observe.histogram", "discovery"},
    "simulate": BASE | {"balance", "fields", "yaml_nodes", "health"},
    "dataplane": BASE | {"wire", "engine", "balance", "routes", "observe.histogram", "health.ejection"},
}
AIOHTTP = {
    Path("observe/admin.py"),
    Path("discovery/kubernetes/api.py"),
    *(Path(f"autoscale/{name}.py") for name in ("server", "cluster", "replicas")),
}
PURE = {"wire", "balance"}
IO = {"asyncio", "socket", "time"}
ONLY_TEXT = {
    "socket.inet_pton",
    "socket.inet_ntop",
    "socket.AF_INET",
    "socket.AF_INET6",
}  # an address read from its text: neither I/O nor state
LONGEST = 60  # lines of a function
LONG: set[str] = set()  # "package/module.py: function" of those that may be longer; keep it empty


def imports(path: Path) -> Iterator[str]:
    """The modules that a module imports, those for Cython (cimports) by their own names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = (node.module or "").removeprefix("cython.cimports.")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(path: Path) -> str:
    """The package of Fairlead that a module is in; "" for the modules at the top."""
    parts = path.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else ""


def is_allowed(name: str, package: str) -> bool:
    inner = name.removeprefix("fairlead.")
    return any(inner == each or inner.startswith(f"{each}.") for each in ALLOWED[package] | {package})


def named(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(ROOT)) for path in paths])


def test_every_package_has_its_place() -> None:
    assert {within(path) for path in MODULES} - {"", "control", "demo"} == ALLOWED.keys()


@named([path for path in MODULES if within(path) in ALLOWED])
def test_imports_point_to_what_a_package_stands_on(path: Path) -> None:
    inner = [name for name in imports(path) if name.startswith("fairlead.")]
    assert [name for name in inner if not is_allowed(name, within(path))] == []


@named([path for path in MODULES if within(path) in PURE])
def test_pure_packages_know_no_sockets_and_no_clock(path: Path) -> None:
    assert IO & {name.partition(".")[0] for name in set(imports(path)) - ONLY_TEXT} == set()


def test_only_http_servers_and_clients_import_aiohttp() -> None:
    users = {path.relative_to(ROOT) for path in MODULES for name in imports(path) if name.split(".")[0] == "aiohttp"}
    assert {user for user in users if user.parts[0] != "demo"} == AIOHTTP


def test_reading_a_configuration_imports_no_client_of_kubernetes() -> None:
    """It costs 0.3 s and 40 MB, which only who names a Service is to pay, and only the supervisor."""
    script = "import sys, fairlead.main; print({'kubernetes_asyncio', 'aiohttp', 'h2'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


@named(MODULES)
def test_a_module_says_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_functions_are_short() -> None:
    long = {
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST
    }
    assert long == LONG

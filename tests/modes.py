"""The modules in Cython's pure Python mode, each in both of its forms, in one process.

`COMPILED` is what `import` gives when the extension was built, `INTERPRETED` is the same text run from its source
beside it. Never changes what `import` gives to others: `sys.modules` is as before when this has been imported.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

import fairlead
import pytest

_SOURCES: Final = Path(fairlead.__file__).parent
# Each after those that it imports. __init__ stands for its package.
_MODULES: Final = (
    "observe.histogram",
    "wire.fields",
    "wire.http1",
    "wire.forwarded",
    "wire.body",
    "wire.lookup",
    "balance.seam",
    "balance.least_request",
    "balance.bounded_hash",
    "balance.peak_ewma",
    "balance.random_choice",
    "balance.round_robin",
    "balance.weighted",
    "balance.pool",
    "balance.from_file",
    "balance.__init__",
)


class Mode(dict[str, ModuleType]):
    """The modules in one form, by their name within fairlead: "wire.http1"."""

    def __init__(self, name: str, modules: dict[str, ModuleType]) -> None:
        super().__init__(modules)
        self.name = name

    def __repr__(self) -> str:
        return self.name


def load_interpreted() -> Mode:
    """Run the sources of all modules anew, each importing the others in this form and not in the compiled one."""
    modules: dict[str, ModuleType] = {}
    with _hidden([_full(name) for name in _MODULES]):
        for name in _MODULES:
            spec = spec_from_file_location(_full(name), _SOURCES / f"{name.replace('.', '/')}.py")
            assert spec is not None
            assert spec.loader is not None
            modules[name.removesuffix(".__init__")] = sys.modules[_full(name)] = module = module_from_spec(spec)
            spec.loader.exec_module(module)
    return Mode("interpreted", modules)


@contextmanager
def _hidden(names: list[str]) -> Iterator[None]:
    """Nothing is known under these names within, and afterwards what was known before."""
    known = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(known)


def _full(name: str) -> str:
    return f"fairlead.{name}".removesuffix(".__init__")


def _imported() -> Mode:
    names = [name.removesuffix(".__init__") for name in _MODULES]
    return Mode("compiled", {name: import_module(f"fairlead.{name}") for name in names})


COMPILED: Final = _imported()
INTERPRETED: Final = load_interpreted()
IS_BUILT: Final = not str(COMPILED["wire.http1"].__file__).endswith(".py")
BOTH: Final = (
    pytest.param(COMPILED, id="compiled", marks=pytest.mark.skipif(not IS_BUILT, reason="the extension is not built")),
    pytest.param(INTERPRETED, id="interpreted"),
)

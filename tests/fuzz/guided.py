"""One target under atheris: the data plane's own text, interpreted and instrumented, so that coverage guides the bytes.

Started by `python -m fuzz` in a process of its own, as libFuzzer ends the process it runs in. Everything of Fairlead is
imported after the tests' conftest has put the text before the compiled modules.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType

os.environ["FAIRLEAD_INTERPRETED"] = "1"

import atheris
import conftest  # noqa: F401 - finds the text of what is also there compiled
from fuzz.targets import TARGETS_BY_NAME

_GUIDING = ("fairlead.wire.", "fairlead.dataplane.")


def functions(module: ModuleType) -> Iterator[FunctionType]:
    """Those that the module defines, methods included."""
    for value in vars(module).values():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            yield from (member for member in vars(value).values() if inspect.isfunction(member))
        elif inspect.isfunction(value) and value.__module__ == module.__name__:
            yield value


def main() -> None:
    name, *arguments = sys.argv[1:]
    for module in [module for key, module in sys.modules.items() if key.startswith(_GUIDING)]:
        assert str(module.__file__).endswith(".py")
        for function in functions(module):
            atheris.instrument_func(function)
    atheris.Setup([sys.argv[0], *arguments], TARGETS_BY_NAME[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

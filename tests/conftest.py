"""Every test runs in the loop that Fairlead runs in, and in either form of the modules that exist in two.

FAIRLEAD_INTERPRETED=1 imports the modules in pure Python mode from their text even where compiled ones lie beside it;
the engine is always compiled. The form is fixed here, before anything of Fairlead is imported.
"""

import os
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

import uvloop

_TWOFOLD = ("fairlead.wire.", "fairlead.balance.", "fairlead.dataplane.", "fairlead.observe.histogram")
_IS_INTERPRETED = os.environ.get("FAIRLEAD_INTERPRETED") == "1"


class _TextFinder(PathFinder):
    """Finds the text of a module that is there in compiled form too."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_TWOFOLD):
            return None
        for folder in path or ():
            file = Path(folder) / f"{fullname.rpartition('.')[2]}.py"
            if file.is_file():
                return spec_from_file_location(fullname, file, loader=SourceFileLoader(fullname, str(file)))
        return None


if _IS_INTERPRETED:
    sys.meta_path.insert(0, _TextFinder)


def pytest_report_header() -> str:
    return f"fairlead: {'interpreted' if _IS_INTERPRETED else 'as built'}"


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}

"""Builds the compiled parts: the engine, and the modules in Cython's pure Python mode (the same text runs interpreted).

FAIRLEAD_BUILD_ANNOTATE=1 writes Cython's annotated HTML beside each module.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

SOURCES = Path("proxy")
PURE = ("wire", "balance", "dataplane")  # whole packages
PURE_MODULES = ("fairlead/observe/histogram.py",)


class Build(build_ext):
    """build_ext whose failure says what to install."""

    def run(self) -> None:
        try:
            super().run()
        except (CCompilerError, ExecError, PlatformError) as error:
            raise SystemExit(
                f"fairlead: the C compiler failed ({error}).\n"
                "Install one together with Python's headers, then try again:\n"
                "    apt-get install -y gcc python3-dev        (Debian, Ubuntu)"
            ) from None


def extensions() -> list[Extension]:
    paths = sorted(SOURCES.glob("fairlead/engine/*.pyx"))
    for package in PURE:
        paths += sorted(p for p in SOURCES.glob(f"fairlead/{package}/*.py") if p.name != "__init__.py")
    paths += [path for name in PURE_MODULES if (path := SOURCES / name).exists()]
    return [
        Extension(
            ".".join(path.relative_to(SOURCES).with_suffix("").parts),
            [str(path)],
            extra_compile_args=["-O2", "-g0", "-fno-semantic-interposition", "-Wno-unreachable-code"],
            extra_link_args=["-Wl,-s"],
        )
        for path in paths
    ]


setup(
    cmdclass={"build_ext": Build},
    ext_modules=cythonize(
        extensions(),
        include_path=[str(SOURCES)],
        annotate=bool(os.environ.get("FAIRLEAD_BUILD_ANNOTATE")),
        nthreads=os.cpu_count() or 1,
        compiler_directives={
            "language_level": "3",
            "binding": False,
            "annotation_typing": False,
            "freethreading_compatible": False,
            "initializedcheck": False,
            "auto_pickle": False,
        },
    ),
)

"""Builds the compiled parts: the engine, and the modules in Cython's pure Python mode (the same text runs interpreted).

FAIRLEAD_BUILD_ANNOTATE=1 writes Cython's annotated HTML beside each module; FAIRLEAD_BUILD_SYMBOLS=1 keeps symbols for
perf and gdb; FAIRLEAD_BUILD_NOTHING=1 builds nothing: an editable installation compiles all anew, also what
`build_ext --inplace` has just built.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

SOURCES = Path("proxy")
COMPILE = ("-O2", "-fno-semantic-interposition", "-Wno-unreachable-code")
SYMBOLS = bool(os.environ.get("FAIRLEAD_BUILD_SYMBOLS"))
PURE = ("wire", "balance", "dataplane")  # whole packages
PURE_MODULES = ("fairlead/observe/histogram.py",)


class Build(build_ext):
    """build_ext that uses every core, and whose failure says what to install."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or len(os.sched_getaffinity(0))

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
            extra_compile_args=[*COMPILE, "-g" if SYMBOLS else "-g0"],
            extra_link_args=[] if SYMBOLS else ["-Wl,-s"],
        )
        for path in paths
    ]


setup(
    cmdclass={"build_ext": Build},
    ext_modules=[]
    if os.environ.get("FAIRLEAD_BUILD_NOTHING")
    else cythonize(
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
            "nonecheck": True,  # a bug costs one connection, not the worker
            "auto_pickle": False,
        },
    ),
)

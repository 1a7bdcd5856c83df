"""Copies what a Python program needs out of the root of an image: `runtime.py VENV ROOT`, in the build of the image.

That is the environment, its interpreter with the standard library, the shared libraries that any of them loads, the
loader's own files and the certificates; no shell and no package manager. Which of Debian's packages they are from is
listed for scanners in var/lib/dpkg/status.d. Runs in any Debian-based image; never outside a build.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

# Loaded by name at run time, so that nothing links to it: when a thread ends.
HIDDEN: Final = ("libgcc_s.so.1",)
FILES: Final = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ssl/certs/ca-certificates.crt", "/etc/nsswitch.conf")
# Of the standard library: what only people at a terminal or builders use.
UNUSED: Final = ("test", "tests", "idlelib", "ensurepip", "lib2to3", "tkinter", "turtledemo", "pydoc_data", "config-*")
USERS: Final = "root:x:0:0::/:/nonexistent\nfairlead:x:65532:65532::/:/nonexistent\n"
GROUPS: Final = "root:x:0:\nfairlead:x:65532:\n"


def chain(path: Path) -> Iterator[Path]:
    """The path and what it is a link to, link after link."""
    while True:
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


def linked(path: Path) -> Iterator[Path]:
    """The libraries that the loader would load with this one."""
    said = subprocess.run(["ldd", str(path)], capture_output=True, text=True).stdout
    yield from (Path(match) for match in re.findall(r"(?:=> |^\t)(/\S+)", said, flags=re.M))


def copy(path: Path, root: Path) -> None:
    """The path, with links on the way as links."""
    for each in chain(path):
        real = each.parent.resolve() / each.name
        to = root / real.relative_to("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        if not to.is_symlink() and not to.exists():
            shutil.copy2(real, to, follow_symlinks=False)


def copy_folder(folder: Path, root: Path, *without: str) -> None:
    real = folder.resolve()
    ignore = shutil.ignore_patterns(*without) if without else None
    shutil.copytree(real, root / real.relative_to("/"), symlinks=True, ignore=ignore, dirs_exist_ok=True)


def programs(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from folder.resolve().rglob("*.so*")


def packages(root: Path) -> None:
    """Which Debian packages the copied files are from, in the form that scanners of minimal images read."""
    files = [str(path) for path in Path("/").glob("var/lib/dpkg/info/*.list")]
    copied = {f"/{path.relative_to(root)}" for path in root.rglob("*") if path.is_file()}
    copied |= {f"/{path.removeprefix('/usr/')}" for path in copied if path.startswith("/usr/lib")}  # merged /usr
    to = root / "var/lib/dpkg/status.d"
    to.mkdir(parents=True)
    for listing in files:
        if copied & set(Path(listing).read_text().split("\n")):
            name = Path(listing).stem
            (to / name.partition(":")[0]).write_text(subprocess.check_output(["dpkg", "-s", name], text=True))


def main(venv: Path, root: Path) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    python = venv / "bin/python3"
    copy_folder(venv, root)
    copy_folder(library, root, "site-packages", "dist-packages", *UNUSED)
    for link in ("lib", "lib64", "bin", "sbin"):  # /lib -> usr/lib: the loader's own path goes through it
        if Path("/", link).is_symlink():
            (root / link).symlink_to(Path("/", link).readlink())
    for part in [python, *programs([venv, library])]:
        for path in [*chain(part), *linked(part)]:
            copy(path, root)
    for directory in ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/local/lib"):
        for name in HIDDEN:
            if Path(directory, name).exists():
                copy(Path(directory, name), root)
    for file in FILES:
        if Path(file).exists():
            copy(Path(file), root)
    (root / "etc/passwd").write_text(USERS)
    (root / "etc/group").write_text(GROUPS)
    (root / "tmp").mkdir(mode=0o1777, exist_ok=True)
    packages(root)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

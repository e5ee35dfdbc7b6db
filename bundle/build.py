"""Build `dist/tocsin.pyz`: Tocsin and its libraries in one file, the same bytes every time.

The libraries are those of requirements.lock, checked by their hashes. shiv writes the archive;
added to it are the compiled modules, which make the first start quick, and `bundle_start.py`.
"""

import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib.util import cache_from_source
from pathlib import Path

from bundle_start import BUILT, LIBRARIES, describe_machine
from shiv.bootstrap.environment import Environment
from shiv.builder import create_archive
from shiv.constants import BUILD_AT_TIMESTAMP_FORMAT

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "dist" / "tocsin.pyz"
FIRST_DAY_OF_ZIP = 315_532_800  # 1980-01-01
BUILT_AT = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", FIRST_DAY_OF_ZIP)))
_NEEDS_FILES = ("certifi",)  # OpenSSL reads its authorities
# Not needed at run time; scripts and records of the installation also hold paths of this machine.
_UNUSED_FOLDERS = ("bin", "include", "peewee-stubs", "tests")
_UNUSED_FILES = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "py.typed")
_UNUSED_SUFFIXES = (".c", ".h", ".pxd", ".pyi", ".pyx")


def main() -> None:
    """Build the bundle, at the path in the first argument if there is one."""
    # The order of sets is in compiled code.
    if os.environ.get("PYTHONHASHSEED") != "0":
        command = [sys.executable, *sys.argv]
        os.execve(sys.executable, command, {**os.environ, "PYTHONHASHSEED": "0"})
    target = Path(sys.argv[1] if len(sys.argv) > 1 else TARGET).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tocsin-bundle-") as folder:
        packages = Path(folder, "site-packages")
        own = install(packages, Path(folder, "wheel"))
        glibc = required_glibc(packages)
        prune(packages)
        pack_libraries(packages, own)
        archive = Path(folder, target.name)
        write_archive(packages, archive, {**describe_machine(), "glibc": glibc})
        shutil.copy(archive, target.with_name(f"{target.name}.new"))
    # A server that runs from the old file keeps it.
    target.with_name(f"{target.name}.new").replace(target)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def install(packages: Path, wheels: Path) -> set[str]:
    """Install the locked libraries and our own wheel into a folder; return the names of ours."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-compile", "--no-deps", "--target", str(packages)]
    _run(*pip, "--only-binary", ":all:", "--require-hashes", "--requirement", "requirements.lock")
    wheel = build_wheel(wheels)
    _run(*pip, "--no-index", "--upgrade", str(wheel))
    with zipfile.ZipFile(wheel) as archive:
        return {name.split("/")[0] for name in archive.namelist()}


def build_wheel(folder: Path) -> Path:
    """Build the wheel of Tocsin, without its libraries, in a new folder."""
    hatchling = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    _run(*hatchling, "--directory", str(folder))
    return next(folder.iterdir())


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")


def required_glibc(packages: Path) -> list[int]:
    """Return the version of glibc that the most demanding library needs (PEP 600)."""
    needed = [2, 17]
    for path in packages.glob("*.dist-info/WHEEL"):
        versions = re.findall(r"manylinux_(\d+)_(\d+)", path.read_text())
        numbers = [[int(major), int(minor)] for major, minor in versions]
        if numbers and "manylinux2014" not in path.read_text():
            needed = max(needed, min(numbers))
    return needed


def prune(packages: Path) -> None:
    """Delete what is not needed at run time, and give every file the same mode."""
    for path in sorted(packages.rglob("*"), reverse=True):
        if path.is_dir():
            if path.name in _UNUSED_FOLDERS:
                shutil.rmtree(path)
        elif path.name in _UNUSED_FILES or path.suffix in _UNUSED_SUFFIXES:
            path.unlink()
        else:
            path.chmod(0o644)


def pack_libraries(packages: Path, own: set[str]) -> None:
    """Move the libraries that Python can import from an archive into one.

    Unpacking takes as long as the number of files makes it, and these are most of them.
    """
    packed = []
    for path in sorted(packages.iterdir()):
        compiled = path.suffix == ".so" or any(path.rglob("*.so*"))
        if path.name not in own and path.name not in _NEEDS_FILES and not compiled:
            packed.append(path)
    contents = {}
    for path in packed:
        for file in (path, *path.rglob("*")):
            name = str(file.relative_to(packages))
            if file.is_dir():
                contents[f"{name}/"] = b""  # Python finds packages without __init__.py by these
                continue
            contents[name] = file.read_bytes()
            if file.suffix == ".py":
                contents[f"{name}c"] = compiled_module(file, f"{LIBRARIES}/{name}")
    with zipfile.ZipFile(packages / LIBRARIES, "w") as archive:
        add_all(archive, contents)
    for path in packed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_archive(packages: Path, archive: Path, machine: dict) -> None:
    """Write the bundle of the installed packages."""
    environment = Environment(
        built_at=time.strftime(BUILD_AT_TIMESTAMP_FORMAT, BUILT_AT),
        shiv_version="1",
        entry_point="bundle_start:run",
        compile_pyc=False,
        reproducible=True,
    )
    python = "/usr/bin/env python3"
    create_archive([packages], archive, python, "bundle_start:main", environment, compressed=True)
    contents = {
        BUILT: json.dumps(machine, sort_keys=True).encode(),
        "bundle_start.py": Path(__file__).with_name("bundle_start.py").read_bytes(),
    }
    for path in packages.rglob("*.py"):
        name = path.relative_to(packages.parent)
        cached = name.parent / "__pycache__" / Path(cache_from_source(path.name)).name
        contents[str(cached)] = compiled_module(path, str(name))
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as file:
        add_all(file, contents)


def add_all(archive: zipfile.ZipFile, contents: dict[str, bytes]) -> None:
    """Add files with these names to an archive, the same bytes every time."""
    for name, data in sorted(contents.items()):
        entry = zipfile.ZipInfo(name, BUILT_AT[:6])
        entry.compress_type = archive.compression
        entry.external_attr = 0o100644 << 16
        archive.writestr(entry, data)


def compiled_module(path: Path, name: str) -> bytes:
    """Return a compiled module, whose tracebacks have this name.

    Python does not compare it with its source, so times of files do not matter.
    """
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder, "compiled"))
        py_compile.compile(str(path), target, name, doraise=True, invalidation_mode=mode)
        return Path(target).read_bytes()


if __name__ == "__main__":
    main()

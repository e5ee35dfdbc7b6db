"""The first module of `tocsin.pyz`: check the machine, unpack the bundle, and start Tocsin.

It runs before anything is unpacked, also under a Python that the bundle is not for. So it needs
only the standard library, and no syntax that is newer than Python 3.6.
"""

import contextlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

BUILT = "built.json"
LIBRARIES = "libraries.zip"
ROOT_VARIABLE = "SHIV_ROOT"
_CHOSEN_BEFORE = "_TOCSIN_SHIV_ROOT"
_BUILD = re.compile(r"(.+_[0-9a-f]{64})(\.tmp)?")
_locks = []  # descriptors that stay open as long as this process lives


class Unusable(Exception):
    """The bundle cannot run here; the message is for the user."""


def main():
    """Unpack the bundle if this is its first start, and run the command."""
    try:
        with zipfile.ZipFile(sys.argv[0]) as archive:
            check_machine(json.loads(archive.read(BUILT).decode()))
            root = unpack(archive, candidates(os.environ))
    except (Unusable, OSError) as error:
        print(f"tocsin: {error}", file=sys.stderr)
        sys.exit(2)
    os.environ[_CHOSEN_BEFORE] = os.environ.get(ROOT_VARIABLE, "")
    os.environ[ROOT_VARIABLE] = str(root)
    from _bootstrap import bootstrap

    bootstrap()  # calls `run`


def run():
    """Run the command, in the environment that this process was started with.

    Only PYTHONPATH is different, for the worker processes.
    """
    chosen_before = os.environ.pop(_CHOSEN_BEFORE)
    del os.environ[ROOT_VARIABLE]
    if chosen_before:
        os.environ[ROOT_VARIABLE] = chosen_before
    add_libraries(next(path for path in sys.path if os.path.exists(os.path.join(path, LIBRARIES))))
    from cli import main

    return main()


def add_libraries(folder):
    """Have this process and its workers import the libraries that stay packed."""
    libraries = os.path.join(folder, LIBRARIES)
    sys.path.insert(sys.path.index(folder) + 1, libraries)
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    # After SIGUSR2, this process has those of the file that it was started from before.
    others = [path for path in others if path and os.path.basename(path) != LIBRARIES]
    os.environ["PYTHONPATH"] = os.pathsep.join([libraries, *others])


def describe_machine():
    """Return what compiled libraries depend on: the Python, its platform, and the C library."""
    library = ""
    if "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", ()):  # not with musl, or on Windows
        library = os.confstr("CS_GNU_LIBC_VERSION") or ""
    name, _, version = library.partition(" ")
    return {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "suffix": EXTENSION_SUFFIXES[0],  # such as .cpython-311-x86_64-linux-gnu.so
        "glibc": [int(number) for number in version.split(".")] if name == "glibc" else [],
    }


def check_machine(built, machine=None):
    """Compare this machine with the one that the bundle was built for.

    Raises:
        Unusable: the libraries in the bundle cannot be loaded here.
    """
    machine = machine or describe_machine()
    if machine["suffix"] == built["suffix"] and machine["glibc"] >= built["glibc"]:
        return
    raise Unusable(
        f"this file is for {_in_words(built)}, but this is {_in_words(machine)}. Start it with the "
        f"right Python, such as `python{built['python']} {sys.argv[0]}`, or build it here with "
        "`make bundle`."
    )


def _in_words(machine):
    platform = machine["suffix"].split("-", 2)[-1].replace(".so", "")
    text = f"Python {machine['python']} on {platform}"
    if machine["glibc"]:
        text += f" with glibc {'.'.join(map(str, machine['glibc']))}"
    return text


def candidates(environ):
    """Return the folders to unpack into, the first usable of which is taken."""
    if environ.get(ROOT_VARIABLE):
        return [Path(environ[ROOT_VARIABLE]).expanduser().absolute() / "tocsin"]
    folders = []
    cache = environ.get("XDG_CACHE_HOME", "")
    home = environ.get("HOME") or os.path.expanduser(f"~{_user_name()}")
    if os.path.isabs(cache):
        folders.append(Path(cache) / "tocsin")
    elif os.path.isabs(home):
        folders.append(Path(home) / ".cache" / "tocsin")
    with contextlib.suppress(OSError):  # no folder for temporary files can be written
        folders.append(Path(tempfile.gettempdir()) / f"tocsin-{os.geteuid()}")
    return folders


def _user_name():
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user without an entry, as in many containers
        return "?"


def unpack(archive, folders):
    """Return the first folder that has the files of the bundle, or that they can be written to.

    Raises:
        Unusable: there is none.
    """
    reasons = []
    for folder in folders:
        try:
            return _unpack_into(archive, folder)
        except (Unusable, OSError) as error:
            reasons.append(f"{folder}: {getattr(error, 'strerror', None) or error}")
        except (zipfile.BadZipFile, zlib.error):
            raise Unusable(f"{sys.argv[0]} is damaged; copy it again.") from None
    raise Unusable(
        "there is no folder to unpack the program into. Set SHIV_ROOT to a folder that this user "
        f"owns. {'; '.join(reasons)}"
    )


def _unpack_into(archive, folder):
    import fcntl  # not on Windows, where `check_machine` says what the bundle is for

    from _bootstrap import Environment, cache_path

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(os.path.realpath(str(folder)))
    check_private(folder)
    build_id = Environment.from_json(archive.read("environment.json").decode()).build_id
    build = cache_path(archive, str(folder), build_id)
    lock = os.open(str(folder), os.O_RDONLY)
    try:
        # One process at a time: nobody deletes what another one is about to use.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_complete(archive, build):
            extract(archive, build)
        _locks.append(os.open(str(build), os.O_RDONLY))
        fcntl.flock(_locks[-1], fcntl.LOCK_SH)
        delete_unused(folder)
    finally:
        os.close(lock)
    return folder


def check_private(folder):
    """Check that no other user could put code into a folder.

    Raises:
        Unusable: another user owns it or a folder above it, or can write to one.
    """
    for path in [folder, *folder.parents]:
        status = path.stat()
        if status.st_uid not in (0, os.geteuid()):
            raise Unusable(f"{path} belongs to another user")
        # In a folder such as /tmp (sticky), nobody can replace what others own.
        is_shared = path != folder and status.st_mode & stat.S_ISVTX
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not is_shared:
            raise Unusable(f"other users can write to {path}")
    if os.statvfs(str(folder)).f_flag & os.ST_NOEXEC:
        raise Unusable("it is on a file system that is mounted with noexec")


def extract(archive, build):
    """Write the files of the bundle, in half the time that shiv takes."""
    unfinished = build.with_name(build.name + ".tmp")
    shutil.rmtree(str(unfinished), ignore_errors=True)
    made = set()
    for entry in packed_files(archive):
        path = os.path.join(str(unfinished), entry.filename)
        folder = os.path.dirname(path)
        if folder not in made:
            os.makedirs(folder, exist_ok=True)
            made.add(folder)
        with open(path, "wb", buffering=0) as file:
            file.write(archive.read(entry))
    shutil.rmtree(str(build), ignore_errors=True)
    unfinished.rename(build)


def packed_files(archive):
    """Return the entries of the bundle that are unpacked."""
    return [entry for entry in archive.infolist() if entry.filename.startswith("site-packages/")]


def is_complete(archive, build):
    """Return True if every file of the bundle is there: /tmp is cleaned file by file."""
    for entry in packed_files(archive):
        try:
            if os.stat(str(build / entry.filename)).st_size != entry.file_size:
                return False
        except OSError:
            return False
    return True


def delete_unused(folder):
    """Delete every unpacked bundle that no process uses, such as those of earlier versions."""
    import fcntl

    for path in folder.iterdir():
        if not _BUILD.fullmatch(path.name) or path.is_symlink():
            continue
        descriptor = os.open(str(path), os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
        shutil.rmtree(str(path), ignore_errors=True)

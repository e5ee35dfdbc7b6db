"""`tocsin.pyz`: what it needs, where it is unpacked, and that everything works from it."""

import fcntl
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from bundle_start import (
    BUILT,
    Unusable,
    candidates,
    check_machine,
    check_private,
    delete_unused,
    describe_machine,
)
from conftest import Live
from installed import ROOT, build_once

from cli import tocsin

MACHINE = {"python": "3.11", "suffix": ".cpython-311-x86_64-linux-gnu.so", "glibc": [2, 36]}
MAX_SIZE = 25_000_000
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as another user")
NOBODY = 65534


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """Return the path of the bundle."""
    return build_once(tmp_path_factory, "tocsin.pyz", ROOT / "bundle" / "build.py")


@pytest.fixture(scope="session")
def unpacked(bundle, tmp_path_factory):
    """Return the folder into which one start has unpacked the bundle."""
    folder = tmp_path_factory.mktemp("unpacked")
    assert run(bundle, "--version", SHIV_ROOT=str(folder)).returncode == 0
    return folder


def run(bundle, *arguments, python=sys.executable, user=None, folder="/", **environment):
    """Run the bundle with this environment only, and return its output and exit code."""
    return subprocess.run(
        [python, bundle, *arguments],
        env=environment,
        cwd=folder,
        user=user,
        group=user,
        extra_groups=() if user else None,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_bundle_is_small_and_built_twice_it_has_the_same_bytes(bundle, tmp_path):
    again = tmp_path / "again.pyz"
    subprocess.run([sys.executable, ROOT / "bundle" / "build.py", again], check=True)
    assert again.read_bytes() == bundle.read_bytes()
    assert bundle.stat().st_size <= MAX_SIZE


def test_the_bundle_has_no_path_of_the_machine_that_built_it(bundle):
    paths = (str(ROOT).encode(), sys.prefix.encode(), b"tocsin-bundle-")
    with zipfile.ZipFile(bundle) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            assert not any(path in data for path in paths), name


@pytest.mark.parametrize("name", sorted(tocsin.commands))
def test_every_subcommand_is_in_the_bundle(bundle, unpacked, name):
    done = run(bundle, name, "--help", SHIV_ROOT=str(unpacked))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: tocsin {name}")


@pytest.fixture
def open_folder():
    """Yield a folder that other users can read, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@AS_ROOT
@pytest.mark.parametrize("home", ["", "/nonexistent", "{folder}/own", "{folder}/closed"])
def test_another_user_starts_it_in_an_empty_folder_whatever_home_is(bundle, open_folder, home):
    for name, mode in (("own", 0o700), ("work", 0o700), ("closed", 0o755), ("tmp", 0o1777)):
        (open_folder / name).mkdir()
        (open_folder / name).chmod(mode)
    os.chown(open_folder / "own", NOBODY, NOBODY)
    os.chown(open_folder / "work", NOBODY, NOBODY)
    copy = shutil.copy(bundle, open_folder)
    done = run(
        copy,
        *("token", "list"),
        python=shutil.which(f"python{sys.version_info[0]}", path="/usr/bin:/usr/local/bin"),
        user=NOBODY,
        folder=open_folder / "work",
        TMPDIR=str(open_folder / "tmp"),
        HOME=home.format(folder=open_folder),
    )
    assert done.returncode == 0, done.stderr
    assert (open_folder / "work" / "data" / "tocsin.db").exists()
    place = open_folder / "tmp" / f"tocsin-{NOBODY}"
    if home == "{folder}/own":
        place = open_folder / "own" / ".cache" / "tocsin"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert len(list(place.iterdir())) == 1


def test_a_server_from_the_bundle_delivers_with_its_worker(bundle, unpacked, tmp_path, receiver):
    class FromBundle(Live):
        program = (sys.executable, str(bundle))

    live = FromBundle(tmp_path, SHIV_ROOT=str(unpacked), PATH="")
    try:
        live.ready()
        live.create_channel(f"{receiver.url}/hook")
        live.post_alert(name="Disk full")
        (received,) = receiver.wait_for(1, 10)
        page = live.person.get(f"{live.url}/channels", timeout=5).text
        (style,) = re.findall(r'href="([^"]+\.css[^"]*)"', page)
        assert live.person.get(live.url + style, timeout=5).status_code == 200
        workers = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _runs(path, unpacked)]
        assert workers
    finally:
        live.stop()
    assert json.loads(received.body)["alert"]["name"] == "Disk full"


def _runs(path, folder):
    try:
        return str(folder).encode() in path.read_bytes()
    except OSError:
        return False


def test_a_bundle_for_another_python_says_so_and_ends_with_code_2(bundle, tmp_path):
    other = tmp_path / "other.pyz"
    machine = {**MACHINE, "python": "3.9", "suffix": ".cpython-39-x86_64-linux-gnu.so"}
    replace_in_archive(bundle, other, BUILT, json.dumps(machine).encode())
    done = run(other, "serve", SHIV_ROOT=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tocsin: this file is for Python 3.9 on x86_64-linux-gnu")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [other]


def test_a_damaged_bundle_says_so(bundle, tmp_path):
    other = tmp_path / "other.pyz"
    data = bytearray(bundle.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1000] = bytes(1000)
    other.write_bytes(data)
    done = run(other, "--version", SHIV_ROOT=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == f"tocsin: {other} is damaged; copy it again.\n"


def test_a_file_that_was_deleted_from_the_unpacked_bundle_comes_back(bundle, tmp_path):
    assert run(bundle, "--version", SHIV_ROOT=str(tmp_path)).returncode == 0
    (place,) = (tmp_path / "tocsin").iterdir()
    (place / "site-packages" / "cli.py").unlink()
    assert run(bundle, "--version", SHIV_ROOT=str(tmp_path)).returncode == 0
    assert (place / "site-packages" / "cli.py").exists()


def test_a_root_that_others_can_write_to_is_refused(bundle, tmp_path):
    (tmp_path / "tocsin").mkdir()
    (tmp_path / "tocsin").chmod(0o777)
    done = run(bundle, "--version", SHIV_ROOT=str(tmp_path))
    assert done.returncode == 2
    assert f"other users can write to {tmp_path}/tocsin" in done.stderr
    assert "Set SHIV_ROOT to a folder that this user owns" in done.stderr


def replace_in_archive(source, target, name, data):
    """Copy a bundle with another content of one of its files."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, data if entry.filename == name else old.read(entry))


@pytest.mark.parametrize(
    ("machine", "runs"),
    [
        ({}, True),
        ({"glibc": [2, 40]}, True),
        ({"glibc": [2, 35]}, False),
        ({"glibc": []}, False),
        ({"suffix": ".cpython-312-x86_64-linux-gnu.so", "python": "3.12"}, False),
        ({"suffix": ".cpython-311-aarch64-linux-gnu.so"}, False),
    ],
)
def test_the_bundle_needs_the_python_and_the_c_library_of_its_libraries(machine, runs):
    if runs:
        check_machine(MACHINE, {**MACHINE, **machine})
        return
    with pytest.raises(Unusable, match=r"but this is Python 3\.1[12] on .*python3\.11 "):
        check_machine(MACHINE, {**MACHINE, **machine})


@pytest.mark.parametrize(
    ("environment", "folders"),
    [
        ({"SHIV_ROOT": "/srv/x", "HOME": "/home/ada"}, ["/srv/x/tocsin"]),
        ({"HOME": "/home/ada"}, ["/home/ada/.cache/tocsin", "{tmp}"]),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c"}, ["/c/tocsin", "{tmp}"]),
        ({"HOME": "/h", "XDG_CACHE_HOME": "c"}, ["/h/.cache/tocsin", "{tmp}"]),
        ({"HOME": "relative"}, ["{tmp}"]),
    ],
)
def test_the_folders_to_unpack_into_follow_the_environment(
    environment, folders, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = str(tmp_path / f"tocsin-{os.geteuid()}")
    assert [*map(str, candidates(environment))] == [part.format(tmp=place) for part in folders]


def test_a_folder_of_another_user_is_not_trusted(tmp_path, monkeypatch):
    check_private(tmp_path)
    if os.geteuid() == 0:  # root is trusted by everyone
        os.chown(tmp_path, NOBODY, NOBODY)
    monkeypatch.setattr("os.geteuid", lambda: NOBODY - 1)
    with pytest.raises(Unusable, match="belongs to another user"):
        check_private(tmp_path)


@pytest.mark.parametrize(("mode", "trusted"), [(0o777, False), (0o775, False), (0o1777, True)])
def test_a_folder_above_that_others_can_write_to_is_trusted_only_if_it_is_sticky(
    tmp_path, mode, trusted
):
    folder = tmp_path / "above" / "tocsin"
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(mode)
    if trusted:
        check_private(folder)
    else:
        with pytest.raises(Unusable, match="other users can write to"):
            check_private(folder)


def test_only_unpacked_bundles_that_no_process_uses_are_deleted(tmp_path, monkeypatch):
    old, used = (tmp_path / f"tocsin.pyz_{digit * 64}" for digit in "ab")
    for folder in (old, used, tmp_path / "photos", tmp_path / f"{old.name}.tmp"):
        folder.mkdir()
    descriptor = os.open(used, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    delete_unused(tmp_path)
    os.close(descriptor)
    assert {path.name for path in tmp_path.iterdir()} == {used.name, "photos"}


@pytest.mark.parametrize("names", [{}, {"CS_PATH": 0}])
def test_a_system_without_glibc_is_described(monkeypatch, names):
    monkeypatch.setattr(os, "confstr_names", names)
    assert describe_machine()["glibc"] == []
    monkeypatch.delattr(os, "confstr_names")  # as on Windows
    assert describe_machine()["glibc"] == []


def test_the_first_module_needs_no_module_of_unix_to_say_what_the_bundle_is_for(bundle):
    code = (
        "import sys; sys.modules['fcntl'] = None; import bundle_start as start; "
        "start.check_machine({'python': '3.1', 'suffix': '.so', 'glibc': []})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(bundle)},
        capture_output=True,
        text=True,
    )
    assert "Unusable: this file is for Python 3.1" in done.stderr

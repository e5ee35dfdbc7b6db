"""The files in deploy/: as far as they can be tried without Docker and a running systemd."""

import contextlib
import ctypes
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
import requests
import yaml
from conftest import PASSWORD, ROOT, Live, free_port
from databases import only_sqlite
from markup import token_in
from programs import Programs, find_program

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text()
MAX_EXPOSURE = 15  # tenths, of 100
_PR_SET_MDWE = 65  # prctl(2), since Linux 6.3
_REFUSE_EXEC_GAIN = 1


# --- containers -----------------------------------------------------------------------------


def copied():
    """Return the names that the Dockerfile copies from the sources."""
    names = []
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        names += shlex.split(line)[:-1]
    return names


def test_the_image_has_exactly_the_files_of_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert sorted(name.removeprefix("./") for name in copied()) == sorted(
        [*wheel, "requirements.lock"]
    )
    assert all((ROOT / name).exists() for name in copied())


def test_the_image_runs_as_another_user_than_root_and_checks_its_health():
    assert re.search(r"^USER [1-9]\d*$", DOCKERFILE, re.MULTILINE)
    [check] = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert yaml.safe_load(check)[0] == "/opt/tocsin/bin/python"
    assert DOCKERFILE.count("\nFROM ") == 2


def test_the_health_check_of_the_image_succeeds_while_tocsin_runs(live):
    [check] = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    _python, *arguments = yaml.safe_load(check)
    script = arguments[-1].replace("127.0.0.1:8000", f"127.0.0.1:{live.port}")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, b"")
    script = arguments[-1].replace("127.0.0.1:8000", f"127.0.0.1:{free_port()}")
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 1


@pytest.mark.parametrize("name", ["compose.yaml", "compose.postgresql.yaml"])
def test_a_compose_file_names_only_what_it_defines(name):
    file = DEPLOY / "docker" / name
    compose = yaml.safe_load(file.read_text())
    tocsin = compose["services"]["tocsin"]
    folder = ROOT if name != "compose.yaml" else file.parent
    context = (folder / tocsin["build"]["context"]).resolve()
    assert context == ROOT
    assert (context / tocsin["build"]["dockerfile"]).exists()
    volumes = set()
    secrets = set()
    for service in compose["services"].values():
        volumes |= {volume.split(":")[0] for volume in service.get("volumes", [])}
        secrets |= set(service.get("secrets", []))
        assert service["restart"] == "unless-stopped"
        assert set(service.get("depends_on", {})) <= set(compose["services"])
    assert volumes == set(compose["volumes"])
    assert secrets == set(compose.get("secrets", {}))
    assert tocsin["ports"] == ["127.0.0.1:8000:8000"]
    assert tocsin["read_only"]
    assert tocsin["cap_drop"] == ["ALL"]


# --- systemd --------------------------------------------------------------------------------


@pytest.fixture
def units(tmp_path):
    """Return the folder with the units, whose program exists on this machine."""
    for file in (DEPLOY / "systemd").iterdir():
        text = file.read_text().replace("/usr/local/bin/tocsin.pyz", "/bin/true")
        (tmp_path / file.name).write_text(text)
    return tmp_path


def analyze(*arguments, **options):
    program = find_program("systemd-analyze")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=30, **options
    )


def test_systemd_finds_no_mistake_in_the_units(units):
    done = analyze("verify", "--man=no", "./tocsin.service", "./tocsin.socket", cwd=units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_service_is_confined(units):
    threshold = f"--threshold={MAX_EXPOSURE}"
    done = analyze(
        "security", "--offline=yes", "--no-pager", threshold, "./tocsin.service", cwd=units
    )
    assert done.returncode == 0, done.stdout


def setting(file, name):
    """Return the values of a setting in a unit."""
    text = (DEPLOY / "systemd" / file).read_text()
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def test_the_socket_has_the_address_that_the_service_is_given():
    [address] = setting("tocsin.socket", "ListenStream")
    assert f"TOCSIN_BIND={address}" in setting("tocsin.service", "Environment")


@only_sqlite
def test_tocsin_runs_without_memory_that_is_writable_and_executable(tmp_path, receiver):
    libc = ctypes.CDLL(None)
    if libc.prctl(_PR_SET_MDWE + 1, 0, 0, 0, 0) < 0:
        pytest.skip("this kernel cannot deny such memory (Linux 6.3)")
    confine = (
        "import ctypes, os, sys;"
        f"assert ctypes.CDLL(None).prctl({_PR_SET_MDWE}, {_REFUSE_EXEC_GAIN}, 0, 0, 0) == 0;"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )

    class Confined(Live):
        program = (sys.executable, "-c", confine, *Live.program)

    live = Confined(tmp_path)
    try:
        live.ready()
        live.create_channel(receiver.url)
        live.post_alert(name="Disk full")
        assert receiver.wait_for(1, 10)
    finally:
        live.stop()


# --- Caddy ----------------------------------------------------------------------------------


@pytest.fixture(params=["", "/tocsin"])
def behind_caddy(request, tmp_path):
    """Yield a running Tocsin, and its URL behind Caddy with our example without TLS."""
    find_program("caddy")
    ports = {"tocsin.example.com": free_port(), "tools.example.com": free_port()}
    port = ports["tools.example.com" if request.param else "tocsin.example.com"]
    url = f"http://localhost:{port}{request.param}"
    with contextlib.ExitStack() as stack:
        live = Live(tmp_path, TOCSIN_PUBLIC_URL=url, TOCSIN_TRUSTED_PROXIES="127.0.0.1,::1")
        stack.callback(live.stop)
        live.ready()
        text = (DEPLOY / "caddy" / "Caddyfile").read_text()
        for name, number in ports.items():
            text = text.replace(f"{name} {{", f"http://localhost:{number} {{")
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{live.port}")
        options = "{\n\tadmin off\n}\n"
        (tmp_path / "Caddyfile").write_text(options + text)
        programs = Programs(tmp_path)
        stack.callback(programs.stop)
        arguments = ("run", "--config", tmp_path / "Caddyfile", "--adapter", "caddyfile")
        programs.start("caddy", *arguments, url=f"{url}/healthz")
        yield live, url


def test_a_user_signs_in_through_caddy_and_forges_no_header(behind_caddy):
    _live, url = behind_caddy
    path = url.partition("localhost")[2].partition("/")[2]
    prefix = f"/{path}" if path else ""
    with requests.Session() as session:
        forged = {"Remote-User": "admin", "X-Forwarded-Prefix": "/evil"}
        page = session.get(f"{url}/channels", headers=forged, allow_redirects=False, timeout=5)
        location = page.headers["Location"]
        assert (page.status_code, location) == (303, f"{prefix}/login?next={prefix}/channels")
        page = session.get(f"{url}/login", timeout=5)
        form = {"csrf_token": token_in(page.text), "username": "admin", "password": PASSWORD}
        page = session.post(f"{url}/login", form, timeout=5)
        assert (page.status_code, page.url) == (200, f"{url}/")

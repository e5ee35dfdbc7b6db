"""The external script: the vendored copy matches the integrity hash of the pages."""

import base64
import hashlib
import html
import re
from pathlib import Path

import pytest

from config import HTMX_INTEGRITY, HTMX_URL

ROOT = Path(__file__).parent.parent
VENDOR = ROOT / "tests" / "vendor"
SUMS = dict(reversed(line.split()) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
SCRIPT = re.compile(r"<script\b[^>]*>", re.IGNORECASE)


def scripts(path):
    """Return the script tags of a template."""
    return SCRIPT.findall(path.read_text())


def test_the_vendored_htmx_matches_the_integrity_hash():
    digest = hashlib.sha384((VENDOR / "htmx-4.0.1.min.js").read_bytes()).digest()
    assert f"sha384-{base64.b64encode(digest).decode()}" == HTMX_INTEGRITY


def test_the_url_of_htmx_names_the_vendored_version():
    assert HTMX_URL.startswith("https://")
    assert "@4.0.1/" in HTMX_URL


@pytest.mark.parametrize("name", SUMS)
def test_a_vendored_file_matches_its_checksum(name):
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == SUMS[name]


def test_every_vendored_script_has_a_checksum_and_a_license():
    names = {path.name for path in VENDOR.glob("*.js")}
    assert names == set(SUMS)
    for name in names:
        assert (VENDOR / f"{name.split('-')[0]}-LICENSE").read_text().strip()


def test_only_base_html_has_script_tags():
    templates = sorted((ROOT / "templates").rglob("*"))
    assert [path.name for path in templates if path.is_file() and scripts(path)] == ["base.html"]


def test_the_only_external_script_is_htmx_with_its_integrity():
    tags = scripts(ROOT / "templates" / "base.html")
    external = [tag for tag in tags if "url_for('static'" not in tag]
    assert len(external) == 1
    assert 'src="{{ config.htmx_url }}"' in external[0]
    assert 'integrity="{{ config.htmx_integrity }}"' in external[0]
    assert 'crossorigin="anonymous"' in external[0]
    assert all("src=" in tag for tag in tags)


def test_no_page_or_stylesheet_loads_anything_else_from_other_sites():
    loading = re.compile(
        r"""(?:src|srcset|@import|url\(|<link[^>]+href)\s*=?\s*["'(]?\s*(?:https?:)?//""",
        re.IGNORECASE,
    )
    files = [
        path
        for folder in ("templates", "static")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    ]
    assert files
    assert not [path.name for path in files if loading.search(path.read_text(errors="replace"))]


def test_the_rendered_page_loads_the_script_with_its_integrity(client):
    tags = SCRIPT.findall(html.unescape(client.get("/channels").text))
    external = [tag for tag in tags if 'src="/' not in tag]
    assert len(external) == 1
    assert f'src="{HTMX_URL}"' in external[0]
    assert f'integrity="{HTMX_INTEGRITY}"' in external[0]

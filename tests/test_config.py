"""The configuration: valid and invalid variables, generated keys, the version."""

import os
import stat
import tomllib
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from config import (
    HTMX_INTEGRITY,
    HTMX_URL,
    SECRET_VARIABLES,
    VERSION,
    Config,
    ConfigError,
    variable_notices,
)
from config.networks import AllowedTarget
from config.notices import UNUSED_VARIABLES
from config.values import PARSERS

ROOT = Path(__file__).parent.parent
KEY_A = "A" * 43 + "="
KEY_B = "-_" * 21 + "A="
LONG = "a-secret-of-more-than-sixteen"


def read(**environment):
    """Return the configuration of these variables, named without TOCSIN_."""
    return Config.from_env({f"TOCSIN_{name}": value for name, value in environment.items()})


def refused(**environment):
    """Return the message of a refusal."""
    with pytest.raises(ConfigError) as refusal:
        read(**environment)
    return str(refusal.value)


def network(text, port=None):
    return AllowedTarget(network=ip_network(text), port=port)


# --- valid values ---------------------------------------------------------------------------------


def test_an_empty_environment_has_the_defaults_of_the_design():
    config = read()
    assert config == Config(
        data_dir=Path("data").absolute(), database=Path("data").absolute() / "tocsin.db"
    )
    assert (config.host, config.port, config.workers, config.threads) == ("127.0.0.1", 8000, 2, 8)
    assert (
        config.secret_key,
        config.encryption_keys,
        config.allow,
        config.ca_file,
        config.public_url,
    ) == (
        "",
        (),
        (),
        None,
        "",
    )
    assert (config.htmx_url, config.htmx_integrity) == (HTMX_URL, HTMX_INTEGRITY)


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("DATA_DIR", "/var/lib/tocsin", "data_dir", Path("/var/lib/tocsin")),
        ("DATA_DIR", "/var/lib/tocsin", "database", Path("/var/lib/tocsin/tocsin.db")),
        ("DATA_DIR", "here", "data_dir", Path("here").absolute()),
        ("DATABASE_URL", "sqlite:////srv/t.db", "database", Path("/srv/t.db")),
        ("DATABASE_URL", "sqlite:///t.db", "database", Path("t.db").absolute()),
        ("BIND", "127.0.0.1:9000", "port", 9000),
        ("BIND", "127.9.9.9:1", "host", "127.9.9.9"),
        ("BIND", "localhost:65535", "host", "localhost"),
        ("BIND", "[::1]:8000", "host", "::1"),
        ("BIND", "0.0.0.0:8000", "host", "0.0.0.0"),
        ("PIN_CORES", "1", "pin_cores", True),
        ("KEEP_DAYS", "1", "keep_days", 1),
        ("KEEP_DAYS", "3650", "keep_days", 3650),
        ("KEEP_DELIVERIES", "1000", "keep_deliveries", 1000),
        ("KEEP_DELIVERIES", "5000000", "keep_deliveries", 5_000_000),
        ("BIND", "[::]:8000", "host", "::"),
        ("BIND", "tocsin.example:8000", "host", "tocsin.example"),
        ("ADMIN_PASSWORD", "8 signs.", "admin_password", "8 signs."),
        ("WORKERS", "1", "workers", 1),
        ("WORKERS", "32", "workers", 32),
        ("THREADS", "2", "threads", 2),
        ("THREADS", "128", "threads", 128),
        ("SECRET_KEY", LONG, "secret_key", LONG),
        ("SECRET_KEY", f" {LONG}\n", "secret_key", LONG),
        ("SECRET_KEY", "x" * 16, "secret_key", "x" * 16),
        ("ENCRYPTION_KEYS", KEY_A, "encryption_keys", (KEY_A,)),
        ("ENCRYPTION_KEYS", f"{KEY_B},{KEY_A}", "encryption_keys", (KEY_B, KEY_A)),
        ("ENCRYPTION_KEYS", f" {KEY_B} ,\n{KEY_A}\n", "encryption_keys", (KEY_B, KEY_A)),
        ("PUBLIC_URL", "https://tocsin.example", "public_url", "https://tocsin.example"),
        ("PUBLIC_URL", "https://t.example/a/t-1/", "public_url", "https://t.example/a/t-1"),
        ("PUBLIC_URL", "https://tocsin.example:8443/", "public_url", "https://tocsin.example:8443"),
        ("HTMX_URL", "https://cdn.example/htmx.js", "htmx_url", "https://cdn.example/htmx.js"),
        ("HTMX_URL", "https://cdn.example/htmx.js", "htmx_integrity", ""),
        ("HTMX_INTEGRITY", "sha512-abc+/9==", "htmx_integrity", "sha512-abc+/9=="),
        ("HTMX_INTEGRITY", "sha256-abc", "htmx_url", HTMX_URL),
        ("LOG_FORMAT", "json", "log_format", "json"),
        ("ACCESS_LOG", "1", "access_log", True),
    ],
)
def test_a_valid_value_is_accepted(name, value, field, expected):
    assert getattr(read(**{name: value}), field) == expected


@pytest.mark.parametrize(
    "name",
    [
        "DATA_DIR",
        "DATABASE_URL",
        "BIND",
        "WORKERS",
        "THREADS",
        "SECRET_KEY",
        "ENCRYPTION_KEYS",
        "ALLOW_NETWORKS",
        "CA_FILE",
        "ADMIN_PASSWORD",
        "HEARTBEAT_URL",
    ],
)
def test_an_empty_value_counts_as_unset(name):
    assert read(**{name: ""}) == read()
    if name in FILES:
        assert read(**{f"{name}_FILE": ""}) == read()


def test_another_script_can_have_its_own_integrity_value():
    config = read(HTMX_URL="https://cdn.example/htmx.js", HTMX_INTEGRITY="sha384-abc")
    assert (config.htmx_url, config.htmx_integrity) == ("https://cdn.example/htmx.js", "sha384-abc")


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("", ()),
        (" , ,", ()),
        ("10.0.0.0/8", (network("10.0.0.0/8"),)),
        ("10.1.2.3/8", (network("10.0.0.0/8"),)),
        ("10.0.0.0/255.0.0.0", (network("10.0.0.0/8"),)),
        ("10.1.2.3", (network("10.1.2.3/32"),)),
        ("10.1.2.3:9093", (network("10.1.2.3/32", 9093),)),
        ("10.0.0.0/8:9093", (network("10.0.0.0/8", 9093),)),
        ("::1", (network("::1/128"),)),
        ("[::1]", (network("::1/128"),)),
        ("[::1]:9000", (network("::1/128", 9000),)),
        ("fd00::/8", (network("fd00::/8"),)),
        ("[fd00::]/8", (network("fd00::/8"),)),
        ("[fd00::]/8:443", (network("fd00::/8", 443),)),
        ("alertmanager", (AllowedTarget(host="alertmanager"),)),
        ("NAS.lan.", (AllowedTarget(host="nas.lan"),)),
        ("nas.lan:8080", (AllowedTarget(host="nas.lan", port=8080),)),
        ("my_nas-2", (AllowedTarget(host="my_nas-2"),)),
        ("0.0.0.0/0,::/0", (network("0.0.0.0/0"), network("::/0"))),
        (
            " 10.0.0.0/8 ,nas.lan:80 ",
            (network("10.0.0.0/8"), AllowedTarget(host="nas.lan", port=80)),
        ),
    ],
)
def test_networks_addresses_and_hosts_are_allowed_with_and_without_a_port(value, allowed):
    assert read(ALLOW_NETWORKS=value).allow == allowed


@pytest.mark.parametrize(
    ("value", "networks"),
    [
        ("::ffff:10.0.0.0/104, 192.0.2.1", ["10.0.0.0/8", "192.0.2.1/32"]),
        ("::ffff:10.1.2.3", ["10.1.2.3/32"]),
        ("::FFFF:A00:1/104", ["10.0.0.0/8"]),
        ("::ffff:0:0/96", ["0.0.0.0/0"]),
        ("::ffff:0:0/95", ["::fffe:0:0/95"]),
        ("::/0, ::1, fd00::/8", ["::/0", "::1/128", "fd00::/8"]),
    ],
)
def test_a_network_of_proxies_that_is_written_as_mapped_is_read_as_ipv4(value, networks):
    assert list(map(str, read(TRUSTED_PROXIES=value).trusted_proxies)) == networks


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Return the path of an authority's certificate."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


def test_a_file_of_certificate_authorities_is_accepted(pem):
    assert read(CA_FILE=str(pem)).ca_file == pem


# --- invalid values -------------------------------------------------------------------------------


WRONG_URLS = [
    *(
        "tocsin.example",
        "ftp://tocsin.example",
        "https://",
        "https:///x",
        "javascript:x",
        "http://[",
    ),
    *("https://a.example; x", "https://a.example 'unsafe'", 'https://a.example/"', "https://a,b"),
]
BAD = {
    "BIND": [
        *(
            "8000",
            ":8000",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "127.0.0.1:http",
            "127.0.0.1:８０",
        ),
        *("::1:8000", "[::1]"),
        *("[127.0.0.1]:80", "unix:/run/tocsin.sock", "http://127.0.0.1:80"),
        *(" 127.0.0.1:80", "127.0.0.1:80 "),
        *("*:8000", "127.1:80", "300.1.1.1:80", "a b:80", "-x:80"),
    ],
    "ADMIN_PASSWORD": ["short", "x" * 1001],
    "TRUSTED_PROXIES": ["nas.lan", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "*"],
    "PIN_CORES": ["yes", "2", "-1"],
    "KEEP_DAYS": ["0", "3651", "-1", "30d", "1.5"],
    "KEEP_DELIVERIES": ["0", "999", "-1", "200 000", "1e6", "100000001"],
    "WORKERS": ["0", "33", "-1", "+2", "2.0", "two", " 2", "２", "1e1", "9" * 5000],
    "THREADS": ["0", "1", "129", "-8", "eight", "8 ", "0x8"],
    "SECRET_KEY": ["short", "x" * 15],
    "ENCRYPTION_KEYS": [
        "short",
        "A" * 43,
        "A" * 44,
        "A" * 42 + "=",
        f"{KEY_A},x",
        f"{KEY_A};{KEY_B}",
        "é" * 43 + "=",
    ],
    "DATABASE_URL": [
        "postgresql://db",
        "/srv/tocsin.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///a?b",
        "sqlite:/a",
    ],
    "ALLOW_NETWORKS": [
        *(
            "10.0.0.0/33",
            "300.1.1.1",
            "1.2.3",
            "127.1:80x",
            "*.lan",
            "https://nas.lan",
            "nas.lan/24",
            "nas.lan:0",
        ),
        *("nas.lan:65536", "10.0.0.1:0"),
        *("10.0.0.1:99999", ":80", "[::1", "::1]", "[::1]:", "[nas]", "-nas", "!"),
        *("a b", "nas lan", "10.0.0.0/8 192.168.0.0/16"),
    ],
    "LOG_FORMAT": ["xml", "JSON", " json"],
    "ACCESS_LOG": ["yes", "2", "true"],
    "PUBLIC_URL": WRONG_URLS,
    "HTMX_URL": WRONG_URLS,
    "HEARTBEAT_URL": WRONG_URLS,
    "HTMX_INTEGRITY": [
        "sha384",
        "sha1-abc",
        "md5-abc",
        "sha384-é",
        "sha384-",
        "sha384-a b",
        'sha384-a"',
    ],
    "CA_FILE": ["/no/such/file.pem", "/", str(ROOT / "pyproject.toml")],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD.items() for value in values],
    ids=lambda text: ascii(text)[:40],
)
def test_an_invalid_value_is_refused_with_the_variables_name(name, value):
    assert refused(**{name: value}).startswith(f"TOCSIN_{name}: ")


SENTENCES = [
    ("KEEP_DAYS", "0", "'0' is not a whole number from 1 to 3650"),
    ("KEEP_DAYS", "a month", "'a month' is not a whole number from 1 to 3650"),
    ("KEEP_DELIVERIES", "999", "'999' is not a whole number from 1000 to 100000000"),
    ("BIND", "127.0.0.1", "'127.0.0.1' is not host:port, for example 127.0.0.1:8000"),
    ("BIND", "127.0.0.1:99999", "the port '99999' is not a number from 1 to 65535"),
    ("BIND", "[::1]:99999", "the port '99999' is not a number from 1 to 65535"),
    ("BIND", "127.0.0.1:http", "the port 'http' is not a number from 1 to 65535"),
    ("BIND", "::1:8000", "an IPv6 address needs brackets, for example [::1]:8000"),
    ("BIND", "::1", "an IPv6 address needs brackets, for example [::1]:8000"),
    ("BIND", ":::8000", "an IPv6 address needs brackets, for example [::1]:8000"),
    ("BIND", "127.0.0.1:80 [::1]:80", "write one address without blanks, such as 127.0.0.1:8000"),
    ("BIND", "127.0.0.1:80,[::1]:80", "write one address without blanks, such as 127.0.0.1:8000"),
    ("BIND", "*:8000", "to serve on every address, write 0.0.0.0:8000 or [::]:8000"),
    ("BIND", ":8000", "to serve on every address, write 0.0.0.0:8000 or [::]:8000"),
    ("BIND", "http://127.0.0.1:80", "is not host:port, for example 127.0.0.1:8000"),
    ("DATABASE_URL", "mysql://db/tocsin", "begins with neither sqlite: nor postgresql:"),
    ("DATABASE_URL", "/srv/tocsin.db", "begins with neither sqlite: nor postgresql:"),
    ("DATABASE_URL", "postgresql://db", "it names no database; write for example postgresql://"),
    ("DATABASE_URL", "postgresql://u:p/x@db/tocsin", "the port is not a number; write for example"),
    ("DATABASE_URL", "postgresql://u:p%zz@db/tocsin", "not a URL of PostgreSQL; write for example"),
    ("DATABASE_URL", "sqlite:///t.db?mode=ro", "parameters after ? or # are not supported"),
    ("DATABASE_URL", "sqlite://t.db", "it names no file; write for example sqlite:////var"),
    ("DATABASE_URL", "sqlite:///:memory:", "it names no file; write for example sqlite:////var"),
    ("WORKERS", "0", "'0' is not a whole number from 1 to 32"),
    ("THREADS", "1", "'1' is not a whole number from 2 to 128"),
    ("SENDERS", "33", "'33' is not a whole number from 0 to 32"),
    ("PIN_CORES", "yes", "'yes' is neither 0 nor 1"),
    ("SECRET_KEY", "short", "too short; use 16 or more random characters, for example the output"),
    ("ENCRYPTION_KEYS", f"{KEY_A},x", "key 2 of 2 is not 32 bytes in URL-safe base64 (44 char"),
    ("ENCRYPTION_KEYS", "x", "for example the output of: openssl rand -base64 32 | tr +/ -_"),
    ("ADMIN_PASSWORD", "short", "it has 5 characters; use 8 to 1000 characters"),
    ("ALLOW_NETWORKS", "10.0.0.0-10.0.0.5", "is a range; write networks, for example 10.0.0.0/29"),
    ("ALLOW_NETWORKS", "10.0.0.0-5", "is a range; write networks, for example 10.0.0.0/29"),
    ("ALLOW_NETWORKS", "10.0.0.0 - 10.0.0.5", "is a range; write networks, for example 10.0"),
    ("ALLOW_NETWORKS", "fd00::1-fd00::5", "is a range; write networks, for example 10.0.0.0/29"),
    ("ALLOW_NETWORKS", "127.0.0.1 ::1", "separate entries by commas, such as 127.0.0.1, ::1"),
    ("ALLOW_NETWORKS", "nas.lan;db.lan", "separate entries by commas, such as 127.0.0.1, ::1"),
    ("ALLOW_NETWORKS", "::1:8000", "an IPv6 address with a port needs brackets: [::1]:8000"),
    ("ALLOW_NETWORKS", "nas.lan:99999", "the port '99999' is not a number from 1 to 65535"),
    ("ALLOW_NETWORKS", "http://nas.lan", "is a URL; write its host alone, for example nas.lan"),
    ("ALLOW_NETWORKS", "*.lan", "'*.lan' is neither a network (10.0.0.0/8), an address (10.0.0.1"),
    ("ALLOW_NETWORKS", "10.0.0.0/33", "is neither a network (10.0.0.0/8), an address (10.0.0.1"),
    ("TRUSTED_PROXIES", "10.0.0.0-10.0.0.5", "is a range; write networks, for example 10.0.0.0/29"),
    ("TRUSTED_PROXIES", "127.0.0.1 ::1", "separate entries by commas, such as 127.0.0.1, ::1"),
    ("TRUSTED_PROXIES", "::1:8000", "an IPv6 address with a port needs brackets: [::1]:8000"),
    ("TRUSTED_PROXIES", "10.0.0.1:80", "write for example 127.0.0.1 or 10.0.0.0/8 (names and p"),
    ("TRUSTED_PROXIES", "proxy.lan", "write for example 127.0.0.1 or 10.0.0.0/8 (names and ports"),
    ("CA_FILE", "/no/such.pem", "/no/such.pem: No such file or directory; name a file such as"),
    ("CA_FILE", str(ROOT / "pyproject.toml"), "has no PEM certificate (-----BEGIN CERTIFICATE"),
    ("PUBLIC_URL", "tocsin.example", "does not begin with http(s):// and a host, for example"),
    ("PUBLIC_URL", "https://t.example:99999", "the port '99999' is not a number from 1 to 65535"),
    ("PUBLIC_URL", "https://t.example/?a=b", "has a query (after ?) or a fragment (after #)"),
    ("PUBLIC_URL", "https://t.example/#top", "has a query (after ?) or a fragment (after #)"),
    (
        "PUBLIC_URL",
        "https://t.example/a//b",
        "the path '/a//b'; write one of letters, digits",
    ),
    ("PUBLIC_URL", "https://t.example/a/../b", "has the path '/a/../b'"),
    ("PUBLIC_URL", "https://t.example/<a>", "has the path '/<a>'"),
    ("PUBLIC_URL", "https://ada@t.example", "a user name before it; write for example https://toc"),
    ("PUBLIC_URL", "https://a.example b", "has a blank, a comma, a semicolon or a quotation mark"),
    ("HTMX_URL", "cdn.example/htmx.js", "does not begin with http(s):// and a host, for example"),
    (
        "HEARTBEAT_URL",
        "hc-ping.com/u",
        "not an http(s) URL with a host, for example https://hc-ping",
    ),
    ("PROVISION", "https://a.example/b.yml", "is a URL; name a file or a folder"),
    ("LOG_FORMAT", "xml", "'xml' is neither text nor json"),
    ("ACCESS_LOG", "yes", "'yes' is neither 0 nor 1"),
    (
        "HEARTBEAT_URL",
        "hc-ping.com/u",
        "not an http(s) URL with a host, for example https://hc-ping",
    ),
    ("HTMX_INTEGRITY", "sha1-abc", "not an integrity value such as sha384-…"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), SENTENCES)
def test_a_refusal_names_the_mistake_and_a_right_value(name, value, sentence):
    message = refused(**{name: value})
    assert message.startswith(f"TOCSIN_{name}: ")
    assert sentence in message


def test_every_variable_has_a_sentence_for_a_wrong_value():
    assert {f"TOCSIN_{name}" for name, _, _ in SENTENCES} == set(PARSERS)


@pytest.mark.parametrize("name", ["BIND", "WORKERS", "ALLOW_NETWORKS", "PUBLIC_URL"])
def test_a_refusal_shows_the_beginning_of_a_long_value(name):
    assert len(refused(**{name: "9" * 5000 + "!"})) < 300


@pytest.mark.parametrize(
    "value", ["my-nas", "10-0-0-5.lan", "10.0.0.5-db.lan", "cafe-bar", "a-1:80"]
)
def test_a_host_name_with_a_hyphen_is_no_range(value):
    (target,) = read(ALLOW_NETWORKS=value).allow
    assert target.host == value.partition(":")[0]


@pytest.mark.parametrize("name", ["PUBLIC_URL", "HTMX_URL"])
@pytest.mark.parametrize(
    "value",
    ["https://tocsin.example:99999", "https://tocsin.example:port", "https://tocsin.example:-1/"],
)
def test_a_url_with_an_invalid_port_is_refused_with_the_variables_name(name, value):
    assert refused(**{name: value}).startswith(f"TOCSIN_{name}: ")


def test_a_damaged_file_of_certificate_authorities_is_refused_with_the_variables_name(
    tmp_path,
):
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    assert refused(CA_FILE=str(path)).startswith("TOCSIN_CA_FILE: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "sh0rt-secret"),
        ("HEARTBEAT_URL", "https://sh0rt-secret:x/y"),
        ("HEARTBEAT_URL", "hc-ping.com/sh0rt-secret"),
        ("ENCRYPTION_KEYS", "sh0rt-secret"),
        ("DATABASE_URL", "x://u:sh0rt-secret@h"),
        ("DATABASE_URL", "postgresql://u:sh0rt-secret@h"),
        ("DATABASE_URL", "postgresql://u:sh0rt-secret/x@h/n"),
    ],
)
def test_a_refusal_does_not_repeat_a_secret(name, value):
    assert "sh0rt-secret" not in refused(**{name: value})


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "BIND",
                "WORKERS",
                "THREADS",
                "ALLOW_NETWORKS",
                "PUBLIC_URL",
                "HTMX_URL",
                "HTMX_INTEGRITY",
            ]
        ),
        st.text(),
    )
)
def test_no_value_raises_anything_but_config_error(environment):
    try:
        config = read(**environment)
    except ConfigError as refusal:
        named = str(refusal).partition(": ")[0].removeprefix("TOCSIN_")
    else:
        named = None
        assert 0 < config.test_slots < config.threads
    assert named is None or named in environment


# --- values from files ----------------------------------------------------------------------------


FILES = {
    "SECRET_KEY": LONG,
    "ENCRYPTION_KEYS": f"{KEY_B},{KEY_A}",
    "DATABASE_URL": "sqlite:////srv/t.db",
    "HEARTBEAT_URL": "https://hc.example/uuid",
}


@pytest.mark.parametrize("name", FILES)
def test_a_secret_can_be_read_from_a_file(name, tmp_path):
    path = tmp_path / "secret"
    path.write_text(f"{FILES[name]}\n")
    assert read(**{f"{name}_FILE": str(path)}) == read(**{name: FILES[name]})


def test_a_file_can_hold_one_encryption_key_per_line(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"{KEY_B}\n{KEY_A}\n")
    assert read(ENCRYPTION_KEYS_FILE=str(path)).encryption_keys == (KEY_B, KEY_A)


@pytest.mark.parametrize("name", FILES)
def test_a_value_together_with_a_file_is_refused(name, tmp_path):
    path = tmp_path / "secret"
    path.write_text(FILES[name])
    assert refused(**{name: FILES[name], f"{name}_FILE": str(path)}).startswith(f"TOCSIN_{name}: ")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_refused_with_the_variables_name(name, tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        assert refused(**{f"{name}_FILE": str(path)}).startswith(f"TOCSIN_{name}_FILE: ")


@pytest.mark.parametrize("name", FILES)
def test_a_binary_file_is_refused_with_the_variables_name(name, tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"\xff\xfe\x80" * 20)
    assert refused(**{f"{name}_FILE": str(path)}).startswith(f"TOCSIN_{name}")


@pytest.mark.parametrize("name", FILES)
def test_an_invalid_value_in_a_file_is_refused_with_the_variables_name(name, tmp_path):
    path = tmp_path / "secret"
    path.write_text("short")
    assert refused(**{f"{name}_FILE": str(path)}).startswith(f"TOCSIN_{name}")


# --- derived values -------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", range(2, 129))
def test_test_slots_never_use_every_thread(threads):
    slots = read(THREADS=str(threads)).test_slots
    assert 1 <= slots < threads
    assert slots >= min(4, threads - 1)


def test_there_are_at_least_four_test_slots_by_default():
    assert read().test_slots >= 4


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("127.0.0.1:80", "http://127.0.0.1:80/"),
        ("[::1]:8000", "http://[::1]:8000/"),
        ("0.0.0.0:8000", "http://127.0.0.1:8000/"),
        ("[::]:80", "http://[::1]:80/"),
    ],
)
def test_the_address_works_in_a_browser(bind, address):
    assert read(BIND=bind).address == address


@pytest.mark.parametrize("name", UNUSED_VARIABLES)
@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_a_variable_that_this_version_does_not_use_is_named(name, suffix):
    notice = f"{name}{suffix} is set, but this version does not use it."
    assert variable_notices({f"{name}{suffix}": "x", "TOCSIN_BIND": "x"}) == [notice]
    assert variable_notices({name: ""}) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TOCSIN_PUBLC_URL", "TOCSIN_PUBLIC_URL"),
        ("TOCSIN_ENCRYPTION_KEY", "TOCSIN_ENCRYPTION_KEYS"),
        ("TOCSIN_ADMIN_PASSWORT", "TOCSIN_ADMIN_PASSWORD"),
        ("TOCSIN_TRUSTED_PROXY", "TOCSIN_TRUSTED_PROXIES"),
        ("TOCSIN_DATA", "TOCSIN_DATA_DIR"),
        ("TOCSIN_SECRET_KEY_FLE", "TOCSIN_SECRET_KEY_FILE"),
        ("TOCSIN_SECRET_KYE_FILE", "TOCSIN_SECRET_KEY_FILE"),
        ("TOCSIN_BIND_FILE", "TOCSIN_BIND"),
        ("TOSCIN_BIND", "TOCSIN_BIND"),
        ("TOCSN_WORKERS", "TOCSIN_WORKERS"),
        ("tocsin_bind", "TOCSIN_BIND"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_most_similar_one(name, meant):
    assert variable_notices({name: "x"}) == [
        f"{name} is set, but there is no such variable, so it has no effect. Did you mean {meant}?"
    ]


@pytest.mark.parametrize("name", ["TOCSIN_XYZZY", "TOCSIN_LOG_LEVEL"])
def test_an_unknown_variable_that_resembles_no_other_is_named_alone(name):
    (notice,) = variable_notices({name: "x"})
    assert notice.endswith("so it has no effect.")


@pytest.mark.parametrize(
    "environment",
    [
        {"TOCSIN_SERVICE_HOST": "10.0.0.1", "TOCSIN_SERVICE_PORT": "80"},
        {"TOCSIN_SERVICE_PORT_HTTP": "80", "TOCSIN_PORT": "tcp://10.0.0.1:80"},
        {"TOCSIN_PORT_80_TCP": "tcp://10.0.0.1:80", "TOCSIN_PORT_80_TCP_ADDR": "10.0.0.1"},
        {"TOKEN": "x", "PATH": "x", "TOCCATA_X": "x", "TOCSIN": "x", "TOCSIN_": "x"},
        dict.fromkeys(PARSERS, "x"),
        {f"{name}_FILE": "x" for name in SECRET_VARIABLES},
    ],
)
def test_variables_of_kubernetes_of_others_and_real_ones_are_not_named(environment):
    assert variable_notices(environment) == []


def test_the_configuration_is_immutable():
    with pytest.raises(AttributeError):
        read().port = 1


# --- keys -----------------------------------------------------------------------------------------


def mode(path):
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def loose_umask():
    """Set a umask that lets other users read new files."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_keys_are_generated_once_and_readable_by_their_owner_only(tmp_path, loose_umask):
    bare = read(DATA_DIR=str(tmp_path / "deep" / "data"))
    config = bare.with_keys()
    assert len(config.secret_key) >= 32
    assert len(config.encryption_keys) == 1
    assert mode(config.data_dir) == 0o700
    files = sorted(config.data_dir.iterdir())
    assert [file.name for file in files] == ["encryption.keys", "secret.key"]
    assert [mode(file) for file in files] == [0o600, 0o600]
    written = [file.read_bytes() for file in files]
    assert bare.with_keys() == config
    assert [file.read_bytes() for file in files] == written


def test_two_installations_have_different_keys(tmp_path):
    first = read(DATA_DIR=str(tmp_path / "first")).with_keys()
    second = read(DATA_DIR=str(tmp_path / "second")).with_keys()
    assert first.secret_key != second.secret_key
    assert first.encryption_keys != second.encryption_keys


def test_keys_from_variables_are_not_written_to_files(tmp_path):
    config = read(
        DATA_DIR=str(tmp_path / "data"), SECRET_KEY=LONG, ENCRYPTION_KEYS=KEY_A
    ).with_keys()
    assert (config.secret_key, config.encryption_keys) == (LONG, (KEY_A,))
    assert list(config.data_dir.iterdir()) == []


def test_a_generated_key_is_valid_in_a_variable(tmp_path):
    config = read(DATA_DIR=str(tmp_path)).with_keys()
    again = read(
        DATA_DIR=str(tmp_path),
        SECRET_KEY=config.secret_key,
        ENCRYPTION_KEYS=",".join(config.encryption_keys),
    )
    assert again.with_keys() == config


def test_keys_added_to_the_file_are_read(tmp_path):
    (tmp_path / "encryption.keys").write_text(f"{KEY_B}\n{KEY_A}\n")
    assert read(DATA_DIR=str(tmp_path)).with_keys().encryption_keys == (KEY_B, KEY_A)


@pytest.mark.parametrize("name", ["secret.key", "encryption.keys"])
@pytest.mark.parametrize("content", [b"", b" \n", b"x", b"\xff\xfe\x80"], ids=repr)
def test_an_invalid_key_file_is_refused_and_left_unchanged(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=r"^TOCSIN_"):
        read(DATA_DIR=str(tmp_path)).with_keys()
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("place", ["file", "file/data", "file/data/deeper"])
def test_an_unusable_data_folder_is_refused_with_the_variables_name(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^TOCSIN_DATA_DIR: "):
        read(DATA_DIR=str(tmp_path / place)).with_keys()


def test_reading_the_environment_writes_nothing(tmp_path):
    config = read(DATA_DIR=str(tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []
    assert replace(config, port=9) != config


# --- the version ----------------------------------------------------------------------------------


def test_the_version_matches_the_package():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION

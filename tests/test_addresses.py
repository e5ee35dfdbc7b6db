"""The address policy: refused addresses, permissions, and addresses that stay refused."""

import ipaddress
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config import Config
from delivery.guard.addresses import literal_refusal_of, refusal_of
from delivery.guard.url import parse_url

TARGET = parse_url("https://h.example")


def allowing(networks):
    """Return the permissions of this value of TOCSIN_ALLOW_NETWORKS."""
    return Config.from_env({"TOCSIN_ALLOW_NETWORKS": networks}).allow


def refusal(address, networks="", host="hooks.example", port=443):
    """Return why an address is refused when `networks` are allowed."""
    name = f"[{host}]" if ":" in host else host
    target = parse_url(f"https://{name}:{port}")
    return refusal_of(ipaddress.ip_address(address), target, allowing(networks))


def literal_refusal(url, networks=""):
    """Return why a form refuses a URL when `networks` are allowed."""
    return literal_refusal_of(parse_url(url), allowing(networks))


PRIVATE = [
    *(
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.168.255.255",
    ),  # private
    *("127.0.0.1", "127.255.255.254", "::1"),  # loopback
    *("169.254.0.1", "169.254.255.255", "fe80::1", "febf::1"),  # link-local
    *("100.64.0.1", "100.127.255.255"),  # carrier-grade NAT
    *("224.0.0.1", "239.255.255.255", "233.252.0.1", "ff02::1", "ff0e::1", "ff05::2"),  # multicast
    *("0.0.0.0", "0.1.2.3", "::"),  # this network, unspecified
    *("240.0.0.1", "255.255.255.255", "4000::1", "8000::1", "e000::1", "5f00::1"),  # reserved
    *("198.18.0.1", "198.19.255.255", "2001:2::1"),  # benchmarking
    *(
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.255",
        "2001:db8::1",
        "3fff::1",
        "3fff:fff::1",
    ),  # documentation
    *(
        "192.0.0.1",
        "192.0.0.9",
        "192.0.0.170",
        "192.88.99.1",
        "168.63.129.16",
    ),  # protocol assignments, Azure's wire server
    *("64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::8.8.8.8"),  # NAT64
    *("2002:7f00:1::1", "2002:808:808::1"),  # 6to4
    *("2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),  # Teredo
    *(
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
    ),  # mapped, translated
    *("::127.0.0.1", "::8.8.8.8"),  # compatible
    *("fec0::1", "feff::1"),  # site-local
    *("fc00::1", "fd12:3456::1", "fdff::1"),  # unique local
    *("2001:10::1", "2001:20::1", "100::1", "100:0:0:1::1"),  # ORCHID, discard only
]

PUBLIC = [
    *(
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "172.15.255.255",
        "172.32.0.1",
        "192.167.255.255",
        "192.169.0.0",
    ),
    *(
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "169.255.0.0",
        "223.255.255.255",
    ),
    *(
        "198.17.255.255",
        "198.20.0.0",
        "192.0.1.1",
        "192.0.3.1",
        "168.63.129.15",
        "168.63.129.17",
        "203.0.112.255",
    ),
    *(
        "2606:4700::7",
        "2a00:1450:4001::200e",
        "2001:4860:4860::8888",
        "2003::1",
        "2001:200::1",
        "2620:fe::fe",
        "2c0f::1",
    ),
]

METADATA = [
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192"),
    *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
    *(
        "::ffff:169.254.169.254",
        "::ffff:a9fe:aa02",
        "::ffff:100.100.100.200",
        "::ffff:0:169.254.169.254",
    ),
    *(
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b::100.100.100.200",
        "64:ff9b:1::169.254.169.254",
    ),
    *(
        "2002:a9fe:a9fe::1",
        "2002:6464:64c8::1",
        "2001:0:a9fe:a9fe::",
        "2001:0:5601:5601::5601:5601",
    ),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_without_a_permission(address):
    assert "is not a public address" in refusal(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_needs_no_permission(address):
    assert refusal(address) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_all_private_addresses_may_be_allowed_at_once(address):
    assert refusal(address, "0.0.0.0/0,::/0") is None


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize(
    "networks", ["", "0.0.0.0/0,::/0", "hooks.example", "hooks.example:443,169.254.0.0/16,fd00::/8"]
)
def test_metadata_addresses_are_refused_whatever_is_allowed(address, networks):
    sentence = refusal(address, networks)
    assert "credentials" in sentence
    assert "TOCSIN_ALLOW_NETWORKS" not in sentence


@pytest.mark.parametrize(
    ("networks", "address", "host", "port"),
    [
        ("10.0.0.0/8", "10.1.2.3", "nas.lan", 443),
        ("10.1.2.3/8", "10.9.9.9", "nas.lan", 443),
        ("10.1.2.3", "10.1.2.3", "10.1.2.3", 443),
        ("10.1.2.3:9093", "10.1.2.3", "10.1.2.3", 9093),
        ("10.0.0.0/8:9093", "10.1.2.3", "nas.lan", 9093),
        ("127.0.0.0/8", "127.0.0.1", "localhost", 80),
        ("::1", "::1", "localhost", 80),
        ("[::1]", "::1", "::1", 80),
        ("[::1]:9000", "::1", "::1", 9000),
        ("fd00::/8", "fd12::1", "nas.lan", 443),
        ("[fd00::]/8:443", "fd12::1", "nas.lan", 443),
        ("nas.lan", "10.1.2.3", "nas.lan", 443),
        ("nas.lan", "fd12::1", "nas.lan", 8080),
        ("NAS.lan.", "10.1.2.3", "nas.lan", 443),
        ("nas.lan", "10.1.2.3", "NAS.LAN.", 443),
        ("nas.lan:8080", "10.1.2.3", "nas.lan", 8080),
        ("alertmanager", "172.17.0.2", "alertmanager", 9093),
        (" 192.168.0.0/16 , nas.lan ", "10.1.2.3", "nas.lan", 443),
        ("::ffff:0:0/96", "::ffff:10.0.0.1", "h", 443),
    ],
)
def test_a_permission_allows_what_it_names(networks, address, host, port):
    assert refusal(address, "", host, port)
    assert refusal(address, networks, host, port) is None


@pytest.mark.parametrize(
    ("networks", "address", "host", "port"),
    [
        ("10.0.0.0/8", "192.168.0.1", "nas.lan", 443),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "nas.lan", 443),
        ("10.0.0.0/8", "64:ff9b::10.0.0.1", "nas.lan", 443),
        ("10.1.2.3", "10.1.2.4", "10.1.2.4", 443),
        ("10.1.2.3:9093", "10.1.2.3", "10.1.2.3", 9094),
        ("10.0.0.0/8:9093", "10.1.2.3", "nas.lan", 443),
        ("127.0.0.0/8", "::1", "localhost", 80),
        ("::1", "127.0.0.1", "localhost", 80),
        ("nas.lan", "10.1.2.3", "other.lan", 443),
        ("nas.lan", "10.1.2.3", "nas.lan.example", 443),
        ("nas.lan", "10.1.2.3", "a.nas.lan", 443),
        ("nas.lan", "10.1.2.3", "10.1.2.3", 443),
        ("nas.lan:8080", "10.1.2.3", "nas.lan", 443),
        ("0.0.0.0/0", "fd12::1", "nas.lan", 443),
        ("::/0", "10.1.2.3", "nas.lan", 443),
    ],
)
def test_a_permission_allows_nothing_else(networks, address, host, port):
    assert "is not a public address" in refusal(address, networks, host, port)


@pytest.mark.parametrize(
    ("address", "host"), [("10.1.2.3", "nas.lan"), ("10.1.2.3", "10.1.2.3"), ("::1", "::1")]
)
def test_the_refusal_names_the_variable_and_its_value(address, host):
    sentence = refusal(address, host=host)
    assert f"TOCSIN_ALLOW_NETWORKS={host} " in sentence
    assert address in sentence


def test_the_refusal_does_not_depend_on_what_answers_at_the_address(receiver):
    assert refusal("127.0.0.1", port=receiver.port) == refusal("127.0.0.1", port=1)
    sentences = {
        refusal(address).replace(str(ipaddress.ip_address(address)), "ADDRESS")
        for address in PRIVATE
    }
    assert len(sentences) == 1
    assert receiver.connections == 0


LOOPBACKS = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "127.9.9.9",
]


@pytest.mark.parametrize(
    "host",
    [
        *LOOPBACKS,
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "a.localhost",
    ],
)
def test_the_form_refuses_the_loopback_in_every_spelling(host):
    assert "TOCSIN_ALLOW_NETWORKS=" in literal_refusal(f"http://{host}:8000/x")


@pytest.mark.parametrize("host", [*LOOPBACKS, "localhost", "a.b.localhost"])
def test_the_form_accepts_the_loopback_in_every_spelling_if_it_is_allowed(host):
    assert literal_refusal(f"http://{host}/x", "127.0.0.0/8") is None


@pytest.mark.parametrize(
    "host",
    ["10.1.2.3", "10.1.515", "0xa010203", "[fd12::1]", "0", "192.168.1.1", "[64:ff9b::7f00:1]"],
)
def test_the_form_refuses_a_private_address(host):
    assert "is not a public address" in literal_refusal(f"https://{host}/x")


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9.0xfe.0xa9.0xfe",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
    ],
)
def test_the_form_refuses_metadata_addresses_whatever_is_allowed(host):
    assert "credentials" in literal_refusal(f"http://{host}/latest/meta-data", "0.0.0.0/0,::/0")


@pytest.mark.parametrize(
    "host",
    ["alertmanager", "notlocalhost", "localhost.example", "example.com", "a.localhosts", "8.8.8.8"],
)
def test_the_form_refuses_neither_names_nor_public_addresses(host):
    assert literal_refusal(f"https://{host}/x") is None


@pytest.mark.parametrize("networks", ["127.0.0.0/8", "::1", "localhost"])
def test_localhost_is_allowed_if_one_of_its_addresses_is(networks):
    assert literal_refusal("http://localhost/x", networks) is None


def test_localhost_is_refused_on_a_port_that_is_not_allowed():
    assert literal_refusal("http://localhost:9000/x", "localhost:9000") is None
    assert literal_refusal("http://localhost:9001/x", "localhost:9000")


@pytest.mark.parametrize(
    "host",
    [
        *LOOPBACKS,
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "a.localhost",
        "10.1.515",
        "0xa010203",
    ],
)
def test_the_value_that_the_refusal_suggests_allows_the_address(host):
    url = f"http://{host}/x"
    suggested = re.search(r"TOCSIN_ALLOW_NETWORKS=(\S+) ", literal_refusal(url))[1]
    assert literal_refusal(url, suggested) is None


@settings(deadline=None)
@given(st.ip_addresses())
@example(ipaddress.ip_address("fe80::1%eth0"))
def test_every_private_address_is_refused(address):
    sentence = refusal_of(address, TARGET, ())
    assert sentence is None or sentence.endswith((".", ")."))
    if (
        not address.is_global
        or address.is_multicast
        or address.is_link_local
        or address.is_private
        or address.is_reserved
    ):
        assert sentence


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_an_ipv4_address_embedded_in_ipv6_is_refused(address):
    number = int(address)
    mapped = 0xFFFF << 32 | number
    compatible = number
    nat64 = 0x64FF9B << 96 | number
    sixtofour = 0x2002 << 112 | number << 80 | 1
    teredo = 0x20010000 << 96 | number << 64
    for embedding in (mapped, compatible, nat64, sixtofour, teredo):
        assert refusal_of(ipaddress.IPv6Address(embedding), TARGET, ())


@pytest.mark.parametrize(
    "address", ["169.254.42.42", "169.254.0.23", "fd00:42::42", "64:ff9b:1:a9fe:a9:fe00::"]
)
def test_metadata_of_smaller_clouds_and_through_a_48_bit_nat64_is_refused(address):
    assert "never sends there" in refusal(address, "0.0.0.0/0,::/0", host=address, port=80)

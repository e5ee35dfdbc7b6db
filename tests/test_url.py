"""Parsing a channel's URL: accepted and refused URLs, their messages, and masking."""

import ipaddress
import string
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from delivery.guard.url import (
    MAX_URL_LENGTH,
    PORTS,
    InvalidUrl,
    ParsedUrl,
    literal_address,
    parse_url,
)
from delivery.sender import unambiguous_url


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://alertmanager:9093", ParsedUrl("http", "alertmanager", 9093, "/", "")),
        (
            "https://[2606:4700::7]:8443/h?x=1",
            ParsedUrl("https", "2606:4700::7", 8443, "/h", "x=1"),
        ),
        ("https://[2606:4700:0:0::0007]/", ParsedUrl("https", "2606:4700::7", 443, "/", "")),
        ("http://[::127.0.0.1]:80/", ParsedUrl("http", "::7f00:1", 80, "/", "")),
        ("https://bücher.example/x", ParsedUrl("https", "xn--bcher-kva.example", 443, "/x", "")),
        ("https://BÜCHER.example/x", ParsedUrl("https", "xn--bcher-kva.example", 443, "/x", "")),
        (
            "https://xn--bcher-kva.example/x",
            ParsedUrl("https", "xn--bcher-kva.example", 443, "/x", ""),
        ),
        ("https://пример.рф", ParsedUrl("https", "xn--e1afmkfd.xn--p1ai", 443, "/", "")),
        ("https://faß.example/", ParsedUrl("https", "xn--fa-hia.example", 443, "/", "")),
        ("https://hooks。example/", ParsedUrl("https", "hooks.example", 443, "/", "")),
        ("https://my_hooks.example.com/", ParsedUrl("https", "my_hooks.example.com", 443, "/", "")),
        ("https://_a--b_/", ParsedUrl("https", "_a--b_", 443, "/", "")),
        ("https://xn--p1ai./", ParsedUrl("https", "xn--p1ai.", 443, "/", "")),
        ("https://example.com./x", ParsedUrl("https", "example.com.", 443, "/x", "")),
        (
            "HTTPS://Hooks.EXAMPLE.com/Services",
            ParsedUrl("https", "hooks.example.com", 443, "/Services", ""),
        ),
        (" \r\n\t https://example.com/a \t\r\n", ParsedUrl("https", "example.com", 443, "/a", "")),
        ("\f\vhttps://example.com/a\f\v", ParsedUrl("https", "example.com", 443, "/a", "")),
        ("https://example.com", ParsedUrl("https", "example.com", 443, "/", "")),
        ("https://example.com?x=1", ParsedUrl("https", "example.com", 443, "/", "x=1")),
        ("https://example.com/a?b?c", ParsedUrl("https", "example.com", 443, "/a", "b?c")),
        ("https://example.com/a#part", ParsedUrl("https", "example.com", 443, "/a", "")),
        ("https://example.com/a?x=1#part", ParsedUrl("https", "example.com", 443, "/a", "x=1")),
        ("http://example.com:0080/", ParsedUrl("http", "example.com", 80, "/", "")),
        ("http://example.com:1/", ParsedUrl("http", "example.com", 1, "/", "")),
        ("http://example.com:65535/", ParsedUrl("http", "example.com", 65535, "/", "")),
        ("http://example.com//double", ParsedUrl("http", "example.com", 80, "//double", "")),
        ("http://example.com/é/🐛", ParsedUrl("http", "example.com", 80, "/é/🐛", "")),
        (
            "http://example.com/a?to=https://other",
            ParsedUrl("http", "example.com", 80, "/a", "to=https://other"),
        ),
    ],
)
def test_a_valid_url_is_parsed(text, target):
    assert parse_url(text) == target


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Enter the URL"),
        (" \r\n ", "Enter the URL"),
        ("hooks.example.com/x", "Begin the URL with https://"),
        ("//hooks.example.com/x", "Begin the URL with https://"),
        ("https:/hooks.example.com", "Begin the URL with https://"),
        ("javascript:alert(1)", "Begin the URL with https://"),
        ("ftp://example.com/", "http:// and https:// URLs only"),
        ("FILE:///etc/passwd", "http:// and https:// URLs only"),
        ("http://", "no host"),
        ("http:///x", "no host"),
        ("http://:80/", "no host"),
        ("https://?x=1", "no host"),
        ("http://example.com:/x", "colon without a port"),
        ("http://example.com:0/", "Port 0"),
        ("http://example.com:65536/", "The port is not a number"),
        ("http://example.com:99999999999999999999/", "The port is not a number"),
        ("http://example.com:abc/", "The port is not a number"),
        ("http://example.com:-1/", "The port is not a number"),
        ("http://example.com:+80/", "The port is not a number"),
        ("http://example.com:８０/", "The port is not a number"),
        ("http://example.com:80:90/", "The port is not a number"),
        ("http://user:pass@example.com/", "user name and password"),
        ("http://user@example.com/", "user name and password"),
        ("http://@example.com/", "user name and password"),
        ("http://exam ple.com/", "space or an invisible character"),
        ("http://example.com/a b", "space or an invisible character"),
        ("http://example.com/a\nb", "space or an invisible character"),
        ("http://example.com/a\tb", "space or an invisible character"),
        ("http://example.com/\x00", "space or an invisible character"),
        ("http://example.com/\x7f", "space or an invisible character"),
        ("http://example.com/\xa0", "space or an invisible character"),
        ("http://example.com/\u200b", "space or an invisible character"),
        ("http://example.com/\u202e", "space or an invisible character"),
        ("http://example.com/\u3000", "space or an invisible character"),
        ("\ufeffhttp://example.com/", "space or an invisible character"),
        ("http://example.com/\ud800", "invalid character"),
        ("http://example.com\\@other.example/", "backslash"),
        ("http://example.com/a\\b", "backslash"),
        ("https://example.comhttps://other.example", "two URLs"),
        ("http://*.example.com/", "host is not valid"),
        ("http://a..b/", "host is not valid"),
        ("http://.example.com/", "host is not valid"),
        ("http://exam%70le.com/", "host is not valid"),
        ("http://example.com;x/", "host is not valid"),
        (f"http://{'a' * 64}.example/", "host is not valid"),
        (f"http://{'a.' * 127}a/", "host is not valid"),
        ("http://-/", "host is not valid"),
        ("http://--.example/", "host is not valid"),
        ("http://-a.example/", "host is not valid"),
        ("http://a-.example/", "host is not valid"),
        ("http://a.b-/", "host is not valid"),
        ("http://xn--a/", "xn--a is the encoded form of no name"),
        ("http://hooks.XN--zzzzzz.example/", "xn--zzzzzz is the encoded form of no name"),
        ("http://xn--/", "host is not valid"),
        ("http://i❤.example/", "letters that no domain name can have"),
        ("http://256.1.1.1/", "looks like an IP address"),
        ("http://1.2.3.4.5/", "looks like an IP address"),
        ("http://08.1.1.1/", "looks like an IP address"),
        ("http://0x/", "looks like an IP address"),
        ("http://4294967296/", "looks like an IP address"),
        ("http://example.0x7f/", "looks like an IP address"),
        ("http://2606:4700::7/", "not a number"),
        ("http://[::1/", "needs brackets"),
        ("http://::1]/", "needs brackets"),
        ("http://[]/", "needs brackets"),
        ("http://[1.2.3.4]/", "needs brackets"),
        ("http://[::12345]/", "needs brackets"),
        ("http://[[::1]]/", "needs brackets"),
        ("http://[fe80::1%eth0]/", "zone"),
        ("http://[fe80::1%25eth0]/", "zone"),
        ("http://example.com℀other/", "host is not valid"),
    ],
)
def test_an_invalid_url_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(InvalidUrl, match=sentence.replace("(", r"\(")):
        parse_url(text)


@pytest.mark.parametrize(
    "text", ["http://[2606:4700::7]x/", "http://x[2606:4700::7]/", "http://[2606:4700::7]80/"]
)
def test_characters_beside_a_bracketed_address_are_refused(text):
    with pytest.raises(InvalidUrl, match="host is not valid"):
        parse_url(text)


def test_brackets_around_anything_but_an_ipv6_address_are_refused():
    with pytest.raises(InvalidUrl, match="host is not valid"):
        parse_url("http://[v1.example]/")


def test_a_refusal_never_quotes_the_path():
    with pytest.raises(InvalidUrl) as refusal:
        parse_url("https://hooks.example.com:x/services/t0ken")
    assert "t0ken" not in str(refusal.value)
    assert str(refusal.value).endswith(".")


def test_a_url_of_the_maximum_length_is_accepted():
    longest = "http://example.com/".ljust(MAX_URL_LENGTH, "a")
    assert parse_url(f" {longest}\n").url == longest
    with pytest.raises(InvalidUrl, match="2049 characters; at most 2048"):
        parse_url(longest + "a")


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://example.com:443/x", "https://example.com"),
        ("http://example.com:80/x", "http://example.com"),
        ("http://example.com:443/x", "http://example.com:443"),
        ("https://example.com:80/x", "https://example.com:80"),
        ("http://[2606:4700::7]/x", "http://[2606:4700::7]"),
        ("http://[2606:4700::7]:9093/x", "http://[2606:4700::7]:9093"),
        ("HTTP://EXAMPLE.com:9093/x?y", "http://example.com:9093"),
    ],
)
def test_the_origin_omits_the_default_port(text, origin):
    assert parse_url(text).origin == origin
    assert origin == f"{parse_url(text).scheme}://{parse_url(text).authority}"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://example.com", "https://example.com/"),
        ("https://example.com/", "https://example.com/"),
        ("https://example.com/a", "https://example.com/…"),
        ("https://example.com?a", "https://example.com/…"),
        ("https://example.com/hooks/abcdefgh", "https://example.com/…"),
        (
            "https://hooks.slack.com/services/T000/B000/abcdefghijkl",
            "https://hooks.slack.com/…ijkl",
        ),
        ("https://example.com/hook?token=abcdefghijkl", "https://example.com/…ijkl"),
        ("https://example.com:8443/" + "x" * 40, "https://example.com:8443/…xxxx"),
        ("https://example.com/hook#abcdefghijklmnopqrstuvw", "https://example.com/…"),
    ],
)
def test_a_masked_url_shows_the_origin_and_at_most_four_more_characters(text, masked):
    assert parse_url(text).masked == masked


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0x7f.0.0.1.", "127.0.0.1"),
        ("0X7F.0.0.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("１２７.０.０.１", "127.0.0.1"),
        ("①②⑦.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[0:0:0:0:0:FFFF:7F00:1]", "::ffff:127.0.0.1"),
    ],
)
def test_an_address_is_recognized_in_every_spelling(host, address):
    assert parse_url(f"http://{host}/").address == ipaddress.ip_address(address)


@pytest.mark.parametrize(
    "host", ["localhost", "alertmanager", "1.2.3.4x", "0x7g.example", "a1", "127.0.0.1.example"]
)
def test_a_name_is_not_an_address(host):
    assert parse_url(f"http://{host}/").address is None


@pytest.mark.parametrize("host", ["", ".", "::1%1x", "é", "1.2.3.4\x00"])
def test_invalid_text_is_not_an_ipv4_address(host):
    assert not isinstance(literal_address(host), ipaddress.IPv4Address)


_characters = st.text(
    alphabet=st.sampled_from("htps:/@[]%?#\\.-_~0x1aé。ß\u200b\u00ad\x00 \t\n℀:９" + string.digits),
    max_size=40,
)
_urls = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["http://", "https://", "HTTPS://", "http:", ""]),
        _characters,
        st.sampled_from(["", "/", "?", "#"]),
        _characters,
    ),
)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), _urls))
@example("http://[\ud800]/")
@example("http://" + "é" * 2000)
@example("http://[" + "1:" * 900 + "]")
def test_any_text_is_parsed_or_raises_invalid_url(text):
    try:
        target = parse_url(text)
    except InvalidUrl:
        return
    assert parse_url(target.url) == target
    assert target.masked.startswith(target.origin)


_hosts = st.one_of(
    st.sampled_from(
        [
            "example.com",
            "a_b.example",
            "example.com.",
            "bücher.example",
            "127.1",
            "[2606:4700::7]",
            "[::1]x",
            "ﬁ.example",
        ]
    ),
    st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Zs"]), min_size=1, max_size=12),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
_rests = st.one_of(_characters, st.text(max_size=20))
_likely = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["http", "https", "HTTP"]),
    _hosts,
    st.one_of(st.just(""), st.integers(0, 70000).map(":{}".format), st.just(":0443")),
    st.sampled_from(["", "/", "?", "/..//", "/@", "/%2e%2e/"]),
    _rests,
)


@settings(deadline=None, max_examples=500)
@given(st.one_of(_likely, _urls))
@example("http://example.com/@other.example:1/")
@example("http://example.com?@other.example/")
@example("http://example.com#@other.example/")
@example("http://example.com//other.example/")
@example("http://[::ffff:127.0.0.1]:1/%5b")
def test_an_accepted_url_is_requested_from_the_same_host_and_port(text):
    try:
        target = parse_url(text)
        unambiguous_url(target)
    except InvalidUrl:
        return
    parts = urlsplit(requests.Request("POST", target.url).prepare().url)
    assert (parts.scheme, parts.hostname) == (target.scheme, target.host)
    assert (parts.port or PORTS[parts.scheme]) == target.port
    assert "@" not in parts.netloc
    assert not parts.fragment

"""Masking hides every secret in every likely spelling, and no ordinary word."""

import base64
import html
import json
import random
import re
import string
import unicodedata
from urllib.parse import quote, quote_plus

import pytest
import requests
from cpu_time import cpu_time
from hypothesis import example, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from delivery.guard.url import parse_url
from delivery.redaction import HIDDEN, Mask, basic_token, escape_invisible
from delivery.settings import Header, Settings

HARD = 'p"ä/ss w+&x=9'

SPELLINGS = {
    "raw": str,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "JSON-escaped": lambda secret: json.dumps(secret)[1:-1],
    "JSON-escaped except for letters": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
}
# The spellings of frameworks: Python's quote, .NET's UrlEncode, a form body, an error page.
OTHER_SPELLINGS = {
    "percent-encoded except for slashes": quote,
    "percent-encoded in lower case": lambda secret: re.sub(
        "%..", lambda code: code[0].lower(), quote(secret, safe="")
    ),
    "as a form field": quote_plus,
    "HTML-escaped": html.escape,
}


def with_secret(field, secret):
    """Return settings with the secret in this place."""
    if field == "header":
        return Settings(headers=(Header("X-Api-Key", secret, secret=True),))
    if field in ("basic", "bearer"):
        return Settings(auth=field, auth_username="ops", auth_secret=secret)
    if field == "header auth":
        return Settings(auth="header", auth_username="X-Token", auth_secret=secret)
    return Settings(signing="standard", **{field: secret})


PLACES = ["header", "basic", "bearer", "header auth", "signing_secret", "signing_secret_old"]


@pytest.mark.parametrize("field", PLACES)
@pytest.mark.parametrize("secret", ["s3cret-t0ken", "abcd", "whsec_MDEyMzQ1Njc4OWFiY2Rl"])
def test_every_secret_is_hidden(field, secret):
    shown = Mask(with_secret(field, secret))(f"You sent {secret}, and again {secret}.")
    assert shown == f"You sent {HIDDEN}, and again {HIDDEN}."


@pytest.mark.parametrize("field", PLACES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_secret_is_hidden_in_every_spelling(field, spelling):
    spelled = SPELLINGS[spelling](HARD)
    assert Mask(with_secret(field, HARD))(f"<{spelled}>") == f"<{HIDDEN}>"


@pytest.mark.parametrize("spelling", OTHER_SPELLINGS)
def test_a_secret_is_hidden_as_other_frameworks_spell_it(spelling):
    spelled = OTHER_SPELLINGS[spelling](HARD)
    assert Mask(with_secret("bearer", HARD))(f"<{spelled}>") == f"<{HIDDEN}>"


@pytest.mark.parametrize("secret", ["s3cret-t0ken", HARD])
def test_the_credentials_of_basic_authentication_are_hidden_whole(secret):
    token = basic_token("ops", secret)
    assert base64.b64decode(token).decode() == f"ops:{secret}"
    assert (
        Mask(with_secret("basic", secret))(f"Authorization: Basic {token}\n")
        == f"Authorization: Basic {HIDDEN}\n"
    )


def test_a_secret_that_contains_another_is_hidden_whole():
    settings = Settings(
        auth="bearer", auth_secret="token", signing="github", signing_secret="token-and-more"
    )
    assert Mask(settings)("token-and-more token") == f"{HIDDEN} {HIDDEN}"


@pytest.mark.parametrize(
    ("url", "text", "shown"),
    [
        (
            "https://hooks.example/services/T0000/B0000/abcdefghijkl",
            "key abcdefghijkl.",
            f"key {HIDDEN}.",
        ),
        (
            "https://hooks.example/services/abcdefghijkl",
            "POST /services/abcdefghijkl HTTP/1.1",
            f"POST {HIDDEN} HTTP/1.1",
        ),
        (
            "https://hooks.example/services/abcdefghijkl",
            "at https://hooks.example/services/abcdefghijkl!",
            f"at {HIDDEN}!",
        ),
        ("https://hooks.example/h?token=abcdefghijkl", "token abcdefghijkl", f"token {HIDDEN}"),
        (
            "https://hooks.example/h?token=abcdefghijkl&x=y",
            "GET /h?token=abcdefghijkl&x=y",
            f"GET {HIDDEN}",
        ),
        ("https://hooks.example/h?token=abcdefghijkl&x=y", "/h?token=abcdefghijkl&amp;x=y", HIDDEN),
        (
            "https://hooks.example/h?token=ab%2Fcd%20efgh",
            "ab/cd efgh ab%2Fcd%20efgh",
            f"{HIDDEN} {HIDDEN}",
        ),
        (
            "https://hooks.example/bot123456:AAAbbbCCC/send",
            "bot123456:AAAbbbCCC bot123456%3AAAAbbbCCC",
            f"{HIDDEN} {HIDDEN}",
        ),
        (
            "https://hooks.example/tökentöken",
            "tökentöken t%C3%B6kent%C3%B6ken",
            f"{HIDDEN} {HIDDEN}",
        ),
        (
            "https://hooks.example/abcdefghijkl",
            '{"path": "\\/abcdefghijkl"}',
            f'{{"path": "{HIDDEN}"}}',
        ),
        (" https://hooks.example/abcdefghijkl \n", "abcdefghijkl", HIDDEN),
    ],
)
def test_the_secret_parts_of_a_url_are_hidden(url, text, shown):
    assert Mask(Settings(url=url))(text) == shown


@pytest.mark.parametrize(
    "rest",
    [
        "/t0ken-t0ken",
        "/tök(en)töken",
        "/é+abcdefgh",
        "/%41%2Fbcdefgh",
        "/abc'defgh|ijk",
        "/hook?token=ä(secret)",
        "/hook?token=a+b+c+d+e",
        "/%61bcdefgh/é!x",
        "/h?sig=%C3%A4bc~def",
    ],
)
def test_a_url_is_hidden_as_it_is_sent(rest):
    settings = Settings(url=f"https://hooks.example{rest}")
    prepared = requests.Request("POST", settings.target.url).prepare()
    mask = Mask(settings)
    assert mask(f"POST {prepared.path_url} HTTP/1.1") == f"POST {HIDDEN} HTTP/1.1"
    assert mask(prepared.url) == HIDDEN


def test_an_invalid_url_is_hidden_whole():
    assert (
        Mask(Settings(url="htp://hooks.example/abcdefghijkl"))("htp://hooks.example/abcdefghijkl")
        == HIDDEN
    )


PLAIN = (
    "The services of hooks.example took no webhook: true, false, null, 404 Not Found, alert, "
    "POST, ok."
)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://hooks.example",
        "https://hooks.example/",
        "https://hooks.example/services/webhooks/messages",
        "https://hooks.example/Webhook/SERVICES",
        "https://hooks.example/hook/v1/T000",
        "https://hooks.example/h?a=b&c=",
    ],
)
def test_common_words_of_a_url_are_not_hidden(url):
    assert Mask(Settings(url=url, auth_secret="abc"))(PLAIN) == PLAIN


@pytest.mark.parametrize("query", ["wait=true", "wait=false", "silent=null"])
def test_a_switch_in_the_query_is_not_a_secret(query):
    mask = Mask(Settings(url=f"https://hooks.example/webhooks/1234567890/abcdefghijkl?{query}"))
    assert mask(PLAIN) == PLAIN
    assert mask("abcdefghijkl") == HIDDEN


def test_a_public_header_and_a_username_stay_readable():
    settings = Settings(
        headers=(Header("X-Team", "payments"),),
        auth="basic",
        auth_username="operator",
        auth_secret="s3cret",
    )
    assert Mask(settings)("operator of payments: s3cret") == f"operator of payments: {HIDDEN}"


@pytest.mark.parametrize("text", ["", "nothing here", "•", "\x00\ud800"])
def test_without_secrets_a_text_is_unchanged(text):
    assert Mask(Settings())(text) == text


def test_special_characters_of_patterns_in_a_secret_are_literal():
    mask = Mask(Settings(auth="bearer", auth_secret="a.*b[(\\"))
    assert mask("a.*b[(\\ axxb") == f"{HIDDEN} axxb"


_texts = st.text(max_size=30)
_settings_with_secrets = st.builds(
    Settings,
    url=_texts,
    auth=st.sampled_from(["basic", "bearer"]),
    auth_username=_texts,
    auth_secret=_texts,
    signing_secret=_texts,
)


@budget(deadline=None, max_examples=200)
@given(_settings_with_secrets, _texts)
def test_a_mask_of_any_settings_hides_its_secret_in_any_text(settings, text):
    shown = Mask(settings)(f"{text}{settings.auth_secret}{text}")
    if len(settings.auth_secret) >= 4 and HIDDEN[0] not in settings.auth_secret:
        assert settings.auth_secret not in shown


@pytest.mark.parametrize(
    "settings",
    [
        Settings(auth="basic", auth_username="\ud800", auth_secret="s3cret"),
        Settings(auth="bearer", auth_secret="\ud800s3cret"),
        Settings(url="https://hooks.example/\ud800s3cret"),
    ],
    ids=["user name", "secret", "URL"],
)
def test_a_surrogate_in_a_stored_row_does_not_break_its_mask(settings):
    assert Mask(settings)("plain") == "plain"


_tokens = st.text(
    "abcdefghijklmnopqrstuvwxyz0123456789-_~.!$'()*+,;:@é%", min_size=8, max_size=20
).filter(lambda token: not token.isalpha())


@budget(deadline=None, max_examples=200)
@example("00%80%30")  # requests sends 00%800
@given(_tokens)
def test_a_token_in_the_path_is_hidden_in_the_request_line(token):
    url = f"https://hooks.example/{token}"
    prepared = requests.Request("POST", parse_url(url).url).prepare()
    assert Mask(Settings(url=url))(prepared.path_url).count(HIDDEN) == 1


# --- invisible characters -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "plain", "é, 中文, 🔔, עברית", "a\n\tb", " two  blanks ", "\\u202e", "<b>&amp;"]
)
def test_visible_text_is_unchanged(text):
    assert escape_invisible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a\\u202eb"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb\u200d", "a\\u200bb\\u200d"),
        ("\u061c\u200e\u200f", "\\u061c\\u200e\\u200f"),
        ("\ufeffx", "\\ufeffx"),
        ("a\xa0b", "a\\u00a0b"),
        ("so\xadft", "so\\u00adft"),
        ("\x00\x07\x1b[31m\x7f\x85", "\\u0000\\u0007\\u001b[31m\\u007f\\u0085"),
        ("a\rb", "a\\u000db"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\ud800", "\\ud800"),
    ],
    ids=ascii,
)
def test_invisible_characters_are_escaped(text, shown):
    assert escape_invisible(text) == shown


@pytest.mark.parametrize("text", ["\u115f", "\u180e", "\u3164", "\uffa0", "\U000e0041"], ids=ascii)
def test_blank_letters_and_tags_are_escaped(text):
    assert escape_invisible(f"a{text}b") == f"a\\u{ord(text):04x}b"


@budget(deadline=None)
@given(st.text(st.characters(exclude_categories=[])))
def test_an_escaped_text_has_no_control_characters_and_escapes_to_itself(text):
    shown = escape_invisible(text)
    assert escape_invisible(shown) == shown
    assert not [
        character
        for character in shown
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"
    ]


# --- long secrets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_of_four_thousand_characters_is_hidden_whole(spelling):
    secret = "-".join(f"{number}:ä{number * 7}" for number in range(400))
    shown = Mask(with_secret("header", secret))(f"before <{SPELLINGS[spelling](secret)} after")
    assert shown == f"before <{HIDDEN} after"


def test_twenty_long_secrets_of_unusual_letters_are_masked_within_two_seconds():
    rows = tuple(
        Header(f"X-{number}", f"{number}" + "ä/" * 2040, secret=True) for number in range(20)
    )
    with cpu_time() as spent:
        mask = Mask(Settings(headers=rows))
        mask.mask_truncated("ä/" * 8000)
        mask("7" + "ä/" * 8000)
    assert spent.seconds < 2


def test_secrets_made_for_endless_comparisons_are_masked_within_two_seconds():
    rows = tuple(
        Header(f"X-{number}", "a" * 127 + f"A{number}A", secret=True) for number in range(20)
    )
    mask = Mask(Settings(headers=rows))
    with cpu_time() as spent:
        assert mask.mask_truncated("b" * 9000 + "a" * 7000).endswith(HIDDEN)
    assert spent.seconds < 2


# Secrets and texts whose backslashes, percent signs or ampersands can be read in several ways.
OVERLAPPING = [
    "\\",
    "\\/",
    '\\"',
    "\\\\n",
    "\\u005c",
    "%5c\\",
    "&#92;\\",
    "%25",
    "&amp;",
    "&#92;",
    "é",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("unit", OVERLAPPING)
def test_a_secret_of_overlapping_escapes_is_hidden(unit, spelling):
    for secret in (unit * 40, unit * 10 + "end", "start" + unit * 10):
        spelled = SPELLINGS[spelling](secret)
        shown = Mask(with_secret("bearer", secret))(f"<{spelled}")
        assert shown == f"<{HIDDEN}"


@pytest.mark.parametrize("unit", OVERLAPPING)
def test_a_secret_of_overlapping_escapes_is_masked_in_linear_time(unit):
    mask = Mask(with_secret("bearer", unit * 40 + "Q"))
    texts = [(spelled(unit) * 4000)[:4000] + "!" for spelled in SPELLINGS.values()]
    with cpu_time() as spent:
        for text in texts:
            mask(text)
            mask.mask_truncated(text)
    assert spent.seconds < 5


@pytest.mark.parametrize("spelling", ["raw", "JSON-escaped", "percent-encoded"])
@pytest.mark.parametrize("unit", OVERLAPPING)
def test_a_secret_of_overlapping_escapes_is_hidden_where_it_is_cut_off(unit, spelling):
    secret = "start" + unit * 10 + "end"
    mask = Mask(with_secret("bearer", secret))
    spelled = SPELLINGS[spelling](secret)
    for end in range(4, len(spelled)):
        assert mask.mask_truncated(f"<{spelled[:end]}") == f"<{HIDDEN}"


def test_the_beginning_of_a_run_of_backslashes_is_hidden_where_it_is_cut_off():
    assert Mask(with_secret("bearer", "\\" * 40)).mask_truncated("<" + "\\" * 30) == "<"


_escapes = st.lists(st.sampled_from([*'\\/"%&;#n', "25", "5c", "amp", "u005c", "é"]), min_size=4)
_spell = st.sampled_from([*SPELLINGS.values(), *OTHER_SPELLINGS.values()])


@budget(deadline=None, max_examples=200)
@given(_escapes, _spell)
def test_a_secret_made_of_escapes_is_hidden_as_any_framework_spells_it(parts, spell):
    secret = "".join(parts)
    spelled = spell(secret)
    if spell is not quote_plus or "+" not in secret:
        assert spelled not in Mask(with_secret("bearer", secret))(f"before {spelled} after")


# --- words of a URL -------------------------------------------------------------------------------

WORDS = """prometheus alertmanager grafana monitoring notifications healthchecks kubernetes Template
    WEBHOOK sendMessage deploy-prod team_backend on-call-2 alerts.critical v2.1 2016-06-01
    disk%20full production infrastructure"""
TOKENS = """abcdefghijkl T0KENOFAPATH 8f3a-9b21 0123456789abcdef prod-x7k2p9 xkcdqwrtzpsd
    AbCdEfGhIjKl 1234-5678-9012 123456789 9f8e7d6c-5b4a-3f2e-1d0c-9b8a7f6e5d4c
    correct-horse-battery-staple thisisaverylongsecretword tökentöken a%2Fb%2Fc%2Fd%2Fe
    alertmanager-t0ken"""


@pytest.mark.parametrize(
    "part",
    WORDS.split(),
)
def test_a_word_of_a_path_or_a_query_is_not_hidden(part):
    answer = f"template {part} not found"
    assert Mask(Settings(url=f"https://hooks.example/webhook/{part}"))(answer) == answer
    assert Mask(Settings(url=f"https://hooks.example/h?template={part}"))(answer) == answer


@pytest.mark.parametrize(
    "part",
    TOKENS.split(),
)
def test_a_part_that_may_be_a_token_is_hidden(part):
    for url in (f"https://hooks.example/webhook/{part}", f"https://hooks.example/h?x={part}"):
        assert Mask(Settings(url=url))(f"no {part} here") == f"no {HIDDEN} here"


@pytest.mark.parametrize("name", ["token", "access_token", "key", "sig", "apikey", "password"])
def test_a_word_of_the_query_is_hidden_under_the_name_of_a_credential(name):
    mask = Mask(Settings(url=f"https://hooks.example/h?{name}=hunter"))
    assert mask("bad hunter") == f"bad {HIDDEN}"


def test_a_url_of_words_is_hidden_as_a_whole():
    url = "https://hooks.example/webhook/prometheus"
    assert Mask(Settings(url=url))(f"{url} and /webhook/prometheus") == f"{HIDDEN} and {HIDDEN}"


def test_a_token_inside_a_part_that_a_kind_knows_is_hidden():
    mask = Mask(Settings(url="https://own.example/bot123456:AAbbCCdd/sendMessage"))
    assert mask("unknown token 123456:AAbbCCdd") == f"unknown token {HIDDEN}"


_LETTERS_AND_DIGITS = string.ascii_letters + string.digits


@budget(deadline=None, max_examples=100)
@given(st.text(_LETTERS_AND_DIGITS, min_size=16, max_size=64))
def test_a_long_part_is_hidden_unless_it_is_a_word(part):
    masked = Mask(Settings(url=f"https://hooks.example/hooks/{part}"))(f"no {part} here")
    assert part not in masked or re.fullmatch("[a-z]+|[A-Z]+|([A-Z]?[a-z]+){2,3}", part)


def test_few_random_words_are_taken_for_real_ones():
    rng = random.Random(13)
    texts = ["".join(rng.choices(string.ascii_lowercase, k=12)) for _ in range(300)]
    shown = [
        text for text in texts if text in Mask(Settings(url=f"https://h.example/{text}"))(text)
    ]
    assert len(shown) < 6

"""The kinds as a whole: their files, options, rate limits and pages, and the guide to a new one."""

import importlib.util
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kind_support import (
    AT,
    LATENCY,
    OPTIONS,
    PROXY_PAGE,
    VENDOR_KINDS,
    assert_within_limits,
    body_of,
    channel_of,
    message_of,
    outcome_of,
    response_of,
)

import delivery.kinds
from delivery.alerts.alert import Alert
from delivery.content.alert_text import AlertText
from delivery.event import Event
from delivery.guard.url import parse_url
from delivery.kinds import kinds
from delivery.message import build, write_body
from delivery.settings import Header, Settings

ROOT = Path(__file__).parent.parent


def test_every_kind_is_a_short_file_with_a_label_and_help():
    for_programs = {"webhook", "alertmanager", "alertmanager_webhook", "custom"}
    assert {*VENDOR_KINDS, *for_programs} == set(kinds())
    for name in VENDOR_KINDS:
        kind = kinds()[name]
        file = ROOT / "delivery" / "kinds" / f"{name}.py"
        assert len(file.read_text().splitlines()) < 110, name
        assert kind.name == name
        assert kind.label
        assert kind.help.endswith(".")
        assert kind.url_help.endswith(".")
        assert kind.docs.startswith("https://")


def test_the_time_of_an_attempt_is_in_the_url_of_the_kinds_that_sign_it():
    for kind in kinds().values():
        secrets = {option.name: "secret" for option in kind.options if option.secret}
        settings = channel_of(kind.name, **secrets)
        event = Event(Alert(), 1, AT)
        at_once, later = (build(settings, event, at=at).target for at in (AT, AT + 1000))
        assert (at_once != later) == kind.signs_url, kind.name
        text = AlertText(replace(event, at=AT + 1000), settings)
        assert kind.request_url(parse_url(settings.url), text) == later, kind.name


def test_the_kinds_have_exactly_these_options():
    options = {
        (kind.name, option.name): option for kind in kinds().values() for option in kind.options
    }
    required = {name for name, option in options.items() if option.required}
    secret = {name for name, option in options.items() if option.secret}
    assert required == {
        ("telegram", "bot_token"),
        ("telegram", "chat_id"),
        ("ntfy", "topic"),
        ("pagerduty", "routing_key"),
        ("opsgenie", "api_key"),
        ("pushover", "token"),
        ("pushover", "user"),
        ("gotify", "app_token"),
    }
    assert secret == required - {("telegram", "chat_id"), ("ntfy", "topic")} | {
        ("ntfy", "access_token"),
        ("feishu", "secret"),
        ("dingtalk", "secret"),
    }
    assert set(options) - required - secret == {
        ("telegram", "message_thread_id"),
        ("pushover", "device"),
        ("dingtalk", "keyword"),
        ("feishu", "keyword"),
        ("custom", "closed_body"),
        ("telegram", "silent"),
        *((kind, "time_zone") for kind in VENDOR_KINDS),
    }


@pytest.mark.parametrize(
    ("kind", "rate_limit"),
    [
        ("slack", ((1, 1),)),
        ("discord", ((5, 2), (30, 60))),
        ("telegram", ((1, 1), (20, 60))),
        ("googlechat", ((1, 1), (60, 60))),
        ("feishu", ((5, 1), (100, 60))),
        ("dingtalk", ((20, 60),)),
        ("wecom", ((20, 60),)),
    ],
)
def test_a_kind_states_the_rate_limit_of_its_vendor(kind, rate_limit):
    assert kinds()[kind].rate_limit == rate_limit
    assert not kinds()["ntfy"].rate_limit


_any_text = st.text(st.characters(exclude_categories=[]), max_size=12)

_any_url = st.one_of(
    _any_text,
    st.builds("https://h.example/{}".format, st.text("a/b?&=%:.botsendMessage", max_size=30)),
)


@settings(deadline=None, max_examples=60)
@given(
    _any_url,
    _any_text,
    st.dictionaries(
        st.sampled_from(sorted(OPTIONS) + ["secret", "device", "keyword"]), _any_text, max_size=13
    ),
)
def test_no_stored_setting_breaks_a_kind(url, text, options):
    rows = tuple(Header(name, value, True) for name, value in options.items())
    for kind in VENDOR_KINDS:
        known = kinds()[kind]
        channel = Settings(kind=kind, url=url, auth=text, payload=text, body=text, options=rows)
        event = Event(Alert.from_json(LATENCY), 1, AT)
        assert json.loads(write_body(AlertText(event, channel)).encode("utf-8", "replace"))
        assert isinstance(known.headers(channel), list)
        known.suggest_fix(response_of(200, "{}"), channel)
        for target in (channel.target, parse_url("https://h.example/x")):
            if target:
                requested = known.request_url(target, AlertText(event, channel))
                assert requested.url.startswith(target.origin)
                assert isinstance(known.url_hint(target), str)
                known.match_url(target)


def test_every_hint_names_fields_that_the_kind_has():
    named = 0
    for kind in kinds().values():
        labels = {"URL", *(option.label for option in kind.options)}
        hints = [*kind.hints.values(), *(kind.hint_for(status, "") for status in (401, 403, 404))]
        for hint in hints:
            assert set(re.findall("“(.*?)”", hint)) <= labels, (kind.name, hint)
            named += "“" in hint
    assert named > 20


def docs_script():
    """Return the script that writes docs/kinds/."""
    spec = importlib.util.spec_from_file_location("docs_kinds", ROOT / "docs" / "kinds.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_kind_has_an_up_to_date_page_and_no_page_is_left_over():
    script = docs_script()
    folder = ROOT / "docs" / "kinds"
    assert {file.name for file in folder.iterdir()} == {f"{name}.md" for name in kinds()}
    for name, kind in kinds().items():
        assert (folder / f"{name}.md").read_text(encoding="utf-8") == script.page(kind), (
            f"run `make kinds` for {name}"
        )


def test_the_kind_of_the_guide_works_as_one_new_file(requests_mock, tmp_path, monkeypatch):
    guide = (ROOT / "docs" / "adding-a-kind.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(\"\"\".*?)```", guide, re.S)
    name = re.search(r'name="(\w+)"', code)[1]
    assert len(code.splitlines()) < 90
    (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(delivery.kinds, "__path__", [*delivery.kinds.__path__, str(tmp_path)])
    kinds.cache_clear()
    try:
        kind = kinds()[name]
        url = "https://chat.example.test/hooks/" + "a1b2c3d4e5f6g7h8i" + "/x"
        for closed in (False, True):
            body = body_of(name, url=url, closed=closed)
            assert ("Resolved" if closed else "CRITICAL") in json.dumps(body)
        assert_within_limits(name, message_of(name, {"name": "x" * 99_999}, url=url))
        refusal = {"success": False, "error": "no"}
        assert outcome_of(requests_mock, name, 200, {"success": True}).verdict == "delivered"
        assert outcome_of(requests_mock, name, 200, refusal).verdict == "failed"
        assert outcome_of(requests_mock, name, 200, PROXY_PAGE).actor == "proxy"
        assert kind.docs
        assert "#" in docs_script().page(kind)
    finally:
        kinds.cache_clear()
        sys.modules.pop(f"delivery.kinds.{name}", None)
        if hasattr(delivery.kinds, name):
            delattr(delivery.kinds, name)

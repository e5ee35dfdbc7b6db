"""The index of routes finds exactly the channels whose matchers match."""

from hypothesis import given
from hypothesis import strategies as st

from delivery.alerts.matchers import matches, parse_matchers
from delivery.alerts.plans import ChannelRoute
from delivery.alerts.route_index import RouteIndex

NAMES = st.sampled_from(["team", "host", "severity"])
VALUES = st.sampled_from(["", "db", "web", "d"])
OPERATORS = st.sampled_from(["=", "!=", "=~", "!~"])


def route(number, matchers):
    return ChannelRoute(parse_matchers(matchers), 0, (), 0, False, number, "delivering", "", "")


@given(
    st.lists(st.lists(st.tuples(NAMES, OPERATORS, VALUES), max_size=3), max_size=8),
    st.dictionaries(NAMES, VALUES),
)
def test_the_index_finds_what_trying_every_channel_finds(channels, labels):
    routes = []
    for number, conditions in enumerate(channels):
        texts = [f'{name}{operator}"{value}"' for name, operator, value in conditions]
        routes.append(route(number, ", ".join(texts)))
    expected = {one.channel_id for one in routes if matches(one.matchers, labels)}
    assert RouteIndex(routes).matching(labels) == expected


def test_a_channel_is_tried_only_for_alerts_with_the_label_that_it_requires(monkeypatch):
    index = RouteIndex([route(1, 'team="db"'), route(2, 'team="web"'), route(3, 'team!="db"')])
    tried = []
    monkeypatch.setattr(
        "delivery.alerts.route_index.matches",
        lambda matchers, labels: tried.append(matchers) or matches(matchers, labels),
    )
    assert index.matching({"team": "db"}) == {1}
    assert len(tried) == 2

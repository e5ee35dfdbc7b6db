"""The list of channels: search, filters with their counts, order and pages.

Everything but `load` is pure. A URL is a credential and encrypted: the search reads names and
origins (scheme, host and port), and only the channels of one page are decrypted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from delivery.health import IN_TROUBLE, Health, judge_health
from delivery.kinds import kinds
from models import ChannelState, Proof, db
from models.channels import current_proof

PAGE_SIZE = 50
MAX_SEARCH_LENGTH = 200
# A list that is seen at a glance needs no filters.
MAX_WITHOUT_FILTERS = 10
TROUBLE = "trouble"
BY_TROUBLE = "trouble"
_NAMES = ("q", "health", "state", "kind", "proof", "sort")
_FILTERS = ("health", "state", "kind", "proof")
_STATES = {state.value: state for state in ChannelState}
_SHOWN_HEALTH = (Health.FAILING, Health.RETRYING, Health.PAUSED, Health.UNUSED, Health.OK)
# In the order of `Channel.listed`. Model instances would take five times as long.
_ENTRIES = """
    SELECT id, name, kind, state, origin, drops, attempted_at, trouble_since, failures, proof,
        proof_hash, config_hash, proven_at
    FROM channel WHERE deleted_at IS NULL ORDER BY lower(name), id"""


class InvalidQuery(ValueError):
    """The address of the list has a value that does not exist; the message is for the user."""


class Entry(NamedTuple):
    """A channel with what the list filters by."""

    id: int
    name: str
    kind: str
    state: ChannelState
    origin: str
    drops: int
    trouble_since: int | None
    health: Health
    proof: Proof


class Option(NamedTuple):
    """A value of a filter, and how many channels it would show."""

    value: str
    label: str
    number: int


class Listing(NamedTuple):
    """The channels that match a query, in order, and the options of each filter by its name."""

    matching: list[Entry]
    options: dict[str, list[Option]]


class Page(NamedTuple):
    """A page of the list: its number, how many there are, and its entries."""

    number: int
    last: int
    entries: list[Entry]


def load(now: int) -> list[Entry]:
    """Return all channels, ordered by name."""
    return [_entry(row, now) for row in db.execute_sql(_ENTRIES)]


def _entry(row: tuple, now: int) -> Entry:
    channel_id, name, kind, state, origin, drops, attempted_at, trouble_since, failures = row[:9]
    health = judge_health(state, attempted_at, trouble_since, failures, now)
    shown = shown_state(state)
    proof = current_proof(*row[9:])
    return Entry(channel_id, name, kind, shown, origin, drops, trouble_since, health, proof)


def read_query(arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return what the arguments of an address search, filter and sort by.

    Raises:
        InvalidQuery: there is no such order. Values of filters are checked by `select_entries`.
    """
    query = {}
    for name in _NAMES:
        value = arguments.get(name, "").strip()[:MAX_SEARCH_LENGTH]
        if value:
            query[name] = value
    if query.get("sort", BY_TROUBLE) != BY_TROUBLE:
        raise InvalidQuery("Channels cannot be sorted that way.")
    return query


def read_page(arguments: Mapping[str, str]) -> int:
    """Return the number of the page in an address, 1 if there is none.

    Raises:
        InvalidQuery: it is not a number of a page.
    """
    text = arguments.get("page") or "1"
    if not re.fullmatch("[1-9][0-9]{0,8}", text, re.ASCII):
        raise InvalidQuery("The value of “page” in the address is not the number of a page.")
    return int(text)


def same_list(arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return the query and the page of an address of the list; of an invalid one, nothing."""
    try:
        return {**read_query(arguments), "page": read_page(arguments)}
    except InvalidQuery:
        return {}


def select_entries(entries: Sequence[Entry], query: Mapping[str, str]) -> Listing:
    """Return the channels that match, and the options of each filter.

    The number of an option is that of the channels that it would show beside the other filters.

    Raises:
        InvalidQuery: a filter has a value that does not exist.
    """
    labels = _labels(entries)
    chosen = {name: query[name] for name in _FILTERS if name in query}
    for name, value in chosen.items():
        if value not in labels[name]:
            raise InvalidQuery(f"There is no such {name} of a channel.")
    numbers = {name: dict.fromkeys(labels[name], 0) for name in _FILTERS}
    words = query.get("q", "").casefold().split()
    matching = []
    for entry in entries:
        if _has_words(entry, words):
            missed = _missed(entry, chosen)
            _count(entry, missed, numbers)
            if not missed:
                matching.append(entry)
    if query.get("sort") == BY_TROUBLE:
        matching.sort(key=_trouble_order)
    return Listing(matching, _options(labels, numbers))


def _count(entry: Entry, missed: list[str], numbers: dict[str, dict[str, int]]) -> None:
    """Count a channel for each filter that alone keeps it from being shown, or for all."""
    for name in _FILTERS:
        if not missed or missed == [name]:
            numbers[name][getattr(entry, name)] += 1
            if name == "health" and entry.health in IN_TROUBLE:
                numbers[name][TROUBLE] += 1


def _missed(entry: Entry, chosen: Mapping[str, str]) -> list[str]:
    """Return the names of the filters that a channel does not match."""
    missed = []
    for name, value in chosen.items():
        is_match = getattr(entry, name) == value
        if value == TROUBLE and name == "health":
            is_match = entry.health in IN_TROUBLE
        if not is_match:
            missed.append(name)
    return missed


def page_of(entries: list[Entry], number: int) -> Page:
    """Return a page of the list; one beyond the last is empty."""
    last = max(1, -(-len(entries) // PAGE_SIZE))
    end = number * PAGE_SIZE
    return Page(number, last, entries[end - PAGE_SIZE : end])


def shown_state(state: str) -> ChannelState:
    """Return the state of a channel; one in an unknown state sends nothing, like a paused one."""
    return _STATES.get(state, ChannelState.PAUSED)


def kind_label(kind: str) -> str:
    """Return the label of a kind, also of an unknown one."""
    known = kinds().get(kind)
    return known.label if known else f"unknown kind “{kind[:40]}”"


def _has_words(entry: Entry, words: Sequence[str]) -> bool:
    text = f"{entry.name} {entry.origin}".casefold()
    return all(map(text.__contains__, words))


def _labels(entries: Sequence[Entry]) -> dict[str, dict[str, str]]:
    """Return the label of every value of each filter, in the order of its options."""
    labels_of_kinds: dict[str, str] = {}
    for kind in kinds():
        labels_of_kinds[kind] = kind_label(kind)
    for entry in entries:
        if entry.kind not in labels_of_kinds:
            labels_of_kinds[entry.kind] = kind_label(entry.kind)
    return {
        "health": {TROUBLE: "not getting through", **_as_labels(_SHOWN_HEALTH)},
        "state": _as_labels(ChannelState),
        "kind": labels_of_kinds,
        "proof": _as_labels(Proof),
    }


def _as_labels(values: Iterable[str]) -> dict[str, str]:
    """Return values that are their own labels."""
    return {value: value for value in values}


def _options(
    labels: dict[str, dict[str, str]], numbers: dict[str, dict[str, int]]
) -> dict[str, list[Option]]:
    options: dict[str, list[Option]] = {}
    for name, of_filter in labels.items():
        options[name] = []
        for value, label in of_filter.items():
            options[name].append(Option(value, label, numbers[name][value]))
    return options


def _trouble_order(entry: Entry) -> tuple[int, int]:
    """Return the key of the order "troubled first": by health, then by the time of trouble."""
    return _SHOWN_HEALTH.index(entry.health), entry.trouble_since or 0

"""The table of an incident: its rows are names and texts."""

from collections.abc import Mapping

from delivery.content.alert_text import AlertText
from delivery.text import truncate, without_empty


def write_table(
    alert: AlertText, rows: Mapping[str, str], max_facts: int, max_name: int, max_value: int
) -> dict[str, str]:
    """Return these rows without the empty ones, the facts, and how many more facts there are.

    A fact with the name of an earlier row gets a number behind it.
    """
    table: dict[str, str] = without_empty(**rows)
    facts, rest = alert.facts_within(max_facts)
    for fact in facts:
        table[_free_name(fact.name, table, max_name)] = truncate(fact.value, max_value)
    if rest:
        table[_free_name("more", table, max_name)] = rest
    return table


def _free_name(name: str, table: Mapping[str, str], maximum: int) -> str:
    """Return the name of a new row, of at most this length."""
    free = truncate(name, maximum)
    number = 1
    while free in table:
        number += 1
        suffix = f" ({number})"
        free = truncate(name, maximum - len(suffix)) + suffix
    return free

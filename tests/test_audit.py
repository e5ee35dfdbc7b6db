"""The audit log: what it names, who may read it, and what it never holds."""

import pytest

from models import AuditEntry, Silence, db


@pytest.fixture(autouse=True)
def connected(app):
    db.connect(reuse_if_open=True)


def entries():
    """Return (who, action, detail) of every entry, oldest first, without those of the start."""
    rows = AuditEntry.select().order_by(AuditEntry.id)
    found = [(row.made_by, row.action, row.detail) for row in rows]
    return [entry for entry in found if entry[0] != "Tocsin"]


def test_a_silence_is_recorded_when_it_is_created_and_when_it_is_ended(client):
    form = {"matchers": 'severity="info"', "hours": "1", "reason": "Moving the database"}
    assert client.post("/silences", form).status_code == 303
    number = Silence.get().id
    assert client.post(f"/silences/{number}/end").status_code == 303
    assert client.post(f"/silences/{number}/end").status_code == 303  # nothing ends twice
    assert entries() == [
        ("ada", "silence created", 'severity="info": Moving the database'),
        ("ada", "silence ended", f"silence {number}"),
    ]

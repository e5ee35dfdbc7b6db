"""Export of the filtered log as CSV and JSON."""

import csv
import io

import pytest
from test_deliveries import create_attempt
from test_log import deliver

from models import AuditEntry


@pytest.fixture
def deliveries(client):
    labels = {"severity": "critical", "team": "db", "__internal": "x"}
    row = deliver(1, "=cmd()", labels=labels, state="failed", cause='It, "failed".\nTwice.')
    create_attempt(row, says="The receiver answered 500.")
    deliver(2, "Straße")


def read_csv(response):
    return list(csv.DictReader(io.StringIO(response.text)))


def test_both_forms_have_the_same_rows(client, deliveries):
    as_json = client.get("/deliveries/export.json")
    assert as_json.mimetype == "application/json"
    assert len(as_json.json) == 2  # reading ends the response
    as_csv = client.get("/deliveries/export.csv")
    assert as_csv.mimetype == "text/csv"
    assert 'filename="deliveries.csv"' in as_csv.headers["Content-Disposition"]
    names = [row["alert"] for row in as_json.json]
    assert sorted(names) == ["=cmd()", "Straße"]
    failed = next(row for row in as_json.json if row["state"] == "failed")
    assert failed["labels"] == {"severity": "critical", "team": "db"}
    assert (failed["severity"], failed["last_result"]) == ("critical", "The receiver answered 500.")
    rows = read_csv(as_csv)
    assert [row["id"] for row in rows] == [row["id"] for row in as_json.json]
    [row] = [row for row in rows if row["state"] == "failed"]
    assert row["cause"] == failed["cause"]


def test_a_spreadsheet_runs_no_formula_of_an_alert(client, deliveries):
    names = [row["alert"] for row in read_csv(client.get("/deliveries/export.csv"))]
    assert "'=cmd()" in names


def test_the_filters_of_the_address_decide(client, deliveries):
    rows = client.get("/deliveries/export.json?state=failed").json
    assert [row["state"] for row in rows] == ["failed"]
    assert client.get("/deliveries/export.json?q=nothing").json == []
    assert len(read_csv(client.get("/deliveries/export.csv?q=nothing"))) == 0
    assert client.get("/deliveries/export.csv?matchers={x").status_code == 422
    assert client.get("/deliveries/export.xml").status_code == 404


@pytest.mark.parametrize("limit", [1, 2])
def test_the_number_of_rows_is_bounded(client, deliveries, monkeypatch, limit):
    monkeypatch.setattr("web.deliveries.export.MAX_EXPORTED", limit)
    monkeypatch.setattr("web.deliveries.export._SLICE", 1)
    assert len(client.get("/deliveries/export.json").json) == limit


def test_exports_take_few_threads(client, app, deliveries):
    slots = app.extensions["tocsin"].export_slots
    while slots.acquire(blocking=False):
        pass
    response = client.get("/deliveries/export.csv")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "5")
    slots.release()
    for _ in range(3):  # each one gives its slot back
        assert len(client.get("/deliveries/export.json").json) == 2


def test_an_export_of_which_nothing_is_read_gives_its_slot_back(client, deliveries):
    for _ in range(9):
        client._client.head("/deliveries/export.csv").close()
    assert len(client.get("/deliveries/export.json").json) == 2


def test_many_exports_do_not_flush_the_audit_log(client, deliveries, monkeypatch):
    monkeypatch.setattr("web.audit.MAX_OFTEN", 2)
    for _ in range(4):
        assert client.get("/deliveries/export.json?state=failed").json
    assert AuditEntry.select().where(AuditEntry.action == "exported").count() == 2


def test_an_export_is_recorded_and_a_link_leads_to_it(client, deliveries):
    page = client.get("/deliveries?state=failed").text
    assert 'href="/deliveries/export.csv?state=failed"' in page
    client.get("/deliveries/export.csv?state=failed")
    last = AuditEntry.select().order_by(AuditEntry.id.desc()).get()
    assert (last.action, last.detail) == ("exported", "deliveries as csv: state failed")

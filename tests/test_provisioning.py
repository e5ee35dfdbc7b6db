"""TOCSIN_PROVISION: files of channels that are applied at the start."""

import logging
from dataclasses import replace

import pytest
from channels import create, fields_in, form_of, marks

from app import configure
from config import Config, ConfigError
from models import AuditEntry, Channel
from web.transfer import provisioning

FILE = """\
tocsin: 1
channels:
  - name: Team db
    url: {url}
    matchers: team="db"
"""


@pytest.fixture
def provisioned(app, config, tmp_path, monkeypatch):
    """Return a function that provisions files with these texts, as a start does."""
    folder = tmp_path / "provision"
    folder.mkdir()

    def provisioned(*texts):
        for file in folder.iterdir():
            file.unlink()
        for number, text in enumerate(texts, 1):
            (folder / f"{number}.yml").write_text(text)
        monkeypatch.setattr(provisioning, "_applied", "")
        configure(app, replace(config, provision=(folder,)))
        provisioning.provision(app)
        return Channel.get_or_none(Channel.name == "Team db")

    return provisioned


def file_with(url="https://hooks.example.com/t0ken"):
    return FILE.format(url=url)


def test_a_start_creates_and_changes_the_channels_of_the_files(provisioned):
    channel = provisioned(file_with())
    assert (channel.provisioned, channel.version) == ("1.yml", 1)
    assert provisioned(file_with()).version == 1
    assert provisioned(file_with("https://hooks.example.com/other")).version == 2
    imports = AuditEntry.select().where(AuditEntry.action == "channels imported")
    assert [entry.made_by for entry in imports] == ["provisioning"] * 2


def test_a_process_applies_files_once(app, provisioned, monkeypatch):
    provisioned(file_with())
    monkeypatch.setattr(provisioning, "read_channels", lambda _: pytest.fail("applied again"))
    provisioning.provision(app)


def test_the_page_of_a_provisioned_channel_says_so_and_is_read_only(client, provisioned):
    channel = provisioned(file_with())
    page = client.get(f"/channels/{channel.id}/edit").text
    assert "provisioned by <strong>1.yml</strong>" in page
    assert '<fieldset class="whole" disabled>' in page
    assert ">Save</button>" not in page
    assert "provisioned by 1.yml" in client.get("/channels").text
    assert f"/channels/{channel.id}/delete" not in client.get("/channels").text


@pytest.mark.parametrize("path", ["", "/delete"])
def test_nobody_changes_or_deletes_a_provisioned_channel(client, provisioned, path):
    channel = provisioned(file_with())
    response = client.post(f"/channels/{channel.id}{path}", form_of(name="Team db", version="1"))
    assert response.status_code == 409
    assert "is provisioned by 1.yml, so nothing was changed" in response.text
    assert Channel.get().version == 1


def test_an_import_does_not_change_a_provisioned_channel(client, provisioned):
    provisioned(file_with())
    page = client.post("/channels/import", {"text": file_with("https://x.example.com/")})
    assert "line 3: “Team db”: This channel is provisioned by 1.yml." in page.text


def test_a_provisioned_channel_can_be_paused_and_copied(client, provisioned):
    channel = provisioned(file_with())
    assert client.post(f"/channels/{channel.id}/pause").status_code == 303
    assert provisioned(file_with()).state == "paused"
    client.post(f"/channels/{channel.id}/duplicate")
    assert Channel.get(Channel.name == "Team db (copy)").provisioned == ""


def test_send_test_sends_a_provisioned_channel_as_it_is_stored(client, provisioned, receiver):
    channel = provisioned(file_with(receiver.url))
    page = client.get(f"/channels/{channel.id}/edit").text
    assert fields_in(page)["stored"] == "1"
    result = client.post(f"/channels/{channel.id}/test", {"stored": "1"}, htmx=True)
    assert marks(result.text)["verdict"] == "delivered"
    assert Channel.get().proof == "proven by test"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ((file_with("ftp://x"),), "1.yml: line 4: “Team db”: url: Tocsin sends to"),
        (("a: [",), "1.yml: line 2: "),
        ((file_with(), file_with()), "2.yml: line 3: “Team db” is in 1.yml as well."),
    ],
)
def test_a_mistake_changes_nothing_and_is_shown(client, provisioned, caplog, texts, message):
    provisioned(file_with())
    caplog.clear()
    channel = provisioned(*texts)
    assert (channel.version, channel.provisioned) == (1, "1.yml")
    assert message in caplog.text
    assert message in client.get("/channels").text.replace("&#34;", '"')
    provisioned(file_with())
    assert "provisioning-problem" not in client.get("/channels").text


def test_all_files_are_applied_or_none(provisioned):
    other = file_with().replace("Team db", "Other")
    assert provisioned(other, file_with("ftp://x")) is None
    assert not Channel.select().count()


def test_a_channel_that_no_file_names_any_longer_stays_and_can_be_changed(
    client, provisioned, caplog
):
    channel = provisioned(file_with())
    caplog.set_level(logging.WARNING)
    assert provisioned().provisioned == ""
    assert "“Team db” is no longer provisioned" in caplog.text
    response = client.post(f"/channels/{channel.id}", form_of(name="Team db", version="1"))
    assert response.status_code == 303


def test_a_channel_that_exists_already_becomes_provisioned(client, provisioned):
    create(client)
    channel = provisioned(file_with())
    assert (channel.provisioned, channel.version) == ("1.yml", 2)


def test_a_missing_file_is_a_problem_and_no_reason_not_to_start(app, config, tmp_path, client):
    configure(app, replace(config, provision=(tmp_path / "missing.yml",)))
    provisioning.provision(app)
    assert "missing.yml: No such file or directory." in client.get("/channels").text


def test_the_variable_names_files_and_folders(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("b.yml", "a.json", "note.txt"):
        (tmp_path / "folder" / name).write_text(name)
    (tmp_path / "c.txt").write_text("c")
    value = f"{tmp_path / 'folder'}, {tmp_path / 'c.txt'}"
    paths = Config.from_env({"TOCSIN_PROVISION": value}).provision
    files = provisioning.read_files(paths)
    assert [file.name for file in files] == ["a.json", "b.yml", "c.txt"]


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(provisioning, "MAX_FILE_BYTES", 3)
    (tmp_path / "a.yml").write_text("four")
    with pytest.raises(ConfigError, match="the file is larger than"):
        provisioning.read_files((tmp_path / "a.yml",))

"""Which tracking URIs MLflow takes."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from unittest.mock import Mock

import pytest
from mlflow_process import answering, free_port
from tracked_sweep import write_report

from raysweep.errors import InvalidInput
from raysweep.store import RunStatus
from raysweep.tracking import locate
from raysweep.tracking.entry import Entry, EntryKey
from raysweep.tracking.mlflow import MlflowLocation


@pytest.mark.parametrize(
    "wrong", ["sqlite:", "sqlite://", "sqlite:///", "sqlite:///:memory:", "http:/a", "http://", "mysql:host"]
)
def test_a_tracking_uri_that_cant_be_used_is_refused_with_the_allowed_ones(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="sqlite:///PATH"):
        locate(wrong)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/proc/nowhere/mlflow.db", "there is no folder /proc/nowhere; make it"),
        ("/proc/mlflow.db", "can't be written"),
        ("/dev/null", "no ordinary file"),
        ("{tmp}", "a folder"),
        ("{tmp}/text/mlflow.db", "there is no folder {tmp}/text; make it"),
        ("{tmp}/absent/mlflow.db", "there is no folder {tmp}/absent; make it"),
        ("{tmp}/text", "no SQLite database"),
        ("{tmp}/what?.db", "in its name"),
        ("{tmp}/100%.db", "in its name"),
    ],
)
def test_a_file_that_cant_be_a_database_is_refused(path: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("some notes of mine, not a database")
    with pytest.raises(InvalidInput, match=why.format(tmp=tmp_path)) as refused:
        locate(f"sqlite:///{path.format(tmp=tmp_path)}").check()
    assert path.format(tmp=tmp_path) in str(refused.value) and "\n" not in str(refused.value)
    assert (tmp_path / "text").read_text() == "some notes of mine, not a database"
    assert [item.name for item in tmp_path.iterdir()] == ["text"]


def test_a_file_that_can_be_a_database_is_left_as_it_is(tmp_path: Path) -> None:
    locate(f"sqlite:///{tmp_path}/new.db").check()
    assert list(tmp_path.iterdir()) == []
    sqlite3.connect(tmp_path / "old.db").executescript("create table a (b)").close()
    before = (tmp_path / "old.db").read_bytes()
    locate(f"sqlite:///{tmp_path}/old.db").check()
    assert (tmp_path / "old.db").read_bytes() == before


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:{port}", "Connection refused"),
        ("http://me:hunter2hunter2@127.0.0.1:{port}", "Connection refused"),
        ("http://127.0.0.1:{port}/?token=hunter2hunter2", "Connection refused"),
        ("http://a b", "a b"),
        ("http://hunter2hunter2@a b", "a b"),
        ("mssql+nodriver://me:hunter2hunter2@127.0.0.1:{port}/db", "nodriver"),
        ("mssql+pyodbc://me:hunter2hunter2@127.0.0.1:{port}/db", "No module named"),
        ("postgresql://me:hunter2hunter2@127.0.0.1:{port}:x/db", "can't be used"),
    ],
)
def test_an_address_at_which_nothing_answers_is_refused_in_one_line(
    address: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InvalidInput, match=why) as refused:
        locate(address.format(port=free_port())).check()
    message = str(refused.value)
    assert "--tracking-uri" in message and "\n" not in message and "hunter2" not in message


def test_a_database_server_that_is_down_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlalchemy.engine.URL.get_dialect", lambda url: Mock())  # as if its driver were here
    with pytest.raises(InvalidInput, match="Connection refused"):
        locate(f"postgresql://me:hunter2hunter2@127.0.0.1:{free_port()}/db").check()


def test_a_server_that_is_no_mlflow_is_refused() -> None:
    with (
        answering(404, "<html>not found</html>") as address,
        pytest.raises(InvalidInput, match="can't be used"),
    ):
        locate(address).check()
    with answering(200, "{}") as address:
        locate(address).check()


@pytest.mark.parametrize("folder", ["plain", "why?", "a%20b", "100%", "a#b", "a b", "q?x=1", "ü"])
def test_a_database_may_be_in_a_folder_of_any_name(folder: str, tmp_path: Path, empty_database: Path) -> None:
    place = tmp_path / folder
    place.mkdir()
    if folder != "why?":  # which takes seconds to make
        shutil.copy(empty_database, place)
    uri = f"sqlite:///{place}/mlflow.db"
    location = locate(uri)
    location.check()
    backend = location.open("a sweep")
    assert isinstance(location, MlflowLocation) and location.database == place / "mlflow.db"
    assert location.shown == uri
    key = EntryKey("sweep", "it")
    backend.write(Entry(key=key, name="it", status=RunStatus.DONE, start=0.0, end=1.0))
    report = write_report(tmp_path / "report", "text", "a.svg")
    backend.attach(key, report, "content")
    again = locate(uri).open("a sweep")
    assert again.find(key) == backend.find(key) and again.attached(key) == "content"
    assert (place / "mlflow.db").stat().st_size > 100_000
    assert [path.read_text() for path in place.glob("mlartifacts/*/artifacts/report.html")] == ["text"]
    assert {path.name for path in tmp_path.iterdir()} == {folder, "report"}
    assert {path.name for path in place.iterdir()} == {"mlflow.db", "mlartifacts"}


def test_the_ui_is_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    local = locate("sqlite:///mlflow.db")
    assert local.ui_command == f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db"
    (tmp_path / "why?").mkdir()
    odd = locate("sqlite:///why?/mlflow.db").ui_command
    assert odd == f"cd '{tmp_path}/why?' && mlflow ui --backend-store-uri sqlite:///mlflow.db"
    assert locate("http://10.0.0.1:5000").ui_command == "http://10.0.0.1:5000"
    assert locate("https://me:secret@mlflow.org/team").ui_command == "https://mlflow.org/team"
    quoted = "mlflow ui --backend-store-uri 'postgresql://host/a b'"
    assert locate("postgresql://host/a b").ui_command == quoted


def test_messages_show_no_password() -> None:
    location = locate("postgresql://me:secret@host/db")
    assert (location.system, location.shown) == ("MLflow", "postgresql://***@host/db")
    assert location.ui_command == "mlflow ui --backend-store-uri 'postgresql://***@host/db'"
    with pytest.raises(InvalidInput) as refused:
        locate("mysql:me:secret@host/db")
    assert "secret" not in str(refused.value)


def test_settings_of_the_user_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    locate("http://10.0.0.1:5000")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "3"

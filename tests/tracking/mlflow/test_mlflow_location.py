"""Which tracking URIs MLflow takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raysweep.errors import InvalidInput
from raysweep.tracking import locate


@pytest.mark.parametrize(
    "wrong", ["sqlite:", "sqlite://", "sqlite:///", "sqlite:///:memory:", "http:/a", "http://", "mysql:host"]
)
def test_a_tracking_uri_that_cant_be_used_is_refused_with_the_allowed_ones(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="sqlite:///PATH"):
        locate(wrong)


def test_a_database_that_cant_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="/proc/nowhere"):
        locate("sqlite:////proc/nowhere/mlflow.db")


def test_the_ui_is_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    local = locate("sqlite:///mlflow.db")
    assert local.ui_command == f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db"
    assert locate("http://10.0.0.1:5000").ui_command == "http://10.0.0.1:5000"
    assert locate("https://me:secret@mlflow.org/team").ui_command == "https://mlflow.org/team"
    quoted = "mlflow ui --backend-store-uri 'postgresql://host/a b'"
    assert locate("postgresql://host/a b").ui_command == quoted


def test_messages_show_no_password() -> None:
    location = locate("postgresql://me:secret@host/db")
    assert (location.system, location.shown) == ("MLflow", "postgresql://host/db")


def test_settings_of_the_user_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    locate("http://10.0.0.1:5000")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"

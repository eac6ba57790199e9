"""`raysweep ui` serves MLflow on the loopback interface and names the page of the sweep's results."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from grid_helpers import small_sweep

from raysweep.cli.defaults import default_uri
from raysweep.cli.ui import ui_command
from raysweep.errors import InvalidInput
from raysweep.planning.plan import make_plan
from raysweep.store import Store
from raysweep.tracking import sync
from raysweep.tracking.mlflow.location import locate_mlflow
from raysweep.tracking.mlflow.page import sweep_page

EXPERIMENT = "from grid_helpers import small_sweep\ndef sweep():\n    return small_sweep()\n"


@pytest.mark.parametrize(
    ("called", "command"),
    [
        ("/a b/.venv/bin/raysweep", "'/a b/.venv/bin/raysweep' ui mine.py:s"),
        (".venv/bin/raysweep", ".venv/bin/raysweep ui mine.py:s"),
        ("/x/raysweep/cli/__main__.py", "raysweep ui mine.py:s"),
    ],
)
def test_the_command_is_the_one_that_was_called(
    called: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [called, "run"])
    assert ui_command("mine.py:s", default_uri()) == command
    assert ui_command("mine.py:s", "http://me:secret1@host") == f"{command} --tracking-uri 'http://***@host'"


def test_what_has_no_page_is_told(tmp_path: Path, store: Store) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.raises(InvalidInput, match="there is no MLflow file"):
        sweep_page(locate_mlflow(uri), "small")
    sync(uri, make_plan(small_sweep(name="other"), store), store)
    with pytest.raises(InvalidInput, match="has no sweep 'small' yet; raysweep run"):
        sweep_page(locate_mlflow(uri), "small")
    assert "viewStateShareKey=raysweep-" in sweep_page(locate_mlflow(uri), "other")


def test_mlflow_is_served_until_it_is_interrupted(tmp_path: Path, store: Store) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    sync(uri, make_plan(small_sweep(), store), store)
    (tmp_path / "mine.py").write_text(EXPERIMENT)
    shutil.copy(Path(__file__).parents[1] / "grid_helpers.py", tmp_path)
    command = [sys.executable, "-m", "raysweep.cli", "ui", "mine.py", "--no-browser", "--tracking-uri", uri]
    environment = os.environ | {"PYTHONPATH": f"{Path(__file__).parents[2]}:{tmp_path}"}
    served = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    assert served.stdout is not None
    try:
        address = served.stdout.readline().strip()
        found = re.fullmatch(r"(http://127\.0\.0\.1:\d+/)#/experiments/\d+/runs\?.*raysweep-.*", address)
        assert found, address
        with urllib.request.urlopen(found[1], timeout=60) as page:
            assert b"MLflow" in page.read()
        served.send_signal(signal.SIGINT)
        assert served.wait(30) == 0
        with pytest.raises(OSError):
            urllib.request.urlopen(found[1], timeout=5)
    finally:
        served.kill()

"""A SQLite file that several processes make, or that one makes that is killed, is whole."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from mlflow import MlflowClient
from tracked_sweep import wait_until

from raysweep.tracking import locate
from raysweep.tracking.mlflow.database import SqliteFile

WRITE = """
import sys
from raysweep.store import RunStatus
from raysweep.tracking import locate
from raysweep.tracking.entry import Entry, EntryKey
backend = locate(sys.argv[1]).open(sys.argv[2])
for number in range(5):
    key = EntryKey("run", f"{sys.argv[3]}-{number}")
    backend.write(Entry(key=key, name=key.identity, status=RunStatus.DONE, start=0.0, end=1.0))
"""


def writer(uri: str, experiment: str, name: str) -> subprocess.Popen[str]:
    """A process that writes five entries."""
    command = [sys.executable, "-c", WRITE, uri, experiment, name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def is_whole(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_a_new_database_of_several_processes_gets_everything_even_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    uri = f"sqlite:///{path}"
    killed = writer(uri, "none", "none")
    wait_until(lambda: any(item.stat().st_size for item in tmp_path.glob(".mlflow.db.*.tmp")))
    killed.kill()
    killed.communicate()
    assert not path.exists()
    names = ["a", "b", "c"]  # two of them make the same experiment
    writers = [writer(uri, "other" if name == "c" else "same", name) for name in names]
    told = [process.communicate()[0] for process in writers]
    assert [(process.returncode, text) for process, text in zip(writers, told, strict=True)] == [(0, "")] * 3
    assert {item.name for item in tmp_path.iterdir()} == {"mlflow.db"} and is_whole(path)
    client = MlflowClient(uri)
    found = {
        name: {run.info.run_name for run in client.search_runs([experiment.experiment_id])}
        for name in ("same", "other")
        if (experiment := client.get_experiment_by_name(name))
    }
    assert found == {
        "same": {f"{name}-{number}" for name in "ab" for number in range(5)},
        "other": {f"c-{number}" for number in range(5)},
    }


def test_what_is_in_a_database_stays(tmp_path: Path, empty_database: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(empty_database.read_bytes())
    file = SqliteFile.of_uri(f"sqlite:///{path}")
    assert file is not None
    locate(f"sqlite:///{path}").open("a sweep")
    with file.ready():
        assert (tmp_path / ".mlflow.db.lock").exists()
    assert MlflowClient(f"sqlite:///{path}").get_experiment_by_name("a sweep") is not None


def test_which_uris_name_a_file() -> None:
    def parts(uri: str) -> tuple[str, str] | None:
        file = SqliteFile.of_uri(uri)
        return file and (str(file.path), file.options)

    assert parts("sqlite:////a/b.db") == ("/a/b.db", "")
    assert parts("sqlite:////a/b.db?timeout=5") == ("/a/b.db", "?timeout=5")
    assert parts("sqlite:////a?b=1/c.db") == ("/a?b=1/c.db", "")
    assert parts("sqlite:////why?/c.db?timeout=5") == ("/why?/c.db", "?timeout=5")
    assert parts("sqlite:///:memory:") is parts("sqlite:///") is parts("http://host") is None

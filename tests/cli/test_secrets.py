"""A secret that stands in the environment, an address or an uncommitted line is nowhere that others look."""

import os
import subprocess
from pathlib import Path

import pytest
from grid_helpers import finish, small_sweep

from raysweep.cli.exit_codes import BAD_INPUT, SUCCESS
from raysweep.cli.main import main
from raysweep.files import write_json
from raysweep.planning.plan import make_plan
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.store.code_state import code_state
from raysweep.training.run import Job, environment

PLANTED = "pl4ntedPassw0rd"
ESCAPED = "pl4nted%50assw0rd"
EXPERIMENT = '"""What is asked."""\nfrom grid_helpers import *\ndef sweep():\n    return small_sweep()\n'


@pytest.fixture(autouse=True)
def in_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is a git repository with a secret in a changed and in a new file. The environment
    holds it too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    for name in ("RAYSWEEP_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_TOKEN", "MLFLOW_TRACKING_PASSWORD", "MY_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, PLANTED)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://me:{PLANTED}@10.0.0.1/db")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "experiment.py").write_text(EXPERIMENT)
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "first"],
    ):
        subprocess.run(["git", *command], check=True)
    (tmp_path / "experiment.py").write_text(f"{EXPERIMENT}PASSWORD = {PLANTED!r}\n")
    (tmp_path / "notes.txt").write_text(PLANTED)


def holding(folder: Path) -> list[str]:
    """The files below a folder that hold the secret, but for those in which it was planted."""
    planted = {folder / "experiment.py", folder / "notes.txt"}
    found = [path for path in folder.rglob("*") if path.is_file() and path not in planted]
    return [str(path) for path in found if PLANTED.encode() in path.read_bytes()]


def test_a_secret_is_neither_in_the_store_nor_in_mlflow_nor_in_the_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = Store("raysweep-store")
    plan = make_plan(small_sweep(), store)
    code = code_state(tmp_path) | {"command": "raysweep run experiment.py"}
    for run in plan.runs.values():
        paths = finish(run.spec, store)
        job = Job(run.spec, Resources(), str(store.folder), save_weights=True, code=code)
        write_json(paths.environment, environment(job))
        paths.finish(run.spec, paths.read_result()["metrics"], paths.read_result()["info"])
    assert main(["run", "experiment.py", "--local"]) == SUCCESS
    assert (
        "experiment.py" in (paths.environment.read_text()) and len(list(tmp_path.rglob("report.html"))) == 1
    )
    assert holding(tmp_path) == []
    shown = capfd.readouterr()
    assert PLANTED not in shown.out + shown.err


@pytest.mark.parametrize(
    "address",
    [
        "http://me:{}@127.0.0.1:1",
        "http://{}@127.0.0.1:1",
        "http://127.0.0.1:1/?token={}",
        "http://127.0.0.1:1/a?x={}&y=2",
        "http://127.0.0.1:1/#{}",
        "http://me:{}@a b",
        "https://me:{}@127.0.0.1:1/path@2",
        "postgresql://me:{}@127.0.0.1:1/db",
        "postgresql+psycopg2://127.0.0.1:1/db?user=me&password={}",
        "postgresql+nodriver://me:{}@127.0.0.1:1/db",
        "mysql://me:{}@127.0.0.1:one/db",
        "mysql+pymysql://me:x{}/y@127.0.0.1:1/db",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BUID%3Dme%3BPWD%3D{}",
        "mysql:me:{}@127.0.0.1/db",
        "nonsense://me:{}@127.0.0.1/db",
        "me:{}@127.0.0.1/db",
        "password={} host=127.0.0.1",
    ],
)
@pytest.mark.parametrize("secret", [PLANTED, ESCAPED])
def test_no_message_shows_the_secret_of_an_address(
    address: str,
    secret: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in list(os.environ.items()):
        if PLANTED in value:  # else it would be known from there
            monkeypatch.delenv(name)
    uri = address.format(secret)
    assert main(["run", "experiment.py", "--local", "--tracking-uri", uri]) == BAD_INPUT
    assert main(["sync", "experiment.py", "--tracking-uri", uri]) == BAD_INPUT
    shown = capfd.readouterr()
    assert shown.err.count("raysweep: ") == 2
    for form in (PLANTED, ESCAPED):
        assert form not in shown.out + shown.err
    assert holding(tmp_path) == []

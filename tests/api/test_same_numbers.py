"""One small store, and the PGRs of every door to it: the command line, Python, the page and MLflow."""

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from grid_helpers import finish, small_model, small_sweep
from mlflow import MlflowClient

import raysweep
from raysweep import Sweep, grid
from raysweep.cli.main import main
from raysweep.planning.graph import CellGroup
from raysweep.planning.plan import make_plan
from raysweep.report.figures.base import Figures
from raysweep.report.page import page
from raysweep.results.from_store import read_store
from raysweep.store import Store
from raysweep.tracking import sync

EXPERIMENT = """
from api.test_same_numbers import the_sweep as sweep
"""
NAMES = CellGroup._fields


def the_sweep() -> Sweep:
    """Two weak models, two methods and three seeds."""
    pairs = grid([small_model("weak", 4), small_model("weaker", 5)], [small_model("strong", 6)])
    return small_sweep(methods=["naive", "confidence"], seeds=[0, 1, 2], pairs=pairs)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> Store:
    """Seeds differ much, so that means of the seeds' own PGRs would be other numbers. One gap is noise."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_database, "mlflow.db")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    Path("experiment.py").write_text(EXPERIMENT)
    store = Store("raysweep-store")
    plan = make_plan(the_sweep(), store)
    shares = {"supervisor": 0.5, "student": 0.65, "ceiling": 0.975}
    for number, run in enumerate(plan.runs.values()):
        share = shares.get(run.role, 0.8) + 0.05 * run.spec.seed * (run.role == "supervisor")
        if run.role == "supervisor" and run.spec.model.name == "weaker":
            share = 0.975
        if run.role == "student":
            share += (number % 5) / 40
        finish(run.spec, store, share, draw=number)
    sync(f"sqlite:///{tmp_path}/mlflow.db", plan, store)
    return store


def test_every_door_shows_the_same_pgr(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", "experiment.py", "--format", "json"]) == 0
    rows = {tuple(row[name] for name in NAMES): row for row in json.loads(capsys.readouterr().out)["rows"]}
    expected = {names: (row["pgr"], *(row["interval"] or (None, None))) for names, row in rows.items()}
    assert len(expected) == 4 and sum(pgr is None for pgr, _, _ in expected.values()) == 2

    # Python, from the store and from MLflow.
    for source in ("experiment.py", "small"):
        found = raysweep.load(source).rows
        values = found[["pgr", "pgr_low", "pgr_high"]].astype(object).where(found["pgr"].notna(), None)
        keys = found[list(NAMES)].itertuples(index=False, name=None)
        assert dict(zip(keys, values.itertuples(index=False, name=None), strict=True)) == expected, source

    # MLflow's own records.
    client = MlflowClient("sqlite:///mlflow.db")
    experiment = client.get_experiment_by_name("small").experiment_id
    records = client.search_runs([experiment], "tags.kind = 'group'")
    shown = {
        tuple(run.data.params[name] for name in NAMES): tuple(
            run.data.metrics.get(name) for name in ("pgr", "pgr_low", "pgr_high")
        )
        for run in records
    }
    assert shown == expected
    assert any(
        abs(row["pgr"] - sum(of_seeds) / len(of_seeds)) > 0.005
        for names, row in rows.items()
        if row["pgr"] is not None
        and (
            of_seeds := [
                run.data.metrics["pgr"]
                for run in client.search_runs([experiment], "tags.kind = 'cell'")
                if tuple(run.data.params[name] for name in NAMES) == names and "pgr" in run.data.metrics
            ]
        )
    ), "a mean over seeds would be the same, so this shows nothing"

    # The page, and the table of the command line, which round to two digits.
    data = read_store(make_plan(the_sweep(), store), store)
    text = unescape(re.sub(r"<[^>]+>", " ", page(data, Figures(figures=(), omitted=()))))
    assert main(["results", "experiment.py"]) == 0
    printed = capsys.readouterr().out
    for pgr, low, high in expected.values():
        told = "undefined (gap in the noise)" if pgr is None else f"{pgr:.2f} [{low:.2f}, {high:.2f}]"
        assert told in " ".join(text.split()) and told in " ".join(printed.split())
    answer = raysweep.load("experiment.py").answer
    assert answer.split(". ")[0] in " ".join(text.split())
    assert printed.startswith(answer)
    (own,) = client.search_runs([experiment], "tags.kind = 'sweep'")
    assert own.data.tags["mlflow.note.content"].startswith(answer)

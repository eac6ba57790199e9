"""A searched sweep as a user runs it: one command trains, stops, chooses and shows; the same command again
goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raysweep.cli.exit_codes import BAD_INPUT, FAILED, SUCCESS
from raysweep.cli.main import main
from raysweep.planning.plan import make_plan
from raysweep.planning.sweep import load_sweep
from raysweep.results.from_store import read_store
from raysweep.store import RunStatus, Store
from raysweep.tracking.mlflow import reader

EXPERIMENT = """
from grid_helpers import *
from ray import tune
from raysweep import *

def sweep(num_samples={num_samples}):
    return small_sweep(
        seeds=[0, 1],
        tasks=[small_task(num_train=64)],
        evaluation=Evaluation(every=1, num_examples=20),
        search=Search(
            supervisor={{"optimization.learning_rate": tune.grid_search([1e-3, 1e-2, {third}])}},
            student={{"optimization.learning_rate": tune.loguniform(1e-4, 1e-1)}},
            num_samples=num_samples,
            stopping=Call("asha", {{"grace_period": 25, "reduction_factor": 2}}),
        ),
    )
"""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Default store and database are in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


def write(num_samples: int, third: str = "1e30") -> str:
    """The experiment's file; a learning rate of 1e30 makes NaN of everything."""
    Path("experiment.py").write_text(EXPERIMENT.format(num_samples=num_samples, third=third))
    return "experiment.py"


def test_a_search_trains_stops_chooses_shows_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    file = write(1)
    assert main(["plan", file, "--gpus", "2", "--runs"]) == SUCCESS
    out = capsys.readouterr().out
    assert (
        "cross_entropy (learning_rate=0.001)" in out and "2 cells of the grid wait for what is chosen" in out
    )
    assert "The search will add runs: this is of those that are known so far." in out
    assert main(["run", file, "--local"]) == SUCCESS
    out = capsys.readouterr().out
    assert "naive (weak_validation)" in out and "naive (ground_truth_validation, an oracle)" in out
    assert "What the search chose" in out and "became nan at step" in out
    store = Store("raysweep-store")
    plan = make_plan(load_sweep(file), store)
    trials = {run.id: run for run in plan.runs.values() if run.study}
    states = {run_id: run.status(store) for run_id, run in trials.items()}
    diverged = [run_id for run_id, run in trials.items() if run.spec.optimization.learning_rate == 1e30]
    assert [states[run_id] for run_id in diverged] == [RunStatus.STOPPED]
    told = json.loads(store.run(diverged[0]).stopped.read_text())
    assert told["metrics"] == {} and "nan" in told["reason"] and not store.run(diverged[0]).error.exists()
    assert plan.num_open_cells == 0 and len(plan.cells) == 4

    # More samples: what is done stays, stopped runs stay stopped, and stopping knows what earlier trials
    # said.
    ended = {run_id: store.run(run_id).folder.stat().st_mtime_ns for run_id in trials}
    assert main(["run", write(5), "--local"]) == SUCCESS
    larger = make_plan(load_sweep(file), store)
    assert {run_id: store.run(run_id).folder.stat().st_mtime_ns for run_id in trials} == ended
    stopped = [run for run in larger.runs.values() if run.status(store) is RunStatus.STOPPED]
    by_rule = [run for run in stopped if run.spec.optimization.learning_rate < 1]
    assert by_rule and all(run.study for run in stopped)  # or nothing was stopped by the rule
    for run in by_rule:
        paths = store.run(run.id)
        record = json.loads(paths.stopped.read_text())
        assert (
            0 < record["info"]["num_steps"] < 4
            and record["info"]["num_tokens"] > 0
            and not paths.result.exists()
        )
        assert set(record["metrics"]) >= {"validation_accuracy", "validation_accuracy_on_own_labels"}
        assert record["history"][-1][2] == record["metrics"]["validation_accuracy_on_own_labels"]
        assert not paths.checkpoints.exists() and not paths.predictions("test").exists()

    capsys.readouterr()
    assert main(["status", file]) == SUCCESS
    assert f"{len(stopped)} stopped" in capsys.readouterr().out
    assert main(["results", file, "--format", "json"]) == SUCCESS
    search = json.loads(capsys.readouterr().out)["search"]
    assert [(choice["role"], choice["chosen_by"]) for choice in search] == [
        ("supervisor", "weak_validation"),
        ("student", "weak_validation"),
        ("student", "ground_truth_validation"),
    ]

    # MLflow has stopped runs as stopped, and whoever reads it sees what the store says.
    uri = f"sqlite:///{Path('mlflow.db').absolute()}"
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    killed = [run for run in client.search_runs([experiment.experiment_id]) if run.info.status == "KILLED"]
    assert {run.data.tags["raysweep.run_id"] for run in killed} == {run.id for run in stopped}
    assert all(run.data.tags["judged_by"] == "weak_validation" and run.data.tags["study"] for run in killed)
    here = read_store(larger, store)
    there = reader.read_mlflow(uri, "small")
    assert list(here.runs["status"]) == list(there.runs["status"]) and set(here.runs["status"]) == {
        "done",
        "stopped",
    }
    assert here.cells["is_finished"].all() and there.cells["is_finished"].all()


def test_a_search_that_finds_nothing_fails_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    file = write(1)
    Path(file).write_text(Path(file).read_text().replace("[1e-3, 1e-2, 1e30]", "[1e30, 2e30]"))
    assert main(["run", file, "--local"]) == FAILED
    told = capsys.readouterr().err
    assert "nothing can be chosen for supervisor weak on sandbox: none of its 2 trials is done" in told


SEARCHER = """
from ray.tune.search import Searcher

class Wandering(Searcher):
    number = 0

    def set_search_properties(self, metric, mode, config, **spec):
        return True

    def suggest(self, trial_id):
        self.number += 1
        return {"optimization.learning_rate": 0.01 if self.number <= 8 else -1.0}

    def on_trial_complete(self, trial_id, result=None, error=False):
        pass
"""


def test_a_suggestion_that_cant_be_trained_is_named_and_what_is_done_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first eight are looked at before anything trains; this searcher leaves its space with the ninth."""
    Path("wandering.py").write_text(SEARCHER)
    search = (
        'Search(ceiling={"optimization.learning_rate": tune.uniform(0, 1)}, searcher="wandering:Wandering")'
    )
    imports = "from grid_helpers import *\nfrom ray import tune\nfrom raysweep import *\n"
    Path("experiment.py").write_text(f"{imports}def sweep():\n    return small_sweep(search={search})\n")
    assert main(["run", "experiment.py", "--local"]) == BAD_INPUT
    told = capsys.readouterr().err
    assert (
        "Search.ceiling suggests optimization.learning_rate=-1.0: Optimization.learning_rate is -1.0" in told
    )
    assert len([*Path("raysweep-store").glob("runs/*/result.json")]) == 3  # two pretrainings and the one rate

"""A sweep of 6 runs and 2 cells that is done without training, and what MLflow holds of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType

from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.files import write_json
from raysweep.models.families import Model
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import Sweep, grid
from raysweep.predictions import Predictions
from raysweep.results.measure import measure_run
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec
from raysweep.store import Store
from raysweep.training.history import History

NUM_STEPS = 300
"""More than the points of a curve that are shown."""
SHARES_RIGHT = {"supervisor": 0.6, "student": 0.75, "ceiling": 0.95}


def _model(width: int, learning_rate: float) -> Model:
    scratch = Scratch(
        architecture="gpt2", config={"n_embd": width, "n_layer": 1, "n_head": 1}, tokenizer=Call("word_level")
    )
    pretraining = RunSpec(
        task=TaskSpec(name="sandbox_corpus", num_train=100, num_validation=20),
        model=ModelSpec(name=f"w{width}", base=scratch),
        optimization=Optimization(learning_rate=1e-3),
        train_split="train",
        objective=Call("language_modelling"),
    )
    return Model(
        spec=ModelSpec(name=f"w{width}", base=pretraining),
        optimization=Optimization(learning_rate=learning_rate),
    )


def tiny_plan(store: Store, learning_rate: float = 1e-3) -> Plan:
    """Two pretrainings, one supervisor, one ceiling and one student for each of two methods."""
    sweep = Sweep(
        name="tiny",
        tasks=[TaskSpec(name="sandbox", num_train=40, num_validation=40, num_test=80)],
        pairs=grid([_model(4, 1e-3)], [_model(8, learning_rate)]),
        methods=["naive", "confidence"],
        seeds=[0],
        evaluation=Evaluation(every=NUM_STEPS // 2),
    )
    return make_plan(sweep, store)


def finish(run: PlannedRun, store: Store, attempt: int = 0) -> None:
    """Write a run's files as a training would, with made-up predictions."""
    spec = run.spec
    folder = store.run(run.id)
    rng = np.random.default_rng([int(run.id, 16), attempt])
    folder.claim(spec)
    write_json(folder.environment, {"code": {"commit": "c0ffee"}})
    history = History()
    for step in range(1, NUM_STEPS + 1):
        history.add_step(step, 1 / step, 1e-3, 10)
    is_text = spec.kind == "text"
    for split in ("validation",) if is_text else ("validation", "test", "transfer"):
        frame = read_split(spec.task, split, store)
        ids = frame["id"].to_numpy(dtype=str)
        if is_text:
            outputs = rng.random((len(ids), 1))
        else:
            right = rng.random(len(ids)) < SHARES_RIGHT[run.role]
            certain = np.eye(2)[np.where(right, frame["label"], 1 - frame["label"]).astype(int)]
            outputs = 0.1 + 0.8 * certain
            Predictions.of(ids, outputs, run.id).write(folder.predictions(split))
        if split != "transfer":
            for step in (NUM_STEPS // 2, NUM_STEPS):
                point = pd.DataFrame({"step": step, "id": ids, "outputs": list(outputs.astype(np.float32))})
                history.points.setdefault(split, []).append(point)
    history.save(folder)
    if run.needs_model:
        folder.model.mkdir()
        (folder.model / "weights").write_text("weights")
    now = time.time()
    info = {"seconds_total": 2.0, "finished_at": now, "num_steps": NUM_STEPS, "resources": {"num_workers": 0}}
    folder.finish(spec, measure_run(RunInputs(spec, store)), info)


def fail(run: PlannedRun, store: Store, error: str) -> None:
    """Make a run a failed one."""
    forget(run, store)
    path = store.run(run.id).error
    path.parent.mkdir()
    path.write_text(error)


def forget(run: PlannedRun, store: Store) -> None:
    """Delete a run's files."""
    shutil.rmtree(store.run(run.id).folder)


def of_role(plan: Plan, role: str) -> PlannedRun:
    """The first run of a role."""
    return next(run for run in plan.runs.values() if run.role == role)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen in time"
        time.sleep(0.05)


def shown(uri: str) -> dict[str, Run]:
    """What MLflow shows of the sweep, by run name; no name may occur twice."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    by_name = {run.info.run_name: run for run in runs}
    assert len(by_name) == len(runs)
    return by_name


def of_kind(runs: dict[str, Run], kind: str) -> list[Run]:
    """The MLflow runs of one kind of entry."""
    return [run for run in runs.values() if run.data.tags["kind"] == kind]


def experiment_of(uri: str) -> Experiment:
    """The sweep's MLflow experiment."""
    return MlflowClient(uri).get_experiment_by_name("tiny")


def history(client: MlflowClient, run: Run) -> dict[str, list[tuple[int, float]]]:
    """All points of an MLflow run's metrics."""
    return {
        name: [(item.step, item.value) for item in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }


def snapshot(uri: str) -> dict[str, object]:
    """All that MLflow holds of the sweep, deleted runs included."""
    client = MlflowClient(uri)
    runs = client.search_runs([experiment_of(uri).experiment_id], run_view_type=ViewType.ALL)
    return {run.info.run_id: (run.to_dictionary(), history(client, run)) for run in runs}


def assert_complete(uri: str, plan: Plan) -> None:
    """MLflow shows every run, cell and row once, completely written."""
    runs = shown(uri)
    num_rows = len({cell.group for cell in plan.cells})
    assert len(runs) == len(plan.runs) + len(plan.cells) + num_rows + 1
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert all("raysweep.content" in run.data.tags for run in runs.values())


def write_report(folder: Path, text: str, *figures: str) -> Path:
    """A folder with a report, as `raysweep report` makes it."""
    (folder / "figures").mkdir(parents=True)
    (folder / "report.html").write_text(text)
    for name in figures:
        (folder / "figures" / name).write_text(text)
    return folder

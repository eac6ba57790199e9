"""Measuring what finished runs saved: on every split, along the curve, and again whenever a metric is
added."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from grid_helpers import draw_curve, finish_all, small_model, small_sweep, specs_of
from sklearn.metrics import accuracy_score, roc_auc_score

from raysweep import Call, InvalidInput, TaskSpec, WeakLabels, grid
from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.errors import CorruptFile
from raysweep.planning.plan import Plan, make_plan
from raysweep.predictions import Predictions
from raysweep.results.from_store import CellReader
from raysweep.results.measure import curve_points, measure_curve, measure_run, remeasure
from raysweep.spec import RunSpec
from raysweep.store import RunStatus, Store
from raysweep.tasks.base import Example, Task


@pytest.fixture
def plan(store: Store) -> Plan:
    return make_plan(small_sweep(), store)


# Runs
# ------------------------------------------------------------------------------------------------------------


def test_metrics_are_those_of_the_saved_predictions(plan: Plan, store: Store) -> None:
    finish_all(plan, store, supervisor=0.7, student=0.8)
    ends = plan.cells[0].runs
    supervisor = measure_run(RunInputs(ends.supervisor, store))
    student = measure_run(RunInputs(ends.student, store))
    numbers = {"accuracy", "expected_calibration_error", "brier_score", "auroc"}
    numbers |= {f"accuracy_in_difficulty_quarter_{number}" for number in (1, 2, 3, 4)}
    own = {"validation_accuracy_on_own_labels"}
    assert (
        set(supervisor)
        == {f"{split}_{name}" for split in ("transfer", "validation", "test") for name in numbers} | own
    )
    compared = {"agreement", "agreement_supervisor_right", "agreement_supervisor_wrong"}
    compared |= {"known_given_weak_wrong"}
    compared |= {
        f"{what}_{form}"
        for what in ("misfit", "gain")
        for form in ("squared_error", "error_rate", "cross_entropy")
    }
    assert set(student) == set(supervisor) | {f"test_{name}" for name in compared}
    assert supervisor["test_accuracy"] == pytest.approx(0.7) and student[
        "validation_accuracy"
    ] == pytest.approx(0.8)
    assert supervisor["validation_accuracy_on_own_labels"] == supervisor["validation_accuracy"]
    weak, own_predictions = (
        store.run(run.id).read_predictions("validation") for run in (ends.supervisor, ends.student)
    )
    assert student["validation_accuracy_on_own_labels"] == pytest.approx(
        (weak.classes == own_predictions.classes).mean()
    )
    truth = RunInputs(ends.supervisor, store).ground_truth("test")
    predicted = store.run(ends.supervisor.id).read_predictions("test")
    assert supervisor["test_auroc"] == pytest.approx(
        roc_auc_score(truth.classes, predicted.probabilities[:, 1])
    )
    difficulty = read_split(ends.supervisor.task, "test", store)["difficulty"].to_numpy()
    easiest = difficulty <= np.quantile(difficulty, 0.25)
    expected = accuracy_score(truth.classes[easiest], predicted.classes[easiest])
    assert supervisor["test_accuracy_in_difficulty_quarter_1"] == pytest.approx(expected)
    pretraining = next(run.spec for run in plan.runs.values() if run.role == "pretrain")
    assert measure_run(RunInputs(pretraining, store)) == {"validation_loss": 2.5}
    assert measure_run(RunInputs(ends.supervisor, store), ["auroc"]) == {
        name: supervisor[name] for name in supervisor if name.endswith("_auroc")
    }


def test_what_a_transform_dropped_is_not_measured(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "measure_transforms.py").write_text(
        "import dataclasses, numpy\n"
        "from raysweep import Call\n"
        "from raysweep.recipes import CellRuns\n"
        "from raysweep.transforms import Transform\n"
        "def first(labels, context, count):\n"
        "    return dataclasses.replace(labels, covered=numpy.arange(len(labels)) < count)\n"
        "FIRST = Transform(first)\n"
        "def recipe(cell):\n"
        "    supervisor = cell.supervisor()\n"
        "    few = (Call('measure_transforms:FIRST', {'count': 4}),)\n"
        "    return CellRuns(supervisor=supervisor, student=cell.student(supervisor, transforms=few), "
        "ceiling=cell.ceiling())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plan = make_plan(small_sweep(methods=["measure_transforms:recipe"]), store)
    finish_all(plan, store)
    ends = plan.cells[0].runs
    weak, own = (store.run(run.id).read_predictions("validation") for run in (ends.supervisor, ends.student))
    expected = float((weak.classes == own.classes)[:4].mean())
    assert measure_run(RunInputs(ends.student, store))["validation_accuracy_on_own_labels"] == expected


# Curves
# ------------------------------------------------------------------------------------------------------------


def test_a_curve_is_measured_at_its_points(plan: Plan, store: Store) -> None:
    finish_all(plan, store, supervisor=0.7)
    ends = plan.cells[0].runs
    draw_curve(ends.student, store, validation={2: 7, 4: 9}, test={2: 6, 4: 8})
    curve = measure_curve(RunInputs(ends.student, store)).set_index("step")
    assert curve.index.tolist() == [2, 4]
    assert curve["validation_accuracy"].tolist() == [0.7, 0.9] and curve["test_accuracy"].tolist() == [
        0.6,
        0.8,
    ]
    for split, name in (("validation", "validation_accuracy_on_own_labels"), ("test", "test_agreement")):
        for step, predicted in curve_points(RunInputs(ends.student, store), split):
            weak = store.run(ends.supervisor.id).read_predictions(split).align(predicted.ids)
            assert curve.loc[step, name] == pytest.approx(float((predicted.classes == weak.classes).mean()))
    assert {name for name in curve if str(name).startswith("test_")} == {
        "test_accuracy",
        "test_agreement",
        "test_agreement_supervisor_right",
        "test_agreement_supervisor_wrong",
    }
    store.run(ends.student.id).curve_predictions("test").write_bytes(b"")
    with pytest.raises(CorruptFile):
        measure_curve(RunInputs(ends.student, store))


def test_a_ceiling_has_a_curve_of_agreement_with_the_floor(plan: Plan, store: Store) -> None:
    finish_all(plan, store, supervisor=0.6)
    ends = plan.cells[0].runs
    draw_curve(ends.ceiling, store, test={2: 5, 4: 10})
    assert not [name for name in measure_curve(RunInputs(ends.ceiling, store)) if "agreement" in str(name)]
    curve = measure_curve(RunInputs(ends.ceiling, store), supervisor=ends.supervisor).set_index("step")
    truth = RunInputs(ends.supervisor, store).ground_truth("test")
    first = truth.ids[:10]
    right = (
        store.run(ends.supervisor.id).read_predictions("test").align(first).classes
        == truth.align(first).classes
    )
    assert curve.loc[4, "test_agreement"] == pytest.approx(
        right.mean()
    )  # who is always right agrees where it is right
    assert (
        curve.loc[4, "test_agreement_supervisor_wrong"] == 0
        and curve.loc[4, "test_agreement_supervisor_right"] == 1
    )
    assert curve.loc[2, "test_agreement_supervisor_wrong"] == pytest.approx(
        (np.arange(10) >= 5)[~right].mean()
    )


# Measuring again
# ------------------------------------------------------------------------------------------------------------


def test_a_metric_that_a_result_lacks_comes_back(plan: Plan, store: Store) -> None:
    finish_all(plan, store, supervisor=0.7)
    student = store.run(plan.cells[0].runs.student.id)
    before = student.read_result()
    old = {name: value for name, value in before["metrics"].items() if "auroc" not in name} | {
        "test_accuracy": 0.1
    }
    student.replace_metrics(old)
    assert student.read_result() == before | {"metrics": old}
    found = remeasure(specs_of(plan), store)
    assert (
        found.measured == set(plan.runs)
        and found.changed == {plan.cells[0].runs.student.id}
        and found.damaged == {}
    )
    assert student.read_result() == before
    assert all(store.status(run.spec) is RunStatus.DONE for run in plan.runs.values())
    written = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")}
    assert remeasure(specs_of(plan), store).changed == frozenset()
    assert {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")} == written


def test_a_metric_of_ones_own_is_added_and_stays(
    plan: Plan, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "measure_metrics.py").write_text(
        "def confidence(m):\n    return {'confidence': m.predicted.probabilities.max(axis=1).mean()}\n"
        "def clash(m):\n    return {'auroc': 0.5}\n"
        "def broken(m):\n    return {'x': 1 / 0}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    finish_all(plan, store)
    student = plan.cells[0].runs.student
    found = remeasure(specs_of(plan), store, ["measure_metrics:confidence", "auroc"])
    labelled = {run.id for run in plan.runs.values() if run.role != "pretrain"}
    assert found.changed == labelled
    expected = store.run(student.id).read_predictions("test").probabilities.max(axis=1).mean()
    assert store.run(student.id).read_result()["metrics"]["test_confidence"] == pytest.approx(expected)
    assert CellReader(store).numbers(plan.cells[0])["student_confidence"] == pytest.approx(expected)
    assert remeasure(specs_of(plan), store).changed == frozenset()
    assert "test_confidence" in store.run(student.id).read_result()["metrics"]
    before = store.run(student.id).result.read_bytes()
    for name, told in (
        ("measure_metrics:clash", "gives .*_auroc, which raysweep's own metrics give; rename it"),
        ("measure_metrics:broken", "metric 'measure_metrics:broken' failed:\n(.|\n)*ZeroDivisionError"),
        ("measure_metrics:nothing", "has no 'nothing'"),
        ("confidnce", "unknown metric 'confidnce'"),
    ):
        with pytest.raises(InvalidInput, match=told):
            remeasure(specs_of(plan), store, [name])
    assert store.run(student.id).result.read_bytes() == before


def test_an_unknown_metric_is_told_before_any_run_is_finished(plan: Plan, store: Store) -> None:
    with pytest.raises(InvalidInput, match="unknown metric 'f1'"):
        remeasure(specs_of(plan), store, ["f1"])
    assert remeasure(specs_of(plan), store).measured == frozenset()


def test_a_damaged_file_is_one_error_and_holds_up_no_other_run(plan: Plan, store: Store) -> None:
    finish_all(plan, store)
    ends = plan.cells[0].runs
    path = store.run(ends.supervisor.id).predictions("test")
    path.write_bytes(path.read_bytes()[:-9])
    found = remeasure(specs_of(plan), store)
    (problem,) = found.damaged.values()
    assert (
        set(found.damaged) == {ends.supervisor.id}
        and str(path) in problem
        and "its checksum differs" in problem
    )
    # The student is compared with the supervisor, so it can't be measured now; nothing is wrong with it.
    assert found.measured == set(plan.runs) - {ends.supervisor.id, ends.student.id}
    assert store.status(ends.supervisor) is RunStatus.MISSING and store.status(ends.student) is RunStatus.DONE


def test_killed_at_any_moment_a_run_has_its_old_numbers_or_its_new_ones(plan: Plan, store: Store) -> None:
    finish_all(plan, store)
    student = plan.cells[0].runs.student
    paths = store.run(student.id)
    program = (
        "from pathlib import Path\nfrom raysweep.store import RunFolder\n"
        f"paths, value = RunFolder(Path({str(paths.folder)!r})), 0\n"
        "while True:\n    value += 1\n    paths.replace_metrics({'test_accuracy': value})\n"
    )
    for wait in (0.0, 0.003, 0.007):
        before = paths.read_result()["metrics"]
        process = subprocess.Popen([sys.executable, "-c", program])
        deadline = time.monotonic() + 60
        while paths.read_result()["metrics"] == before:  # never unreadable in between
            assert time.monotonic() < deadline and process.poll() is None
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert (
            paths.read_result()["metrics"]["test_accuracy"] >= 1 and store.status(student) is RunStatus.DONE
        )
    assert remeasure(specs_of(plan), store).changed == {student.id}
    assert paths.read_result()["metrics"]["test_accuracy"] == 0.8


# Answers
# ------------------------------------------------------------------------------------------------------------


def load_moves() -> Mapping[str, list[Example]]:
    """Two words in, the first one out; only the two are allowed. Harder the later."""
    words = ["ba", "be", "bi", "bo", "da", "de"]
    pairs = [(first, second, n) for n in range(8) for first in words for second in words if first != second]
    examples = [
        Example(
            id=str(number),
            group=str(number),
            texts=(" ".join([first, *[second] * (n + 1)]),),
            target=first,
            allowed=(first, second),
            difficulty=float(number),
        )
        for number, (first, second, n) in enumerate(pairs)
    ]
    return {"train": examples}


MOVES = Task(
    name="moves",
    summary="moves",
    kind="generative",
    num_classes=0,
    load=load_moves,
    max_answer_tokens=4,
    num_train=40,
    num_validation=20,
    num_test=40,
    balanced=False,
)


def answer(spec: RunSpec, store: Store, number_right: int, number_legal: int) -> Predictions:
    """Give a run answers: of each split the first so many are right, the rest up to so many legal but
    wrong."""
    paths = store.run(spec.id)
    paths.claim(spec)
    for split in ("transfer", "validation", "test"):
        frame = read_split(spec.task, split, store)
        wrong = [
            next(move for move in row if move != target)
            for row, target in zip(frame["allowed"], frame["target"], strict=True)
        ]
        texts = [
            target if row < number_right else other if row < number_legal else "none"
            for row, (target, other) in enumerate(zip(frame["target"], wrong, strict=True))
        ]
        predicted = Predictions.of_answers(frame["id"].tolist(), texts, spec.id)
        predicted.write(paths.predictions(split))
        points = pd.DataFrame({"step": 4, "id": predicted.ids[:10], "answer": texts[:10]})
        paths.curve_predictions(split).parent.mkdir(exist_ok=True)
        if split != "transfer":
            pd.concat([points.assign(step=2, answer="none"), points]).to_parquet(
                paths.curve_predictions(split)
            )
    paths.finish(spec, measure_run(RunInputs(spec, store)), {"num_steps": 4})
    return predicted


def test_answers_are_measured_as_classes_are(store: Store) -> None:
    sweep = small_sweep(
        tasks=[TaskSpec(name="test_measure:MOVES")],
        pairs=grid([small_model("weak", 4)], [small_model("strong", 6)]),
    )
    plan = make_plan(sweep, store)
    ends = plan.cells[0].runs
    assert isinstance(ends.student.labels, WeakLabels) and ends.student.objective == Call("cross_entropy")
    answer(ends.supervisor, store, 8, 20)
    answer(ends.student, store, 16, 20)
    answer(ends.ceiling, store, 20, 20)
    metrics = measure_run(RunInputs(ends.student, store))
    assert metrics["test_accuracy"] == 0.4 and metrics["test_legality"] == 0.5
    assert (
        metrics["test_agreement"] == 0.8
    )  # on 8 both right, on 12 to 19 both wrong alike, on the rest both say "none"
    assert (
        metrics["test_agreement_supervisor_right"] == 1 and metrics["test_agreement_supervisor_wrong"] == 0.75
    )
    assert metrics["validation_accuracy_on_own_labels"] == pytest.approx(0.6)
    assert "test_accuracy_in_difficulty_quarter_4" in metrics
    assert not [name for name in metrics if "auroc" in name or "calibration" in name or "squared" in name]
    curve = measure_curve(RunInputs(ends.student, store)).set_index("step")
    assert curve["test_legality"].tolist() == [0.0, 1.0] and curve["test_accuracy"].tolist() == [0.0, 1.0]
    cell = CellReader(store).numbers(plan.cells[0])
    assert (cell["weak_accuracy"], cell["student_accuracy"], cell["ceiling_accuracy"]) == (0.2, 0.4, 0.5)
    assert cell["pgr"] == pytest.approx(2 / 3) and cell["ceiling_agreement"] == pytest.approx(0.7)
    assert cell["step_at_ground_truth_stop"] == 4 and cell["student_accuracy_at_ground_truth_stop"] == 1
    assert remeasure(specs_of(plan), store).measured >= {ends.supervisor.id, ends.student.id, ends.ceiling.id}

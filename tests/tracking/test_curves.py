"""Points are the numbers of the store and its curves, thinned."""

from __future__ import annotations

import itertools
import math

from tracked_sweep import NUM_STEPS, of_role

from raysweep.data.inputs import RunInputs
from raysweep.planning.plan import Plan
from raysweep.results.from_store import CellReader
from raysweep.results.measure import measure_curve
from raysweep.store import Store
from raysweep.tracking.curves import Point, cell_points, run_points, stopped_points


def curves(points: list[Point]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        if point.name.startswith("curve/"):
            found.setdefault(point.name.removeprefix("curve/"), []).append((point.step, point.value))
    return found


def test_a_long_curve_keeps_its_ends_and_evenly_spaced_points(finished: tuple[Plan, Store]) -> None:
    plan, store = finished
    found = curves(list(run_points(RunInputs(of_role(plan, "student").spec, store))))
    loss = found["training_loss"]
    assert len(loss) == 200 < NUM_STEPS
    assert loss[0] == (1, 1.0) and loss[-1] == (NUM_STEPS, 1 / NUM_STEPS)
    assert {after - before for (before, _), (after, _) in itertools.pairwise(loss)} == {1, 2}
    assert {
        "training_learning_rate",
        "test_accuracy",
        "validation_accuracy_on_own_labels",
        "test_agreement",
    } <= set(found)


def test_a_short_curve_keeps_every_point(finished: tuple[Plan, Store]) -> None:
    plan, store = finished
    run = of_role(plan, "student").spec
    curve = measure_curve(RunInputs(run, store))
    found = curves(list(run_points(RunInputs(run, store))))
    assert found["test_accuracy"] == list(zip(curve["step"], curve["test_accuracy"], strict=True))
    assert len(found["test_accuracy"]) == 2


def test_a_cell_has_the_numbers_of_the_results_and_the_curves_of_its_student_and_ceiling(
    finished: tuple[Plan, Store],
) -> None:
    plan, store = finished
    reader = CellReader(store)
    for cell in plan.cells:
        points = list(cell_points(cell, reader))
        final = {point.name: point.value for point in points if "/" not in point.name}
        assert final == reader.numbers(cell)
        assert {"pgr", "pgr_at_ground_truth_stop", "ceiling_agreement", "student_auroc"} <= set(final)
        found = curves(points)
        curve = measure_curve(RunInputs(cell.runs.student, store), cell.runs.supervisor)
        assert found["test_accuracy"] == list(zip(curve["step"], curve["test_accuracy"], strict=True))
        ceiling = measure_curve(RunInputs(cell.runs.ceiling, store), cell.runs.supervisor)
        name = "test_agreement_supervisor_wrong"
        assert found[f"ceiling_{name}"] == list(zip(ceiling["step"], ceiling[name], strict=True))


def test_points_are_finite(finished: tuple[Plan, Store]) -> None:
    plan, store = finished
    for run in plan.runs.values():
        assert all(math.isfinite(point.value) for point in run_points(RunInputs(run.spec, store)))


def test_a_stopped_run_has_its_numbers_and_the_curve_that_it_was_judged_by() -> None:
    stopped = {
        "info": {"seconds_total": 2.5, "finished_at": 9.0, "resources": {"num_workers": 0}},
        "metrics": {"num_tokens": 7},
        "history": [[2, 20, 0.5], [4, 40, 0.75]],
    }
    assert list(stopped_points(stopped, "validation_accuracy")) == [
        Point("seconds_total", 2.5),
        Point("num_tokens", 7.0),
        Point("curve/validation_accuracy", 0.5, 2),
        Point("curve/validation_accuracy", 0.75, 4),
    ]

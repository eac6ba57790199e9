"""Numbers and curves of cells, read from the store of runs whose predictions are known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from grid_helpers import draw_curve, finish_all, small_model, small_sweep, specs_of

from raysweep import Method
from raysweep.data.inputs import RunInputs
from raysweep.errors import CorruptFile
from raysweep.metrics import Measurement, correct, metric, metrics
from raysweep.planning.plan import Plan, make_plan
from raysweep.results.from_store import CellReader, read_store
from raysweep.results.measure import measure_curve, remeasure
from raysweep.results.tables import metrics_table
from raysweep.spec import WeakLabels
from raysweep.store import Store

OVERLAP = """
from raysweep.metrics import correct, metric

@metric(columns={"overlap": "same"}, compares_with_supervisor=["student", "ceiling"])
def overlap(m):
    return {} if m.supervisor is None else {"overlap": correct(m.predicted, m.supervisor).mean()}
"""


@pytest.fixture
def plan(store: Store) -> Plan:
    return make_plan(small_sweep(), store)


def chain(store: Store) -> Plan:
    """A sweep whose student is taught by a model between the supervisor and itself."""
    middle = small_model("middle", 5)
    return make_plan(
        small_sweep(methods=[Method(name="chain", recipe="bootstrapping", params={"middle": [middle]})]),
        store,
    )


def test_the_agreement_of_a_cell_is_with_its_supervisor(plan: Plan, store: Store) -> None:
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.9)
    cell = plan.cells[0]
    metrics = CellReader(store).numbers(cell)
    weak, student, ceiling = (
        store.run(run.id).read_predictions("test").classes
        for run in (cell.runs.supervisor, cell.runs.student, cell.runs.ceiling)
    )
    truth = RunInputs(cell.runs.supervisor, store).ground_truth("test").classes
    assert metrics["ceiling_agreement"] == pytest.approx((ceiling == weak).mean())
    assert metrics["ceiling_agreement_supervisor_right"] == pytest.approx(
        (ceiling == weak)[weak == truth].mean()
    )
    assert metrics["ceiling_agreement_supervisor_wrong"] == pytest.approx(
        (ceiling == weak)[weak != truth].mean()
    )
    assert metrics["agreement_supervisor_wrong"] == pytest.approx((student == weak)[weak != truth].mean())
    assert metrics["misfit_error_rate"] == pytest.approx((student != weak).mean())
    assert metrics["gain_error_rate"] == pytest.approx(0.15)
    results = {
        end: store.run(getattr(cell.runs, end).id).read_result()["metrics"]
        for end in ("supervisor", "student", "ceiling")
    }
    for end, name in (("supervisor", "weak"), ("student", "student"), ("ceiling", "ceiling")):
        assert metrics[f"{name}_auroc"] == results[end]["test_auroc"]
        assert (
            metrics[f"{name}_expected_calibration_error"] == results[end]["test_expected_calibration_error"]
        )
    assert not {"student_agreement", "student_misfit_error_rate", "ceiling_misfit_error_rate"} & set(metrics)


def test_the_three_readings_of_a_cell(plan: Plan, store: Store) -> None:
    finish_all(plan, store, supervisor=0.3, ceiling=1.0)
    cell = plan.cells[0]
    draw_curve(cell.runs.student, store, validation={2: 8, 4: 9, 6: 9, 8: 5}, test={2: 6, 4: 8, 6: 9, 8: 7})
    metrics = CellReader(store).numbers(cell)
    truth = RunInputs(cell.runs.supervisor, store).ground_truth("test")
    weak = store.run(cell.runs.supervisor.id).read_predictions("test")
    floor = float((weak.classes == truth.classes)[:10].mean())  # on the examples of the curve, not on all 40
    assert metrics["weak_accuracy"] == 0.3 and metrics["weak_accuracy_at_last"] == floor
    assert metrics["ceiling_accuracy_at_last"] == 1
    own = measure_curve(RunInputs(cell.runs.student, store)).set_index("step")[
        "validation_accuracy_on_own_labels"
    ]
    weak_label_stop = own.index[own == own.max()][0]
    for name, step in (("last", 8), ("ground_truth_stop", 4), ("weak_label_stop", weak_label_stop)):
        accuracy = {2: 0.6, 4: 0.8, 6: 0.9, 8: 0.7}[step]
        assert metrics[f"step_at_{name}"] == step and metrics[f"student_accuracy_at_{name}"] == pytest.approx(
            accuracy
        )
        assert metrics[f"pgr_at_{name}"] == pytest.approx((accuracy - floor) / (1 - floor))


def test_a_cell_without_a_curve_is_read_at_its_last_step(plan: Plan, store: Store) -> None:
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.9)
    metrics = CellReader(store).numbers(plan.cells[0])
    assert {name: value for name, value in metrics.items() if "_at_" in name} == pytest.approx(
        {
            "weak_accuracy_at_last": 0.6,
            "ceiling_accuracy_at_last": 0.9,
            "step_at_last": 4,
            "student_accuracy_at_last": 0.75,
            "pgr_at_last": 0.5,
        }
    )


def test_a_result_of_a_chain_compares_with_another_supervisor_than_its_cell(store: Store) -> None:
    plan = chain(store)
    finish_all(plan, store, supervisor=0.6, intermediate=0.9, student=0.75)
    (cell,) = plan.cells
    assert isinstance(cell.runs.student.labels, WeakLabels)
    own_supervisor = cell.runs.student.labels.supervisor
    weak, middle, student = (
        store.run(run.id).read_predictions("test").classes
        for run in (cell.runs.supervisor, own_supervisor, cell.runs.student)
    )
    assert own_supervisor != cell.runs.supervisor and (student == middle).mean() != (student == weak).mean()
    result = store.run(cell.runs.student.id).read_result()["metrics"]
    assert result["test_agreement"] == pytest.approx((student == middle).mean())
    found = CellReader(store).numbers(cell)
    assert found["agreement"] == pytest.approx((student == weak).mean())
    assert not [name for name in found if name.startswith(("student_agreement", "student_misfit"))]


@pytest.fixture
def registered() -> Iterator[str]:
    """A metric that compares the student with the supervisor, and needs difficulties for it."""

    @metrics.register("hard_overlap")
    @metric(columns={"hard_overlap": "same on hard ones"}, compares_with_supervisor=["student"])
    def hard_overlap(measurement: Measurement) -> dict[str, float]:
        if measurement.supervisor is None or measurement.difficulty is None:
            return {}
        hard = measurement.difficulty > 0
        return {"hard_overlap": float(correct(measurement.predicted, measurement.supervisor)[hard].mean())}

    yield "hard_overlap"
    del metrics._entries["hard_overlap"]


def test_a_registered_metric_is_in_results_cells_and_tables(store: Store, registered: str) -> None:
    plan = chain(store)
    finish_all(plan, store)
    (cell,) = plan.cells
    assert registered in {name.removeprefix("test_") for name in _result(cell.runs.student.id, store)}
    assert not {f"test_{registered}"} & set(_result(cell.runs.ceiling.id, store))
    data = read_store(plan, store)
    truth = RunInputs(cell.runs.supervisor, store).ground_truth("test")
    weak, student = (
        store.run(run.id).read_predictions("test") for run in (cell.runs.supervisor, cell.runs.student)
    )
    difficulty = data.examples(cell.runs.student.id)["difficulty"].to_numpy()
    expected = (weak.classes == student.classes)[difficulty > 0].mean()
    assert truth.ids.tolist() == student.ids.tolist() and 0 < (difficulty > 0).sum() < len(truth)
    assert data.cells[registered].to_list() == pytest.approx([expected])
    assert not {f"student_{registered}", f"ceiling_{registered}"} & set(data.cells)
    table = metrics_table(data.row_means)
    assert (
        dict(zip(table.columns, table.rows[0].cells, strict=True))["same on hard ones"] == f"{expected:.3f}"
    )


def test_an_added_metric_compares_with_the_cells_supervisor_if_it_says_so(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store_metrics.py").write_text(OVERLAP)
    monkeypatch.syspath_prepend(tmp_path)
    plan = chain(store)
    finish_all(plan, store)
    remeasure(specs_of(plan), store, ["store_metrics:overlap"])
    (cell,) = plan.cells
    weak, student, ceiling = (
        store.run(run.id).read_predictions("test").classes
        for run in (cell.runs.supervisor, cell.runs.student, cell.runs.ceiling)
    )
    assert "test_overlap" in _result(cell.runs.student.id, store)
    data = read_store(plan, store, ["store_metrics:overlap"])
    found = data.cells[["overlap", "ceiling_overlap"]].iloc[0].to_list()
    assert found == pytest.approx([(student == weak).mean(), (ceiling == weak).mean()])
    assert "student_overlap" not in data.cells
    table = metrics_table(data.row_means, ["store_metrics:overlap"])
    shown = dict(zip(table.columns, table.rows[0].cells, strict=True))
    assert shown["same: student"] == f"{found[0]:.3f}"
    assert "ceiling" in table.columns[table.columns.index("same: student") + 1 :]


def _result(run_id: str, store: Store) -> dict[str, float]:
    return dict(store.run(run_id).read_result()["metrics"])


def test_the_results_table_needs_no_curves(plan: Plan, store: Store) -> None:
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.9)
    student = plan.cells[0].runs.student
    draw_curve(student, store, validation={2: 8, 4: 9}, test={2: 6, 4: 8})
    data = read_store(plan, store)
    path = store.run(student.id).curve_predictions("test")
    path.write_bytes(path.read_bytes()[:-9])
    (row,) = data.rows
    assert row.gap is not None and row.gap.student_accuracy == 0.75
    with pytest.raises(CorruptFile):
        _ = data.cells


def test_curves_are_those_of_the_student_and_of_the_ceilings_comparison(plan: Plan, store: Store) -> None:
    finish_all(plan, store, supervisor=0.6)
    runs = plan.cells[0].runs
    draw_curve(runs.student, store, validation={2: 8, 4: 9}, test={2: 6, 4: 8})
    draw_curve(runs.ceiling, store, test={2: 5, 4: 10})
    found = CellReader(store).curves(plan.cells[0])
    assert found["test_accuracy"] == [(2, 0.6), (4, 0.8)]
    ceiling = measure_curve(RunInputs(runs.ceiling, store), runs.supervisor)
    assert found["ceiling_test_agreement"] == list(
        zip(ceiling["step"], ceiling["test_agreement"], strict=True)
    )
    assert "ceiling_test_accuracy" not in found

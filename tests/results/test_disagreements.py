"""The examples on which a student and its supervisor differ, from predictions that are known one by one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from grid_helpers import finish_all, small_model, small_sweep
from report.made_up import made_up_sweep

from raysweep import Method
from raysweep.data.examples import read_split
from raysweep.errors import InvalidInput
from raysweep.planning.plan import Plan, make_plan
from raysweep.predictions import Predictions
from raysweep.results.from_store import read_store
from raysweep.spec import RunSpec
from raysweep.store import Store


@pytest.fixture
def plan(store: Store) -> Plan:
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store)
    return plan


def predict(run: RunSpec, store: Store, right: Sequence[bool], probability: Sequence[float]) -> pd.DataFrame:
    """Give a run other predictions on test: whether each is right, and how sure it is. Returns the split."""
    split = read_split(run.task, "test", store)
    says = np.where(right, split["label"], 1 - split["label"]).astype(int)
    sure = np.array(probability)
    classes = np.where(np.eye(2)[says].astype(bool), sure[:, None], 1 - sure[:, None])
    folder = store.run(run.id)
    Predictions.of(split["id"].tolist(), classes, run.id).write(folder.predictions("test"))
    result = folder.read_result()
    folder.finish(run, result["metrics"], result["info"])
    return split


def test_students_that_are_right_where_the_weak_model_is_wrong_come_first(plan: Plan, store: Store) -> None:
    cell = plan.cells[0].runs
    number = np.arange(40)
    # Examples 0 to 9: the supervisor alone is right; 10 to 19: the student alone; on the others both are.
    predict(cell.supervisor, store, ~((number >= 10) & (number < 20)), 0.6 + number / 1000)
    split = predict(cell.student, store, number >= 10, 0.7 + number / 1000)
    found = read_store(plan, store).disagreements(cell.student.id)
    order = [*range(19, 9, -1), *range(9, -1, -1)]
    assert found["id"].tolist() == split["id"].iloc[order].tolist()
    assert found["outcome"].tolist() == ["student right"] * 10 + ["supervisor right"] * 10
    assert found["text"].tolist() == [texts[0] for texts in split["texts"].iloc[order]]
    truth = split["label"].iloc[order].astype(int)
    assert found["truth"].tolist() == [str(label) for label in truth]
    assert found["student"].tolist()[:10] == found["truth"].tolist()[:10] != found["supervisor"].tolist()[:10]
    assert found["supervisor"].tolist()[10:] == found["truth"].tolist()[10:]
    assert found["student_probability"].tolist() == pytest.approx([0.7 + place / 1000 for place in order])
    assert found["supervisor_probability"].tolist() == pytest.approx([0.6 + place / 1000 for place in order])
    assert found["difficulty"].tolist() == split["difficulty"].iloc[order].tolist()
    assert found["group"].tolist() == split["group"].iloc[order].tolist()


def test_the_supervisor_is_that_of_the_cell_not_the_last_teacher(store: Store) -> None:
    middle = Method(name="chain", recipe="bootstrapping", params={"middle": [small_model("middle", 5)]})
    plan = make_plan(small_sweep(methods=[middle]), store)
    finish_all(plan, store)
    cell = plan.cells[0].runs
    half = np.arange(40) < 20
    predict(cell.supervisor, store, half, np.full(40, 0.8))
    predict(cell.student, store, ~half, np.full(40, 0.8))
    found = read_store(plan, store).disagreements(cell.student.id)
    assert found["outcome"].tolist() == ["student right"] * 20 + ["supervisor right"] * 20


def test_what_has_no_such_examples_says_why(plan: Plan, store: Store) -> None:
    data = read_store(plan, store)
    with pytest.raises(InvalidInput, match="is no student"):
        data.disagreements(plan.cells[0].runs.ceiling.id)
    with pytest.raises(InvalidInput, match="has no run 'mine'"):
        data.disagreements("mine")
    without = made_up_sweep(lambda end, cell: 0.7)
    with pytest.raises(InvalidInput, match="holds no texts of examples; load the experiment from its store"):
        without.disagreements(without.planned["student"].iloc[0])

"""Seeds that draw the halves: the same test examples for all of them, and other training examples."""

import pytest
from grid_helpers import finish_all, small_sweep, small_task

from raysweep import InvalidInput, TaskSpec
from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.planning.plan import Plan, make_plan
from raysweep.results.from_store import CellReader, read_store
from raysweep.store import Store
from raysweep.tasks.base import Example, Task
from raysweep.tasks.splits import divide
from raysweep.tracking.build import cell_entry


def ids(task: TaskSpec, split: str, store: Store) -> list[str]:
    return list(read_split(task, split, store, ["id"])["id"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("halves") / "store")


@pytest.fixture(scope="module")
def plan(store: Store) -> Plan:
    return make_plan(small_sweep(seeds=[0, 1], seeds_draw_halves=True), store)


def test_halves_and_validation_differ_and_the_test_split_is_the_same(plan: Plan, store: Store) -> None:
    first, second = (cell.runs.student.task for cell in plan.cells)
    assert first.content != second.content and first.label == second.label == "sandbox"
    assert ids(first, "test", store) == ids(second, "test", store)  # in the same order too
    for split in ("supervisor", "transfer", "validation"):
        assert set(ids(first, split, store)) != set(ids(second, split, store)), split
        trained_on = set(ids(second, split, store))
        assert not trained_on & set(ids(second, "test", store))


def test_the_runs_of_a_cell_share_its_halves(plan: Plan) -> None:
    for cell in plan.cells:
        runs = cell.runs
        contents = {run.task.content for run in (runs.supervisor, runs.student, runs.ceiling)}
        assert len(contents) == 1 and runs.student.task.training_seed == cell.seed
    # A supervisor, ceiling and student for each of two seeds, on two pretrained models.
    assert (plan.num_trainings, plan.num_pretrainings) == (6, 2)


def test_a_seed_that_is_the_split_seed_has_the_runs_of_a_fixed_division(plan: Plan, store: Store) -> None:
    fixed = make_plan(small_sweep(seeds=[0, 1]), store)
    assert plan.cells[0].runs == fixed.cells[0].runs
    assert plan.cells[1].runs.student.id != fixed.cells[1].runs.student.id


def test_seeds_are_compared_on_the_same_examples(plan: Plan, store: Store) -> None:
    finish_all(plan, store)
    row = read_store(plan, store).rows[0]
    assert row.seeds == (0, 1) and row.gap is not None and not row.missing_seeds
    told = read_store(plan, store).provenance["tasks"]["sandbox"]
    contents = {str(cell.seed): cell.runs.student.task.content for cell in plan.cells}
    assert told["training_seeds"] == contents and told["content"] == contents["0"]
    reader = CellReader(store)
    datasets = [cell_entry(cell, reader, store, {}).dataset for cell in plan.cells]
    assert [found and found.source["training_seed"] for found in datasets] == [0, 1]
    truths = [RunInputs(cell.runs.student, store).ground_truth("test") for cell in plan.cells]
    assert (truths[0].probabilities == truths[1].probabilities).all()


def test_a_test_split_that_is_cut_from_training_is_the_same_for_all_seeds() -> None:
    rows = [Example(id=f"{n}", group=f"{n // 3}", texts=(f"text {n}",), label=n % 2) for n in range(600)]
    task = Task(name="toy", summary="", kind="classification", load=dict)
    base, same, other = (
        divide(task, {"train": rows}, TaskSpec(name="toy", split_seed=3, training_seed=seed)).splits
        for seed in (None, 3, 4)
    )
    assert base == same and base["test"] == other["test"]
    for split in ("supervisor", "transfer", "validation"):
        assert {row.id for row in base[split]} != {row.id for row in other[split]}, split


def test_a_task_with_a_training_seed_of_its_own_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"has training_seed=5; Sweep.seeds_draw_halves sets it to each"):
        small_sweep(tasks=[small_task(training_seed=5)], seeds_draw_halves=True)
    with pytest.raises(InvalidInput, match=r"Sweep.seeds_draw_halves is 1; it must be True or False"):
        small_sweep(seeds_draw_halves=1)

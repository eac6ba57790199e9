"""What a weak-to-strong sweep must show whatever its models are: results that are known before anything
trains."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from raysweep import Evaluation, Method, Model, RunSpec, Sweep
from raysweep.cli.main import main
from raysweep.data.inputs import RunInputs
from raysweep.metrics import metrics
from raysweep.objectives import objectives
from raysweep.planning.graph import PlannedCell
from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import load_sweep
from raysweep.recipes import recipes
from raysweep.results.cells import Row
from raysweep.results.from_store import CellReader, read_store
from raysweep.scheduling.run import run_plan
from raysweep.store import Store
from raysweep.tasks.base import tasks
from raysweep.transforms import transforms

WITHOUT_INFORMATION = ("shuffled_labels", "random_labels", "constant_labels")
METHODS: list[str | Method] = [
    "naive",
    *WITHOUT_INFORMATION,
    "ceiling_labels",
    Method(name="chain of one", recipe="bootstrapping"),
]


def small_gap(methods: list[str | Method]) -> Sweep:
    """Five seeds of the tiny sweep with more data, a weak model that learns something, and a strong one that
    learns more."""
    tiny = load_sweep(str(Path(__file__).parent / "experiments" / "tiny_sweep.py"))
    (task,) = tiny.tasks
    ((weak, strong),) = tiny.pairs
    assert not isinstance(task, str)
    sentences = {**task.params, "num_sentences": 1_200, "num_test_sentences": 900}
    return replace(
        tiny,
        tasks=[replace(task, params=sentences, num_train=320, num_test=400)],
        pairs=[(_longer(weak, 20), _longer(strong, 30))],
        methods=methods,
        seeds=[0, 1, 2, 3, 4],
        evaluation=Evaluation(every=0),
    )


def _longer(model: Model, steps: int) -> Model:
    return replace(model, optimization=replace(model.optimization, steps=steps))


@dataclass(frozen=True)
class Finished:
    """A sweep whose runs are done."""

    plan: Plan
    store: Store

    def row(self, method: str) -> Row:
        """The only row of a method."""
        (row,) = [row for row in read_store(self.plan, self.store).rows if row.group.method == method]
        return row

    def cells(self, method: str) -> list[PlannedCell]:
        """A method's cells, a seed each."""
        return [cell for cell in self.plan.cells if cell.method == method]

    def truth_probabilities(self, method: str) -> npt.NDArray[np.float64]:
        """The mean probability that each seed's student gives to the true class on test."""
        return np.array([self._given_to_truth(cell.runs.student).mean() for cell in self.cells(method)])

    def right(self, run: RunSpec) -> npt.NDArray[np.bool_]:
        """(N,) whether a run's most probable class is the true one, example by example."""
        return self._given_to_truth(run) > 0.5

    def _given_to_truth(self, run: RunSpec) -> npt.NDArray[np.float64]:
        predicted = self.store.run(run.id).read_predictions("test")
        truth = RunInputs(run, self.store).ground_truth("test").align(predicted.ids)
        return (predicted.probabilities * truth.probabilities).sum(axis=1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """All methods, trained."""
    store = Store(tmp_path_factory.mktemp("must_show") / "store")
    plan = make_plan(small_gap(METHODS), store)
    queue = run_plan(plan, store)
    assert not queue.failures
    return Finished(plan, store)


def test_there_is_a_gap_and_real_weak_labels_teach_something(finished: Finished) -> None:
    """Without this, the controls below would pass on a sweep in which nothing learns."""
    gap = finished.row("naive").gap
    assert gap is not None and gap.num_seeds == 5
    assert 0.6 < gap.weak_accuracy < gap.ceiling_accuracy - 0.05
    assert gap.student_accuracy > 0.65
    assert gap.pgr is not None and gap.interval is not None


@pytest.mark.parametrize("method", WITHOUT_INFORMATION)
def test_labels_without_information_stay_below_the_floor_and_at_chance(
    finished: Finished, method: str
) -> None:
    gap = finished.row(method).gap
    assert gap is not None and gap.interval is not None
    assert gap.student_accuracy < gap.weak_accuracy and gap.interval[1] < 0, (
        "a student of such labels beats its supervisor"
    )
    # What a student of noise decides is a matter of luck (see experiments/controls.py): its few bits of
    # signal may be aligned with the truth, or against it. That it gives the truth no more than half is not.
    assert finished.truth_probabilities(method).mean() == pytest.approx(0.5, abs=0.05)
    assert finished.truth_probabilities("naive").mean() > 0.55
    assert gap.student_accuracy < 0.6


def test_constant_labels_give_the_share_of_their_class(finished: Finished) -> None:
    for cell in finished.cells("constant_labels"):
        truth = RunInputs(cell.runs.student, finished.store).ground_truth("test")
        assert np.mean(truth.classes == 0) == 0.5  # a balanced task
        assert finished.right(cell.runs.student).tolist() == (truth.classes == 0).tolist()


def test_the_ceilings_own_labels_recover_the_whole_gap(finished: Finished) -> None:
    gap = finished.row("ceiling_labels").gap
    assert gap is not None and gap.pgr is not None and gap.interval is not None
    low, high = gap.interval
    assert low <= 1 <= high and high - low < 0.8, "an interval that holds everything would show nothing"
    naive = finished.row("naive").gap
    assert (
        naive is not None and naive.interval is not None and not naive.interval[0] <= 1 <= naive.interval[1]
    )


def test_a_chain_of_one_is_naive_finetuning_to_the_last_bit(finished: Finished, tmp_path: Path) -> None:
    """The same run by its id; and trained a second time, for the chain's sake alone, the same predictions."""
    naive = finished.cells("naive")
    chain = finished.cells("chain of one")
    assert [cell.runs for cell in naive] == [cell.runs for cell in chain]
    assert len({cell.runs.student.id for cell in naive + chain}) == 5

    student = naive[0].runs.student
    shutil.copytree(finished.store.folder, tmp_path / "store")
    again = Store(tmp_path / "store")
    shutil.rmtree(again.run(student.id).result.parent)
    run_plan(make_plan(small_gap(METHODS[-1:]), again), again)
    for split in ("validation", "test"):
        first, second = (store.run(student.id).read_predictions(split) for store in (finished.store, again))
        assert first.ids.tolist() == second.ids.tolist() and np.array_equal(
            first.probabilities, second.probabilities
        )


def test_accuracy_follows_from_agreement_on_every_student(finished: Finished) -> None:
    """accuracy = accuracy_w·A⁺ + (1 − accuracy_w)·(1 − A⁻) of two classes (Burns et al. 2023, figure 8), by
    our own count."""
    reader = CellReader(finished.store)
    agreements = set()
    for cell in finished.plan.cells:
        values = reader.numbers(cell)
        assert all(np.isfinite(value) for value in values.values())
        student = finished.right(cell.runs.student)
        weak = finished.right(cell.runs.supervisor)
        of_right = values["agreement_supervisor_right"]
        of_wrong = values["agreement_supervisor_wrong"]
        assert weak.mean() * of_right + (1 - weak.mean()) * (1 - of_wrong) == pytest.approx(
            student.mean(), abs=1e-9
        )
        # Of two classes, student and supervisor agree where both are right or both are wrong.
        assert of_right == pytest.approx((student == weak)[weak].mean(), abs=1e-9)
        assert of_wrong == pytest.approx((student == weak)[~weak].mean(), abs=1e-9)
        agreements.add(round(of_wrong, 6))
    assert len(agreements) > 3, "a constant would satisfy all of this"


SOURCE = re.compile(r"arXiv|\bet al\.|\b(19|20)\d\d\b|openai|EleutherAI|automated-w2s-research")
OF_NO_PAPER = {"language_modelling"}


def test_the_list_says_of_everything_what_it_is_and_of_every_objective_where_it_comes_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    registered = {
        "tasks": {name for name, _ in tasks},
        "methods": {name for name, _ in recipes},
        "objectives": {name for name, _ in objectives},
        "transforms": {name for name, _ in transforms},
        "metrics": {name for name, _ in metrics},
    }
    for kind, names in registered.items():
        assert listed[kind].keys() == names
        for name, line in listed[kind].items():
            assert len(line.split()) >= 5 and "\n" not in line, (
                f"{kind} {name}: {line!r} doesn't say what it is"
            )
        assert len(set(listed[kind].values())) == len(listed[kind]), f"two {kind} say the same of themselves"
    unsourced = {name for name, line in listed["objectives"].items() if not SOURCE.search(line)}
    assert unsourced == OF_NO_PAPER

    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(
        name in printed and line[:40] in printed for named in listed.values() for name, line in named.items()
    )

"""How far methods lead over tasks, pairs and seeds: numbers by hand, by scipy, and by simulation."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from raysweep.results.answer import answer
from raysweep.results.cells import result_rows
from raysweep.results.leads import Lead, MeanLead, leads, mean_lead
from raysweep.results.noise import freedom_of_sum
from raysweep.results.statistics import Correct, Outcomes, mean_difference

COLUMNS = ["task", "weak", "strong", "method", "seed", "supervisor", "student", "ceiling"]


class Sweep:
    """Finished cells whose runs are right where they are said to be."""

    def __init__(self) -> None:
        self.cells: list[tuple[Any, ...]] = []
        self.rights: dict[str, Correct] = {}

    def add(self, method: str, seed: int, right: Correct, task: str = "t", strong: str = "s") -> None:
        """A cell: supervisor right on six tenths of the examples, ceiling on nine."""
        student = f"{task} {strong} {method} {seed}"
        supervisor, ceiling = f"{task} {seed} supervisor", f"{task} {strong} {seed} ceiling"
        self.cells.append((task, "w", strong, method, seed, supervisor, student, ceiling))
        self.rights[student] = right
        for run, share in ((supervisor, 0.6), (ceiling, 0.9)):
            self.rights[run] = np.roll(np.arange(len(right)) < share * len(right), seed)

    def leads(self, yardsticks: Sequence[str] = ()) -> list[Lead]:
        cells = pd.DataFrame(self.cells, columns=COLUMNS)
        return leads(cells, lambda run: Outcomes(self.rights[run], None), yardsticks)


def right_on(share: float, shift: int = 0, num_examples: int = 400) -> Correct:
    return np.roll(np.arange(num_examples) < share * num_examples, shift)


def test_one_task_and_pair_is_a_comparison() -> None:
    sweep = Sweep()
    rights: dict[str, list[Correct]] = {"naive": [], "better": []}
    for seed in (0, 1, 2):
        for method, share in (("naive", 0.7), ("better", 0.75 + seed / 100)):
            rights[method].append(right_on(share, 3 * seed if method == "naive" else 0))
            sweep.add(method, seed, rights[method][-1])
    (found,) = sweep.leads()
    expected = mean_difference(np.stack(rights["better"]), np.stack(rights["naive"]))
    assert (found.method, found.baseline, found.tasks) == ("better", "naive", ("t",))
    assert (found.num_ahead, found.num_compared, found.noise) == (1, 1, "within tasks")
    assert found.difference == pytest.approx(expected.value) == pytest.approx(0.06)
    assert found.interval == pytest.approx(expected.interval)
    assert found.p_value == pytest.approx(expected.p_value) == found.p_value_corrected
    assert found.pgr == pytest.approx(0.16 / 0.3) and found.baseline_pgr == pytest.approx(0.1 / 0.3)
    json.dumps(found.to_json(), allow_nan=False)


def test_pairs_of_a_task_are_averaged_and_tasks_are_the_units() -> None:
    """Two pairs whose students are the same are no more than one; two tasks alike are √2 times as sure."""
    rng = np.random.default_rng(0)
    one, twice, tasks = Sweep(), Sweep(), Sweep()
    for seed in (0, 1, 2):
        for method, share in (("naive", 0.7), ("better", 0.75)):
            right = rng.random(4000) < share + rng.normal(0, 0.01)
            one.add(method, seed, right)
            for strong in ("s", "other"):
                twice.add(method, seed, right, strong=strong)
            for task in ("t", "u"):
                tasks.add(method, seed, right, task=task)
    ((single,), (of_pairs,), (of_tasks,)) = (sweep.leads() for sweep in (one, twice, tasks))
    assert of_pairs.interval == pytest.approx(single.interval) and of_pairs.num_compared == 2
    assert of_tasks.p_value is not None and single.p_value is not None
    assert of_tasks.p_value < single.p_value and of_tasks.difference == pytest.approx(single.difference)
    assert of_tasks.tasks == ("t", "u") and of_tasks.num_ahead == 2


def test_of_one_seed_the_tasks_show_the_noise_and_one_task_shows_none() -> None:
    differences = [0.02, 0.05, -0.01, 0.04]
    sweep = Sweep()
    for number, difference in enumerate(differences):
        sweep.add("naive", 0, right_on(0.7), task=f"task {number}")
        sweep.add("other", 0, right_on(0.7 + difference), task=f"task {number}")
    (found,) = sweep.leads()
    expected = stats.ttest_1samp(differences, 0)
    interval = expected.confidence_interval(0.9)
    assert found.noise == "between tasks" and found.p_value == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert (found.num_ahead, found.num_compared) == (3, 4)
    alone = Sweep()
    for method, share in (("naive", 0.7), ("other", 0.9)):
        alone.add(method, 0, right_on(share))
    (nothing,) = alone.leads()
    assert nothing.difference == pytest.approx(0.2)
    assert (nothing.interval, nothing.p_value, nothing.p_value_corrected, nothing.noise) == (None,) * 4


def test_tasks_with_equal_differences_by_luck_are_no_less_noisy_than_their_examples() -> None:
    """Else two tasks of 100 examples and one seed have p < 1e-11 in every twentieth comparison."""
    sweep = Sweep()
    for task in ("t", "u"):
        for method, share in (("naive", 0.7), ("other", 0.72)):
            sweep.add(method, 0, right_on(share, num_examples=100), task=task)
    (found,) = sweep.leads()
    of_task = np.arange(100) < 2  # where only the other method is right
    error = stats.sem(np.concatenate([of_task, of_task]), ddof=1) * math.sqrt(199 / 198)
    assert found.noise == "between tasks" and found.difference == pytest.approx(0.02)
    assert found.p_value == pytest.approx(2 * stats.t.sf(0.02 / error, 1))


def test_seeds_and_pairs_that_one_method_lacks_are_left_out() -> None:
    sweep = Sweep()
    for seed in (0, 1, 2):
        for strong in ("s", "other"):
            sweep.add("naive", seed, right_on(0.7, seed), strong=strong)
    for seed in (1, 2):
        sweep.add("better", seed, right_on(0.8, seed))
    sweep.add("elsewhere", 0, right_on(0.8), task="another")
    (found,) = sweep.leads()
    assert (found.method, found.num_compared, found.difference) == ("better", 1, pytest.approx(0.1))
    assert Sweep().leads() == []


def test_yardsticks_are_a_family_of_their_own() -> None:
    sweep = Sweep()
    rng = np.random.default_rng(1)
    for seed in (0, 1, 2):
        for method, share in (("naive", 0.7), ("a", 0.72), ("b", 0.73), ("shuffled", 0.5), ("best", 0.71)):
            sweep.add(method, seed, rng.random(400) < share)
    found = {item.method: item for item in sweep.leads(["shuffled"])}
    assert [item.is_yardstick for item in found.values()] == [False, False, True, False]
    assert found["shuffled"].p_value_corrected == found["shuffled"].p_value
    own = sorted(item.p_value or 0 for item in found.values() if not item.is_yardstick)
    least = min(item.p_value_corrected or 0 for item in found.values() if not item.is_yardstick)
    assert least == pytest.approx(min(1, 3 * own[0]))


def test_the_freedom_of_a_sum() -> None:
    """Satterthwaite 1946: n equal variances with f degrees of freedom each have n·f; one that is all has its
    own."""
    assert freedom_of_sum([2.0] * 5, [3] * 5) == pytest.approx(15)
    assert freedom_of_sum([1.0, 1e-9], [2, 100]) == pytest.approx(2)
    welch = 1.8**2 / (0.8**2 / 4 + 1.0**2 / 8)  # of 5 and 9 values with variances 4 and 9
    assert freedom_of_sum([4 / 5, 9 / 9], [4, 8]) == pytest.approx(welch)
    assert freedom_of_sum([0.0, 0.0], [2, 3]) == 5 and freedom_of_sum([], []) == 1


# By simulation
# ------------------------------------------------------------------------------------------------------------

NUM_SWEEPS = 200


def simulated(rng: np.random.Generator, effect: float, num_tasks: int, num_seeds: int) -> dict[str, MeanLead]:
    """Tasks of 200 examples and 2 pairs, whose students share what is hard, and their supervisor's luck in
    each seed; a student's own seed is worth 1.5 points. `effect` is that of method a."""
    hardness = rng.random((num_tasks, 1, 1, 1, 200))
    of_supervisor = rng.normal(0, 0.015, (num_tasks, 1, 1, num_seeds, 1))
    of_supervisor = of_supervisor + rng.normal(0, 0.1, (num_tasks, 1, 1, num_seeds, 200))
    own = rng.normal(0, 0.015, (num_tasks, 1 + len(METHODS), 2, num_seeds, 1))
    own = own + rng.normal(0, 0.1, (num_tasks, 1 + len(METHODS), 2, num_seeds, 200))
    shares = 0.7 + effect * np.array([0, 1, 0, 0])
    right = (hardness + of_supervisor + own < shares[:, None, None, None]).mean(axis=2)
    return {
        method: mean_lead(
            [mean_difference(task[place], task[0]) for task in right],
            [num_seeds] * num_tasks,
            [200] * num_tasks,
        )
        for place, method in enumerate(METHODS, start=1)
    }


METHODS = ("a", "b", "c")


@pytest.mark.parametrize(("num_tasks", "num_seeds"), [(1, 3), (4, 3), (6, 1)])
def test_methods_without_an_effect_are_told_from_the_baseline_in_one_sweep_of_twenty(
    num_tasks: int, num_seeds: int
) -> None:
    rng = np.random.default_rng(num_tasks)
    told = 0
    for _ in range(NUM_SWEEPS):
        found = simulated(rng, 0.0, num_tasks, num_seeds)
        least = min(lead.p_value for lead in found.values() if lead.p_value is not None)
        told += least < 0.05 / len(METHODS)  # when Holm's correction leaves one below 0.05
    assert told / NUM_SWEEPS <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / NUM_SWEEPS)


def test_a_lead_that_is_said_to_be_told_is_told_in_four_sweeps_of_five() -> None:
    rng = np.random.default_rng(7)
    tells = [simulated(rng, 0.0, 4, 3)["b"].tells for _ in range(50)]
    effect = float(np.mean([value for value in tells if value is not None]))
    found = [simulated(rng, effect, 4, 3)["a"].p_value for _ in range(200)]
    told = np.mean([value is not None and value < 0.05 for value in found])
    assert len(tells) == 50 and 0.7 <= told <= 0.9


def first_sentence(rng: np.random.Generator, effect: float) -> str:
    """The answer of a sweep of 2 tasks of 200 examples, 2 pairs, 3 seeds, naive, methods a, b and c, of which
    a has an effect, and a control that is far worse: from outcomes to words."""
    sweep = Sweep()
    effects = {"naive": 0.0, "a": effect, "b": 0.0, "c": 0.0, "shuffled": -0.15}
    for task in ("t", "u"):
        hardness = rng.random(200)
        of_supervisor = rng.normal(0, 0.015, 3)[:, None] + rng.normal(0, 0.1, (3, 200))
        for method, added in effects.items():
            for strong in ("s", "other"):
                for seed in range(3):
                    own = rng.normal(0, 0.015) + rng.normal(0, 0.1, 200)
                    right = hardness + of_supervisor[seed] + own < 0.7 + added
                    sweep.add(method, seed, right, task, strong)
    naive = pd.DataFrame(sweep.cells[:3], columns=COLUMNS).assign(is_finished=True)
    rows = result_rows(naive, lambda run: Outcomes(sweep.rights[run], None))
    return answer(rows, [], sweep.leads(["shuffled"]))[0]


def test_the_answer_claims_no_effect_that_isnt_there_and_finds_one_that_is() -> None:
    rng = np.random.default_rng(11)
    num_sweeps = 60
    claims = ["more than noise" in first_sentence(rng, 0.0) for _ in range(num_sweeps)]
    assert np.mean(claims) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / num_sweeps)
    found = [first_sentence(rng, 0.08).startswith("A does best") for _ in range(20)]
    assert np.mean(found) >= 0.8

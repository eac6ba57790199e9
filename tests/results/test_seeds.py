"""Which seeds ended near chance, or far from the others."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from grid_helpers import finish, small_sweep

from raysweep.planning.plan import make_plan
from raysweep.results.from_store import CellReader, read_store
from raysweep.results.seeds import OddSeed, doubt, odd_seeds
from raysweep.results.statistics import Outcomes, half_width
from raysweep.store import Store

NUM_EXAMPLES = 1_000


def outcomes(accuracies: Sequence[float]) -> list[Outcomes]:
    return [Outcomes(np.arange(NUM_EXAMPLES) < NUM_EXAMPLES * share, None) for share in accuracies]


def odd(accuracies: Sequence[float], chance: float | None = 0.5) -> dict[int, tuple[bool, bool]]:
    """By seed, whether it is near chance, and whether it is far."""
    found = odd_seeds(range(len(accuracies)), {"supervisor": outcomes(accuracies)}, chance)
    return {item.seed: (item.is_near_chance, item.is_far) for item in found}


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ([0.87, 0.868, 0.875], {}),
        ([0.87, 0.55, 0.875], {1: (False, True)}),
        ([0.87, 0.515, 0.875, 0.87], {1: (True, True)}),
        ([0.62, 0.75, 0.85], {0: (False, True)}),  # under-trained: wide, and yet at most ten points are noise
        ([0.51, 0.52], {0: (True, False), 1: (True, False)}),  # as bad as the other
        ([0.5, 0.9], {0: (True, True), 1: (False, True)}),
        ([0.7, 0.73, 0.76, 0.79, 0.82], {}),
        ([0.51], {0: (True, False)}),
        ([0.53], {}),  # 0.5 is 1.9 standard errors away
        ([], {}),
    ],
)
def test_which_seeds_are_odd(accuracies: Sequence[float], expected: dict[int, tuple[bool, bool]]) -> None:
    assert odd(accuracies) == expected


def test_chance_is_the_most_frequent_class() -> None:
    assert odd([0.71, 0.72], chance=0.7) == {0: (True, False), 1: (True, False)}
    assert odd([0.71, 0.72], chance=None) == {}


def test_the_half_width_of_an_accuracy_is_scipys() -> None:
    (half,) = outcomes([0.6])
    from scipy import stats

    interval = stats.ttest_1samp(half.right.astype(float), 0).confidence_interval(0.9)
    assert half_width(half) == pytest.approx((interval.high - interval.low) / 2)
    in_pairs = Outcomes(np.repeat(half.right, 2), np.repeat(np.arange(NUM_EXAMPLES), 2))
    assert half_width(in_pairs) == pytest.approx(half_width(half))
    assert half_width(Outcomes(half.right, np.zeros(NUM_EXAMPLES, int))) == float("inf")


def test_a_doubt_names_what_is_far() -> None:
    near = OddSeed(run="supervisor", seed=0, accuracy=0.51, is_near_chance=True, is_far=False)
    far = OddSeed(run="student", seed=2, accuracy=0.6, is_near_chance=False, is_far=True)
    assert doubt([]) is None and doubt([near]) is None
    assert doubt([near, far]) == (
        "seeds differ by more than noise, so this interval is rough: student of seed 2 at 0.600"
    )
    assert (near.why, far.why) == ("near chance", "far from the other seeds")


def test_a_failed_seed_is_in_rows_and_cells(store: Store) -> None:
    plan = make_plan(small_sweep(seeds=[0, 1, 2, 3]), store)
    for run in plan.runs.values():
        is_failed = run.role == "supervisor" and run.spec.seed == 3
        shares = {"supervisor": 0.45 if is_failed else 0.8, "student": 0.9, "ceiling": 1.0}
        finish(run.spec, store, shares.get(run.role, 0.8))
    (row,) = read_store(plan, store).rows
    flat = json.loads(json.dumps(row.to_json(), allow_nan=False))
    assert flat["accuracies"] == {
        "supervisor": [0.8, 0.8, 0.8, 0.45],
        "student": [0.9] * 4,
        "ceiling": [1.0] * 4,
    }
    (failed,) = flat["odd_seeds"]
    assert (failed["run"], failed["seed"], failed["is_near_chance"], failed["is_far"]) == (
        "supervisor",
        3,
        True,
        True,
    )
    if flat["interval"] is not None:
        assert "supervisor of seed 3" in flat["interval_doubt"]
    reader = CellReader(store)
    numbers = [reader.numbers(cell) for cell in plan.cells]
    assert [own["runs_near_chance"] for own in numbers] == [0, 0, 0, 1]
    assert (flat["num_examples"], flat["num_groups"]) == (40, numbers[0]["num_groups"])

"""What is suggested: Ray Tune's spaces and searchers, the same each time."""

from typing import Any, ClassVar

import pytest
from ray import tune
from ray.tune.search import Searcher

from raysweep import Call, InvalidInput, Search
from raysweep.planning.search.sampling import make_sampler

RATE = "optimization.learning_rate"


def suggestions(space: dict[str, Any], **fields: Any) -> list[Any]:
    """All that is suggested, without being told of any."""
    suggester = make_sampler(space, Search(student=space, **fields))
    return [found for _ in range(100) if (found := suggester.suggest()) is not None]


def test_random_draws_are_in_the_space_and_a_larger_search_begins_with_those_of_a_smaller_one() -> None:
    space = {
        RATE: tune.loguniform(1e-5, 1e-2),
        "optimization.epochs": tune.choice([1, 2]),
        "objective.a": tune.randint(3, 5),
    }
    small = suggestions(space, num_samples=5)
    large = suggestions(space, num_samples=12)
    assert len(small) == 5 and large[:5] == small and len({found[RATE] for found in large}) == 12
    assert all(1e-5 <= found[RATE] <= 1e-2 and found["objective.a"] in (3, 4) for found in large)
    assert {found["optimization.epochs"] for found in large} == {1, 2}
    assert all(type(value) in (int, float) for found in large for value in found.values())
    assert suggestions(space, num_samples=5, seed=1) != small


def test_a_grid_search_is_every_combination_and_samples_of_the_rest_for_each() -> None:
    space = {
        RATE: tune.grid_search([0.1, 0.2]),
        "optimization.epochs": tune.grid_search([1, 2]),
        "objective.a": tune.uniform(0, 1),
    }
    found = suggestions(space, num_samples=3)
    pairs = [(values[RATE], values["optimization.epochs"]) for values in found]
    assert (
        pairs == [(0.1, 1), (0.1, 2), (0.2, 1), (0.2, 2)] * 3
        and len({values["objective.a"] for values in found}) == 12
    )


def best(searcher: str, num_samples: int) -> list[float]:
    """How far each suggestion is from the best rate, 1e-3 of [1e-6, 1], in factors of ten; each is told to
    the searcher."""
    import math

    search = Search(
        student={RATE: tune.loguniform(1e-6, 1.0)}, searcher=searcher, num_samples=num_samples, concurrency=2
    )
    suggester = make_sampler(search.student, search)
    distances: list[float] = []
    while True:
        batch = [found for _ in range(suggester.batch_size) if (found := suggester.suggest()) is not None]
        if not batch:
            return distances
        for found in batch:
            distances.append(abs(math.log10(found[RATE]) + 3))
            suggester.tell(len(distances) - 1, None if distances[-1] > 2.9 else -distances[-1])


def test_optuna_learns_from_what_it_is_told_and_does_the_same_again() -> None:
    distances = best("optuna", 40)
    assert len(distances) == 40 and distances == best("optuna", 40)
    chance = best("random", 40)
    assert len(chance) == 40 and sum(distances[10:]) < 0.6 * sum(chance[10:])  # its first 10 are random


class Downwards(Searcher):
    """A user's own searcher: halves what it suggested last."""

    told: ClassVar[list[Any]] = []
    """Of the one that was made last."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self._next = start
        self.told.clear()

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict, **spec: Any) -> bool:
        assert (metric, mode, list(config)) == ("validation_accuracy_on_own_labels", "max", [RATE])
        return True

    def suggest(self, trial_id: str) -> Any:
        self._next /= 2
        return {RATE: self._next} if self._next > 0.1 else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        self.told.append((trial_id, result, error))


class Careless(Downwards):
    """Suggests something else each time."""

    def suggest(self, trial_id: str) -> Any:
        import os

        return {RATE: int.from_bytes(os.urandom(4), "big") + 1.0}


def test_a_searcher_of_ones_own_is_asked_told_and_may_end_the_search() -> None:
    call = Call("test_sampling:Downwards", {"start": 1.0})
    search = Search(student={RATE: tune.uniform(0, 1)}, searcher=call, concurrency=2)
    suggester = make_sampler(search.student, search)
    assert [suggester.suggest(), suggester.suggest(), suggester.suggest(), suggester.suggest()] == [
        {RATE: 0.5},
        {RATE: 0.25},
        {RATE: 0.125},
        None,
    ]
    suggester.tell(0, 0.75)
    suggester.tell(1, None)
    metric = "validation_accuracy_on_own_labels"
    import test_sampling  # as the suggester imports it

    assert test_sampling.Downwards.told == [
        ("0", {metric: 0.75, "training_iteration": 1}, False),
        ("1", None, True),
    ]


@pytest.mark.parametrize(
    ("searcher", "message"),
    [
        (Call("test_sampling:Careless", {"start": 1.0}), "suggests something else each time it is made"),
        (Call("test_sampling:Downwards", {"begin": 1.0}), "unexpected keyword argument 'begin'"),
        ("test_sampling:make_list", "made a list; it must be a ray.tune.search.Searcher"),
        ("test_sampling:nothing", "has no 'nothing'"),
    ],
)
def test_a_searcher_that_cant_be_used_is_refused(searcher: Any, message: str) -> None:
    search = Search(student={RATE: tune.uniform(0.1, 1)}, searcher=searcher)
    with pytest.raises(InvalidInput, match=message):
        make_sampler(search.student, search)


def make_list() -> list[int]:
    """No searcher."""
    return []

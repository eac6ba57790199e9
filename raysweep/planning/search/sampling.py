"""Samplers: random draws of Ray Tune's spaces, or one of its searchers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from raysweep.errors import InvalidInput, user_code
from raysweep.planning.search.config import METRICS, Search
from raysweep.registry import Registry
from raysweep.spec import Call

Overrides = Mapping[str, Any]
"""Values of fields of a run's spec, by path."""

searchers: Registry[Callable[..., Any]] = Registry("searcher", Callable)
"""Functions that make a `ray.tune.search.Searcher`; random draws need none."""


@searchers.register("optuna")
def optuna(**params: Any) -> Any:
    """Optuna's tree-structured Parzen estimator through Ray Tune's OptunaSearch (Bergstra et al. 2011)."""
    try:
        import optuna
    except ImportError as error:
        raise InvalidInput(
            "Search.searcher 'optuna' needs optuna; install it: pip install raysweep[optuna]"
        ) from error
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return OptunaSearch(**params)


class Sampler(Protocol):
    """Suggests values, and may be told how good they were."""

    @property
    def batch_size(self) -> int:
        """How many values it suggests before it must be told of them."""

    def suggest(self) -> Overrides | None:
        """The next values; None if there are no more."""

    def tell(self, number: int, signal: float | None) -> None:
        """Tell the signal of a suggestion, counted from 0; None if it has none."""


def make_sampler(space: Mapping[str, Any], search: Search) -> Sampler:
    """The sampler of a study, which suggests the same each time it is made.

    Raises:
        InvalidInput: there is no such searcher, it can't be made, it doesn't take the space, or it suggests
            something else each time it is made.
    """
    if search.searcher_call.name == "random":
        return _Random(space, search)
    one = _FromTune(space, search)
    other = _FromTune(space, search)
    seen = [[suggester.suggest() for _ in range(search.concurrency)] for suggester in (one, other)]
    if seen[0] != seen[1]:
        raise InvalidInput(
            f"Search.searcher {search.searcher_call} suggests something else each time it is made "
            f"({seen[0][0]}, then {seen[1][0]}), so that a search couldn't go on where it was; give it a "
            f"seed: Call(name, {{'seed': 0}})"
        )
    return _FromTune(space, search)


class _Random:
    """Independent draws: all at once, and results don't matter."""

    def __init__(self, space: Mapping[str, Any], search: Search) -> None:
        grids = {path: domain["grid_search"] for path, domain in space.items() if isinstance(domain, Mapping)}
        combinations = [
            dict(zip(grids, values, strict=True)) for values in itertools.product(*grids.values())
        ]
        self.batch_size = search.num_samples * len(combinations)
        self._values = self._draw(
            combinations, {path: space[path] for path in space if path not in grids}, search
        )

    @staticmethod
    def _draw(
        combinations: Sequence[Overrides], domains: Mapping[str, Any], search: Search
    ) -> Iterator[Overrides]:
        random = np.random.RandomState(search.seed)
        for _ in range(search.num_samples):
            for combination in combinations:
                drawn = {path: _plain(domain.sample(random_state=random)) for path, domain in domains.items()}
                yield {**combination, **drawn}

    def suggest(self) -> Overrides | None:
        return next(self._values, None)

    def tell(self, number: int, signal: float | None) -> None:
        """Nothing is learnt."""


class _FromTune:
    """A searcher of Ray Tune."""

    def __init__(self, space: Mapping[str, Any], search: Search) -> None:
        from ray.tune.search import Searcher

        call = search.searcher_call
        self._metric = METRICS[search.select_by]
        self.batch_size = search.concurrency
        self._num_left = search.num_samples
        self._num_suggested = 0
        with user_code(f"Search.searcher {call}"):
            made: object = searchers.get(call.name)(**_seeded(call, search.seed))
        if not isinstance(made, Searcher):
            raise InvalidInput(
                f"Search.searcher {call} made a {type(made).__name__}; it must be a ray.tune.search.Searcher"
            )
        self._searcher: Any = made
        with user_code(f"Search.searcher {call}"):
            takes = made.set_search_properties(self._metric, "max", dict(space))
        if not takes:
            raise InvalidInput(
                f"Search.searcher {call} takes no space of Ray Tune; leave its own space and metric out"
            )

    def suggest(self) -> Overrides | None:
        if self._num_left == 0:
            return None
        with user_code("Search.searcher"):
            found = self._searcher.suggest(str(self._num_suggested))
        if found is None or isinstance(
            found, str
        ):  # it waits though all it suggested is told, or says that it has finished
            self._num_left = 0
            return None
        self._num_left = self._num_left - 1
        self._num_suggested = self._num_suggested + 1
        return {path: _plain(value) for path, value in found.items()}

    def tell(self, number: int, signal: float | None) -> None:
        with user_code("Search.searcher"):
            result = None if signal is None else {self._metric: signal, "training_iteration": 1}
            self._searcher.on_trial_complete(str(number), result=result, error=signal is None)


def _seeded(call: Call, seed: int) -> dict[str, Any]:
    return {"seed": seed, **call.params} if call.name == "optuna" else dict(call.params)


def _plain(value: Any) -> Any:
    """A number of numpy as Python's own, so that it has a stable identity."""
    return value.item() if isinstance(value, np.generic) else value

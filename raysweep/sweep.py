"""A sweep: the grid of tasks × (weak, strong) pairs × methods × seeds that an experiment file describes."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from raysweep.errors import InvalidInput
from raysweep.models.families import Model
from raysweep.resources import Resources
from raysweep.spec import Evaluation, RunSpec, TaskSpec

CeilingSplit = Literal["transfer", "supervisor"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A recipe with parameters, under the name that tables show."""

    name: str
    recipe: str
    """A registered recipe, or `module:object`."""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What an experiment asks. Equal runs of different cells are trained once."""

    name: str
    """Also the name of the MLflow experiment."""
    tasks: Sequence[TaskSpec | str]
    pairs: Sequence[tuple[Model, Model]]
    """(weak, strong); `grid` gives all combinations."""
    methods: Sequence[Method | str]
    """Recipes by name, or `Method` for one with parameters."""
    seeds: Sequence[int]
    ceiling_split: CeilingSplit = "transfer"
    """Half on which the ceiling learns from ground truth: the students' (the paper), or "supervisor" (openai/weak-to-strong)."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    resources: Resources | Callable[[RunSpec], Resources] = field(default_factory=Resources)
    """For all runs, or chosen run by run (by the model's size, say)."""

    def __post_init__(self) -> None:
        for name in ("tasks", "pairs", "methods", "seeds"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise InvalidInput(f"Sweep.{name} is {value!r}; it must be a list")
            if not value:
                raise InvalidInput(f"Sweep {self.name!r} has no cell: {name} is empty")
        for pair in self.pairs:
            if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(model, Model) for model in pair)):
                raise InvalidInput(f"Sweep.pairs holds {pair!r}; each pair must be (weak, strong), two Model objects")
        for seed in self.seeds:
            if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
                raise InvalidInput(f"Sweep.seeds holds {seed!r}; seeds must be whole numbers of at least 0")
        if self.ceiling_split not in ("transfer", "supervisor"):
            raise InvalidInput(f"Sweep.ceiling_split is {self.ceiling_split!r}; it must be 'transfer' or 'supervisor'")
        names = [method if isinstance(method, str) else method.name for method in self.methods]
        if len(set(names)) < len(names):
            raise InvalidInput(f"Sweep.methods holds a name twice: {', '.join(names)}; give each Method a name of its own")

    def resources_of(self, spec: RunSpec) -> Resources:
        """The resources of one run."""
        return self.resources(spec) if callable(self.resources) else self.resources


def grid(weak: Iterable[Model], strong: Iterable[Model]) -> list[tuple[Model, Model]]:
    """All (weak, strong) pairs of two lists of models."""
    return list(itertools.product(list(weak), list(strong)))


def load_sweep(location: str) -> Sweep:
    """The sweep of an experiment: `FILE` (its function `sweep`) or `FILE:function`.

    Raises:
        InvalidInput: there is no such file or function, or it doesn't return a Sweep.
    """
    name, _, function_name = location.partition(":")
    path = Path(name)
    if not path.is_file():
        raise InvalidInput(f"there is no experiment file {name!r}; an experiment is a Python file with a function sweep()")
    spec = importlib.util.spec_from_file_location(f"raysweep_experiment_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"{name!r} isn't a Python file")
    sys.path.insert(0, str(path.parent.absolute()))  # an experiment may import its neighbours, as a script may
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    function = getattr(module, function_name or "sweep", None)
    if not callable(function):
        raise InvalidInput(f"{name} has no function {function_name or 'sweep'}(); it must return a raysweep.Sweep")
    sweep = function()
    if not isinstance(sweep, Sweep):
        raise InvalidInput(f"{location}: the function returned a {type(sweep).__name__}; it must return a raysweep.Sweep")
    return sweep

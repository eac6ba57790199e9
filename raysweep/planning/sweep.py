"""A sweep: the grid of tasks × (weak, strong) pairs × methods × seeds that an experiment file describes."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal

from raysweep.errors import InvalidInput, RaysweepError, user_code
from raysweep.models.families import Model
from raysweep.planning.search.config import Search
from raysweep.planning.shadows import require_no_shadows
from raysweep.spec import Evaluation, RunSpec, TaskSpec
from raysweep.spec.resources import Resources
from raysweep.spec.validation import plain, require, require_bool, require_choice, require_name, require_type

CeilingSplit = Literal["transfer", "supervisor"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A recipe with parameters, under the name that tables show."""

    name: str
    recipe: str
    """A registered recipe, or `module:object`."""
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_name(self, "name", "a non-empty name")
        require_name(self, "recipe", "a registered recipe or module:object")
        require_type(self, "params", Mapping, "a dict of the recipe's parameters")
        object.__setattr__(self, "params", plain(self.params))


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What an experiment asks. Equal runs of different cells are trained once."""

    name: str
    """Also the name of the MLflow experiment."""
    tasks: Sequence[TaskSpec | str]
    pairs: Sequence[tuple[Model, Model]]
    """(weak, strong) models; `grid` gives all combinations."""
    methods: Sequence[Method | str]
    """Recipes by name, or `Method` for one with parameters."""
    seeds: Sequence[int]
    seeds_draw_halves: bool = False
    """Whether each seed also draws the halves and the validation split anew, so that intervals cover which
    examples are trained on. All seeds are tested on the same examples. A cell's runs share their halves."""
    ceiling_split: CeilingSplit = "transfer"
    """The half on whose ground truth the ceiling is trained: the student's ("transfer"), or "supervisor" as
    in openai/weak-to-strong."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    resources: Resources | Callable[[RunSpec], Resources] = field(default_factory=Resources)
    """For all runs, or a function that chooses them for each run, for example by the size of its model."""
    search: Search | None = None
    """Hyperparameters that are searched before the cells are trained; None to use all values as given."""

    def __post_init__(self) -> None:
        require_name(self, "name", "a non-empty name")
        require_bool(self, "seeds_draw_halves")
        for name in ("tasks", "pairs", "methods", "seeds"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise InvalidInput(f"Sweep.{name} is {value!r}; it must be a list")
            if not value:
                raise InvalidInput(f"Sweep {self.name!r} has no cell: {name} is empty")
        if not isinstance(self.seeds, range):
            object.__setattr__(self, "seeds", plain(self.seeds))
        for pair in self.pairs:
            if not (
                isinstance(pair, tuple | list)
                and len(pair) == 2
                and all(isinstance(model, Model) for model in pair)
            ):
                raise InvalidInput(
                    f"Sweep.pairs holds {pair!r}; each pair must be (weak, strong), two Model objects"
                )
        self._require_members("tasks", TaskSpec | str, "a task's name or a TaskSpec")
        for task in self.tasks if self.seeds_draw_halves else ():
            if isinstance(task, TaskSpec) and task.training_seed is not None:
                raise InvalidInput(
                    f"task {task.label!r} has training_seed={task.training_seed}; Sweep.seeds_draw_halves "
                    "sets it to each seed of the sweep: leave one of the two out"
                )
        self._require_members("methods", Method | str, "a recipe's name or a Method")
        for seed in self.seeds:
            if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
                raise InvalidInput(f"Sweep.seeds holds {seed!r}; seeds must be whole numbers of at least 0")
        require_choice(self, "ceiling_split", CeilingSplit)
        require_type(self, "evaluation", Evaluation, "an Evaluation")
        is_function = callable(self.resources) and not isinstance(self.resources, type)
        fits = isinstance(self.resources, Resources) or is_function
        require(fits, self, "resources", "Resources(…) or a function of a RunSpec")
        if self.search is not None:
            require_type(self, "search", Search, "a Search or None")
            self._check_search(self.search)
        methods = [method if isinstance(method, str) else method.name for method in self.methods]
        self._require_distinct("methods", methods, "give each Method a name of its own")
        pairs = [f"{weak.name} → {strong.name}" for weak, strong in self.pairs]
        self._require_distinct(
            "pairs", pairs, "list each pair once, and give different models names of their own"
        )
        self._require_distinct("seeds", self.seeds, "list each seed once")

    def _check_search(self, search: Search) -> None:
        if search.num_seeds > len(self.seeds):
            raise InvalidInput(
                f"Search.num_seeds is {search.num_seeds}, and the sweep has {len(self.seeds)} seeds; a trial "
                "is judged by runs of the sweep's first seeds"
            )
        if search.stopping is not None and self.evaluation.every == 0:
            raise InvalidInput(
                "Search.stopping looks at the points of the evaluation curve, and Sweep.evaluation has none; "
                "set Evaluation.every to a number of steps"
            )

    def _require_members(self, name: str, kind: type | UnionType, allowed: str) -> None:
        for value in getattr(self, name):
            if not isinstance(value, kind):
                raise InvalidInput(f"Sweep.{name} holds {value!r}; each must be {allowed}")

    def _require_distinct(self, name: str, values: Sequence[object], advice: str) -> None:
        if len(set(values)) < len(values):
            listed = ", ".join(str(value) for value in values)
            raise InvalidInput(f"Sweep.{name} holds one of these twice: {listed}; {advice}")

    def resources_of(self, spec: RunSpec) -> Resources:
        """The resources of one run.

        Raises:
            InvalidInput: the sweep's function fails, or returns something else.
        """
        if isinstance(self.resources, Resources):
            return self.resources
        with user_code("Sweep.resources"):
            chosen: object = self.resources(spec)
        if not isinstance(chosen, Resources):
            raise InvalidInput(
                f"Sweep.resources returned {chosen!r} for {spec.model.name!r}; it must return Resources(…)"
            )
        return chosen


def grid(weak: Iterable[Model], strong: Iterable[Model]) -> list[tuple[Model, Model]]:
    """All (weak, strong) pairs of two lists of models."""
    return list(itertools.product(list(weak), list(strong)))


def load_sweep(location: str) -> Sweep:
    """The sweep of an experiment: `FILE` (its function `sweep`) or `FILE:function`. What exists is a file,
    whatever colons its name has.

    Raises:
        InvalidInput: there is no such file or function, its code fails, it doesn't return a Sweep, or a file
            beside it has the name of a library.
    """
    name, _, function_name = (location, "", "") if _is_file(location) else location.rpartition(":")
    path = Path(name)
    if not _is_file(name):
        raise InvalidInput(
            f"there is no experiment file {name or location!r}; an experiment is a Python file with a "
            "function sweep()"
        )
    require_no_shadows(path.absolute().parent)
    spec = importlib.util.spec_from_file_location(f"raysweep_experiment_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"{name!r} isn't a Python file")
    sys.path.insert(
        0, str(path.parent.absolute())
    )  # an experiment may import its neighbours, as a script may
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        with user_code(name):
            spec.loader.exec_module(module)
        function = getattr(module, function_name or "sweep", None)
        if not callable(function):
            raise InvalidInput(
                f"{name} has no function {function_name or 'sweep'}(); it must return a raysweep.Sweep"
            )
        with user_code(f"{name}: {function_name or 'sweep'}()"):
            sweep = function()
    except RaysweepError as error:
        raise InvalidInput(f"{_place(path, error)}{error}") from error
    if not isinstance(sweep, Sweep):
        raise InvalidInput(
            f"{location}: the function returned a {type(sweep).__name__}; it must return a raysweep.Sweep"
        )
    return sweep


def is_experiment(location: str) -> bool:
    """Whether a text names an experiment, FILE or FILE:function, of a file that is there or is called so."""
    file = location if _is_file(location) else location.rpartition(":")[0] or location
    return _is_file(file) or file.endswith(".py")


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def _place(path: Path, error: BaseException) -> str:
    """The line of an experiment file that an error comes from, as the beginning of a message."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path.absolute())]
    return f"{path}, line {lines[-1]}: " if lines else ""

"""What a sweep searches: which fields in which ranges, with which searcher, and by which signal trials are
judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from raysweep.errors import InvalidInput
from raysweep.planning.search.overrides import require_path
from raysweep.spec import Call
from raysweep.spec.validation import require, require_choice, require_int, require_type

Signal = Literal["weak_validation", "ground_truth_validation"]
"""What a run is judged by, always on the validation split and never on test: its accuracy on the labels of
its own supervisor, or on ground truth. In the setting under study nobody has ground truth to judge a
student by; it is an oracle's signal."""

SearchedRole = Literal["supervisor", "ceiling", "student"]
ROLES: tuple[SearchedRole, ...] = ("supervisor", "ceiling", "student")

METRICS: Mapping[Signal, str] = {
    "weak_validation": "validation_accuracy_on_own_labels",
    "ground_truth_validation": "validation_accuracy",
}
"""The metric of a run that each signal is."""

STOPPING_RULES = ("asha", "median")


@dataclass(frozen=True, kw_only=True)
class Search:
    """Search fields of the sweep's runs before its cells are trained, role by role.

    A *study* searches one role in one place of the grid: the supervisor of a (task, weak), the ceiling of a
    (task, strong), or the student of a (task, weak, strong, method) whose supervisor has been chosen. A
    *trial* of a study is a suggestion: an ordinary run for each of the first `num_seeds` seeds, judged by its
    mean signal. The chosen values are then trained on all seeds of the sweep. For students both choices are
    trained and shown as methods of their own, the one by `weak_validation` and the one by
    `ground_truth_validation`: their difference is what the oracle gains.

    Spaces are Ray Tune's, by path: `{"optimization.learning_rate": tune.loguniform(1e-5, 1e-3)}`. A path
    begins with optimization, model, objective (a parameter of the loss: "objective.alpha_max") or
    labels.transforms (a parameter of a transform: "labels.transforms.temperature.t"). A method without such a
    field searches the others.
    """

    supervisor: Mapping[str, Any] = field(default_factory=dict)
    student: Mapping[str, Any] = field(default_factory=dict)
    ceiling: Mapping[str, Any] = field(default_factory=dict)
    num_samples: int = 16
    """Trials of a study; of each combination, if the space holds `tune.grid_search`."""
    searcher: Call | str = "random"
    """"random"; "optuna" (TPE); or a `ray.tune.search.Searcher` as `module:object`. With parameters:
    `Call("optuna", {…})`."""
    stopping: Call | str | None = None
    """"asha" or "median", Ray Tune's rules that end bad trials early, at the points of the evaluation curve.
    Their time is the share of the training in per cent: `Call("asha", {"grace_period": 25,
    "reduction_factor": 3})`. A trial that one signal stops can't be chosen by the other either: to see
    what an oracle would gain, stop nothing. There is no population-based training: Ray Tune has it only
    without a searcher, and the weights of a member come from the schedules of others, so that no spec can
    name it as a run.
    """
    select_by: Signal = "weak_validation"
    """The signal that searcher and stopping rule use, and by which supervisors and ceilings are chosen."""
    num_seeds: int = 1
    concurrency: int = 4
    """How many trials of a study are suggested before the searcher hears of the first. Results are told in
    order, so that a searcher suggests the same again when the sweep goes on later, or with more samples.
    Random draws don't wait."""
    seed: int = 0
    """Seed of the searcher."""

    def __post_init__(self) -> None:
        for role in ROLES:
            require_type(
                self, role, Mapping, "a dict from paths to spaces such as tune.loguniform(1e-5, 1e-3)"
            )
            for path, domain in getattr(self, role).items():
                require_path(path, f"Search.{role}")
                _require_domain(domain, f"Search.{role}[{path!r}]")
        if not any(getattr(self, role) for role in ROLES):
            raise InvalidInput(
                "Search has nothing to search: give it a space for supervisor, student or ceiling"
            )
        require_int(self, "num_samples", 1)
        require_int(self, "num_seeds", 1)
        require_int(self, "concurrency", 1)
        require_int(self, "seed", 0)
        require_choice(self, "select_by", Signal)
        searcher = _name(self.searcher)
        stopping = _name(self.stopping)
        is_searcher = searcher in ("random", "optuna") or (isinstance(searcher, str) and ":" in searcher)
        require(is_searcher, self, "searcher", "random, optuna or module:object, or a Call of one of them")
        require(
            stopping is None or stopping in STOPPING_RULES,
            self,
            "stopping",
            "asha, median, or a Call of one, or None",
        )
        if (
            any(_is_grid(domain) for role in ROLES for domain in getattr(self, role).values())
            and searcher != "random"
        ):
            raise InvalidInput(
                f"tune.grid_search goes with searcher 'random', not with {searcher!r}; use tune.choice"
            )

    @property
    def varies_features(self) -> bool:
        """Whether a trial may read another layer or pooling of a frozen model than the next one."""
        spaces = (self.supervisor, self.student, self.ceiling)
        return any(path.startswith("model.tuning") for space in spaces for path in space)

    def space(self, role: SearchedRole) -> Mapping[str, Any]:
        """The space of a role, by path."""
        return dict(getattr(self, role))

    @property
    def searcher_call(self) -> Call:
        """The searcher with its parameters."""
        return self.searcher if isinstance(self.searcher, Call) else Call(self.searcher)

    @property
    def stopping_call(self) -> Call | None:
        """The stopping rule with its parameters."""
        return Call(self.stopping) if isinstance(self.stopping, str) else self.stopping


def _name(value: object) -> object:
    return value.name if isinstance(value, Call) else value


def _is_grid(domain: object) -> bool:
    return isinstance(domain, Mapping) and set(domain) == {"grid_search"}


def _require_domain(domain: Any, where: str) -> None:
    if _is_grid(domain) or callable(getattr(domain, "sample", None)):
        return
    raise InvalidInput(
        f"{where} is {domain!r}; it must be a space of Ray Tune: tune.loguniform(1e-5, 1e-3), "
        "tune.choice([1, "
        "2]) and so on"
    )

"""What would fail when a run trains is refused when it is planned, with the run and what is allowed in the
message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raysweep.data.examples import split_sizes
from raysweep.errors import InvalidInput
from raysweep.objectives import objectives
from raysweep.spec import Call, GroundTruth, Prompting, RunSpec, TaskSpec, WeakLabels
from raysweep.spec.parameters import Parameters
from raysweep.store import Store
from raysweep.tasks.base import TRAINING_SPLITS
from raysweep.transforms import transforms

if TYPE_CHECKING:
    from raysweep.planning.graph import PlannedRun

_TO_TRAIN_ON = ("train", *TRAINING_SPLITS)


class RunValidator:
    """The checks of one plan's runs; what many runs share is looked at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sizes: dict[str | None, dict[str, int]] = {}
        self._passed: set[tuple[object, ...]] = set()

    def check(self, run: PlannedRun) -> None:
        """Refuse what can't be trained.

        Raises:
            InvalidInput: says which run, what is wrong, and what is allowed.
        """
        spec = run.spec
        where = f"{run.role} run of {spec.model.name!r} on task {spec.task.label!r}"
        self._check_size(spec, where)
        self._check_objective(spec, where)
        if isinstance(spec.labels, WeakLabels) and spec.train_split == "supervisor":
            raise InvalidInput(
                f"{where}: its supervisor learnt from the split 'supervisor' and labels 'transfer' only"
            )
        for call in spec.labels.transforms if isinstance(spec.labels, WeakLabels | GroundTruth) else ():
            transform = transforms.get(call.name)
            self._check_call(transform.parameters, call, f"{where}: transform")
            if transform.needs_probabilities and spec.kind == "generative":
                raise InvalidInput(
                    f"{where}: transform {call.name!r} needs class probabilities; the labels here are answers"
                )
        _check_prompting(spec, where)
        run.resources.micro_batch(spec.optimization.batch_size)

    def split_sizes(self, task: TaskSpec) -> dict[str, int]:
        """The number of examples in each split of a pinned task."""
        if task.content not in self._sizes:
            self._sizes[task.content] = split_sizes(task, self._store)
        return self._sizes[task.content]

    def _check_size(self, spec: RunSpec, where: str) -> None:
        sizes = self.split_sizes(spec.task)
        if spec.train_split not in sizes:
            raise InvalidInput(
                f"{where}: unknown split {spec.train_split!r}; the task has {', '.join(sizes)}"
            )
        if spec.train_split not in _TO_TRAIN_ON:
            raise InvalidInput(
                f"{where}: it would be trained on {spec.train_split!r}, which is there to measure runs and "
                f"to choose among them; train on {' or '.join(sorted({*sizes} & {*_TO_TRAIN_ON}))}"
            )
        is_prompted = isinstance(spec.model.tuning, Prompting)
        plan = spec.optimization
        if not is_prompted and plan.num_steps(sizes[spec.train_split]) == 0:
            raise InvalidInput(
                f"{where}: split {spec.train_split!r} has {sizes[spec.train_split]} examples; with "
                f"{plan.epochs:g} epochs that is less than one batch of {plan.batch_size}. Give more "
                "examples, or change batch_size, epochs or steps of its Optimization"
            )

    def _check_objective(self, spec: RunSpec, where: str) -> None:
        objective = objectives.get(spec.objective.name)
        name = spec.objective.name
        self._check_call(objective.parameters, spec.objective, f"{where}: objective")
        if spec.kind not in objective.kinds:
            fitting = [known for known, entry in objectives if spec.kind in entry.kinds]
            raise InvalidInput(
                f"{where}: objective {name!r} is for {' and '.join(objective.kinds)}, here the kind is "
                f"{spec.kind!r}; use {' or '.join(fitting)}"
            )
        if objective.num_classes not in (None, spec.task.num_classes):
            raise InvalidInput(
                f"{where}: objective {name!r} is for {objective.num_classes} classes, this task has "
                f"{spec.task.num_classes}; use another one, such as 'confidence'"
            )

    def _check_call(self, parameters: Parameters, call: Call, what: str) -> None:
        key = (parameters, repr(call.params))
        if key not in self._passed:
            parameters.check(call.params, f"{what} {call.name!r}")
            self._passed.add(key)


def _check_prompting(spec: RunSpec, where: str) -> None:
    tuning = spec.model.tuning
    if not isinstance(tuning, Prompting):
        return
    if spec.kind not in ("classification", "generative"):
        raise InvalidInput(
            f"{where}: Prompting asks for a class or an answer, what is asked here is of kind {spec.kind!r}"
        )
    if spec.kind == "classification" and len(tuning.words) != spec.task.num_classes:
        raise InvalidInput(
            f"{where}: Prompting has the words {', '.join(map(repr, tuning.words)) or '(none)'} for the "
            f"{spec.task.num_classes} classes of the task; give one for each"
        )

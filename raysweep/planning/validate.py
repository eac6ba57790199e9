"""What would fail when a run trains is refused when it is planned, with the run and what is allowed in the
message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from raysweep.data.examples import read_split, split_sizes
from raysweep.errors import InvalidInput
from raysweep.objectives import objectives
from raysweep.predictions import Predictions
from raysweep.probes import probes
from raysweep.rules import HALF_A, predicts_only_half_a, rules
from raysweep.spec import (
    Call,
    Combination,
    Features,
    GroundTruth,
    Probe,
    Prompting,
    RunSpec,
    TaskSpec,
    Unembedding,
    Unlabelled,
    WeakLabels,
)
from raysweep.spec.parameters import Parameters
from raysweep.store import Store
from raysweep.tasks.base import TRAINING_SPLITS
from raysweep.transforms import TransformContext, apply_transform, transforms

if TYPE_CHECKING:
    from raysweep.planning.graph import PlannedRun

_TO_TRAIN_ON = ("train", *TRAINING_SPLITS)


class RunValidator:
    """The checks of one plan's runs; what many runs share is looked at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
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
        self._check_labels(spec, where)
        if spec.combination is not None:
            self._check_combination(spec, spec.combination, where)
            return
        _check_prompting(spec, where)
        self._check_features(spec, where)
        if spec.features is None and not isinstance(spec.model.tuning, Features):
            run.resources.micro_batch(spec.optimization.batch_size)

    def _check_labels(self, spec: RunSpec, where: str) -> None:
        labels = spec.labels
        if isinstance(labels, Unlabelled):
            return
        if isinstance(labels, WeakLabels):
            self._check_supervisor(labels.supervisor, spec.train_split, where)
        self._check_transforms(labels, spec, where)

    def _check_supervisor(self, supervisor: RunSpec, split: str, where: str) -> None:
        if split == HALF_A and supervisor.combination is None:
            raise InvalidInput(
                f"{where}: its supervisor learnt from the split 'supervisor' and labels 'transfer' only"
            )
        if split != HALF_A and predicts_only_half_a(supervisor):
            raise InvalidInput(
                f"{where}: {supervisor.combination} gives labels of the split 'supervisor' only, and it "
                f"is trained on {split!r}; train on 'supervisor'"
            )

    def _check_transforms(self, labels: GroundTruth | WeakLabels, spec: RunSpec, where: str) -> None:
        for call in labels.transforms:
            transform = transforms.get(call.name)
            self._check_call(transform.parameters, call, f"{where}: transform")
            if transform.needs_probabilities and spec.kind == "generative":
                raise InvalidInput(
                    f"{where}: transform {call.name!r} needs class probabilities; the labels here are answers"
                )

    def _check_combination(self, spec: RunSpec, combination: Combination, where: str) -> None:
        """Refuse a combination whose sources don't go together."""
        rule = rules.get(combination.rule.name)
        what = f"{where}: rule {combination.rule.name!r}"
        rule.require_fit(combination.rule, len(combination.sources), spec.kind, what)
        for source in combination.sources:
            self._check_transforms(source, spec, what)
        for run in combination.runs:
            name = f"{what}: its source {run.model.name!r}"
            if run.task.content != spec.task.content:
                raise InvalidInput(
                    f"{name} is on task {run.task.label!r}, whose examples, classes or splits aren't "
                    f"those of {spec.task.label!r}; combine runs on one task"
                )
            if run.kind != spec.kind or isinstance(run.model.tuning, Features):
                raise InvalidInput(f"{name} predicts no label of task {spec.task.label!r}; leave it out")
            if predicts_only_half_a(run):
                raise InvalidInput(
                    f"{name} gives labels of the split 'supervisor' only, to train on; it can't be combined"
                )
        self._require_coverage(combination, spec.task, what)

    def _require_coverage(self, combination: Combination, task: TaskSpec, what: str) -> None:
        """Refuse a rule over parts that have no example in common. What other transforms leave is known only
        when the sources have predicted."""
        rule = rules.get(combination.rule.name)
        chains = [
            [call for call in source.transforms if transforms.get(call.name).is_by_id]
            for source in combination.sources
        ]
        if rule.only_half_a or not any(chains):
            return
        key = (task.content, combination.rule.name, repr(chains))
        if key in self._passed:
            return
        ids = read_split(task, "transfer", self.store, ["id"])["id"].tolist()
        everything = Predictions.of(ids, np.full((len(ids), 2), 0.5), "any")
        unknown = TransformContext(0, np.full(len(ids), np.nan), lambda: everything)
        covered = []
        for chain in chains:
            source = everything
            for call in chain:
                source = apply_transform(call, source, unknown)
            covered.append(source.covered)
        if not (np.all(covered, axis=0) if rule.covers == "all" else np.any(covered, axis=0)).any():
            raise InvalidInput(
                f"{what}: it gives no example a label, since its sources are parts without one in common; "
                "use 'first' for the union of parts, or other parts"
            )
        self._passed.add(key)

    def split_sizes(self, task: TaskSpec) -> dict[str, int]:
        """The number of examples in each split of a pinned task."""
        if task.content not in self._sizes:
            self._sizes[task.content] = split_sizes(task, self.store)
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
        trains = not isinstance(spec.model.tuning, Prompting | Probe)
        plan = spec.optimization
        if trains and plan.num_steps(sizes[spec.train_split]) == 0:
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

    def _check_features(self, spec: RunSpec, where: str) -> None:
        if spec.model.pooling is not None and spec.kind not in ("classification", "preference"):
            raise InvalidInput(
                f"{where}: ModelSpec.pooling is {spec.model.pooling!r}, and a run of kind {spec.kind!r} has "
                "no head that reads a text as a whole; leave it out"
            )
        if isinstance(spec.model.tuning, Features) and not isinstance(spec.labels, Unlabelled):
            raise InvalidInput(
                f"{where}: tuning Features() keeps hidden states for others and predicts nothing; use "
                "HeadOnly(layer=…) or Probe(…), whose features are planned with them"
            )
        if spec.features is None:
            return
        # Layers are looked at when it is known which features the plan needs.
        if spec.kind not in ("classification", "preference"):
            raise InvalidInput(
                f"{where}: a head or probe on features predicts classes or preferences; what is asked here "
                f"is of kind {spec.kind!r}"
            )
        if isinstance(spec.model.head_init, Unembedding):
            raise InvalidInput(
                f"{where}: head_init is {spec.model.head_init}, whose rows fit what the whole model hands to "
                "its head, not pooled features; use 'small' or 'zeros'"
            )
        tuning = spec.model.tuning
        if not isinstance(tuning, Probe):
            return
        probe = probes.get(tuning.call.name)
        self._check_call(probe.parameters, tuning.call, f"{where}: probe")
        if spec.kind not in probe.kinds:
            fitting = [known for known, entry in probes if spec.kind in entry.kinds]
            raise InvalidInput(
                f"{where}: probe {tuning.call.name!r} is for tasks of kind {' or '.join(probe.kinds)}, this "
                f"one is of kind {spec.kind!r}; use {' or '.join(fitting)}"
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

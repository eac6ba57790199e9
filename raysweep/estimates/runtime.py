"""What runs cost, estimated before they train: tokens, parameters, FLOPs and seconds, and the longest
remaining path of each run.

Seconds are tokens divided by tokens per second. The speed is "measured" if the store has finished runs with
the same model, tuning, precision and kind of device. Otherwise it is "scaled": it follows from the FLOP/s of
the measured run of the nearest size. Without any, it is "assumed". FLOPs are 6·N per token trained on and 2·N
per token that is only predicted (Kaplan et al. 2020, arXiv 2001.08361), where N is the number of parameters
without the head.

Left out are examples that a transform drops from the training set, generating answers token by token, and the
start of Ray, of processes and of worker groups (under a minute, once, since all are kept).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from raysweep.data.inputs import RunInputs
from raysweep.estimates.throughput import Device, SpeedKey, Speeds, device_of, num_devices
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan
from raysweep.spec import Features, HeadOnly, Prompting, RunSpec
from raysweep.spec.identity import canonical_json
from raysweep.spec.optimization import Precision
from raysweep.store import Store
from raysweep.training.parameters import parameters_without_head

Basis = Literal["measured", "scaled", "assumed"]

ASSUMED_FLOPS: Mapping[tuple[Device, Precision], float] = {
    ("GPU", "bfloat16"): 0.4 * 989e12,
    ("GPU", "float32"): 0.9 * 67e12,
    ("CPU", "bfloat16"): 10e9,
    ("CPU", "float32"): 10e9,
}
"""FLOPs per second of a whole device. GPU: shares of an H100's dense peaks (NVIDIA's data sheet), of which
float32, without tensor cores, is assumed to reach more. CPU: one core, as reached by the sandbox's models of
some ten thousand parameters (2026-11-21)."""
ASSUMED_OVERHEAD_SECONDS = 1.0
"""Seconds of a run that are neither training nor evaluation: reading, building the model, writing."""
_CHARACTERS_PER_TOKEN = 4.0


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """What one run is expected to cost."""

    num_parameters: int
    """Without the head."""
    tokens_trained: int
    """In all steps, without padding."""
    tokens_evaluated: int
    """At all points of the curves, and in the splits that are evaluated at the end."""
    flops: float
    seconds: float
    basis: Basis
    """What the least certain part of `seconds` is based on."""


def estimate_costs(plan: Plan, store: Store) -> dict[str, RunCost]:
    """The cost of every run of a plan, done or not, by run id.

    Raises:
        InvalidInput: a model's configuration can't be loaded.
    """
    counted = _Workloads(store)
    workloads = {run.id: counted.of(run.spec) for run in plan.runs.values()}
    speeds = Speeds.read(store, {run_id: work.tokens_evaluated for run_id, work in workloads.items()})
    costs: dict[tuple[object, ...], RunCost] = {}
    found = {}
    for run in plan.runs.values():
        key = (workloads[run.id], _speed_key(run), run.resources)
        if key not in costs:
            costs[key] = _cost(run, workloads[run.id], speeds)
        found[run.id] = costs[key]
    return found


def remaining_seconds(plan: Plan, costs: Mapping[str, RunCost]) -> dict[str, float]:
    """By run id, the seconds of the longest path that begins with the run: its own, and those of runs that
    wait for it."""
    remaining: dict[str, float] = {}
    after: dict[str, float] = {}
    for run in reversed(list(plan.runs.values())):
        remaining[run.id] = costs[run.id].seconds + after.get(run.id, 0.0)
        for dependency in run.spec.dependencies:
            after[dependency.id] = max(after.get(dependency.id, 0.0), remaining[run.id])
    return remaining


def _speed_key(run: PlannedRun) -> SpeedKey:
    spec = run.spec
    return SpeedKey(
        spec.model.name,
        type(spec.model.tuning).__name__,
        device_of(run.resources),
        spec.optimization.precision,
    )


def _cost(run: PlannedRun, workload: _Workload, speeds: Speeds) -> RunCost:
    num_parameters, trained, evaluated = workload
    counted = max(num_parameters, 1)  # a combination has none
    key = _speed_key(run)
    resources = run.resources
    training_flops = (2 if isinstance(run.spec.model.tuning, HeadOnly) else 6) * counted
    devices = num_devices(resources)
    bases: list[Basis] = []
    assumed = ASSUMED_FLOPS[key.device, key.precision]

    def seconds(tokens: int, measured: float | None, scaled: float | None, flops: float) -> float:
        if tokens == 0:
            return 0.0
        bases.append("measured" if measured else "scaled" if scaled else "assumed")
        return tokens / devices / (measured or scaled or assumed / flops)

    nearest = speeds.nearest_flops(key.device, key.precision, num_parameters)
    training_speed = speeds.training.get(key)
    training = seconds(trained, training_speed, nearest and nearest / training_flops, training_flops)
    evaluation_flops = 2 * counted
    from_training = training_speed and training_speed * training_flops / evaluation_flops
    from_nearest = nearest and nearest / evaluation_flops
    evaluation = seconds(
        evaluated, speeds.evaluation.get(key), from_training or from_nearest, evaluation_flops
    )
    loads_model = run.spec.loads_model  # which is most of the others' overhead
    mean_overhead = speeds.mean_overhead_seconds(key.device) if loads_model else None
    overhead_seconds = speeds.overhead_seconds.get(key, mean_overhead)
    if overhead_seconds is None:
        bases.append("assumed")
        overhead_seconds = ASSUMED_OVERHEAD_SECONDS
    return RunCost(
        num_parameters=num_parameters,
        tokens_trained=trained,
        tokens_evaluated=evaluated,
        flops=float(trained * training_flops + evaluated * 2 * num_parameters),
        seconds=training + evaluation + overhead_seconds,
        basis=max(bases, key=["measured", "scaled", "assumed"].index, default="measured"),
    )


class _Workload(NamedTuple):
    """What a run has to compute; see `RunCost`."""

    num_parameters: int
    """Without the head."""
    tokens_trained: int
    tokens_evaluated: int


class _ModelOnTask(NamedTuple):
    """What many workloads share."""

    num_parameters: int
    """Without the head."""
    splits: dict[str, tuple[int, float]]
    """By split: the number of examples, and the mean of their tokens."""


class _Workloads:
    """Workloads of pinned runs. Each is counted once, however many runs have it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._workloads: dict[tuple[object, ...], _Workload] = {}
        self._models: dict[tuple[str | None, str], _ModelOnTask] = {}

    def of(self, spec: RunSpec) -> _Workload:
        """The workload of a run."""
        key = spec.workload
        if key not in self._workloads:
            self._workloads[key] = self._count(spec)
        return self._workloads[key]

    def _count(self, spec: RunSpec) -> _Workload:
        if spec.combination is not None:
            return _Workload(0, 0, 0)
        num_parameters, splits = self._model(spec)
        if spec.features is not None:  # no text goes through the model again
            return _Workload(num_parameters, 0, 0)
        computes_features = isinstance(spec.model.tuning, Features)
        names = list(splits) if computes_features else spec.evaluated_splits(splits)
        evaluated = sum(splits[name][0] * splits[name][1] for name in names)
        if computes_features:
            return _Workload(num_parameters, 0, round(evaluated))
        if isinstance(spec.model.tuning, Prompting):
            return _Workload(num_parameters, 0, round(evaluated * (1 + spec.model.tuning.num_examples)))
        num_examples, mean = splits[spec.train_split]
        optimization = spec.optimization
        every = spec.evaluation.every
        num_steps = optimization.num_steps(num_examples)
        num_points = (num_steps - 1) // every if every else 0
        evaluated += num_points * sum(
            min(spec.evaluation.num_examples, splits[name][0]) * splits[name][1]
            for name in spec.curve_splits(splits)
        )
        return _Workload(num_parameters, round(num_steps * optimization.batch_size * mean), round(evaluated))

    def _model(self, spec: RunSpec) -> _ModelOnTask:
        key = (spec.task.content, canonical_json(spec.model))
        if key not in self._models:
            inputs = RunInputs(spec, self._store)
            sizes = inputs.split_sizes
            splits = {name: (size, _num_tokens(inputs, name) / size) for name, size in sizes.items()}
            self._models[key] = _ModelOnTask(parameters_without_head(inputs), splits)
        return self._models[key]


def _num_tokens(inputs: RunInputs, split: str) -> float:
    """Tokens of a split; those of prompts, which are made when the run starts, by their characters and
    without the shots."""
    if isinstance(inputs.model.tuning, Prompting):
        texts = inputs.examples(split, ["texts"])["texts"]
        return sum(len(text) for row in texts for text in row) / _CHARACTERS_PER_TOKEN
    return float(inputs.tokens(split).offsets[-1])

"""What runs cost before they train: tokens, parameters, FLOPs and seconds, and which run must start first.

Seconds are tokens by tokens per second. The speed is that of finished runs of the store with the same model,
tuning and kind of device ("measured"); else it follows from the FLOP/s of the measured run whose size is
nearest ("scaled"); else from an assumption ("assumed"). FLOPs are 6·N for a token trained on, 2·N for one
that is only predicted (Kaplan et al. 2020, arXiv 2001.08361), N the parameters of the model without its head.

Left out: what a transform leaves out of the training set, the writing of answers token by token, and the
start of Ray, of a process and of a worker group (under a minute, once; all are kept).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from raysweep.data.examples import read_split, split_sizes
from raysweep.data.tokens import prepare_tokens
from raysweep.estimates.throughput import Device, SpeedKey, Speeds, device_of, num_devices
from raysweep.planning.plan import Plan, PlannedRun
from raysweep.spec import HeadOnly, ModelSpec, Prompting, RunSpec, TaskSpec
from raysweep.store import Store
from raysweep.training.parameters import count_parameters

Basis = Literal["measured", "scaled", "assumed"]

ASSUMED_FLOPS: Mapping[Device, float] = {"GPU": 0.4 * 989e12, "CPU": 10e9}
"""A second, of a whole device. GPU: 40 % of an H100's dense bfloat16 peak (NVIDIA's data sheet); CPU: a core,
as the sandbox's models of some ten thousand parameters reach it (2026-11-21)."""
ASSUMED_OVERHEAD_SECONDS = 1.0
"""Of a run, for what is neither training nor evaluation: reading, building the model, writing."""
_CHARACTERS_PER_TOKEN = 4.0
_EVALUATION_SPEEDUP = 3.0
"""6·N against 2·N FLOPs a token."""


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """What one run is expected to cost."""

    num_parameters: int
    tokens_trained: int
    """Over all steps, padding left out."""
    tokens_evaluated: int
    """Over all points of the curves and the splits at the end."""
    flops: float
    seconds: float
    basis: Basis
    """What the weakest part of `seconds` rests on."""


def estimate_costs(plan: Plan, store: Store) -> dict[str, RunCost]:
    """The cost of every run of a plan, done or not, by run id."""
    workloads = _Workloads(store)
    evaluated = {run.id: workloads.of(run.spec)[2] for run in plan.runs.values()}
    speeds = Speeds.read(store, evaluated)
    costs: dict[tuple[object, ...], RunCost] = {}
    found = {}
    for run in plan.runs.values():
        work = workloads.of(run.spec)
        key = (*work, _like(run), run.resources)
        if key not in costs:
            costs[key] = _cost(run, work, speeds)
        found[run.id] = costs[key]
    return found


def remaining_seconds(plan: Plan, costs: Mapping[str, RunCost]) -> dict[str, float]:
    """By run id, the seconds of the longest path that begins with the run: its own, and those of what waits
    for it."""
    remaining: dict[str, float] = {}
    after: dict[str, float] = {}
    for run in reversed(list(plan.runs.values())):
        remaining[run.id] = costs[run.id].seconds + after.get(run.id, 0.0)
        for dependency in run.spec.dependencies:
            after[dependency.id] = max(after.get(dependency.id, 0.0), remaining[run.id])
    return remaining


def _like(run: PlannedRun) -> SpeedKey:
    spec = run.spec
    return SpeedKey(spec.model.name, type(spec.model.tuning).__name__, device_of(run.resources))


def _cost(run: PlannedRun, work: tuple[int, int, int], speeds: Speeds) -> RunCost:
    num_parameters, trained, evaluated = work
    key = _like(run)
    resources = run.resources
    training_flops = (2 if isinstance(run.spec.model.tuning, HeadOnly) else 6) * num_parameters
    devices = num_devices(resources)
    bases: list[Basis] = []

    def seconds(tokens: int, measured: float | None, scaled: float | None, flops: float) -> float:
        if tokens == 0:
            return 0.0
        bases.append("measured" if measured else "scaled" if scaled else "assumed")
        return tokens / devices / (measured or scaled or ASSUMED_FLOPS[key.device] / flops)

    nearest = speeds.nearest_flops(key.device, num_parameters)
    training_speed = speeds.training.get(key)
    training = seconds(trained, training_speed, nearest and nearest / training_flops, training_flops)
    from_training = training_speed and training_speed * training_flops / (2 * num_parameters)
    from_nearest = nearest and nearest / (2 * num_parameters)
    evaluation = seconds(
        evaluated, speeds.evaluation.get(key), from_training or from_nearest, 2 * num_parameters
    )
    overhead_seconds = speeds.overhead_seconds.get(key, speeds.mean_overhead_seconds(key.device))
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


class _Workloads:
    """What runs have to do; runs that differ in seed or labels alone are looked at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._work: dict[tuple[object, ...], tuple[int, int, int]] = {}
        self._parameters: dict[tuple[str | None, int], int] = {}
        self._tokens: dict[tuple[str | None, int], dict[str, tuple[int, float]]] = {}
        self._kept: list[ModelSpec] = []
        """So that the id() of a spec isn't given to another object."""

    def of(self, spec: RunSpec) -> tuple[int, int, int]:
        """(parameters, tokens trained on, tokens evaluated) of a pinned run."""
        key = (
            spec.task.content,
            id(spec.model),
            spec.optimization,
            spec.evaluation,
            spec.train_split,
            spec.kind,
        )
        if key not in self._work:
            self._kept.append(spec.model)
            self._work[key] = (self._num_parameters(spec), *self._num_tokens(spec))
        return self._work[key]

    def _num_tokens(self, spec: RunSpec) -> tuple[int, int]:
        """(trained on, evaluated)."""
        splits = self._splits(spec.task, spec.model)
        at_end = [name for name in splits if name not in ("supervisor", "train")]
        looked_at: list[str] = [
            name
            for name in ("validation", "test")
            if name in splits and (name == "validation" or spec.kind != "text")
        ]
        if spec.kind == "text":
            at_end = looked_at
        evaluated = sum(examples * mean for examples, mean in (splits[name] for name in at_end))
        if isinstance(spec.model.tuning, Prompting):
            return 0, round(evaluated * (1 + spec.model.tuning.num_examples))
        examples, mean = splits[spec.train_split]
        plan = spec.optimization
        looks = spec.evaluation
        num_steps = plan.num_steps(examples)
        num_points = (num_steps - 1) // looks.every if looks.every else 0
        evaluated += num_points * sum(
            min(looks.num_examples, splits[name][0]) * splits[name][1] for name in looked_at
        )
        return round(num_steps * plan.batch_size * mean), round(evaluated)

    def _splits(self, task: TaskSpec, model: ModelSpec) -> dict[str, tuple[int, float]]:
        """By split: its number of examples, and the mean of their tokens."""
        key = (task.content, id(model))
        if key not in self._tokens:
            sizes = split_sizes(task, self._store)
            if isinstance(model.tuning, Prompting):  # whose prompts are made when it runs
                means = {
                    name: self._characters(task, name) / size / _CHARACTERS_PER_TOKEN
                    for name, size in sizes.items()
                }
            else:
                folder = prepare_tokens(task, model, self._store)
                offsets = {name: np.load(folder / f"{name}.offsets.npy", mmap_mode="r") for name in sizes}
                means = {name: float(offsets[name][-1]) / size for name, size in sizes.items()}
            self._tokens[key] = {name: (size, means[name]) for name, size in sizes.items()}
        return self._tokens[key]

    def _characters(self, task: TaskSpec, split: str) -> int:
        return sum(
            len(text) for texts in read_split(task, split, self._store, ["texts"])["texts"] for text in texts
        )

    def _num_parameters(self, spec: RunSpec) -> int:
        key = (spec.task.content, id(spec.model))
        if key not in self._parameters:
            self._parameters[key] = count_parameters(spec.model, spec.task, self._store)
        return self._parameters[key]

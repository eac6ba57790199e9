"""How fast the finished runs of a store were: tokens per second and device, by model."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from raysweep.spec.optimization import Precision
from raysweep.spec.resources import Resources
from raysweep.store import Store

Device = Literal["CPU", "GPU"]
_MOST_RUNS = 1_000
"""Only the newest runs are read, so that a large store doesn't delay the start of a sweep."""


class SpeedKey(NamedTuple):
    """What runs must have in common for their speeds to be averaged."""

    model: str
    tuning: str
    device: Device
    precision: Precision


def device_of(resources: Resources) -> Device:
    """The kind of device that a run trains on."""
    return "GPU" if resources.num_gpus else "CPU"


def num_devices(resources: Resources) -> float:
    """The number of GPUs, or of CPU cores, that a run trains on; a fraction where runs share one."""
    return resources.world_size * (resources.num_gpus or resources.cpus_per_worker)


@dataclass(frozen=True)
class Speeds:
    """Speeds that were measured."""

    training: Mapping[SpeedKey, float]
    """Tokens trained on, per second and device."""
    evaluation: Mapping[SpeedKey, float]
    """Tokens evaluated, per second and device; only of runs whose number of evaluated tokens is known."""
    overhead_seconds: Mapping[SpeedKey, float]
    """Seconds of a run that are neither training nor evaluation."""
    flops: Mapping[tuple[Device, Precision], Mapping[int, float]]
    """FLOPs of training, per second and device, by number of parameters."""

    def nearest_flops(self, device: Device, precision: Precision, num_parameters: int) -> float | None:
        """FLOPs per second and device of the measured size that is nearest in ratio; None if none was
        measured."""
        found = self.flops.get((device, precision))
        if not found:
            return None
        return found[min(found, key=lambda size: abs(math.log(size / max(num_parameters, 1))))]

    def mean_overhead_seconds(self, device: Device) -> float | None:
        """The mean of `overhead_seconds` over all models; None if none was measured."""
        found = [seconds for key, seconds in self.overhead_seconds.items() if key.device == device]
        return sum(found) / len(found) if found else None

    @classmethod
    def read(cls, store: Store, evaluated: Mapping[str, int]) -> Speeds:
        """The speeds of the newest runs of a store. Resumed runs are left out, since their seconds are
        incomplete.

        Args:
            store: where the runs are.
            evaluated: by run id, the number of evaluated tokens, as far as known.
        """
        training: dict[SpeedKey, _Ratio] = defaultdict(_Ratio)
        evaluation: dict[SpeedKey, _Ratio] = defaultdict(_Ratio)
        overhead_seconds: dict[SpeedKey, _Ratio] = defaultdict(_Ratio)
        flops: dict[tuple[Device, Precision, int], _Ratio] = defaultdict(_Ratio)
        for run_id, key, info in _finished(store):
            devices = num_devices(Resources(**info["resources"]))
            trained = info["seconds_training"]
            rest = info["seconds_total"] - info["seconds_training"] - info["seconds_evaluation"]
            training[key].add(info["num_tokens"], trained * devices)
            overhead_seconds[key].add(max(0.0, rest), 1)
            if run_id in evaluated:
                evaluation[key].add(evaluated[run_id], info["seconds_evaluation"] * devices)
            if info.get("num_parameters") and key.tuning != "HeadOnly":
                flops[key.device, key.precision, info["num_parameters"]].add(
                    6 * info["num_parameters"] * info["num_tokens"], trained * devices
                )
        by_size: dict[tuple[Device, Precision], dict[int, float]] = defaultdict(dict)
        for (device, precision, size), ratio in flops.items():
            if ratio.value:
                by_size[device, precision][size] = ratio.value
        return cls(_values(training), _values(evaluation), _values(overhead_seconds), by_size)


class _Ratio:
    """A sum divided by a sum; None if either is 0."""

    def __init__(self) -> None:
        self._above = 0.0
        self._below = 0.0

    def add(self, above: float, below: float) -> None:
        self._above = self._above + above
        self._below = self._below + below

    @property
    def value(self) -> float | None:
        return self._above / self._below if self._above > 0 and self._below > 0 else None


def _values(ratios: Mapping[SpeedKey, _Ratio]) -> dict[SpeedKey, float]:
    return {key: ratio.value for key, ratio in ratios.items() if ratio.value is not None}


def newest_infos(store: Store) -> list[tuple[str, dict[str, Any]]]:
    """(id, info) of the newest finished runs, newest first, without those that can't be read."""
    folder = store.run("").folder
    if not folder.exists():
        return []
    with os.scandir(folder) as entries:
        newest = sorted(entries, key=lambda entry: entry.stat().st_mtime, reverse=True)[:_MOST_RUNS]
    found = []
    for entry in newest:
        try:
            found.append((entry.name, dict(json.loads(store.run(entry.name).result.read_text())["info"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _finished(store: Store) -> list[tuple[str, SpeedKey, dict[str, Any]]]:
    """(id, key, info) of runs that weren't resumed."""
    found = []
    for run_id, info in newest_infos(store):
        try:
            fields = json.loads(store.run(run_id).spec.read_text())["fields"]
            model, precision = fields["model"], fields["optimization"]["precision"]
            device = device_of(Resources(**info["resources"]))
            key = SpeedKey(model["name"], model["tuning"]["type"], device, precision)
            if info["resumed_at_step"] == 0 and info["seconds_total"] > 0:
                found.append((run_id, key, info))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found

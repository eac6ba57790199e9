"""raysweep: distributed sweeps for weak-to-strong generalization on Ray, DeepSpeed and MLflow.

What an experiment file needs is named here, and what runs and reads a sweep from Python: `plan`, `run` and
`load`. Importing it loads no torch, ray, mlflow or pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from raysweep.errors import InvalidInput, RaysweepError, RunsFailed
from raysweep.models.families import Family, Model, families
from raysweep.planning.search.config import Search
from raysweep.planning.sweep import Method, Sweep, grid
from raysweep.spec import (
    Call,
    Combination,
    Evaluation,
    Folder,
    Full,
    GroundTruth,
    HeadOnly,
    Hub,
    Lora,
    ModelSpec,
    Optimization,
    Probe,
    Prompting,
    RunSpec,
    Scratch,
    TaskSpec,
    Unembedding,
    Unlabelled,
    WeakLabels,
)
from raysweep.spec.resources import Resources

if TYPE_CHECKING:
    from raysweep.api import PlannedSweep, Results, load, plan, run

__version__ = "0.1.0"

__all__ = [
    "Call",
    "Combination",
    "Evaluation",
    "Family",
    "Folder",
    "Full",
    "GroundTruth",
    "HeadOnly",
    "Hub",
    "InvalidInput",
    "Lora",
    "Method",
    "Model",
    "ModelSpec",
    "Optimization",
    "PlannedSweep",
    "Probe",
    "Prompting",
    "RaysweepError",
    "Resources",
    "Results",
    "RunSpec",
    "RunsFailed",
    "Scratch",
    "Search",
    "Sweep",
    "TaskSpec",
    "Unembedding",
    "Unlabelled",
    "WeakLabels",
    "families",
    "grid",
    "load",
    "plan",
    "run",
]

_LATER = ("PlannedSweep", "Results", "load", "plan", "run")
"""What is imported when it is first asked for."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'raysweep' has no attribute {name!r}")
    value = getattr(import_module("raysweep.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})

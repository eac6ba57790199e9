"""raysweep: distributed sweeps for weak-to-strong generalization on Ray, DeepSpeed and MLflow.

What an experiment file needs is named here; importing it loads no torch, ray or mlflow.
"""

from raysweep.errors import InvalidInput, RaysweepError
from raysweep.models.families import Family, Model, families
from raysweep.planning.search.config import Search
from raysweep.planning.sweep import Method, Sweep, grid
from raysweep.spec import (
    Call,
    Evaluation,
    Folder,
    Full,
    GroundTruth,
    HeadOnly,
    Hub,
    Lora,
    ModelSpec,
    Optimization,
    Prompting,
    RunSpec,
    Scratch,
    TaskSpec,
    Unembedding,
    Unlabelled,
    WeakLabels,
)
from raysweep.spec.resources import Resources

__version__ = "0.1.0"

__all__ = [
    "Call",
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
    "Prompting",
    "RaysweepError",
    "Resources",
    "RunSpec",
    "Scratch",
    "Search",
    "Sweep",
    "TaskSpec",
    "Unembedding",
    "Unlabelled",
    "WeakLabels",
    "families",
    "grid",
]

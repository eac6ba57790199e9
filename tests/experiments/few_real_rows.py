"""A part of the small sweep of experiments/real_models.py: 60 sentences in each half, one seed."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import real_models

from raysweep import Sweep


def sweep() -> Sweep:
    """Every table and model, with naive and confidence."""
    made = real_models.small()
    tasks = [replace(task, num_train=60, num_validation=20, num_test=60) for task in made.tasks]
    methods = [method for method in made.methods if method in ("naive", "confidence")]
    pairs = [made.pairs[0], made.pairs[2]]
    return replace(made, name="few_real_rows", tasks=tasks, pairs=pairs, methods=methods, seeds=[0])

"""The small sweep of experiments/real_models.py with 60 sentences in each half and one seed."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import real_models

from raysweep import Sweep


def sweep() -> Sweep:
    """Every table, pair and method; one seed."""
    made = real_models.small()
    tasks = [replace(task, num_train=60, num_validation=20, num_test=60) for task in made.tasks]
    return replace(made, name="few_real_rows", tasks=tasks, seeds=[0])

"""The sweep that `tests/soak.py` disturbs: the tiny one with three seeds and two methods.

Its strong models train for some seconds and write checkpoints.
"""

import dataclasses

from two_workers import one_process

from raysweep.planning.sweep import Sweep
from raysweep.spec.resources import Resources


def sweep() -> Sweep:
    """Six cells: 2 pretrainings, 3 supervisors, 6 students, 3 ceilings."""
    return dataclasses.replace(
        one_process(),
        name="soak",
        methods=["naive", "confidence"],
        seeds=[0, 1, 2],
        resources=Resources(num_workers=0, checkpoint_every=50),
    )

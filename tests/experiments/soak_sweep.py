"""The sweep that `tests/soak.py` disturbs: the tiny one with three seeds and two methods.

Its strong models train for some seconds and write checkpoints.
"""

import dataclasses

from tiny_sweep import sweep as tiny

from raysweep.planning.sweep import Sweep
from raysweep.spec.resources import Resources


def sweep() -> Sweep:
    """Six cells: 2 pretrainings, 3 supervisors, 6 students, 3 ceilings."""
    small = tiny()
    weak, strong = small.pairs[0]
    longer = dataclasses.replace(strong.optimization, steps=300)
    return dataclasses.replace(
        small,
        name="soak",
        pairs=[(weak, dataclasses.replace(strong, optimization=longer))],
        methods=["naive", "confidence"],
        seeds=[0, 1, 2],
        resources=Resources(num_workers=0, checkpoint_every=50),
    )

"""The tiny sweep on the real path: pretraining in the trial's own process, all finetuning by two DeepSpeed
workers.

The strong models take long enough to be killed in the middle, and write checkpoints.
"""

import dataclasses

from tiny_sweep import sweep as tiny

from raysweep.planning.sweep import Sweep
from raysweep.spec import RunSpec
from raysweep.spec.resources import Resources


def sweep() -> Sweep:
    """One cell: five runs, three of them in worker groups, the strong model's with optimizer states divided
    (ZeRO-1)."""
    small = tiny()
    weak, strong = small.pairs[0]
    longer = dataclasses.replace(strong.optimization, steps=300)
    return dataclasses.replace(
        small,
        name="two_workers",
        pairs=[(weak, dataclasses.replace(strong, optimization=longer))],
        resources=resources,
    )


def resources(spec: RunSpec) -> Resources:
    """Two workers for whatever trains on labels."""
    if spec.task.kind == "text":
        return Resources(num_workers=0)
    return Resources(num_workers=2, zero_stage=1, micro_batch_size=4, checkpoint_every=50)


def one_process() -> Sweep:
    """The same runs, each in one process: ids and results are the same."""
    return dataclasses.replace(sweep(), resources=Resources(num_workers=0))

"""One rank of a group of worker processes: `rank.py RANK WORLD_SIZE FOLDER`.

Runs every call of FOLDER/calls.pickle, (function of this module, arguments), with the environment that Ray
Train gives its workers and in a process group that is kept until a call fails, and writes what each returned
to FOLDER/returned-RANK.pickle. One group of processes serves many tests, since importing the libraries costs
more than all the runs.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

from raysweep.data.inputs import RunInputs
from raysweep.spec import RunSpec
from raysweep.spec.resources import Resources
from raysweep.spec.tuning import Feature
from raysweep.store import Store


def execute_run(spec: RunSpec, store_folder: str, save_weights: bool, resources: Resources) -> None:
    """Execute a run as a worker does."""
    from raysweep.training.run import Job, execute

    execute(Job(spec, resources, store_folder, save_weights, {}))


def extract_features(
    spec: RunSpec, store_folder: str, resources: Resources, features: frozenset[Feature]
) -> None:
    """Execute a features run as a worker does."""
    from raysweep.training.run import Job, execute

    execute(Job(spec, resources, store_folder, False, {}, features=features))


def built_parameters(
    spec: RunSpec, store_folder: str, resources: Resources
) -> dict[str, tuple[int, int, int, str]]:
    """What this rank holds of each parameter right after `build_model`: numbers in the parameter itself, in
    this rank's share, and in the whole; and the digest of the whole once it is gathered."""
    import deepspeed
    from tiny import digest_of

    from raysweep.training.engine import process_group
    from raysweep.training.model import build_model
    from raysweep.training.sharding import sharded_loading

    with process_group(on_gpu=False):
        with sharded_loading(spec.optimization, resources) as sharding:
            model = build_model(RunInputs(spec, Store(store_folder)), sharding)
        held = {}
        for name, parameter in model.named_parameters():
            sizes = (parameter.numel(), parameter.ds_tensor.numel(), parameter.ds_numel)
            with deepspeed.zero.GatheredParameters([parameter]):
                whole = digest_of(parameter)
            held[name] = (*sizes, whole)
        return held


def main(rank: int, world_size: int, folder: Path) -> None:
    import torch
    import torch.distributed as dist
    from tiny import SCALED_LIMITS

    from raysweep.training import zero

    zero.STAGE_3_LIMITS = SCALED_LIMITS
    torch.set_num_threads(1)
    returned: list[tuple[Any, str]] = []
    for number, (function, arguments) in enumerate(pickle.loads((folder / "calls.pickle").read_bytes())):
        os.environ.update({"RANK": str(rank), "WORLD_SIZE": str(world_size), "LOCAL_RANK": str(rank)})
        os.environ["LOCAL_WORLD_SIZE"] = str(world_size)
        if not dist.is_initialized():  # kept from call to call, as a worker group keeps it from run to run
            rendezvous = f"file://{folder}/rendezvous-{number}"
            timeout = timedelta(seconds=60)
            dist.init_process_group(
                "gloo", init_method=rendezvous, rank=rank, world_size=world_size, timeout=timeout
            )
        try:
            returned.append((globals()[function](*arguments), ""))
        except Exception:
            returned.append((None, traceback.format_exc()))
            import deepspeed

            deepspeed.comm.destroy_process_group()
    (folder / f"returned-{rank}.pickle").write_bytes(pickle.dumps(returned))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))

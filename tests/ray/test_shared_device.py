"""On a real Ray cluster whose one GPU is only said to be there: runs share it, and one that runs out of
memory gets more of it.

Nothing is trained, since there is no GPU: each run leaves what a finished one would.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from grid_helpers import small_sweep

from raysweep import Resources
from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.planning.plan import make_plan
from raysweep.scheduling.run import run_plan
from raysweep.store import RunStatus, Store
from raysweep.training.memory import footprint
from raysweep.training.run import Job

pytestmark = [pytest.mark.ray, pytest.mark.timeout(200)]

AUTO = Resources(gpus_per_worker="auto", cpus_per_worker=0.5)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Four CPUs and a GPU of which `nvidia-smi` says how much memory it has: what the file holds, in MiB."""
    import ray

    told = tmp_path / "memory"
    command = tmp_path / "bin" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\ntest "$1" = --query-gpu=memory.total && cat {told}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    ray.init(
        num_cpus=4,
        num_gpus=1,
        include_dashboard=False,
        object_store_memory=100_000_000,
        logging_level=logging.ERROR,
    )
    try:
        yield told
    finally:
        ray.shutdown()


def test_runs_share_a_device_and_the_one_that_overran_is_tried_again(
    cluster: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raysweep.scheduling import tune

    class Idle:
        def run(self, job: Job) -> None:
            paths = Store(job.store_folder).run(job.spec.id)
            begun = time.time()
            if (
                job.spec.train_split == "train"
            ):  # the two pretrainings, which nothing comes before, wait for each other
                paths.folder.mkdir(parents=True, exist_ok=True)
                (paths.folder / "begun").touch()
                while len([*paths.folder.parent.glob("*/begun")]) < 2:
                    time.sleep(0.05)
            if job.spec.train_split == "supervisor" and job.resources.gpus_per_worker < 0.3:
                paths.error.parent.mkdir(parents=True, exist_ok=True)
                paths.error.write_text("OutOfMemoryError: CUDA out of memory\n")
                raise MemoryError
            paths.claim(job.spec)
            paths.model.mkdir(exist_ok=True)
            (paths.model / "weights").write_text("none")
            paths.finish(
                job.spec, {}, {"gpus": job.resources.gpus_per_worker, "begun": begun, "ended": time.time()}
            )

        def close(self) -> None:
            pass

    class IdleTrial(tune.SlotTrial):
        def setup(  # type: ignore[override]
            self, config: dict[str, Any], import_path: Sequence[str], folder: Path
        ) -> None:
            self._slot = Idle()  # type: ignore[assignment]

    monkeypatch.setattr(tune, "SlotTrial", IdleTrial)
    plan = make_plan(small_sweep(seeds=[0, 1], resources=AUTO), store)
    needs = {run.id: footprint(RunInputs(run.spec, store), AUTO).num_bytes() for run in plan.runs.values()}
    assert max(needs.values()) < 1.1 * min(needs.values())  # all but CUDA's own share is nothing here
    cluster.write_text(f"{round(4.5 * max(needs.values()) / 2**20)}\n")
    queue = run_plan(plan, store, "ray")
    assert queue.count(RunStatus.DONE) == len(plan.runs) == 8, [entry.reason for entry in queue.failures]
    infos = {run.id: store.run(run.id).read_result()["info"] for run in plan.runs.values()}
    assert {infos[run.id]["gpus"] for run in plan.runs.values() if run.role != "supervisor"} == {0.25}
    assert {infos[run.id]["gpus"] for run in plan.runs.values() if run.role == "supervisor"} == {0.5}
    assert {queue.runs[run.id].run.resources.gpus_per_worker for run in plan.runs.values()} == {0.25, 0.5}
    moments = [info["begun"] for info in infos.values()]
    at_once = [
        [info for info in infos.values() if info["begun"] <= moment < info["ended"]] for moment in moments
    ]
    assert max(len(found) for found in at_once) >= 2
    assert max(sum(info["gpus"] for info in found) for found in at_once) <= 1


def test_what_fits_no_device_or_has_none_is_refused_before_anything_starts(
    cluster: Path, store: Store
) -> None:
    plan = make_plan(small_sweep(resources=AUTO), store)
    cluster.write_text("1000\n")
    with pytest.raises(
        InvalidInput, match=r"needs about 1\.07 GB of memory \(estimated\), and a GPU has 1\.05 GB"
    ):
        run_plan(plan, store, "ray")
    cluster.unlink()
    with pytest.raises(
        InvalidInput, match=r"doesn't tell how much memory its GPUs have.*give Resources a number of GPUs"
    ):
        run_plan(plan, store, "ray")
    assert all(run.status(store) is RunStatus.MISSING for run in plan.runs.values())

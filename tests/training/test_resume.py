"""A run that is interrupted resumes from its last checkpoint and ends as if nothing had happened, to the last
bit."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from tiny import TinyWorld, Trained

from raysweep.data.inputs import RunInputs
from raysweep.spec import Call, Full, Lora, Optimization, RunSpec
from raysweep.spec.resources import Resources
from raysweep.store import Store
from raysweep.store.run_folder import RunFolder
from raysweep.training.checkpoint import Checkpoints
from raysweep.training.history import History
from raysweep.training.state_files import StateFiles

STEPS = 12


class Interrupted(Exception):
    """Raised in the middle of a run, as a stand-in for a kill where a kill would only cost time."""


def interrupt(spec: RunSpec, store: Store, at: int, **resources: Any) -> None:
    """Train a run in this process up to its report at a step, and leave what a killed process leaves."""
    from raysweep.training.engine import process_group
    from raysweep.training.loop import train
    from raysweep.training.process import clean_process

    def report(step: int, num_steps: int, history: History) -> None:
        if step >= at:
            raise Interrupted

    with pytest.raises(Interrupted), clean_process(), process_group(on_gpu=False):
        train(RunInputs(spec, store), Resources(**resources), True, report)


def checkpoints(paths: RunFolder) -> list[Path]:
    """The finished checkpoints of a run, oldest first."""
    return sorted(path.parent for path in paths.checkpoints.glob("*/step-*/manifest.json"))


def resumed_from(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [Path(record.args[0]).name for record in caplog.records if record.msg.startswith("resuming")]  # type: ignore[index,arg-type]


def assert_equal_bits(run: Trained, reference: Trained) -> None:
    __tracebackhide__ = True
    names = {path.relative_to(reference.paths.folder) for path in reference.paths.folder.rglob("*.parquet")}
    assert names == {path.relative_to(run.paths.folder) for path in run.paths.folder.rglob("*.parquet")}
    for name in sorted(names):
        pd.testing.assert_frame_equal(
            pd.read_parquet(run.paths.folder / name),
            pd.read_parquet(reference.paths.folder / name),
            check_exact=True,
        )
    for path in reference.paths.verified_model().glob("*.safetensors"):
        assert path.read_bytes() == (run.paths.model / path.name).read_bytes()
    assert run.paths.read_result()["metrics"] == reference.paths.read_result()["metrics"]


def student(world: TinyWorld, **changes: Any) -> RunSpec:
    """A run with all that has a state: Adam, clipping, dropout's random numbers, curves."""
    plan = Optimization(
        learning_rate=5e-3, batch_size=16, steps=STEPS, gradient_clipping=0.5, warmup_fraction=0.2
    )
    model = replace(world.model, dropout=True)
    return world.student(**{"model": model, "optimization": plan, "objective": Call("confidence")} | changes)


def test_a_killed_process_is_resumed_by_running_the_same_run_again(
    tiny_world: TinyWorld, tmp_path: Path, trained: Callable[..., Trained], caplog: pytest.LogCaptureFixture
) -> None:
    spec = student(tiny_world, optimization=Optimization(learning_rate=5e-3, batch_size=16, steps=80))
    store = tiny_world.copy(tmp_path / "killed")
    paths = store.run(spec.id)
    process = tiny.start_process(spec, store, tmp_path / "log", checkpoint_every=5)
    deadline = time.monotonic() + 120
    while len(checkpoints(paths)) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL, (tmp_path / "log" / "log.txt").read_text()
    assert not paths.result.exists() and not paths.error.exists()
    last = checkpoints(paths)[-1].name

    with caplog.at_level("INFO"):
        run = trained(spec, store, save_weights=True, checkpoint_every=5)
    assert resumed_from(caplog) == [last] and int(last.removeprefix("step-")) >= 10
    assert_equal_bits(
        run, trained(spec, tiny_world.copy(tmp_path / "whole"), save_weights=True, checkpoint_every=0)
    )
    assert not paths.checkpoints.exists()  # a finished run keeps none


@pytest.mark.parametrize(
    ("changes", "resources"),
    [
        ({}, {"zero_stage": 1}),
        ({}, {"zero_stage": 2, "micro_batch_size": 4}),
        ({}, {"zero_stage": 3}),
        ({}, {"zero_stage": 3, "offload_optimizer": True, "offload_parameters": True}),
        ({"precision": "bfloat16"}, {}),
        ({"lora": True}, {"zero_stage": 3}),
        ({"lora": True}, {}),
    ],
    ids=str,
)
def test_every_division_of_the_state_is_resumed(
    changes: dict[str, Any],
    resources: dict[str, Any],
    tiny_world: TinyWorld,
    tmp_path: Path,
    trained: Callable[..., Trained],
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = student(tiny_world)
    if "precision" in changes:
        spec = replace(spec, optimization=replace(spec.optimization, **changes))
    if "lora" in changes:
        spec = replace(spec, model=replace(spec.model, tuning=Lora(rank=2, target_modules=("c_attn",))))
    store = tiny_world.copy(tmp_path / "interrupted")
    interrupt(spec, store, 9, checkpoint_every=3, **resources)
    assert [path.name for path in checkpoints(store.run(spec.id))] == ["step-00000003", "step-00000006"]
    with caplog.at_level("INFO"):
        run = trained(spec, store, save_weights=True, checkpoint_every=3, **resources)
    assert resumed_from(caplog) == ["step-00000006"]
    whole = trained(
        spec, tiny_world.copy(tmp_path / "whole"), save_weights=True, checkpoint_every=0, **resources
    )
    assert_equal_bits(run, whole)


def test_a_short_run_has_checkpoints_by_time(
    tiny_world: TinyWorld, tmp_path: Path, trained: Callable[..., Trained], caplog: pytest.LogCaptureFixture
) -> None:
    spec = student(tiny_world)
    store = tiny_world.copy(tmp_path / "interrupted")
    by_time = {"checkpoint_every": 0, "checkpoint_seconds": 1e-9}
    interrupt(spec, store, 9, **by_time)
    assert checkpoints(store.run(spec.id))[0].name == "step-00000001"
    with caplog.at_level("INFO"):
        run = trained(spec, store, save_weights=True, **by_time)
    assert resumed_from(caplog)
    whole = trained(spec, tiny_world.copy(tmp_path / "whole"), save_weights=True, checkpoint_every=0)
    assert_equal_bits(run, whole)


def test_several_ranks_agree_on_checkpoints_by_time(tiny_world: TinyWorld, tmp_path: Path) -> None:
    """One of them is late by its own clock; both write, once they exchange losses."""
    paths = tiny_world.copy(tmp_path / "store").run(student(tiny_world).id)

    def is_due(seconds: float, other_is_late: bool, step: int, meets: bool) -> bool:
        resources = Resources(num_workers=2, checkpoint_every=100, checkpoint_seconds=seconds)
        engine: Any = SimpleNamespace(world_size=2, any=lambda here: here or other_is_late)
        return Checkpoints(paths, resources).is_due(step, engine, meets=meets)

    assert is_due(1e-9, False, 7, True) and is_due(60, True, 7, True)
    assert not is_due(60, False, 7, True)
    assert not is_due(1e-9, True, 7, False)  # nobody may be asked now
    assert is_due(60, False, 100, False)  # by steps
    assert not is_due(0, True, 7, True)  # none by time


def test_what_is_not_trained_is_not_in_a_checkpoint(tiny_world: TinyWorld, tmp_path: Path) -> None:
    sizes = {}
    for name, tuning in {"full": Full(), "lora": Lora(rank=2, target_modules=("c_attn",))}.items():
        spec = student(tiny_world, model=replace(tiny_world.model, tuning=tuning))
        for stage in (0, 3):
            store = tiny_world.copy(tmp_path / f"{name}-{stage}")
            interrupt(spec, store, 9, checkpoint_every=3, zero_stage=stage)
            files = list(checkpoints(store.run(spec.id))[-1].rglob("*.pt"))
            tensors = [torch.load(path, weights_only=False) for path in files]
            sizes[name, stage] = sum(item.numel() for item in tensors_in(tensors))
    model = 6_000  # parameters, about; a checkpoint holds each with Adam's two moments
    for stage in (0, 3):
        assert sizes["full", stage] > 2.9 * model and sizes["lora", stage] < 0.5 * model


def tensors_in(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [item for part in values for item in tensors_in(part)]


def test_a_checkpoint_runs_no_code_that_it_names(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "made"),))

    files = StateFiles([])
    files.save({"numbers": torch.ones(2)}, str(tmp_path / "good.pt"))
    assert files.load(str(tmp_path / "good.pt"))["numbers"].tolist() == [1, 1]
    content = (tmp_path / "good.pt").read_bytes()
    assert files.checksums == {tmp_path / "good.pt": hashlib.sha256(content).hexdigest()}
    files.save({"numbers": Evil()}, str(tmp_path / "evil.pt"))
    with pytest.raises(pickle.UnpicklingError, match="mkdir"):
        files.load(str(tmp_path / "evil.pt"))
    assert not (tmp_path / "made").exists()


def damage_engine(folder: Path) -> None:
    file = max(folder.rglob("*.pt"), key=lambda path: path.stat().st_size)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def damage_curve(folder: Path) -> None:
    (folder / "curves" / "training.parquet").unlink()


def damage_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"step": 6, "fi')


def never_finished(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [damage_engine, damage_curve, damage_manifest, never_finished])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    damage: Callable[[Path], None],
    tiny_world: TinyWorld,
    tmp_path: Path,
    trained: Callable[..., Trained],
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = student(tiny_world)
    store = tiny_world.copy(tmp_path / "interrupted")
    interrupt(spec, store, 9, checkpoint_every=3)
    damage(checkpoints(store.run(spec.id))[-1])
    with caplog.at_level("INFO"):
        run = trained(spec, store, save_weights=True, checkpoint_every=3)
    assert resumed_from(caplog) == ["step-00000003"]
    assert "step-00000006 is incomplete or damaged" in caplog.text
    whole = trained(spec, tiny_world.copy(tmp_path / "whole"), save_weights=True)
    assert_equal_bits(run, whole)


def test_without_a_good_checkpoint_or_with_another_division_the_run_starts_anew(
    tiny_world: TinyWorld, tmp_path: Path, trained: Callable[..., Trained], caplog: pytest.LogCaptureFixture
) -> None:
    spec = student(tiny_world, model=tiny_world.model)
    whole = trained(spec, tiny_world.copy(tmp_path / "whole"), save_weights=True)
    store = tiny_world.copy(tmp_path / "damaged")
    interrupt(spec, store, 9, checkpoint_every=3)
    for folder in checkpoints(store.run(spec.id)):
        damage_engine(folder)
    with caplog.at_level("INFO"):
        assert_equal_bits(trained(spec, store, save_weights=True), whole)
        store = tiny_world.copy(tmp_path / "divided otherwise")
        interrupt(spec, store, 9, checkpoint_every=3)
        other = trained(spec, store, save_weights=True, zero_stage=2)
    assert resumed_from(caplog) == []
    np.testing.assert_allclose(other.losses, whole.losses, rtol=0, atol=1e-5)
    assert not store.run(spec.id).checkpoints.exists()


def test_the_two_newest_checkpoints_are_kept(tiny_world: TinyWorld, tiny_store: Store) -> None:
    spec = student(tiny_world)
    interrupt(spec, tiny_store, STEPS - 1, checkpoint_every=2)
    folder = tiny_store.run(spec.id).checkpoints / "1-zero0"
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000008", "step-00000010"]

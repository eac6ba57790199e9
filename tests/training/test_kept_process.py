"""A run's numbers are the same bits every time, and a process that is kept for further runs is as a fresh
one."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from tiny import TinyWorld, Trained

from raysweep.errors import TrainingDiverged
from raysweep.objectives import BatchContext, Objective, cross_entropy
from raysweep.spec import Call, Optimization, RunSpec
from raysweep.store import Store
from raysweep.training.process import ProcessNotClean, clean_process

SPLITS = ("transfer", "validation", "test")


def assert_equal_bits(run: Trained, other: Trained) -> None:
    __tracebackhide__ = True
    np.testing.assert_array_equal(run.losses, other.losses)
    for split in SPLITS:
        np.testing.assert_array_equal(run.probabilities(split), other.probabilities(split))
    files = [path for path in run.paths.verified_model().iterdir() if path.suffix == ".safetensors"]
    assert files
    for path in files:
        assert path.read_bytes() == (other.paths.model / path.name).read_bytes()


def student(world: TinyWorld) -> RunSpec:
    return world.student(objective=Call("confidence", {"alpha_max": 0.75}))


@pytest.fixture(scope="module")
def fresh(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Trained]:
    """The student, by ZeRO stage, each trained in a Python process that did nothing else."""
    folder = tmp_path_factory.mktemp("fresh")
    stores = {stage: tiny_world.copy(folder / f"store-{stage}") for stage in (0, 3)}
    processes = {
        stage: tiny.start_process(student(tiny_world), store, folder / str(stage), zero_stage=stage)
        for stage, store in stores.items()
    }
    for stage, process in processes.items():
        assert process.wait(timeout=120) == 0, (folder / str(stage) / "log.txt").read_text()
    return {stage: Trained(store.run(student(tiny_world).id)) for stage, store in stores.items()}


def test_runs_in_a_kept_process_equal_those_of_fresh_ones_to_the_last_bit(
    fresh: dict[int, Trained], tiny_world: TinyWorld, tmp_path: Path, trained: Callable[..., Trained]
) -> None:
    """Runs of other kinds come between: other stages, precisions, dropout, language models."""
    pretraining = tiny_world.model.base
    assert isinstance(pretraining, RunSpec)
    low = replace(student(tiny_world).optimization, precision="bfloat16")
    between = [
        (replace(pretraining, seed=5), {"zero_stage": 3}),
        (tiny_world.student(model=replace(tiny_world.model, dropout=True), seed=1), {"zero_stage": 1}),
        (tiny_world.finetuning(optimization=low), {"zero_stage": 2}),
    ]
    for number, stage in enumerate((0, 3, 1, 2, 3, 0)):
        store = tiny_world.copy(tmp_path / f"store-{number}")
        run = trained(student(tiny_world), store, save_weights=True, zero_stage=stage)
        if stage in fresh:
            assert_equal_bits(run, fresh[stage])
        if number < len(between):
            spec, resources = between[number]
            trained(spec, store, **resources)


def test_another_seed_gives_other_numbers(
    fresh: dict[int, Trained], tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    other = trained(replace(student(tiny_world), seed=1), tiny_store)
    assert np.abs(other.losses - fresh[0].losses).max() > 1e-3
    assert np.abs(other.probabilities() - fresh[0].probabilities()).max() > 1e-3


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_run_leaves_nothing_of_its_own_behind(
    stage: int, tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    import deepspeed
    from deepspeed.runtime.zero import partition_parameters
    from deepspeed.utils import groups
    from transformers import PreTrainedModel
    from transformers.integrations import is_deepspeed_zero3_enabled

    def models() -> int:
        gc.collect()
        return sum(isinstance(item, PreTrainedModel | torch.optim.Optimizer) for item in gc.get_objects())

    before = models()
    trained(tiny_world.student(), tiny_store, zero_stage=stage)
    assert models() == before
    diverging = tiny_world.finetuning(optimization=Optimization(learning_rate=1e20, batch_size=16, steps=12))
    with contextlib.suppress(TrainingDiverged):
        trained(diverging, tiny_store, zero_stage=stage)
    assert models() == before
    assert not torch.distributed.is_initialized() and not deepspeed.comm.is_initialized()
    assert (
        groups._WORLD_GROUP is None
        and not is_deepspeed_zero3_enabled()
        and not partition_parameters.zero_init_context
    )


SEEN: list[int] = []


def _threads_seen(logits: torch.Tensor, labels: torch.Tensor, context: BatchContext) -> torch.Tensor:
    SEEN.append(torch.get_num_threads())
    return cross_entropy(logits, labels, context)


THREADS_SEEN = Objective(_threads_seen)


@pytest.mark.parametrize(("cpus", "threads"), [(2, 2), (0.5, 1)])
def test_a_worker_computes_with_as_many_threads_as_it_has_cpus(
    cpus: float, threads: int, tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    SEEN.clear()
    trained(
        tiny_world.finetuning(objective=Call("test_kept_process:THREADS_SEEN")),
        tiny_store,
        cpus_per_worker=cpus,
    )
    assert set(SEEN) == {threads}


def test_clean_process_restores_what_a_run_may_change() -> None:
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = (random.random(), np.random.rand(), torch.rand(()).item())
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    os.environ["RAYSWEEP_TEST_KEPT"] = "before"
    threads = torch.get_num_threads()
    excepthook = sys.excepthook
    try:
        with clean_process():
            random.seed(2), np.random.seed(2), torch.manual_seed(2)
            os.environ["RAYSWEEP_TEST_KEPT"] = "after"
            os.environ["RAYSWEEP_TEST_NEW"] = "new"
            torch.set_num_threads(threads + 1)
            torch.set_default_dtype(torch.float64)
            torch.set_grad_enabled(False)
            sys.excepthook = print
        assert sys.excepthook is excepthook
        assert (random.random(), np.random.rand(), torch.rand(()).item()) == expected
        assert os.environ["RAYSWEEP_TEST_KEPT"] == "before" and "RAYSWEEP_TEST_NEW" not in os.environ
        assert torch.get_num_threads() == threads
        assert torch.get_default_dtype() is torch.float32
        assert torch.is_grad_enabled()
    finally:
        del os.environ["RAYSWEEP_TEST_KEPT"]


def test_clean_process_restores_after_an_error_and_lets_the_error_through() -> None:
    with pytest.raises(KeyError, match="mine"), clean_process():
        torch.set_default_dtype(torch.float64)
        raise KeyError("mine")
    assert torch.get_default_dtype() is torch.float32


def test_a_thread_that_is_left_running_makes_the_process_unclean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysweep.training.process._PATIENCE", 0.1)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="left-behind")
    try:
        with pytest.raises(ProcessNotClean, match="left-behind"), clean_process():
            thread.start()
    finally:
        stop.set()
        thread.join()


def test_a_thread_that_ends_soon_is_waited_for() -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()  # before the block, so not one of it
    with clean_process():
        thread = threading.Thread(target=stop.wait)
        thread.start()
    assert stop.is_set() and not thread.is_alive()


def test_a_process_group_that_is_left_makes_the_process_unclean() -> None:
    store = torch.distributed.HashStore()
    try:
        with pytest.raises(ProcessNotClean, match="process group"), clean_process():
            torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    finally:
        torch.distributed.destroy_process_group()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A stand-in for a GPU in use: bytes that tensors hold, and those of the workspaces of cuBLAS."""
    held = {"tensors": 10 * 2**20, "workspaces": 0}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: sum(held.values()))
    monkeypatch.setattr(
        torch._C, "_cuda_clearCublasWorkspaces", lambda: held.update(workspaces=0), raising=False
    )
    return held


def test_workspaces_of_cublas_are_no_memory_that_a_run_left(gpu: dict[str, int]) -> None:
    with clean_process():
        gpu["workspaces"] = 2 * 32 * 2**20 + 1  # two handles on Hopper
    assert gpu == {"tensors": 10 * 2**20, "workspaces": 0}


def test_tensors_that_stay_on_a_gpu_make_the_process_unclean(gpu: dict[str, int]) -> None:
    with pytest.raises(ProcessNotClean, match="70 MiB of GPU memory"), clean_process():
        gpu["tensors"] += 70 * 2**20


def test_a_launcher_around_the_process_is_not_seen(
    tiny_world: TinyWorld,
    tiny_store: Store,
    trained: Callable[..., Trained],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As under torchrun or srun: taken for rank 3 of 4, the run would write nothing, or wait for ever."""
    outer = {"RANK": "3", "LOCAL_RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"}
    outer |= {"MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "29500"}
    for name, value in outer.items():
        monkeypatch.setenv(name, value)
    run = trained(tiny_world.finetuning(), tiny_store)
    assert run.paths.read_result() and len(run.losses) == 12
    assert {name: os.environ[name] for name in outer} == outer  # the process has them back


GPUS_SEEN: list[str | None] = []


def _gpus_seen(logits: torch.Tensor, labels: torch.Tensor, context: BatchContext) -> torch.Tensor:
    GPUS_SEEN.append(os.environ.get("CUDA_VISIBLE_DEVICES"))
    return cross_entropy(logits, labels, context)


SEES_GPUS = Objective(_gpus_seen)


def test_a_run_on_cpu_sees_no_gpu_of_its_machine(
    tiny_world: TinyWorld,
    tiny_store: Store,
    trained: Callable[..., Trained],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def touched(*_: object) -> None:
        raise AssertionError("a CUDA context would be made")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    # DeepSpeed sets it where it is imported, so maybe in an earlier test
    monkeypatch.delenv("PYTORCH_NVML_BASED_CUDA_CHECK", raising=False)
    for name in ("_lazy_init", "get_device_properties", "reset_peak_memory_stats", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, touched)
    # what NVML would say of two GPUs
    monkeypatch.setattr(
        torch.cuda, "device_count", lambda: len(os.environ["CUDA_VISIBLE_DEVICES"].replace(",", ""))
    )
    trained(tiny_world.finetuning(objective=Call("test_kept_process:SEES_GPUS")), tiny_store)
    assert set(GPUS_SEEN) == {""}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1" and "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ

"""Runs share a GPU as their memory allows: estimated before, corrected by what was measured."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
from grid_helpers import small_model, small_sweep

from raysweep import Resources, RunSpec, grid
from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.estimates.forecast import forecast
from raysweep.estimates.gpu_sharing import (
    ASSUMED_DEVICE_BYTES,
    GpuShares,
    Measurements,
    is_open,
    pack,
)
from raysweep.estimates.runtime import estimate_costs
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan, make_plan
from raysweep.store import Store
from raysweep.training.memory import footprint

AUTO = Resources(gpus_per_worker="auto")


@pytest.fixture
def plan(store: Store) -> Plan:
    """Two pretrainings; for each of two seeds a supervisor, a ceiling and a student."""
    return make_plan(small_sweep(seeds=[0, 1], resources=AUTO), store)


def find(plan: Plan, kind: str, seed: int = 0) -> PlannedRun:
    return next(run for run in plan.runs.values() if run.role == kind and run.spec.seed == seed)


def finish(run: PlannedRun, store: Store, peak: int, total: int = 80 * 10**9, **shape: Any) -> None:
    """Let a run be done that took so many bytes of a device."""
    found = asdict(footprint(RunInputs(run.spec, store), run.resources)) | shape
    paths = store.run(run.id)
    paths.claim(run.spec)
    paths.model.mkdir(exist_ok=True)
    (paths.model / "weights").write_text("weights")
    paths.finish(run.spec, {}, {"device_memory_bytes": peak, "device_total_bytes": total, "footprint": found})


def test_a_fraction_is_as_many_sixteenths_as_the_memory_needs(plan: Plan, store: Store) -> None:
    run = find(plan, "supervisor")
    need = footprint(RunInputs(run.spec, store), AUTO).num_bytes()
    for device, parts in ((4 * need, 4), (4 * need - 16, 5), (need, 16), (2 * need - 1, 9), (1000 * need, 1)):
        assert GpuShares(store, device).resources(run) == replace(AUTO, gpus_per_worker=parts / 16)


def test_a_run_that_fits_no_device_is_refused_with_what_to_change(plan: Plan, store: Store) -> None:
    run = find(plan, "student")
    need = footprint(RunInputs(run.spec, store), AUTO).num_bytes()
    told = rf"the student run of 'strong' on task 'sandbox' needs about {need / 1e9:.3g} GB of memory "
    told += r"\(estimated\), and a GPU has 1\.07 GB\. .*micro_batch_size.*offload_optimizer.*num_workers"
    with pytest.raises(InvalidInput, match=told):
        GpuShares(store, 1_070_000_000).resources(run)


def test_what_is_given_as_a_number_stays(store: Store) -> None:
    def choose(spec: RunSpec) -> Resources:
        return AUTO if spec.model.name == "weak" else Resources(num_workers=2, gpus_per_worker=1)

    plan = make_plan(small_sweep(resources=choose), store)
    assert is_open(plan.runs.values())
    packed = pack(plan, GpuShares(store, 10**12))
    assert not is_open(packed.runs.values())
    for run_id, run in plan.runs.items():
        expected = 1 / 16 if run.spec.model.name == "weak" else 1
        assert packed.runs[run_id].resources == replace(run.resources, gpus_per_worker=expected)


def test_a_run_like_one_that_was_measured_gets_what_that_took_and_a_tenth(plan: Plan, store: Store) -> None:
    first = find(plan, "supervisor", 0)
    second = find(plan, "supervisor", 1)
    finish(first, store, 40 * 10**9)
    need = Measurements.read(store).need(footprint(RunInputs(second.spec, store), AUTO))
    assert need == (44 * 10**9, "measured")
    assert GpuShares(store, 80 * 10**9).resources(second).gpus_per_worker == 9 / 16  # of 44 / 80 · 16 = 8.8
    finish(second, store, 50 * 10**9)  # the largest counts
    assert Measurements.read(store).need(footprint(RunInputs(second.spec, store), AUTO)) == (
        55 * 10**9,
        "measured",
    )


def test_other_sizes_are_scaled_by_the_nearest_and_other_kinds_are_not(plan: Plan, store: Store) -> None:
    weak = find(plan, "supervisor")
    strong = find(plan, "ceiling")
    estimates = [footprint(RunInputs(run.spec, store), AUTO).num_bytes() for run in (weak, strong)]
    finish(weak, store, 3 * estimates[0])
    wanted = footprint(RunInputs(strong.spec, store), AUTO)
    assert Measurements.read(store).need(wanted) == (pytest.approx(1.1 * 3 * estimates[1]), "scaled")
    for change in ({"precision": "bfloat16", "zero_stage": 1}, {"tuning": "Lora"}):
        other = replace(wanted, **change)
        assert Measurements.read(store).need(other) == (other.num_bytes(), "estimated")
    # One of ten times as many parameters is farther away than one of its own size with another batch.
    finish(find(plan, "supervisor", 1), store, estimates[0], num_parameters=10 * wanted.num_parameters)
    finish(find(plan, "ceiling", 1), store, 2 * estimates[1], texts=wanted.texts + 1)
    nearest = replace(wanted, texts=wanted.texts + 1).num_bytes()
    assert Measurements.read(store).need(wanted) == (
        round(1.1 * 2 * estimates[1] / nearest * estimates[1]),
        "scaled",
    )


def test_measurements_that_cannot_be_read_are_not_used(plan: Plan, store: Store) -> None:
    finish(find(plan, "supervisor", 0), store, 40 * 10**9, layers="a field of another version")
    store.run(find(plan, "supervisor", 1).id).folder.mkdir(parents=True)
    assert Measurements.read(store) == Measurements({}, None)


def test_a_forecast_assumes_a_device_until_one_was_measured(plan: Plan, store: Store) -> None:
    assert GpuShares(store).device_bytes == ASSUMED_DEVICE_BYTES == 80 * 10**9
    found = forecast(plan, store, 1)
    whole = sum(cost.seconds for cost in estimate_costs(plan, store).values())
    # Each takes a sixteenth, and needs no more than two run at once.
    assert found.simulation.device_seconds < whole / 8 and found.simulation.makespan < whole
    assert (
        "Runs share GPUs of 80 GB as memory allows" in found.lines()
        and found.to_json()["shared_gpu_bytes"] == 80 * 10**9
    )
    finish(find(plan, "supervisor"), store, 10**9, total=24 * 10**9)
    assert "GPUs of 24 GB" in forecast(plan, store, 1).lines()
    by_hand = make_plan(small_sweep(resources=Resources(gpus_per_worker=0.25)), store)
    assert (
        "share" not in forecast(by_hand, store, 1).lines()
        and forecast(by_hand, store, 1).shared_bytes is None
    )


def test_runs_that_may_not_fit_are_warned_of_by_model(plan: Plan, store: Store) -> None:
    packer = GpuShares(store, device_bytes=24 * 10**9)
    whole = [replace(run, resources=Resources(gpus_per_worker=1)) for run in plan.runs.values()]
    assert packer.warnings(whole) == []
    sliver = [replace(run, resources=Resources(gpus_per_worker=0.01)) for run in plan.runs.values()]
    needed = {run.id: packer.need(run)[0] for run in sliver}
    lines = packer.warnings(sliver)
    names = {run.spec.model.name for run in sliver if needed[run.id] > 0.24 * 10**9}
    assert len(lines) == len(names) == len({line.split("'")[1] for line in lines}) > 1
    assert all("(estimated), and it gets 0.24 GB of a GPU" in line for line in lines)
    on_cpu = [replace(run, resources=Resources()) for run in plan.runs.values()]
    open_ones = [replace(run, resources=AUTO) for run in plan.runs.values()]
    assert packer.warnings([*on_cpu, *open_ones]) == []


def test_a_grid_of_two_sizes_is_looked_at_once_for_each(store: Store) -> None:
    weak = [small_model("weak-2", 2), small_model("weak-4", 4)]
    plan = make_plan(
        small_sweep(pairs=grid(weak, [small_model("strong", 6)]), seeds=range(5), resources=AUTO), store
    )
    packer = GpuShares(store)
    before = {path: path.stat().st_mtime_ns for path in (store.folder / "model_sizes").glob("*")}
    assert {run.resources.gpus_per_worker for run in pack(plan, packer).runs.values()} == {1 / 16}
    # Of three models one with a head of two classes and one that predicts words.
    made = [path for path in (store.folder / "model_sizes").glob("*") if path not in before]
    assert len(made) == 6

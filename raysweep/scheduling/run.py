"""`run_plan`: execute a plan with any runner, from the command line or from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from raysweep.errors import InvalidInput
from raysweep.estimates.gpu_sharing import GpuShares, is_open
from raysweep.estimates.runtime import estimate_costs, remaining_seconds
from raysweep.planning.graph import PlannedRun
from raysweep.planning.plan import Plan
from raysweep.scheduling.cluster_size import WAIT_VARIABLE, fits
from raysweep.scheduling.jobs import Jobs
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import ENDED, QueuedRun
from raysweep.scheduling.runner import Runner
from raysweep.scheduling.runners import make_runner
from raysweep.spec.resources import Resources
from raysweep.store import RunStatus, Store
from raysweep.store.code_state import code_state


def run_plan(
    plan: Plan,
    store: Store,
    runner: Runner | str = "local",
    on_change: Callable[[RunQueue, QueuedRun], None] = lambda queue, queued: None,
    *,
    on_begin: Callable[[RunQueue], None] = lambda queue: None,
    code: Mapping[str, Any] | None = None,
) -> RunQueue:
    """Execute every run of a plan that isn't done; a plan that searches grows meanwhile. Returns the queue,
    with the status of every run and the plan as it is at the end.

    Runs with the longest remaining path start first. A run that fails doesn't raise: the runs that need it
    fail with it, and all others are executed (see `RunQueue.failures`).

    Args:
        plan: what to execute.
        store: where results are, and go.
        runner: "ray", "local", `module:object`, or a runner.
        on_change: called after each change of a run's status, with the queue, whose plan may have grown, and
            the run.
        on_begin: called with the queue before anything is executed, unless there is nothing to.
        code: the state of the user's code, recorded with each run; None for that of the current directory.

    Raises:
        InvalidInput: a run asks for more than the runner can ever give, or a search suggests what can't be
            trained. What runs by then is finished.
    """
    runner = make_runner(runner) if isinstance(runner, str) else runner

    def changed(queued: QueuedRun) -> None:
        if queued.status in ENDED:
            grow(queued)
        on_change(queue, queued)

    def grow(ended: QueuedRun) -> None:
        driver = queue.plan.driver
        larger = driver.after(ended.run.id, has_failed=ended.status is RunStatus.FAILED) if driver else None
        if larger is not None:
            extend(larger)

    def extend(larger: Plan) -> None:
        known = set(queue.runs)
        queue.extend(larger)
        _share_gpus(queue, runner)
        _expect(queue)
        for run_id in larger.runs.keys() - known:
            require_fit(queue.runs[run_id].run, nodes)

    store.remove_leftovers()
    queue = RunQueue(plan, store, changed)
    nodes = None
    if not queue.is_complete:
        _expect(queue)
        nodes = runner.nodes()
        _share_gpus(queue, runner)
        queue.num_at_once = _num_at_once(queue, nodes)
        for queued in queue.first(RunStatus.WAITING, len(queue.runs)):
            require_fit(queued.run, nodes)
        code = code_state(Path.cwd()) if code is None else code
        on_begin(queue)
        try:
            runner.run(queue, Jobs(store, code, queue.ownership))
        finally:
            queue.ownership.close()
    if queue.problem is not None:
        raise queue.problem
    return queue


def _expect(queue: RunQueue) -> None:
    """Estimate how long each run takes, and order the ready ones by it."""
    costs = estimate_costs(queue.plan, queue.store)
    queue.expected_seconds = {run_id: cost.seconds for run_id, cost in costs.items()}
    queue.order_by(remaining_seconds(queue.plan, costs))


def _num_at_once(queue: RunQueue, nodes: Sequence[Mapping[str, float]] | None) -> int:
    """How many runs like the waiting ones, on average, there is room for."""
    waiting = [queued.run.resources.total() for queued in queue.first(RunStatus.WAITING, len(queue.runs))]
    if nodes is None or not waiting:
        return 1
    total = {name: sum(node.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU")}
    asked = {name: sum(run.get(name, 0.0) for run in waiting) / len(waiting) for name in total}
    return max(1, int(min(total[name] / asked[name] for name in total if asked[name])))


def _share_gpus(queue: RunQueue, runner: Runner) -> None:
    """Replace `gpus_per_worker="auto"` by a number."""
    waiting = [queued.run for queued in queue.first(RunStatus.WAITING, len(queue.runs))]
    if not is_open(waiting):
        return
    gpu_bytes = runner.smallest_gpu_bytes()
    if gpu_bytes is None:
        queue.choose_resources(_with_whole_gpus)
    else:
        queue.choose_resources(GpuShares(queue.store, gpu_bytes).resources)


def _with_whole_gpus(run: PlannedRun) -> Resources:
    return replace(run.resources, gpus_per_worker=run.resources.num_gpus)


def require_fit(run: PlannedRun, nodes: Sequence[Mapping[str, float]] | None) -> None:
    """Refuse a run that asks for more than there will ever be.

    Args:
        run: the run.
        nodes: see `Runner.nodes`.

    Raises:
        InvalidInput: says what it asks for and what there is.
    """
    if nodes is None or fits(run.resources, nodes):
        return
    wanted = run.resources.total()
    one: dict[str, Any] = {"CPU": run.resources.cpus_per_worker, "GPU": run.resources.num_gpus}
    total = {name: sum(node.get(name, 0) for node in nodes) for name in wanted}
    there = ", ".join(f"{amount:g} {name}" for name, amount in total.items())
    asked = ", ".join(f"{amount:g} {name}" for name, amount in wanted.items() if amount)
    raise InvalidInput(
        f"the {run.role} run of {run.spec.model.name!r} asks for {asked} ({run.resources.world_size} "
        f"process(es) of {one['CPU']:g} CPU and {one['GPU']:g} GPU each); the cluster has at most {there} on "
        f"{len(nodes)} node(s) and can never fit it. Change the sweep's Resources, or start more nodes "
        f"first; if they are still to come, set {WAIT_VARIABLE} to the number of minutes to wait for them"
    )

"""Early stopping across processes: what earlier trials reported, and the stopper as an actor of Ray."""

from __future__ import annotations

from typing import Any

from raysweep.data.inputs import RunInputs
from raysweep.files import read_json
from raysweep.planning.plan import Plan
from raysweep.planning.search.config import METRICS
from raysweep.planning.search.stopping import EarlyStopper, SignalHistory
from raysweep.planning.search.studies import Studies
from raysweep.results.measure import measure_curve
from raysweep.store import RunStatus


def make_stopper(plan: Plan) -> EarlyStopper | None:
    """What decides which trials of a plan's search are ended early, with what earlier trials reported; None
    without one."""
    if plan.driver is None or plan.driver.studies.search.stopping_call is None:
        return None
    studies = plan.driver.studies
    return EarlyStopper(studies.search, signal_histories(studies))


class ActorStopper:
    """An `EarlyStopper` in an actor of Ray, which trials and workers reach by its name.

    Args:
        stopper: the stopper that the actor is made of.
        name: of the actor, unique in the cluster.
    """

    def __init__(self, stopper: EarlyStopper, name: str) -> None:
        import ray

        self._name = name
        # The actor lives as long as the driver holds this handle.
        self._actor: Any = ray.remote(num_cpus=0)(_Hosted).options(name=name).remote(stopper)

    def report(self, study: str, run_id: str, percent: float, signal: float) -> bool:
        """See `EarlyStopper.report`."""
        import ray

        self._actor = self._actor or ray.get_actor(self._name)
        return bool(ray.get(self._actor.report.remote(study, run_id, percent, signal)))

    def __getstate__(self) -> dict[str, Any]:
        return {"_name": self._name, "_actor": None}


class _Hosted:
    """The actor."""

    def __init__(self, stopper: EarlyStopper) -> None:
        self._stopper = stopper

    def report(self, study: str, run_id: str, percent: float, signal: float) -> bool:
        return self._stopper.report(study, run_id, percent, signal)


def signal_histories(studies: Studies) -> dict[str, dict[str, SignalHistory]]:
    """By study and run id, the curves that the stopping rule judges, of the trials that have ended."""
    metric = METRICS[studies.search.select_by]
    histories: dict[str, dict[str, SignalHistory]] = {}
    for study in studies.by_key.values():
        for spec in study.runs():
            history = _signal_history(RunInputs(spec, studies.store), metric)
            if history is not None:
                histories.setdefault(study.key, {})[spec.id] = history
    return histories


def _signal_history(inputs: RunInputs, metric: str) -> SignalHistory | None:
    folder = inputs.store.run(inputs.spec.id)
    status = inputs.store.status(inputs.spec)
    if status is RunStatus.STOPPED:
        return [(percent, signal) for _, percent, signal in read_json(folder.stopped)["history"]]
    if status is RunStatus.DONE:
        curve = measure_curve(inputs)
        last = folder.read_result()["info"]["num_steps"]
        points = zip(curve["step"], curve[metric], strict=True) if metric in curve else ()
        return [(100 * step / last, float(signal)) for step, signal in points]
    return None

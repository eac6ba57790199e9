"""Measuring: from a run's saved predictions to its metrics, without training.

Besides training on ground truth, this is the only place that reads a task's true labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from raysweep.data.inputs import RunInputs
from raysweep.errors import CorruptFile, InvalidInput
from raysweep.metrics import Measurement, correct, measured, metrics
from raysweep.predictions import Predictions
from raysweep.rules import HALF_A, predicts_only_half_a
from raysweep.spec import Features, RunSpec, WeakLabels

if TYPE_CHECKING:
    from raysweep.store import RunFolder, Store

CURVE_METRICS = ("accuracy", "agreement", "legality")
"""Metrics at every point of a curve: those that are drawn over training. Each takes microseconds."""


def measure_run(inputs: RunInputs, names: Iterable[str] | None = None) -> dict[str, float]:
    """The metrics of a run on every split that it predicted, as `<split>_<metric>`: `test_accuracy`,
    `transfer_auroc`…

    On validation, predictions are also compared with the run's own labels; on test, those of a student with
    its supervisor's. A run on texts alone has one metric, `validation_loss`, the mean in nats per token; a
    features run has none.

    Args:
        inputs: of a run whose predictions are saved.
        names: of the metrics, registered or `module:object`; None for all that are registered.
    """
    paths = _folder(inputs)
    if isinstance(inputs.model.tuning, Features):
        return {}
    if inputs.spec.kind == "text":
        losses = pd.read_parquet(paths.curve_predictions("validation"))
        return {"validation_loss": _mean_loss(losses[losses["step"] == losses["step"].max()])}
    chosen = [name for name, _ in metrics] if names is None else list(names)
    values: dict[str, float] = {}
    for path in sorted(paths.predictions("").parent.glob("*.parquet")):
        if path.stem == HALF_A:
            continue  # there because another run of the plan reads it; what was learnt from measures nothing
        values |= _Reference.of(inputs, path.stem).measure(Predictions.read(path), chosen)
    return values


def measure_curve(inputs: RunInputs, supervisor: RunSpec | None = None) -> pd.DataFrame:
    """The evaluation curves of a finished run by step, from the predictions that it saved at each point.

    Columns: step; `validation_accuracy` and `test_accuracy` against ground truth;
    `validation_accuracy_on_own_labels`; with a supervisor `test_agreement`, `test_agreement_supervisor_right`
    and `test_agreement_supervisor_wrong`; for generative tasks `validation_legality` and `test_legality`; for
    texts alone only `validation_loss`.

    Args:
        inputs: of a finished run.
        supervisor: the finished run with which it is compared on test, such as the cell's supervisor for a
            ceiling; None for the run's own supervisor, if it has one.

    Raises:
        CorruptFile: the predictions aren't what was written.
    """
    rows: dict[int, dict[str, float]] = {}
    for split in ("validation", "test"):
        path = _folder(inputs).curve_predictions(split)
        if inputs.spec.kind == "text" and path.exists():
            losses = pd.read_parquet(_folder(inputs).verified(path))
            for step, point in losses.groupby("step", sort=True):
                rows.setdefault(int(str(step)), {})[f"{split}_loss"] = _mean_loss(point)
        elif path.exists():
            reference = _Reference.of(inputs, split, supervisor)
            for step, predicted in curve_points(inputs, split):
                rows.setdefault(step, {}).update(reference.measure(predicted, CURVE_METRICS))
    return pd.DataFrame([{"step": step} | row for step, row in sorted(rows.items())])


def point_measurer(inputs: RunInputs, split: str) -> Callable[[pd.DataFrame], dict[str, float]]:
    """A function that measures points of a run's curve while it trains, as `measure_curve` does afterwards.
    It takes frames of `raysweep.training.history`."""
    if inputs.spec.kind == "text":
        return lambda point: {f"{split}_loss": _mean_loss(point)}
    reference = _Reference.of(inputs, split)
    return lambda point: reference.measure(predictions_at(point, inputs.spec.id), CURVE_METRICS)


def example_table(inputs: RunInputs) -> pd.DataFrame:
    """A finished run's test examples, one row each, in the order of its predictions.

    Columns: id; group, the same for examples that share a passage, a question or a prompt; is_right (bool),
    against ground truth; confidence, the probability of the predicted class,
    NaN for answers; difficulty, NaN where unknown.

    Raises:
        CorruptFile: the predictions aren't what was written.
    """
    predicted = _folder(inputs).read_predictions("test")
    truth = inputs.ground_truth("test").align(predicted.ids)
    ids = predicted.ids.tolist()
    groups = inputs.examples("test", ["id", "group"]).set_index("id")["group"]
    confidence = (
        predicted.probabilities.max(axis=1) if predicted.answers is None else np.full(len(predicted), np.nan)
    )
    columns = {
        "id": predicted.ids.astype(object),
        "group": groups.loc[ids].to_numpy(object),
        "is_right": correct(predicted, truth),
        "confidence": confidence,
        "difficulty": inputs.difficulty("test").loc[ids].to_numpy(np.float64),
    }
    return pd.DataFrame(columns).astype({"id": "str", "group": "str"})


def curve_points(inputs: RunInputs, split: str) -> list[tuple[int, Predictions]]:
    """The predictions of a finished run at the points of its curve on a split, by step; empty without a
    curve.

    Raises:
        CorruptFile: the file isn't what was written.
    """
    path = _folder(inputs).curve_predictions(split)
    if not path.exists():
        return []
    points = pd.read_parquet(_folder(inputs).verified(path)).groupby("step", sort=True)
    return [(int(str(step)), predictions_at(point, inputs.spec.id)) for step, point in points]


def predictions_at(point: pd.DataFrame, source: str) -> Predictions:
    """The predictions in a point of a curve: a frame with columns id, and outputs or answer."""
    ids = point["id"].to_numpy(dtype=str)
    if "answer" in point:
        return Predictions.of_answers(ids, point["answer"].to_numpy(dtype=str), source)
    return Predictions.of(ids, np.stack(point["outputs"].to_list()).astype(np.float64), source)


def _folder(inputs: RunInputs) -> RunFolder:
    return inputs.store.run(inputs.spec.id)


def _mean_loss(point: pd.DataFrame) -> float:
    return float(np.mean([row[0] for row in point["outputs"]]))


@dataclass(frozen=True)
class _Reference:
    """What predictions on a split are compared with, read once for all points of a curve."""

    split: str
    truth: Predictions
    own_labels: Predictions | None
    supervisor: Predictions | None
    difficulty: npt.NDArray[np.float64]
    allowed: list[tuple[str, ...]] | None

    @classmethod
    def of(cls, inputs: RunInputs, split: str, supervisor: RunSpec | None = None) -> _Reference:
        labels = inputs.spec.labels
        if supervisor is None and isinstance(labels, WeakLabels):
            supervisor = labels.supervisor
        # Labels of half A only say nothing of what is measured on; a combination learns from none.
        is_apart = supervisor is not None and predicts_only_half_a(supervisor)
        has_labels = inputs.spec.combination is None and not is_apart
        return cls(
            split=split,
            truth=inputs.ground_truth(split),
            own_labels=inputs.labels(split) if split == "validation" and has_labels else None,
            supervisor=None
            if supervisor is None or is_apart or split != "test"
            else inputs.store.run(supervisor.id).read_predictions(split),
            difficulty=inputs.difficulty(split).to_numpy(np.float64),
            allowed=inputs.allowed_answers(split) if inputs.spec.kind == "generative" else None,
        )

    def measure(self, predicted: Predictions, names: Iterable[str]) -> dict[str, float]:
        """Metrics of predictions on the split, or on some of its examples, as `<split>_<metric>`."""
        order = pd.Index(self.truth.ids).get_indexer(pd.Index(predicted.ids))
        measurement = Measurement(
            predicted=predicted,
            truth=self.truth.align(predicted.ids),
            own_labels=None if self.own_labels is None else self.own_labels.align(predicted.ids),
            supervisor=None if self.supervisor is None else self.supervisor.align(predicted.ids),
            difficulty=self.difficulty[order],
            allowed=None if self.allowed is None else tuple(self.allowed[row] for row in order),
        )
        return {f"{self.split}_{name}": value for name, value in measured(measurement, names).items()}


@dataclass(frozen=True, kw_only=True)
class Remeasured:
    """What `remeasure` did."""

    measured: frozenset[str]
    """Ids of the runs that were measured."""
    changed: frozenset[str]
    """Ids of those whose `result.json` was rewritten because a metric changed."""
    damaged: dict[str, str]
    """By id, what is wrong with runs whose files aren't what was written. They count as not done from now
    on."""


def remeasure(specs: Iterable[RunSpec], store: Store, added: Sequence[str] = ()) -> Remeasured:
    """Compute the metrics of finished runs again from their saved predictions, and rewrite those that
    changed.

    Values that nothing here computes, such as an added metric of an earlier call, stay. A run isn't measured
    if its supervisor can't be. If this is killed, each run has either its old metrics or its new ones, and is
    done.

    Args:
        specs: pinned runs, finished or not, each after its supervisor.
        store: where they are.
        added: metrics beside the registered ones, as `module:object`; registered names add nothing.

    Raises:
        InvalidInput: an added metric is unknown, fails, or has a value of the same name as another one.
    """
    registered = {name for name, _ in metrics}
    own = [name for name in dict.fromkeys(added) if name not in registered]
    for name in own:
        metrics.get(name)  # so that an unknown one is refused even if no run is finished
    done = set[str]()
    changed = set[str]()
    damaged = dict[str, str]()
    for spec in specs:
        store.run(spec.id).require_own(spec)
        if not store.run(spec.id).result.exists() or (
            isinstance(spec.labels, WeakLabels) and spec.labels.supervisor.id not in done
        ):
            continue
        try:
            is_changed = _remeasure_run(RunInputs(spec, store), own)
        except CorruptFile as error:
            damaged[spec.id] = str(error)
            continue
        done.add(spec.id)
        changed |= {spec.id} if is_changed else set()
    return Remeasured(measured=frozenset(done), changed=frozenset(changed), damaged=damaged)


def _remeasure_run(inputs: RunInputs, own: Sequence[str]) -> bool:
    """Measure a finished run again; whether its metrics changed. Raises as `remeasure`."""
    paths = _folder(inputs)
    result = paths.read_result()
    for name, checksum in result["files"].items():
        if name.startswith(("predictions/", "curves/")):
            paths.check(name, checksum)
    standard = measure_run(inputs)
    found = measure_run(inputs, own) if own and inputs.spec.kind != "text" else {}
    twice = ", ".join(standard.keys() & found.keys())
    if twice:
        raise InvalidInput(
            f"metric {' or '.join(map(repr, own))} gives {twice}, which raysweep's own metrics give; rename "
            "it"
        )
    values = result["metrics"] | standard | found
    if values == result["metrics"]:
        return False
    paths.replace_metrics(values)
    return True

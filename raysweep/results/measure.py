"""Measuring: from a finished run's saved predictions to its numbers, without training.

This is the only place besides training on ground truth that reads a task's true labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from raysweep.data.examples import read_split
from raysweep.data.labels import ground_truth, training_labels
from raysweep.errors import CorruptFile, InvalidInput
from raysweep.metrics import Measurement, correct, measured, metrics
from raysweep.predictions import Predictions
from raysweep.spec import RunSpec, WeakLabels

if TYPE_CHECKING:
    from raysweep.planning.plan import Plan
    from raysweep.store import Store

CURVE_METRICS = ("accuracy", "agreement", "legality")
"""What is measured at every point of a curve: what people draw over training, each in microseconds."""


def measure_run(spec: RunSpec, store: Store, names: Iterable[str] | None = None) -> dict[str, float]:
    """A run's metrics on every split that it predicted, as `<split>_<number>`: `test_accuracy`,
    `transfer_auroc`…

    Own labels are compared with on validation, the supervisor of a student on test. Of a run on texts alone
    there is one number, `validation_loss`, mean nats a token.

    Args:
        spec: a run whose predictions are saved.
        store: where they are.
        names: metrics, registered or `module:object`; None for all that are registered.
    """
    if spec.kind == "text":
        losses = pd.read_parquet(store.run(spec.id).curve_predictions("validation"))
        return {"validation_loss": _mean_loss(losses[losses["step"] == losses["step"].max()])}
    chosen = [name for name, _ in metrics] if names is None else list(names)
    values: dict[str, float] = {}
    for path in sorted(store.run(spec.id).predictions("").parent.glob("*.parquet")):
        values |= _Reference.of(spec, path.stem, store).measure(Predictions.read(path), chosen)
    return values


def measure_curve(spec: RunSpec, store: Store, supervisor: RunSpec | None = None) -> pd.DataFrame:
    """The evaluation curves of a finished run by step, from the predictions it saved at each point.

    Columns: step; `validation_accuracy`, `test_accuracy` against ground truth;
    `validation_accuracy_on_own_labels`; with a supervisor `test_agreement`,
    `test_agreement_supervisor_right`, `test_agreement_supervisor_wrong`; where answers are predicted
    `validation_legality`, `test_legality`; of texts alone, `validation_loss`.

    Args:
        spec: a finished run.
        store: where its predictions are.
        supervisor: the finished run that it is compared with on test (for a ceiling, the cell's supervisor);
            None for the run's own supervisor, if it has one.
    """
    rows: dict[int, dict[str, float]] = {}
    for split in ("validation", "test"):
        path = store.run(spec.id).curve_predictions(split)
        if spec.kind == "text" and path.exists():
            losses = pd.read_parquet(store.run(spec.id).verified(path))
            for step, point in losses.groupby("step", sort=True):
                rows.setdefault(int(str(step)), {})[f"{split}_loss"] = _mean_loss(point)
        elif path.exists():
            reference = _Reference.of(spec, split, store, supervisor)
            for step, predicted in curve_points(spec, split, store):
                rows.setdefault(step, {}).update(reference.measure(predicted, CURVE_METRICS))
    return pd.DataFrame([{"step": step} | row for step, row in sorted(rows.items())])


def point_measurer(spec: RunSpec, split: str, store: Store) -> Callable[[pd.DataFrame], dict[str, float]]:
    """What measures a point of a run's curve while it trains, as `measure_curve` does afterwards, from the
    frame that `raysweep.training.history` keeps of it."""
    reference = _Reference.of(spec, split, store)
    return lambda point: reference.measure(predictions_at(point, spec.id), CURVE_METRICS)


def example_table(spec: RunSpec, store: Store) -> pd.DataFrame:
    """A finished run's test examples one by one, in the order of its predictions.

    Columns: id; is_right (bool), against ground truth; confidence, the probability of the class it chose, NaN
    where it gives answers; difficulty, NaN where the task has none.

    Raises:
        CorruptFile: the predictions aren't what was written.
    """
    predicted = store.run(spec.id).read_predictions("test")
    truth = ground_truth(spec, "test", store).align(predicted.ids)
    difficulty = read_split(spec.task, "test", store, ["id", "difficulty"]).set_index("id")["difficulty"]
    confidence = (
        predicted.probabilities.max(axis=1) if predicted.answers is None else np.full(len(predicted), np.nan)
    )
    columns = {
        "id": predicted.ids.astype(object),
        "is_right": correct(predicted, truth),
        "confidence": confidence,
        "difficulty": difficulty.loc[predicted.ids.tolist()].to_numpy(np.float64),
    }
    return pd.DataFrame(columns).astype({"id": "str"})


def curve_points(spec: RunSpec, split: str, store: Store) -> list[tuple[int, Predictions]]:
    """What a finished run predicted at the points of its curve on a split, by step; empty if it has none.

    Raises:
        CorruptFile: the file isn't what was written.
    """
    path = store.run(spec.id).curve_predictions(split)
    if not path.exists():
        return []
    points = pd.read_parquet(store.run(spec.id).verified(path))
    return [
        (int(str(step)), predictions_at(point, spec.id)) for step, point in points.groupby("step", sort=True)
    ]


def predictions_at(point: pd.DataFrame, source: str) -> Predictions:
    ids = point["id"].to_numpy(dtype=str)
    if "answer" in point:
        return Predictions.of_answers(ids, point["answer"].to_numpy(dtype=str), source)
    return Predictions.of(ids, np.stack(point["outputs"].to_list()).astype(np.float64), source)


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
    def of(cls, spec: RunSpec, split: str, store: Store, supervisor: RunSpec | None = None) -> _Reference:
        own_labels = training_labels(spec, split, store) if split == "validation" else None
        if supervisor is None and isinstance(spec.labels, WeakLabels):
            supervisor = spec.labels.supervisor
        compared = (
            store.run(supervisor.id).read_predictions(split) if supervisor and split == "test" else None
        )
        is_generative = spec.kind == "generative"
        frame = read_split(spec.task, split, store, ["difficulty", *(["allowed"] if is_generative else [])])
        allowed = [tuple(answers) for answers in frame["allowed"]] if is_generative else None
        truth = ground_truth(spec, split, store)
        return cls(split, truth, own_labels, compared, frame["difficulty"].to_numpy(np.float64), allowed)

    def measure(self, predicted: Predictions, names: Iterable[str]) -> dict[str, float]:
        """Numbers of predictions on the split, or on some of its examples, by name with the split's before
        it."""
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
    """What `remeasure` did with the runs of a plan."""

    measured: frozenset[str]
    """Ids of the runs whose numbers are those of their predictions now."""
    changed: frozenset[str]
    """Ids of those whose `result.json` was written anew."""
    damaged: dict[str, str]
    """By id of a run whose files aren't what was written: what is wrong. It counts as not done from now
    on."""
    names: tuple[str, ...]
    """Names of the numbers of the added metrics, without the split."""


def remeasure(plan: Plan, store: Store, added: Sequence[str] = ()) -> Remeasured:
    """Compute the metrics of a plan's finished runs anew from their saved predictions, and write what
    changed.

    Numbers of a run that nothing here computes (an added metric of an earlier call) stay. A run isn't
    measured if its supervisor can't be. Killed at any moment, each run has its old numbers or its new ones,
    and is done.

    Args:
        plan: whose runs.
        store: where they are.
        added: metrics beside the registered ones, as `module:object`; registered names add nothing.

    Raises:
        InvalidInput: an added metric is unknown, fails, or gives a number that another one gives.
    """
    registered = {name for name, _ in metrics}
    own = [name for name in dict.fromkeys(added) if name not in registered]
    for name in own:
        metrics.get(name)  # an unknown one is told even if no run is finished
    done = set[str]()
    changed = set[str]()
    damaged = dict[str, str]()
    numbers = dict[str, None]()
    for run in plan.runs.values():  # supervisors first
        labels = run.spec.labels
        store.run(run.id).require_own(run.spec)
        if not store.run(run.id).result.exists() or (
            isinstance(labels, WeakLabels) and labels.supervisor.id not in done
        ):
            continue
        try:
            is_changed, found = _remeasure_run(run.spec, store, own)
        except CorruptFile as error:
            damaged[run.id] = str(error)
            continue
        done.add(run.id)
        changed |= {run.id} if is_changed else set()
        numbers |= dict.fromkeys(found)
    names = dict.fromkeys(name.removeprefix("test_") for name in numbers if name.startswith("test_"))
    return Remeasured(
        measured=frozenset(done), changed=frozenset(changed), damaged=damaged, names=tuple(names)
    )


def _remeasure_run(spec: RunSpec, store: Store, own: Sequence[str]) -> tuple[bool, dict[str, float]]:
    """Whether a finished run's metrics changed, and the numbers of the added metrics; raises as
    `remeasure`."""
    paths = store.run(spec.id)
    result = paths.read_result()
    for name, checksum in result["files"].items():
        if name.startswith(("predictions/", "curves/")):
            paths.check(name, checksum)
    standard = measure_run(spec, store)
    found = measure_run(spec, store, own) if own and spec.kind != "text" else {}
    twice = ", ".join(standard.keys() & found.keys())
    if twice:
        raise InvalidInput(
            f"metric {' or '.join(map(repr, own))} gives {twice}, which raysweep's own metrics give; rename "
            "it"
        )
    values = result["metrics"] | standard | found
    if values == result["metrics"]:
        return False, found
    paths.replace_metrics(values)
    return True, found

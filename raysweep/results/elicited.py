"""The elicited share: how much of what the strong model knows beyond its supervisor its students have learnt
to tell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from raysweep.data.inputs import RunInputs
from raysweep.spec import GroundTruth, RunSpec, WeakLabels

KNOWN = "known_given_weak_wrong"
KNOWN_BY_READ_OUT = "known_by_read_out"
SHARE = "elicited_share"
_JUDGE = "read_out_validation_accuracy"


def layer_numbers(inputs: RunInputs) -> dict[str, float]:
    """`layer`, whose features a finished run reads, if it reads some; and, if it is a read-out,
    `read_out_validation_accuracy`, by which read-outs are chosen among.

    A read-out has learnt the truth of half A alone, from features of a model that no supervisor taught.
    Raises as `RunFolder.read_result`.
    """
    student = inputs.spec
    if student.features is None:
        return {}
    result = inputs.store.run(student.id).read_result()
    found = {"layer": float(result["info"]["layer"])} if "layer" in result["info"] else {}
    base = student.model.base
    is_taught = isinstance(base, RunSpec) and isinstance(base.labels, WeakLabels)
    if student.labels != GroundTruth() or student.train_split != "supervisor" or is_taught:
        return found
    return found | {_JUDGE: result["metrics"]["validation_accuracy"]}


def with_elicited_share(cells: pd.DataFrame) -> pd.DataFrame:
    """A cells frame with `known_by_read_out` and `elicited_share`, if there are read-outs.

    On the test examples that the supervisor gets wrong, its own accuracy is 0, so that (student −
    supervisor) / (read-out − supervisor) is the quotient of `known_given_weak_wrong` of the student and of
    the read-out of the same task, pair and supervisor. Of several read-outs (layers, probes) the one of the
    best mean accuracy on validation is taken. Defined for students that a supervisor taught; NaN elsewhere,
    and where the read-out knows nothing.
    """
    if KNOWN not in cells or _JUDGE not in cells:
        return cells
    known = pd.Series(np.nan, index=cells.index)
    for _, of_pair in cells.groupby(["task", "weak", "strong"], sort=False):
        judged = of_pair.groupby("method", sort=False)[_JUDGE].mean().dropna()
        if judged.empty:
            continue
        # By supervisor, which tells seeds apart too: of another one, other examples are wrong.
        chosen = of_pair[of_pair["method"] == judged.idxmax()].set_index("supervisor")[KNOWN]
        taught = of_pair[of_pair["chain"] != of_pair["student"]]
        known[taught.index] = taught["supervisor"].map(chosen).where(taught[KNOWN].notna())
    return cells.assign(**{KNOWN_BY_READ_OUT: known, SHARE: cells[KNOWN] / known.where(known > 0)})


def elicited_share(numbers: pd.DataFrame) -> float | None:
    """The share of several cells, from their means over those that have both numbers; None if none has.

    Args:
        numbers: cells of one group.
    """
    if KNOWN_BY_READ_OUT not in numbers:
        return None
    both = numbers.dropna(subset=[KNOWN, KNOWN_BY_READ_OUT])
    there = both[KNOWN_BY_READ_OUT].mean()
    return float(both[KNOWN].mean() / there) if there > 0 else None

"""Half A is what supervisors learn from: a run predicts it only if another run of the plan reads that."""

from __future__ import annotations

from collections.abc import Mapping

from raysweep.rules import HALF_A, rules
from raysweep.spec import RunSpec, WeakLabels


def half_a_readers(specs: Mapping[str, RunSpec]) -> dict[str, frozenset[str]]:
    """By id, the splits that runs predict beside their own, since others read them: those whose labels of
    half A are trained on, and the sources of what is asked about half A or weighs its sources by it.

    Args:
        specs: the runs of a plan by id, dependencies first.
    """
    asked: dict[str, frozenset[str]] = {}
    for run_id, spec in reversed(list(specs.items())):
        labels = spec.labels
        if isinstance(labels, WeakLabels) and spec.train_split == HALF_A:
            asked[labels.supervisor.id] = frozenset({HALF_A})
        combination = spec.combination
        if combination is not None and (run_id in asked or rules.get(combination.rule.name).reads_half_a):
            asked |= {source.id: frozenset({HALF_A}) for source in combination.runs}
    return asked

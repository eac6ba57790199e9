"""Methods that combine what several runs say: several supervisors, several stages, what to believe of whom.

The floor is the accuracy of the first single supervisor. Each has a setting in which it is naive finetuning,
to the last bit.
"""

from __future__ import annotations

from typing import Annotated, Literal

from raysweep.errors import InvalidInput
from raysweep.recipes.cell import Cell, CellRuns, recipes
from raysweep.spec import Call, RunSpec, WeakLabels
from raysweep.spec.parameters import Above, AtLeast, Between

Members = Annotated[int, AtLeast(1)]


@recipes.register("several")
def several(
    cell: Cell,
    members: Members = 4,
    rule: Call | None = None,
    data: Literal["same", "parts"] = "same",
    objective: Call | None = None,
) -> CellRuns:
    """Several supervisors of other seeds, combined: bagging (Sang et al. 2402.00667).

    They are combined by `rule`, their mean if not given. With data="same" all learn from the whole of half A;
    with data="parts" each learns from all but one of as many parts as there are members. With members=1 and
    the mean it is naive finetuning.
    """
    weak = [cell.member(number, _all_but(number, members, data)) for number in range(members)]
    return cell.runs(cell.student(cell.combine(rule or Call("mean"), *weak), objective), weak[0])


def _all_but(number: int, members: int, data: str) -> list[Call]:
    left_out = Call("part", {"number": number, "of": members, "complement": True})
    return [left_out] if data == "parts" and members > 1 else []


@recipes.register("agree")
def agree(cell: Cell, members: Members = 2, objective: Call | None = None) -> CellRuns:
    """The student learns only what several supervisors of other seeds agree on.

    With members=1 it is naive finetuning.
    """
    return several(cell, members, Call("agree"), "same", objective)


@recipes.register("adaboost")
def adaboost(cell: Cell, members: Members = 4, objective: Call | None = None) -> CellRuns:
    """Boosted supervisors (AdaBoost: Sang et al. 2402.00667; EnsemW2S 2505.21959).

    Each learns half A with weights on what those before it got wrong. The student learns their probabilities,
    mixed by AdaBoost's weights. With members=1 it is naive finetuning.
    """
    weak = [cell.supervisor()]
    while len(weak) < members:
        labels = cell.combine("reweighted", *weak)
        weak.append(cell.student(labels, model=cell.weak, split="supervisor"))
    return cell.runs(cell.student(cell.combine("adaboost", *weak), objective), weak[0])


@recipes.register("two_stage")
def two_stage(
    cell: Cell, keep: Annotated[float, Above(0, 1)] = 0.7, objective: Call | None = None
) -> CellRuns:
    """Two stages: learn the surest labels, label the rest oneself, learn both afresh (Shi et al. 2503.04249).

    The paper's form for classification: `keep` is the share that stays of the supervisor's labels, by
    confidence, and of the first student's labels of the rest. With keep=1 it is naive finetuning.
    """
    sure = [Call("filter_confidence", {"keep": keep})]
    kept = cell.labels(cell.supervisor(), sure)
    first = cell.student(cell.supervisor(), objective, sure)
    if keep == 1:
        return cell.runs(first)
    rest = cell.labels(cell.combine("rest", kept, first), sure)
    return cell.runs(cell.student(cell.combine("first", kept, rest), objective))


@recipes.register("co_supervised")
def co_supervised(
    cell: Cell,
    members: Members = 3,
    keep: Annotated[float, Between(0, 1)] = 1.0,
    objective: Call | None = None,
) -> CellRuns:
    """Co-supervised learning: for each example the nearest specialist (Liu & Alahi 2402.15505).

    It is the one whose label an earlier student is nearest to. Specialists are the weak model finetuned on
    parts of half A, as many as there are `members`; the earlier student learns from the generalist, the
    cell's supervisor. Of the labels the share `keep` that the earlier student contradicts least stays. With
    members=1 and keep=1 it is naive finetuning.
    """
    teachers = [cell.supervisor()]
    if members > 1:
        parts = [Call("part", {"number": number, "of": members}) for number in range(members)]
        teachers = [cell.on_ground_truth(cell.weak, "supervisor", [part]) for part in parts]
    student = cell.student(cell.supervisor(), objective)
    labels = cell.combine(Call("nearest", {"keep": keep}), student, *teachers)
    return cell.runs(cell.student(labels, objective))


@recipes.register("selective")
def selective(
    cell: Cell, at_least: Annotated[float, AtLeast(0)] = 0.5, objective: Call | None = None
) -> CellRuns:
    """Selective weak-to-strong: the strong model's own label where it knows the answer (2511.14166).

    Its own labels are the naive student's. A judge, the strong model finetuned on half A to tell whether that
    student is right, gives P(IK) of half B; where it is at least `at_least` the own label is learnt,
    elsewhere the supervisor's. With `at_least` above 1 it is naive finetuning. Without the paper's smoothing
    of weak labels.
    """
    if cell.task.kind != "classification":
        raise InvalidInput(
            f"recipe 'selective' is for tasks of kind classification, {cell.task.label!r} is of kind "
            f"{cell.task.kind!r}: its judge tells right from wrong as two classes"
        )
    supervisor = cell.supervisor()
    own = cell.student(supervisor, objective)
    judge = cell.student(cell.combine("right_or_wrong", own), split="supervisor")
    labels = cell.combine(Call("where", {"at_least": at_least}), own, supervisor, judge)
    return cell.runs(cell.student(labels, objective))


@recipes.register("cross_fitted")
def cross_fitted(cell: Cell, folds: Members = 2, objective: Call | None = None) -> CellRuns:
    """Cross-fitting: half B relabelled by students that haven't seen the label that they replace.

    Each fold's label is that of a student of all other folds' weak labels, so that no noise is memorized.
    With folds=1 it is naive finetuning.
    """
    supervisor = cell.supervisor()
    if folds == 1:
        return cell.runs(cell.student(supervisor, objective))
    labels = [_out_of_fold(cell, supervisor, number, folds, objective) for number in range(folds)]
    return cell.runs(cell.student(cell.combine("first", *labels), objective))


def _out_of_fold(
    cell: Cell, supervisor: RunSpec, number: int, folds: int, objective: Call | None
) -> WeakLabels:
    fold = {"number": number, "of": folds}
    student = cell.student(supervisor, objective, [Call("part", fold | {"complement": True})])
    return cell.labels(student, [Call("part", fold)])

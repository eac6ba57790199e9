"""Baselines: what the strong model can do by other means, between the usual supervisor and ceiling."""

from __future__ import annotations

from dataclasses import replace

from raysweep.errors import InvalidInput
from raysweep.recipes.cell import Cell, CellRuns, recipes
from raysweep.spec import HeadOnly, Optimization, Prompting


@recipes.register("ground_truth_half_a")
def ground_truth_half_a(cell: Cell) -> CellRuns:
    """Baseline: the strong model on the supervisor's own data, ground truth of half A (asked for in openai's
    issue 24)."""
    return cell.runs(cell.on_ground_truth(cell.strong, "supervisor"))


@recipes.register("prompting")
def prompting(
    cell: Cell,
    num_examples: int = 0,
    labels: str = "ground_truth",
    words: tuple[str, ...] = (),
    question: str = "\nAnswer:",
) -> CellRuns:
    """Baseline: the strong model prompted, with 0 or a few examples, and not trained (Burns et al. 2023,
    section 5.2.1).

    The examples are labelled by ground truth of half A (labels="ground_truth") or by the supervisor
    (labels="weak"). `words` stand for the classes; empty for the task's own, which are "no" and "yes" if it
    doesn't say.
    """
    if labels not in ("ground_truth", "weak"):
        raise InvalidInput(f"recipe 'prompting': labels is {labels!r}; it must be 'ground_truth' or 'weak'")
    classes = cell.task.num_classes or 0
    named = (
        tuple(words)
        or cell.task.class_names
        or (("no", "yes") if classes == 2 else tuple(map(str, range(classes))))
    )
    tuning = Prompting(num_examples=num_examples, words=named, question=question)
    # Nothing is trained: one optimization for all, so that runs which differ in it alone are one run.
    untrained = Optimization(learning_rate=1.0, steps=1, precision=cell.strong.optimization.precision)
    strong = replace(cell.strong, spec=replace(cell.strong.spec, tuning=tuning), optimization=untrained)
    supervisor = cell.supervisor()
    return cell.runs(
        cell.student(supervisor, model=strong)
        if labels == "weak"
        else cell.on_ground_truth(strong, "supervisor"),
        supervisor,
    )


@recipes.register("linear_probe")
def linear_probe(
    cell: Cell, learning_rate: float = 1e-3, epochs: float = 10.0, labels: str = "weak"
) -> CellRuns:
    """Baseline: a linear probe on the strong model's frozen features (openai/weak-to-strong's
    --linear_probe).

    Taught by the supervisor (labels="weak") or by ground truth of half B (labels="ground_truth"). Defaults:
    the learning rate and epochs of that code's vision part.
    """
    if labels not in ("ground_truth", "weak"):
        raise InvalidInput(
            f"recipe 'linear_probe': labels is {labels!r}; it must be 'ground_truth' or 'weak'"
        )
    optimization = replace(cell.strong.optimization, learning_rate=learning_rate, epochs=epochs, steps=None)
    probe = replace(cell.strong, spec=replace(cell.strong.spec, tuning=HeadOnly()), optimization=optimization)
    supervisor = cell.supervisor()
    return cell.runs(
        cell.student(supervisor, model=probe)
        if labels == "weak"
        else cell.on_ground_truth(probe, "transfer"),
        supervisor,
    )

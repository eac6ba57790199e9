"""Baselines: what the strong model can do by other means, between the cell's supervisor and ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from raysweep.recipes.cell import Cell, CellRuns, LabelSource, recipes
from raysweep.spec import HeadOnly, Optimization, Prompting
from raysweep.spec.tuning import Pooling


@recipes.register("ground_truth_half_a")
def ground_truth_half_a(cell: Cell) -> CellRuns:
    """Baseline: the strong model on the supervisor's data, ground truth of half A (openai's issue 24)."""
    return cell.runs(cell.on_ground_truth(cell.strong, "supervisor"))


@recipes.register("prompting")
def prompting(
    cell: Cell,
    num_examples: int = 0,
    labels: LabelSource = "ground_truth",
    words: Sequence[str] = (),
    question: str = "\nAnswer:",
) -> CellRuns:
    """Baseline: the strong model prompted zero- or few-shot, not trained (Burns et al. 2023, section 5.2.1).

    The examples are labelled by ground truth of half A (labels="ground_truth") or by the supervisor
    (labels="weak"). `words` stand for the classes; by default the task's class names, and without those "no"
    and "yes" for two classes or else the numbers of the classes.
    """
    num_classes = cell.task.num_classes or 0
    default_words = ("no", "yes") if num_classes == 2 else tuple(map(str, range(num_classes)))
    class_words = tuple(words) or cell.task.class_names or default_words
    tuning = Prompting(num_examples=num_examples, words=class_words, question=question)
    # Nothing is trained: one optimization for all, so that runs that differ only in it are one run.
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
    cell: Cell,
    learning_rate: float = 1e-3,
    epochs: float = 10.0,
    labels: LabelSource = "weak",
    layer: int | Literal["middle"] | None = None,
    pooling: Pooling | None = None,
) -> CellRuns:
    """Baseline: a linear probe on the strong model's features (openai/weak-to-strong's --linear_probe).

    Trained on half B, labelled by the supervisor (labels="weak") or by ground truth (labels="ground_truth").
    The default learning rate and number of epochs are those of that code's vision part. Given a `layer`, the
    features are computed once for all runs and standardized (see `HeadOnly`).
    """
    optimization = replace(cell.strong.optimization, learning_rate=learning_rate, epochs=epochs, steps=None)
    tuning = HeadOnly(layer=layer, pooling=pooling)
    probe = replace(cell.strong, spec=replace(cell.strong.spec, tuning=tuning), optimization=optimization)
    supervisor = cell.supervisor()
    return cell.runs(
        cell.student(supervisor, model=probe)
        if labels == "weak"
        else cell.on_ground_truth(probe, "transfer"),
        supervisor,
    )

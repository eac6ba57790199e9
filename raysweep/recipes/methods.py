"""Methods of weak-to-strong learning: what the student does with the supervisor's labels.

A parameter that a recipe passes on declares only its type here; its bounds are those of the objective.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from raysweep.models.families import Model
from raysweep.objectives.confidence import Threshold
from raysweep.objectives.eleuther import Prior
from raysweep.recipes.cell import Cell, CellRuns, recipes
from raysweep.spec import Call
from raysweep.tasks.base import tasks


@recipes.register("naive")
def naive(cell: Cell) -> CellRuns:
    """Naive finetuning on the supervisor's soft labels (Burns et al. 2023, section 4.2)."""
    return cell.runs(cell.student(cell.supervisor()))


@recipes.register("transfer")
def transfer(cell: Cell, objective: Call | None = None, transforms: Sequence[Call] = ()) -> CellRuns:
    """Finetuning on the supervisor's labels with any objective and any transforms of the labels.

    `objective` is cross-entropy if not given; `transforms` are applied in their order.
    """
    return cell.runs(cell.student(cell.supervisor(), objective, transforms))


@recipes.register("confidence")
def confidence(
    cell: Cell, alpha_max: float = 0.5, warmup_fraction: float = 0.2, threshold: Threshold | None = None
) -> CellRuns:
    """Auxiliary confidence loss (Burns et al. 2023, appendix A.4).

    The paper has α_max 0.75 for its largest students, otherwise 0.5. `threshold` None is the paper's
    "balanced" on tasks whose classes are balanced, as all of the paper's are, and "prior" on others.
    """
    threshold = threshold or ("balanced" if tasks.get(cell.task.name).balanced else "prior")
    params = {"alpha_max": alpha_max, "warmup_fraction": warmup_fraction, "threshold": threshold}
    return cell.runs(cell.student(cell.supervisor(), Call("confidence", params)))


@recipes.register("confidence_openai")
def confidence_openai(cell: Cell, alpha_max: float = 0.5, warmup_fraction: float = 0.1) -> CellRuns:
    """Confidence loss as openai/weak-to-strong's code publishes it, with its warm-up (their issue 33)."""
    params = {"alpha_max": alpha_max, "warmup_fraction": warmup_fraction}
    return cell.runs(cell.student(cell.supervisor(), Call("confidence_openai", params)))


@recipes.register("confidence_eleuther")
def confidence_eleuther(
    cell: Cell,
    alpha_max: float = 0.5,
    warmup_steps: int = 100,
    prior: Prior = "half",
    balance_batch: bool = False,
) -> CellRuns:
    """Confidence loss as EleutherAI/w2s's code publishes it, with its warm-up over steps.

    The prior of one half is that of their code at its default minibatch of 1.
    """
    params = {
        "alpha_max": alpha_max,
        "warmup_steps": warmup_steps,
        "prior": prior,
        "balance_batch": balance_batch,
    }
    return cell.runs(cell.student(cell.supervisor(), Call("confidence_eleuther", params)))


@recipes.register("bootstrapping")
def bootstrapping(
    cell: Cell,
    middle: Sequence[Model] = (),
    objective: Call | None = None,
    data: Literal["same", "fresh"] = "same",
) -> CellRuns:
    """Bootstrapping: weak → … → strong, each supervising the next (Burns et al. 2023, section 4.3.1).

    `middle` holds the models between weak and strong; without any, this is naive finetuning, to the last bit.
    With data="same" every step learns from the whole of half B; with data="fresh" half B is cut into as many
    parts as there are steps, and each step learns from a part that no earlier step has seen, as in the
    paper's chess runs. The ceiling always learns from all examples of its half.
    """
    run = cell.supervisor()
    steps = [*middle, cell.strong]
    for number, model in enumerate(steps):
        part = Call("part", {"number": number, "of": len(steps)})
        transforms = [part] if data == "fresh" and len(steps) > 1 else []
        run = cell.student(run, objective, transforms, model)
    return cell.runs(run)


@recipes.register("generative_finetuning")
def generative_finetuning(
    cell: Cell,
    objective: Call | None = None,
    epochs: float = 1.0,
    learning_rate: float | None = None,
    ceiling_too: bool = True,
) -> CellRuns:
    """Generative finetuning: unlabelled texts of half B first (Burns et al. 2023, section 5.2.2).

    The strong model is first trained on these texts by language modelling. In preference tasks the texts are
    the prompts with both responses. `learning_rate` None is the strong model's own. The ceiling starts from
    the same model, as in the paper, unless ceiling_too=False.
    """
    adapted = cell.language_modelling(cell.strong, "transfer", epochs, learning_rate)
    strong = replace(cell.strong, spec=replace(cell.strong.spec, base=adapted))
    ceiling = cell.on_ground_truth(strong, cell.ceiling_split) if ceiling_too else None
    return cell.runs(cell.student(cell.supervisor(), objective, model=strong), ceiling=ceiling)

"""Methods of weak-to-strong learning: what is done with the supervisor's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raysweep.errors import InvalidInput
from raysweep.models.families import Model
from raysweep.recipes.cell import Cell, CellRuns, recipes
from raysweep.spec import Call


@recipes.register("naive")
def naive(cell: Cell) -> CellRuns:
    """Naive finetuning on the supervisor's soft labels (Burns et al. 2023, section 4.2)."""
    return cell.runs(cell.student(cell.supervisor()))


@recipes.register("transfer")
def transfer(cell: Cell, objective: Call | None = None, transforms: Sequence[Call] = ()) -> CellRuns:
    """Finetuning on the supervisor's labels with any objective and any transforms of the labels, as the
    parameters say."""
    return cell.runs(cell.student(cell.supervisor(), objective, transforms))


@recipes.register("confidence")
def confidence(
    cell: Cell, alpha_max: float = 0.5, warmup_fraction: float = 0.2, threshold: str = "prior"
) -> CellRuns:
    """Auxiliary confidence loss (Burns et al. 2023, appendix A.4); α_max 0.75 for the largest students, 0.5
    else."""
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
    prior: str = "half",
    balance_batch: bool = False,
) -> CellRuns:
    """Confidence loss as EleutherAI/w2s's code publishes it: warm-up over steps, prior one half at its
    default minibatch."""
    params = {
        "alpha_max": alpha_max,
        "warmup_steps": warmup_steps,
        "prior": prior,
        "balance_batch": balance_batch,
    }
    return cell.runs(cell.student(cell.supervisor(), Call("confidence_eleuther", params)))


@recipes.register("bootstrapping")
def bootstrapping(
    cell: Cell, middle: Sequence[Model] = (), objective: Call | None = None, data: str = "same"
) -> CellRuns:
    """Bootstrapping: a chain weak → middle → … → strong, each taught by the one before (Burns et al. 2023,
    section 4.3.1).

    Without models in the middle it is naive finetuning, to the last bit. With data="same" every step learns
    from the whole of half B; with data="fresh" half B is cut into as many parts as there are steps, and each
    step learns from a part that nobody before it has seen, as in the paper's chess runs. The ceiling always
    learns from the whole half.
    """
    if data not in ("same", "fresh"):
        raise InvalidInput(f"recipe 'bootstrapping': data is {data!r}; it must be 'same' or 'fresh'")
    for model in middle:
        if not isinstance(model, Model):
            raise InvalidInput(
                f"recipe 'bootstrapping': middle holds {model!r:.80}; it must be a list of Model objects"
            )
    teacher = cell.supervisor()
    steps = [*middle, cell.strong]
    for number, model in enumerate(steps):
        part = (
            (Call("part", {"number": number, "of": len(steps)}),)
            if data == "fresh" and len(steps) > 1
            else ()
        )
        teacher = cell.student(teacher, objective, part, model)
    return cell.runs(teacher)


@recipes.register("generative_finetuning")
def generative_finetuning(
    cell: Cell,
    objective: Call | None = None,
    epochs: float = 1.0,
    learning_rate: float | None = None,
    ceiling_too: bool = True,
) -> CellRuns:
    """Generative finetuning: language modelling on half B's texts first, without labels (Burns et al. 2023,
    section 5.2.2).

    In preference tasks the texts are the prompts with both responses. `learning_rate` None is the strong
    model's own. The ceiling gets the step as well, as in the paper, unless ceiling_too=False.
    """
    adapted = cell.language_modelling(cell.strong, "transfer", epochs, learning_rate)
    strong = replace(cell.strong, spec=replace(cell.strong.spec, base=adapted))
    ceiling = cell.on_ground_truth(strong, cell.ceiling_split) if ceiling_too else None
    return cell.runs(cell.student(cell.supervisor(), objective, model=strong), ceiling=ceiling)

"""Controls and simulations: students whose result is known beforehand, or whose supervisor is made up."""

from __future__ import annotations

from raysweep.errors import InvalidInput
from raysweep.recipes.cell import Cell, CellRuns, recipes
from raysweep.spec import Call


@recipes.register("shuffled_labels")
def shuffled_labels(cell: Cell) -> CellRuns:
    """Control: the supervisor's labels dealt out at random; students that beat the floor show a broken
    pipeline."""
    return cell.runs(cell.student(cell.supervisor(), transforms=[Call("shuffle")]))


@recipes.register("random_labels")
def random_labels(cell: Cell) -> CellRuns:
    """Control: labels drawn at random, each class alike; over a few seeds, students must be at chance."""
    return cell.runs(cell.student(cell.supervisor(), transforms=[Call("random_labels")]))


@recipes.register("constant_labels")
def constant_labels(cell: Cell, class_index: int = 0) -> CellRuns:
    """Control: one class for every example; the student's accuracy is that class's share."""
    return cell.runs(
        cell.student(cell.supervisor(), transforms=[Call("constant", {"class_index": class_index})])
    )


@recipes.register("ceiling_labels")
def ceiling_labels(cell: Cell) -> CellRuns:
    """Control: the ceiling's own labels; PGR must be near 1."""
    ceiling = cell.ceiling()
    return cell.runs(cell.student(ceiling), ceiling=ceiling)


@recipes.register("simulated_supervisor")
def simulated_supervisor(cell: Cell, where: str = "uniform") -> CellRuns:
    """Simulation: ground truth with as many errors as the supervisor makes, but others (Burns et al. 2023,
    figures 25, 26).

    where="uniform": anywhere; "hard": on the hardest examples first. Reads ground truth of half B, as it
    must.
    """
    return cell.runs(
        cell.student(cell.supervisor(), transforms=[Call("simulated_supervisor", {"where": where})])
    )


@recipes.register("easy_to_hard")
def easy_to_hard(cell: Cell, share: float = 0.5, labels: str = "ground_truth") -> CellRuns:
    """Easy-to-hard: supervision from the easiest share only, by the task's difficulty (Burns et al. 2023,
    appendix C).

    The supervisor is the weak model on the easy part of half A. The student learns from the easy part of half
    B, labelled by ground truth (labels="ground_truth") or by that supervisor (labels="weak"). The ceiling
    learns from all of half B. Accuracy by quarter of difficulty is among the metrics of every run.
    """
    if labels not in ("ground_truth", "weak"):
        raise InvalidInput(
            f"recipe 'easy_to_hard': labels is {labels!r}; it must be 'ground_truth' or 'weak'"
        )
    easy = [Call("easiest", {"share": share})]
    supervisor = cell.on_ground_truth(cell.weak, "supervisor", easy)
    student = (
        cell.student(supervisor, transforms=easy)
        if labels == "weak"
        else cell.on_ground_truth(cell.strong, "transfer", easy)
    )
    return cell.runs(student, supervisor)

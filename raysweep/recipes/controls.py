"""Controls and simulations: students whose result is known beforehand, or whose supervisor is made up."""

from __future__ import annotations

from raysweep.recipes.cell import Cell, CellRuns, LabelSource, recipes
from raysweep.spec import Call
from raysweep.transforms.supervisors import Where


@recipes.register("shuffled_labels")
def shuffled_labels(cell: Cell) -> CellRuns:
    """Control: the supervisor's labels, shuffled; a student that beats the floor shows a broken pipeline."""
    return cell.runs(cell.student(cell.supervisor(), transforms=[Call("shuffle")]))


@recipes.register("random_labels")
def random_labels(cell: Cell) -> CellRuns:
    """Control: labels drawn uniformly at random; over a few seeds, students must be at chance."""
    return cell.runs(cell.student(cell.supervisor(), transforms=[Call("random_labels")]))


@recipes.register("constant_labels")
def constant_labels(cell: Cell, class_index: int = 0) -> CellRuns:
    """Control: one class for every example; the student's accuracy must be that class's share."""
    return cell.runs(
        cell.student(cell.supervisor(), transforms=[Call("constant", {"class_index": class_index})])
    )


@recipes.register("ceiling_labels")
def ceiling_labels(cell: Cell) -> CellRuns:
    """Control: the ceiling's own predictions as labels; PGR must be near 1."""
    ceiling = cell.ceiling()
    return cell.runs(cell.student(ceiling), ceiling=ceiling)


@recipes.register("simulated_supervisor")
def simulated_supervisor(cell: Cell, where: Where = "uniform") -> CellRuns:
    """Simulation: as many errors as the supervisor's, but other ones (Burns et al. 2023, figures 25, 26).

    The labels are ground truth with errors on random examples (where="uniform") or on the hardest ones
    (where="hard"), so that this recipe reads ground truth of half B.
    """
    return cell.runs(
        cell.student(cell.supervisor(), transforms=[Call("simulated_supervisor", {"where": where})])
    )


@recipes.register("easy_to_hard")
def easy_to_hard(cell: Cell, share: float = 0.5, labels: LabelSource = "ground_truth") -> CellRuns:
    """Easy-to-hard: supervision on the easiest examples only (Burns et al. 2023, appendix C).

    `share` of each half counts as easy, by the task's difficulty. The supervisor is the weak model finetuned
    on the easy part of half A. The student learns from the easy part of half B, labelled by ground truth
    (labels="ground_truth") or by that supervisor (labels="weak"). The ceiling learns from all examples of its
    half. The metric `difficulty` of every run gives accuracy by quarter of difficulty.
    """
    easy = [Call("easiest", {"share": share})]
    supervisor = cell.on_ground_truth(cell.weak, "supervisor", easy)
    student = (
        cell.student(supervisor, transforms=easy)
        if labels == "weak"
        else cell.on_ground_truth(cell.strong, "transfer", easy)
    )
    return cell.runs(student, supervisor)

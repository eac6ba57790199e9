"""The figures of a sweep: charts with their numbers and their words, for a paper's column and for a page."""

from __future__ import annotations

from collections.abc import Callable

from raysweep.report.figures.base import Figure, Figures, Omitted
from raysweep.results.frames import SweepData

__all__ = ["Figure", "Figures", "Omitted", "figures_of"]


def figures_of(data: SweepData) -> Figures:
    """All figures that a sweep has numbers for, and the reasons why it lacks the others. Needs altair, which
    is loaded here."""
    from raysweep.report.figures import by_size, chains, examples, grids, methods, misfit, stopping
    from raysweep.report.figures.summary import Summary

    drawn: list[Callable[[Summary], Figure | Omitted]] = [
        methods.methods_accuracy,
        methods.methods_pgr,
        by_size.accuracy_by_size,
        by_size.accuracy_by_compute,
        grids.pgr_by_pair,
        grids.pgr_by_task,
        methods.accuracy_by_task,
        methods.agreement_by_method,
        by_size.agreement_by_size,
        stopping.early_stopping,
        stopping.stops,
        chains.bootstrapping,
        examples.calibration,
        examples.difficulty,
        misfit.misfit_against_gain,
        misfit.seeds_spread,
    ]
    summary = Summary(data)
    found = [draw(summary) for draw in drawn]
    return Figures(
        figures=tuple(item for item in found if isinstance(item, Figure)),
        omitted=tuple(item for item in found if isinstance(item, Omitted)),
    )

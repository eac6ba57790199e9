"""The figures of a sweep: charts with their numbers and captions, for a paper's column and for a page.

A figure is a function from a `Summary` of the sweep to a `Figure`, or to `Omitted` with the reason why there
is nothing to show; `figures_of` calls all of them. `summary` has the numbers that several figures need,
`theme` the look, `dots` the charts of rows with points, and `save` writes files. The package imports
`results`, and altair only here. Start reading in `base`.
"""

from __future__ import annotations

from collections.abc import Callable

from raysweep.report.figures.base import Figure, Figures, Omitted
from raysweep.results.frames import SweepData

__all__ = ["Figure", "Figures", "Omitted", "figures_of"]


def figures_of(data: SweepData) -> Figures:
    """All figures for which a sweep has numbers, and why the others are left out. Loads altair."""
    from raysweep.report.figures import by_size, chains, examples, grids, layers, methods, misfit, stopping
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
        layers.accuracy_by_layer,
    ]
    summary = Summary(data)
    found = [draw(summary) for draw in drawn]
    return Figures(
        figures=tuple(item for item in found if isinstance(item, Figure)),
        omitted=tuple(item for item in found if isinstance(item, Omitted)),
    )

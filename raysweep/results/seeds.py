"""Seeds that ended near chance, or far from the other seeds of their run.

A PGR is a ratio of means over seeds, and one failed training moves them. Intervals assume that seeds differ
by noise that is about normal. By simulation (tests/results/test_coverage.py: supervisors of accuracy 0.87,
and with a chance of 20 % anywhere from 0.5 to 0.8, whose students then recover 0.15 of the gap and not 0.5),
at 3, 5 and 10 seeds:

- 48, 67 and 89 % of the sweeps have a failed seed. The rule below names it in 97, 99 and 100 % of them; of
  sound sweeps, whose supervisors differ by half a point, it names none.
- Of sweeps with a named seed 91, 24 and 0 % have no interval, as their gap is no longer told from 0. The
  intervals of the others are wide, and hold the truth in 93, 99 and 96 %.
- Sweeps without a named seed look like sound ones, and theirs hold it in 40, 20 and 8 %. Of all intervals,
  44, 67 and 86 % hold it.

No interval that is computed from the seeds can mend that: with a chance f of failing, (1 − f)^S of all sweeps
with S seeds show no failure, half of them at 3 seeds. In a simulation of the seeds alone
(tests/results/alternative_intervals.py), a bootstrap of Student's t over seeds held the truth in 58, 71 and
85 %, Fieller's over seeds, where it is defined, in 27, 62 and 84 %, the wider of both in 38, 66 and 88 %, the
range of the seeds' PGRs in 50, 69 and 90 %; and on sound sweeps of 3 seeds the bootstrap in 81 %, the range
in 74 %. So the interval stays what it is, seeds that failed are named, an interval over them is called rough,
and the remedy is to train better or to take more seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raysweep.results.statistics import Outcomes, half_width

_ROBUST_DEVIATIONS = 3 * 1.4826
"""In median absolute deviations, of which 1.4826 are a standard deviation of normal noise; three of these is
the limit of Leys et al. 2013 for an outlier."""
_LEAST_SPREAD, _MOST_SPREAD = 0.05, 0.1
"""Three standard deviations of seeds' accuracies are taken to be 5 to 10 points: a few seeds may be equal by
luck, and seeds of trainings that end well have standard deviations of 0.3 to 1.5 points."""


@dataclass(frozen=True, kw_only=True)
class OddSeed:
    """A run whose accuracy says that its training failed, or isn't at its end."""

    run: str
    """Supervisor, student or ceiling."""
    seed: int
    accuracy: float
    is_near_chance: bool
    """Whether the 90 % interval of its accuracy, over the test set's groups, reaches down to the share of the
    most frequent class."""
    is_far: bool
    """Whether it is further from the median of its seeds than three robust standard deviations (5 to 10
    points) and the half width of that interval together."""

    @property
    def why(self) -> str:
        """What is odd, in words."""
        near = ["near chance"] * self.is_near_chance
        return " and ".join([*near, *["far from the other seeds"] * self.is_far])


def odd_seeds(
    seeds: Sequence[int], outcomes: Mapping[str, Sequence[Outcomes]], chance: float | None
) -> tuple[OddSeed, ...]:
    """The runs of one (task, weak, strong, method) that ended near chance or far from the others.

    Args:
        seeds: S seeds.
        outcomes: by run (supervisor, student, ceiling), the outcomes of its S seeds.
        chance: the share of the most frequent class, or answer; None where unknown.
    """
    found: list[OddSeed] = []
    for run, of_seeds in outcomes.items() if seeds else ():
        accuracies = np.array([float(own.right.mean()) for own in of_seeds])
        widths = np.array([half_width(own) for own in of_seeds])
        is_far = _is_far(accuracies, widths)
        is_near = np.zeros(len(seeds), bool) if chance is None else accuracies - widths <= chance
        found += [
            OddSeed(run=run, seed=seed, accuracy=accuracy, is_near_chance=near, is_far=far)
            for seed, accuracy, near, far in zip(
                seeds, accuracies.tolist(), is_near.tolist(), is_far.tolist(), strict=True
            )
            if near or far
        ]
    return tuple(found)


def _is_far(accuracies: npt.NDArray[np.float64], widths: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    distances = np.abs(accuracies - np.median(accuracies))
    spread = np.clip(_ROBUST_DEVIATIONS * np.median(distances), _LEAST_SPREAD, _MOST_SPREAD)
    far: npt.NDArray[np.bool_] = distances > spread + widths
    return far


def doubt(odd: Sequence[OddSeed]) -> str | None:
    """What to think of an interval over such seeds; None where they are near one another."""
    far = [f"{item.run} of seed {item.seed} at {item.accuracy:.3f}" for item in odd if item.is_far]
    if not far:
        return None
    return f"seeds differ by more than noise, so this interval is rough: {', '.join(far)}"

"""What stands below a table of results: what its intervals lack, and which seeds failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raysweep.results.cells import Row
from raysweep.results.over_tasks import OverTasks

ODD = "*"
"""Marks what seeds that ended near chance or far from the others have a part in."""
_MAX_NAMED = 6


def note_on_seeds(cover_seeds: Iterable[bool]) -> str:
    """What the intervals of a table lack."""
    if all(cover_seeds):
        return ""
    return (
        "1 seed: its intervals are of the test set's noise alone; that of training is unknown, and methods "
        "can't be told apart"
    )


def note_on_odd_seeds(rows: Sequence[Row]) -> str:
    """Which runs ended near chance or far from their other seeds, each once; those that are far first, since
    a control's students are near chance by design."""
    told: dict[str, str] = {}
    odd = [(row, item) for row in rows for item in row.odd_seeds]
    for row, item in sorted(odd, key=lambda found: not found[1].is_far):
        model = row.group.weak if item.run == "supervisor" else row.group.strong
        of = "" if item.run != "student" else f" ({row.group.method}, of {row.group.weak})"
        run = f"{item.run} {model}{of} on {row.group.task}, seed {item.seed}"
        told[run] = f"{run}: {item.accuracy:.3f}, {item.why}"
    if not told:
        return ""
    named = list(told.values())
    more = f"; and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
    doubted = any(row.doubt for row in rows)
    return (
        f"{ODD} {'; '.join(named[:_MAX_NAMED])}{more}"
        + f". Where seeds differ by more than noise, the interval is rough, and marked {ODD}" * doubted
    )


def note_on_groups(rows: Sequence[Row]) -> str:
    """Where intervals are over groups of several examples, and where groups aren't known."""
    gaps = {row.group.task: row.gap for row in rows if row.gap is not None}
    grouped = [
        f"{task} {gap.num_groups:,} of {gap.num_examples:,} examples"
        for task, gap in gaps.items()
        if gap.num_groups not in (None, gap.num_examples)
    ]
    unknown = [task for task, gap in gaps.items() if gap.num_groups is None]
    parts = []
    if grouped:
        parts.append(
            "Intervals are over groups of test examples that share a passage, a question or a prompt: "
            + "; ".join(grouped)
        )
    if unknown:
        parts.append(
            f"Which examples belong together isn't known of {', '.join(unknown)}: intervals take each for a "
            "group of its own (an earlier raysweep wrote this copy; raysweep sync FILE completes it)"
        )
    return ". ".join(parts)


def note_on_bias(summaries: Sequence[OverTasks]) -> str:
    """Why mean and median PGRs over tasks err to one side."""
    if not any(found.bias for found in summaries):
        return ""
    return (
        "biased: luck that makes a gap look larger makes its PGR defined, and pulls it to what noise alone "
        "would show, the more so the smaller the gaps; so mean and median err to that side. The pooled PGR, "
        "Σ(student − weak) / Σ(ceiling − weak), is of all tasks"
    )

"""The answer of a sweep in a few sentences, which the command line, the page and MLflow show alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raysweep.results.cells import Row
from raysweep.results.comparison_tables import p_value_text
from raysweep.results.comparisons import BASELINE, SIGNIFICANCE, Comparison
from raysweep.results.leads import Lead
from raysweep.results.notes import ODD

_MAX_NAMES = 4


def answer(rows: Sequence[Row], comparisons: Sequence[Comparison], leads: Sequence[Lead]) -> list[str]:
    """Which method is the best, how much the baseline's students recover, how the other methods compare, and
    what isn't finished."""
    finished = [row for row in rows if row.gap is not None]
    if not finished:
        return ["Nothing is finished yet, so there is no answer."]
    methods = dict.fromkeys(row.group.method for row in finished)
    baseline = BASELINE if BASELINE in methods else next(iter(methods))
    own = [row for row in finished if row.group.method == baseline]
    found = _of_best([lead for lead in leads if not lead.is_yardstick])
    found.append(_of_one(own[0]) if len(own) == 1 else _of_several(own))
    if comparisons:
        found.append(_of_methods(comparisons))
    if any(row.gap is not None and not row.gap.covers_seeds for row in finished):
        found.append(
            "Of one seed, the noise of training is unknown: its intervals are of the test set's noise alone."
        )
    doubted = sum(row.doubt is not None for row in finished)
    if doubted:
        intervals = sum(row.gap is not None and row.gap.interval is not None for row in finished)
        which = "The interval is" if intervals == 1 else f"{doubted} of {intervals} intervals are"
        why = "the seeds differ by more than noise"
        found.append(f"{which} rough, as {why} (marked {ODD}, and named below the table).")
    if missing := sum(len(row.missing_seeds) for row in rows):
        count = sum(row.num_planned for row in rows)
        found.append(f"{missing} of {count} cells aren't finished, and not in these numbers.")
    return found


def _of_best(leads: Sequence[Lead]) -> list[str]:
    """The method that leads most over all tasks and pairs, its PGR and its lead: that it does best is said
    only of a lead that is told from noise. Nothing of a sweep with one method."""
    if not leads:
        return []
    baseline = leads[0].baseline
    ahead = [lead for lead in leads if lead.difference > 0]
    if not ahead:
        return [f"No method is ahead of {baseline} over all tasks and pairs together."]
    told = [lead for lead in ahead if _is_told(lead)]
    best = max(told or ahead, key=lambda lead: lead.difference)
    further = [lead.method for lead in ahead if lead.difference > best.difference]
    if told:
        does = f"does better than {baseline}" if further else "does best"
        sentences = [
            f"{_sentence(best.method)} {does}: its students recover {_recovered(best)}{_over(best)}, "
            f"{best.difference:.3f} of accuracy more than {baseline}, which is more than noise "
            f"({', '.join(_noise(best))})."
        ]
        if further:
            sentences.append(f"The lead of {_names(further)} is larger, and isn't told from noise.")
        return sentences
    noise = f" ({', '.join(_noise(best))})" if _noise(best) else ""
    recover = f"its students recover {_recovered(best)}{_over(best)}."
    if round(best.difference, 3) == 0:
        level = (
            f"{_sentence(best.method)} is level with {baseline}: they differ by less than 0.001 of accuracy"
        )
        return [f"{level}{noise}; {recover}"]
    if best.p_value_corrected is None:
        verdict = f"One seed can't tell a lead over {baseline} from noise"
    elif len(leads) == 1:
        verdict = f"The lead of {best.method} over {baseline} isn't told from noise"
    else:
        verdict = f"No method's lead over {baseline} is told from noise"
    which = "is ahead" if len(ahead) == 1 else "is furthest ahead"
    return [f"{verdict}; {best.method} {which}, by {best.difference:.3f} of accuracy{noise}, and {recover}"]


def _is_told(lead: Lead) -> bool:
    return lead.p_value_corrected is not None and lead.p_value_corrected < SIGNIFICANCE


def _recovered(lead: Lead) -> str:
    if lead.pgr is None:
        return "a share of the gap that can't be said"
    interval = (
        "" if lead.pgr_interval is None else " (90 % interval {:.2f} to {:.2f})".format(*lead.pgr_interval)
    )
    return f"{lead.pgr:.2f} of the gap{interval}"


def _over(lead: Lead) -> str:
    """What a lead is pooled over; "" of one task and pair."""
    if lead.num_compared == 1:
        return ""
    what = "combinations of task and pair"
    if len(lead.tasks) == 1:
        what = "pairs of models"
    elif len(lead.tasks) == lead.num_compared:
        what = "tasks"
    return f" over {lead.num_compared} {what}"


def _noise(lead: Lead) -> list[str]:
    """How sure a lead is, as far as that is known."""
    facts = [f"ahead in {lead.num_ahead} of {lead.num_compared}"] * (lead.num_compared > 1)
    if lead.interval is None or lead.p_value_corrected is None:
        return facts
    return [
        "90 % interval {:+.3f} to {:+.3f}".format(*lead.interval),
        *facts,
        f"p {p_value_text(lead.p_value_corrected)} after Holm's correction",
    ]


def _of_one(row: Row) -> str:
    assert row.gap is not None
    gap = row.gap
    group = row.group
    seeds = f"{len(row.seeds)} seed{'s' * (len(row.seeds) != 1)}"
    ends = (
        f"weak model {gap.weak_accuracy:.3f}, student {gap.student_accuracy:.3f}, ceiling "
        f"{gap.ceiling_accuracy:.3f}; {seeds}"
    )
    if gap.pgr is None or gap.interval is None:
        return (
            f"How much {group.method} students of {group.strong} recover on {group.task} can't be said: "
            "the weak model and the ceiling can't be told apart over these seeds and examples (accuracy: "
            f"{ends})."
        )
    low, high = gap.interval
    return (
        f"On {group.task}, {group.method} students of {group.strong} recover {gap.pgr:.2f} of the gap "
        f"between {group.weak} and the ceiling (90 % interval {low:.2f} to {high:.2f}; accuracy: {ends})."
    )


def _of_several(rows: Sequence[Row]) -> str:
    method = rows[0].group.method
    count = len(rows)
    tasks = {row.group.task for row in rows}
    pairs = {row.group.pair for row in rows}
    kind = (
        "tasks"
        if len(pairs) == 1
        else "pairs of models"
        if len(tasks) == 1
        else "combinations of task and pair"
    )
    pgrs = [row.gap.pgr for row in rows if row.gap is not None and row.gap.pgr is not None]
    if not pgrs:
        return (
            f"How much {method} students recover can't be said: on none of {count} {kind} can weak model and "
            "ceiling be told apart over these seeds and examples."
        )
    rest = count - len(pgrs)
    undefined = (
        f" On the other {rest if rest > 1 else 'one'}, the gap is inside the noise and PGR is undefined."
        if rest
        else ""
    )
    where = f"{len(pgrs)} of {count} {kind}" if rest else f"{count} {kind}"
    if len(pgrs) == 1:
        return f"{_sentence(method)} students recover {pgrs[0]:.2f} of the gap on {where}.{undefined}"
    spread = f"median over {where}, from {min(pgrs):.2f} to {max(pgrs):.2f}"
    return (
        f"{_sentence(method)} students recover {float(np.median(pgrs)):.2f} of the gap ({spread}).{undefined}"
    )


def _of_methods(comparisons: Sequence[Comparison]) -> str:
    tested = [found for found in comparisons if found.covers_seeds]
    num_untested = len(comparisons) - len(tested)
    if not tested and num_untested == 1:
        return f"{_difference(comparisons[0])}; one seed can't tell whether that is more than noise."
    if not tested:
        return (
            f"{num_untested} comparisons with {_names([found.baseline for found in comparisons])} are of one "
            "seed each, which can't tell methods apart: how much two trainings of one method differ isn't "
            "known."
        )
    rest = f" {num_untested} more {'is' if num_untested == 1 else 'are'} of one seed, which can't tell."
    return _verdict(tested) + rest * (num_untested > 0)


def _difference(found: Comparison) -> str:
    method = _sentence(found.group.method)
    return f"{method} differs from {found.baseline} by {found.difference:+.3f} in accuracy"


def _verdict(comparisons: Sequence[Comparison]) -> str:
    """What comparisons of several seeds tell."""
    told = [
        found
        for found in comparisons
        if found.p_value_corrected is not None and found.p_value_corrected < SIGNIFICANCE
    ]
    better, worse = (
        [found for found in told if (found.difference > 0) is is_better] for is_better in (True, False)
    )
    baselines = _names([found.baseline for found in comparisons])
    if not told and len(comparisons) > 1:
        return (
            f"Taken one by one, none of {len(comparisons)} comparisons with {baselines} tells the two "
            "methods apart (p below 0.05, corrected)."
        )
    if len(comparisons) == 1:
        (only,) = comparisons
        verdict = "which is more than noise" if told else "which can't be told from noise"
        p_value = "" if only.p_value is None else f" (p {only.p_value:.2g})"
        return f"{_difference(only)}, {verdict}{p_value}."
    parts = [
        f"{len(found)} find{'s' * (len(found) == 1)} a {word} method "
        f"({_names([item.group.method for item in found])})"
        for found, word in ((better, "better"), (worse, "worse"))
        if found
    ]
    rest = len(comparisons) - len(told)
    if rest:
        parts.append(f"{rest} can't tell the two apart")
    listed = ", ".join(parts[:-1]) + " and " * (len(parts) > 1) + parts[-1]
    return (
        f"Of {len(comparisons)} comparisons with {baselines}, {listed} (p below 0.05 after Holm's "
        "correction)."
    )


def _names(names: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(names))
    shown = (
        distinct
        if len(distinct) <= _MAX_NAMES
        else [*distinct[: _MAX_NAMES - 1], f"{len(distinct) - _MAX_NAMES + 1} more"]
    )
    return ", ".join(shown)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]

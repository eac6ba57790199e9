"""The answer's first sentence: that a method does best is said only of a lead that is told from noise."""

from dataclasses import replace

import numpy as np
import pytest

from raysweep.planning.graph import CellGroup
from raysweep.results.answer import answer
from raysweep.results.cells import Row
from raysweep.results.leads import Lead
from raysweep.results.statistics import gap_recovered

LEAD = Lead(
    method="confidence",
    baseline="naive",
    is_yardstick=False,
    tasks=("boolq", "sciq", "wic"),
    num_compared=12,
    num_ahead=7,
    difference=0.0104,
    interval=(-0.002, 0.0228),
    p_value=0.1,
    p_value_corrected=0.2,
    noise="within tasks",
    tells=0.02,
    pgr=0.413,
    pgr_interval=(0.352, 0.478),
    baseline_pgr=0.3,
)
TOLD = replace(
    LEAD, difference=0.03, interval=(0.02, 0.04), p_value=1e-4, p_value_corrected=2e-4, num_ahead=12
)


@pytest.fixture
def row() -> Row:
    right = {share: np.arange(200)[None] < share * 200 for share in (0.6, 0.7, 0.8)}
    return Row(
        group=CellGroup("boolq", "small", "large", "naive"),
        seeds=(0,),
        missing_seeds=(),
        gap=gap_recovered(right[0.6], right[0.7], right[0.8], None),
        agreement=None,
        agreement_supervisor_right=None,
        agreement_supervisor_wrong=None,
        accuracies={},
        odd_seeds=(),
    )


def first(row: Row, *leads: Lead) -> str:
    return answer([row], [], leads)[0]


def test_a_lead_that_is_told_is_the_answer(row: Row) -> None:
    assert first(row, LEAD, replace(TOLD, method="bootstrap")) == (
        "Bootstrap does best: its students recover 0.41 of the gap (90 % interval 0.35 to 0.48) over 12 "
        "combinations of task and pair, 0.030 of accuracy more than naive, which is more than noise (90 % "
        "interval +0.020 to +0.040, ahead in 12 of 12, p <0.001 after Holm's correction)."
    )


def test_a_lead_that_is_not_told_is_not_said_to_be_best(row: Row) -> None:
    behind = replace(LEAD, method="bootstrap", difference=-0.01, num_ahead=2)
    assert first(row, behind, LEAD) == (
        "No method's lead over naive is told from noise; confidence is ahead, by 0.010 of accuracy (90 % "
        "interval -0.002 to +0.023, ahead in 7 of 12, p 0.200 after Holm's correction), and its students "
        "recover 0.41 of the gap (90 % interval 0.35 to 0.48) over 12 combinations of task and pair."
    )
    assert "; confidence is furthest ahead, by" in first(row, replace(LEAD, difference=0.001), LEAD)
    assert first(row, LEAD).startswith(
        "The lead of confidence over naive isn't told from noise; confidence is"
    )


def test_a_lead_that_rounds_to_nothing_is_no_lead(row: Row) -> None:
    assert first(row, replace(LEAD, difference=0.0004, interval=(-0.004, 0.005))) == (
        "Confidence is level with naive: they differ by less than 0.001 of accuracy (90 % interval -0.004 to "
        "+0.005, ahead in 7 of 12, p 0.200 after Holm's correction); its students recover 0.41 of the gap "
        "(90 % interval 0.35 to 0.48) over 12 combinations of task and pair."
    )


def test_a_larger_lead_that_is_noise_takes_the_best_from_one_that_is_told(row: Row) -> None:
    """The sentence names the lead that is told, and no method the best."""
    larger = replace(LEAD, method="bootstrap", difference=0.05)
    sentences = answer([row], [], [TOLD, larger])
    assert sentences[0].startswith("Confidence does better than naive: its students recover 0.41 of the gap")
    assert sentences[1] == "The lead of bootstrap is larger, and isn't told from noise."


def test_one_seed_and_no_lead(row: Row) -> None:
    one = replace(
        LEAD,
        interval=None,
        p_value=None,
        p_value_corrected=None,
        tasks=("boolq",),
        num_compared=1,
        num_ahead=1,
    )
    assert first(row, one) == (
        "One seed can't tell a lead over naive from noise; confidence is ahead, by 0.010 of accuracy, and "
        "its students recover 0.41 of the gap (90 % interval 0.35 to 0.48)."
    )
    behind = replace(LEAD, difference=-0.01)
    assert first(row, behind) == "No method is ahead of naive over all tasks and pairs together."


@pytest.mark.parametrize(
    ("tasks", "num_compared", "told"),
    [
        (("a", "b"), 2, " over 2 tasks, "),
        (("a",), 3, " over 3 pairs of models, "),
        (("a",), 1, "0.48), 0.030"),
    ],
)
def test_what_a_lead_is_pooled_over(row: Row, tasks: tuple[str, ...], num_compared: int, told: str) -> None:
    assert told in first(row, replace(TOLD, tasks=tasks, num_compared=num_compared))


def test_yardsticks_are_no_answer(row: Row) -> None:
    """Ground truth of half A leads always; it is no weak-to-strong method."""
    assert first(row, replace(TOLD, is_yardstick=True)).startswith("On boolq, naive students of large")

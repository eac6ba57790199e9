"""The elicited share against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from raysweep.results.elicited import elicited_share, with_elicited_share


def cells(*rows: tuple[str, int, float, float | None]) -> pd.DataFrame:
    """Cells of (method, seed, known_given_weak_wrong, the read-out's accuracy on validation)."""
    return pd.DataFrame(
        {
            "task": "boolq",
            "weak": "small",
            "strong": "large",
            "method": [method for method, *_ in rows],
            "seed": [seed for _, seed, *_ in rows],
            "supervisor": [
                f"{'other' if method == 'linear' else 'weak'} {seed}" for method, seed, *_ in rows
            ],
            "student": [f"{method} {seed}" for method, seed, *_ in rows],
            "chain": [f"{'' if judge else 'weak > '}{method} {seed}" for method, seed, _, judge in rows],
            "known_given_weak_wrong": [known for *_, known, _ in rows],
            "read_out_validation_accuracy": [math.nan if judge is None else judge for *_, judge in rows],
        }
    )


def test_the_share_is_of_the_read_out_that_is_best_on_validation() -> None:
    """Layer 6 is the best (mean .75 of .9 and .6, against .7), though layer 3 knows more on test."""
    frame = with_elicited_share(
        cells(
            ("naive", 0, 0.3, None),
            ("naive", 1, 0.4, None),
            ("layer 3", 0, 0.9, 0.7),
            ("layer 3", 1, 0.9, 0.7),
            ("layer 6", 0, 0.6, 0.9),
            ("layer 6", 1, 0.5, 0.6),
        )
    )
    share = frame["elicited_share"]
    assert share.head(2).to_list() == pytest.approx([0.3 / 0.6, 0.4 / 0.5])
    assert share.tail(4).isna().all()
    naive = frame[frame["method"] == "naive"]
    assert elicited_share(naive) == pytest.approx((0.3 + 0.4) / (0.6 + 0.5))


@pytest.mark.parametrize(
    "rows",
    [
        [("naive", 0, 0.3, None), ("layer 3", 1, 0.9, 0.7)],  # no seed in common
        [("linear", 0, 0.3, None), ("layer 3", 0, 0.9, 0.7)],  # another supervisor errs on others
        [("naive", 0, 0.3, None), ("layer 3", 0, 0.0, 0.7)],  # the read-out knows nothing
        [("naive", 0, math.nan, None), ("layer 3", 0, 0.5, 0.7)],  # the supervisor is never wrong
    ],
)
def test_without_anything_to_compare_with_there_is_no_share(rows: list[Any]) -> None:
    frame = with_elicited_share(cells(*rows))
    assert frame["elicited_share"].isna().all()
    assert elicited_share(frame.head(1)) is None


def test_without_read_outs_nothing_is_added() -> None:
    frame = cells(("naive", 0, 0.3, None)).drop(columns="read_out_validation_accuracy")
    assert with_elicited_share(frame) is frame and elicited_share(frame) is None

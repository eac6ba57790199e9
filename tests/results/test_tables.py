"""Tables as texts."""

import dataclasses

from grid_helpers import finish_all, small_sweep

from raysweep.planning.graph import CellGroup
from raysweep.planning.plan import make_plan
from raysweep.results.cells import Row, RowMeans
from raysweep.results.choices import Choice
from raysweep.results.comparison_tables import comparisons_table
from raysweep.results.comparisons import Comparison, Power
from raysweep.results.frames import SweepData
from raysweep.results.from_store import read_store
from raysweep.results.over_tasks import OverTasks
from raysweep.results.seeds import OddSeed
from raysweep.results.statistics import GapRecovered
from raysweep.results.tables import (
    Table,
    metrics_table,
    over_tasks_table,
    results_table,
    search_table,
    stops_table,
)
from raysweep.store import Store

GROUP = CellGroup("boolq", "small", "large", "naive")


def row(
    gap: GapRecovered | None,
    seeds: tuple[int, ...] = (0, 1),
    missing: tuple[int, ...] = (),
    odd_seeds: tuple[OddSeed, ...] = (),
) -> Row:
    return Row(
        group=GROUP,
        seeds=seeds,
        missing_seeds=missing,
        gap=gap,
        agreement=0.8,
        agreement_supervisor_right=0.9,
        agreement_supervisor_wrong=None,
        accuracies={},
        odd_seeds=odd_seeds,
    )


def gap(
    pgr: float | None,
    *,
    covers_seeds: bool = True,
    num_examples: int = 400,
    num_groups: int | None = 400,
) -> GapRecovered:
    return GapRecovered(
        weak_accuracy=0.6,
        student_accuracy=0.7,
        ceiling_accuracy=0.8,
        pgr=pgr,
        interval=None if pgr is None else (-0.001, 0.75),
        num_seeds=2,
        covers_seeds=covers_seeds,
        noise=None,
        num_examples=num_examples,
        num_groups=num_groups,
    )


def shown(table: Table, index: int = 0) -> dict[str, str]:
    return dict(zip(table.columns, table.rows[index].cells, strict=True))


def test_results_are_accuracies_a_pgr_and_agreements() -> None:
    table = results_table([row(gap(0.5)), row(gap(None), missing=(2,)), row(None, seeds=(), missing=(0, 1))])
    assert shown(table) == {
        "task": "boolq",
        "weak → strong": "small → large",
        "method": "naive",
        "seeds": "2",
        "weak": "0.600",
        "student": "0.700",
        "ceiling": "0.800",
        "PGR [90 %]": "0.50 [0.00, 0.75]",  # −0.001 has no sign
        "agreement": "0.800",
        "agrees when weak is wrong": "none",
    }
    assert shown(table, 1)["PGR [90 %]"] == "undefined (gap in the noise)"
    assert shown(table, 1)["seeds"] == "2 of 3" and shown(table, 2)["seeds"] == "0 of 2"
    assert set(table.rows[2].cells[4:]) == {"missing"}
    assert table.rows[0].of == {"task": "boolq", "pair": "small → large", "method": "naive"}
    assert table.num_names == 3


def test_a_note_says_that_one_seed_shows_the_test_sets_noise_alone() -> None:
    assert results_table([row(gap(0.5))]).note == ""
    assert results_table([row(gap(None, covers_seeds=False))]).note == ""  # no interval to explain
    assert "1 seed: its intervals" in results_table([row(gap(0.5)), row(gap(0.5, covers_seeds=False))]).note


def test_seeds_that_failed_are_marked_and_named() -> None:
    failed = OddSeed(run="supervisor", seed=4, accuracy=0.512, is_near_chance=True, is_far=True)
    weak = OddSeed(run="student", seed=0, accuracy=0.52, is_near_chance=True, is_far=False)
    table = results_table([row(gap(0.5), odd_seeds=(failed,)), row(gap(0.5)), row(gap(0.5))])
    assert [shown(table, index)["weak"] for index in (0, 1)] == ["0.600*", "0.600"]
    assert shown(table)["PGR [90 %]"] == "0.50 [0.00, 0.75]*" and shown(table)["student"] == "0.700"
    assert table.note == (
        "* supervisor small on boolq, seed 4: 0.512, near chance and far from the other seeds. Where "
        "seeds differ by more than noise, the interval is rough, and marked *"
    )
    table = results_table([row(gap(0.5), odd_seeds=(weak,))])
    assert (shown(table)["student"], shown(table)["PGR [90 %]"]) == ("0.700*", "0.50 [0.00, 0.75]")
    assert table.note == "* student large (naive, of small) on boolq, seed 0: 0.520, near chance"
    # A control's students are near chance by design, and don't hide a seed that failed.
    by_design = [dataclasses.replace(weak, seed=seed) for seed in range(6)]
    table = results_table([row(gap(0.5), odd_seeds=(*by_design, failed))])
    assert table.note.startswith("* supervisor small on boolq, seed 4") and "and 1 more" in table.note


def test_where_intervals_are_over_groups_it_says_so() -> None:
    grouped = results_table([row(gap(0.5, num_examples=4848, num_groups=83))]).note
    assert "boolq 83 of 4,848 examples" in grouped and "passage" in grouped
    unknown = results_table([row(gap(0.5, num_groups=None))]).note
    assert "isn't known of boolq" in unknown and "raysweep sync" in unknown


def comparison(**fields: object) -> Comparison:
    power = Power(seeds_deviation=0.01, num_seeds=7, resolvable=0.02)
    values = {
        "group": GROUP._replace(method="confidence"),
        "baseline": "naive",
        "seeds": (0, 1, 2),
        "baseline_accuracy": 0.7,
        "method_accuracy": 0.75,
        "difference": 0.05,
        "interval": (0.01, 0.09),
        "p_value": 0.0004,
        "p_value_corrected": 0.0125,
        "same_gap": True,
        "pgr_difference": 0.25,
        "pgr_interval": (0.05, 0.45),
        "covers_seeds": True,
        "power": power,
    }
    return Comparison(**values | fields)  # type: ignore[arg-type]


def test_comparisons_are_differences_with_p_values_and_the_seeds_needed() -> None:
    unknown = Power(seeds_deviation=None, num_seeds=None, resolvable=0.02)
    never = Power(seeds_deviation=0.01, num_seeds=None, resolvable=0.025)
    table = comparisons_table(
        [
            comparison(),
            comparison(same_gap=False, pgr_difference=None, pgr_interval=None, power=unknown),
            comparison(pgr_difference=None, pgr_interval=None, power=never),
            comparison(seeds=(0,), p_value=None, p_value_corrected=None, covers_seeds=False),
            comparison(difference=0.0),
        ]
    )
    assert shown(table) == {
        "task": "boolq",
        "weak → strong": "small → large",
        "method": "confidence",
        "against": "naive",
        "seeds": "3",
        "accuracy": "0.750",
        "baseline": "0.700",
        "difference [90 %]": "+0.050 [+0.010, +0.090]",
        "PGR difference [90 %]": "+0.25 [+0.05, +0.45]",
        "p": "<0.001",
        "p (Holm, of 4)": "0.013",
        "seeds needed": "7",
    }
    pgrs = [shown(table, index)["PGR difference [90 %]"] for index in (1, 2)]
    assert pgrs == ["another weak model or ceiling", "undefined"]
    assert [shown(table, 3)[name] for name in ("p", "p (Holm, of 4)")] == ["1 seed can't tell"] * 2
    needed = [shown(table, index)["seeds needed"] for index in (1, 2, 4)]
    assert needed == ["unknown", "none: this test set tells 0.025 at best", "none: no difference"]
    assert "1 seed: its intervals" in table.note and "can't be told apart" in table.note


def test_over_tasks_the_tasks_without_a_pgr_are_named() -> None:
    summary = OverTasks(
        weak="small",
        strong="large",
        method="naive",
        defined=("boolq",),
        undefined=("sciq", "cola"),
        missing=("paws",),
        pooled_pgr=0.625,
        pooled_interval=(0.5, 0.75),
        pooled_interval_over_tasks=None,
        covers_seeds=True,
        bias="low",
        weak_accuracy=0.6,
        student_accuracy=None,
        ceiling_accuracy=0.8,
        median_pgr=0.5,
        mean_pgr=0.45,
        interval=None,
    )
    assert "err to that side" in over_tasks_table([summary]).note
    assert over_tasks_table([dataclasses.replace(summary, bias=None)]).note == ""
    assert shown(over_tasks_table([summary])) == {
        "weak → strong": "small → large",
        "method": "naive",
        "tasks": "1 of 4",
        "weak": "0.600",
        "student": "none",
        "ceiling": "0.800",
        "pooled PGR [90 %]": "0.62 [0.50, 0.75]",
        "[over tasks]": "none",
        "mean PGR [over tasks]": "0.45, biased low",
        "median PGR": "0.50",
        "without a PGR": "gap in the noise: sciq, cola; missing: paws",
    }


def test_stops_are_read_with_steps_and_pgrs() -> None:
    means = {"weak_accuracy_at_last": 0.6, "step_at_last": 61.7, "student_accuracy_at_last": 0.7}
    rows = [
        RowMeans(row=row(gap(None)), means=means),
        RowMeans(row=row(gap(0.5)), means=means | {"pgr_at_last": 0.5}),
        RowMeans(row=row(None, seeds=(), missing=(0,)), means={}),
    ]
    table = stops_table(rows)
    assert table.columns == ("task", "weak → strong", "method", "seeds", "weak", "last", "PGR", "step")
    assert [line.cells[4:] for line in table.rows] == [
        ("0.600", "0.700", "undefined", "62"),
        ("0.600", "0.700", "0.50", "62"),
        ("missing", "missing", "missing", "missing"),
    ]


def finished(store: Store) -> SweepData:
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store)
    return read_store(plan, store)


def test_metrics_have_the_columns_that_they_declare(store: Store) -> None:
    (item,) = finished(store).row_means
    table = metrics_table([item])
    assert table.columns[4:] == (
        *("agrees when weak is wrong: student", "ceiling"),
        *("AUROC: weak", "student", "ceiling", "ECE: weak", "student", "ceiling"),
        *("right when weak is wrong", "misfit²", "gain²"),
    )
    cells = table.rows[0].cells[4:]
    assert cells[:3] == tuple(
        f"{item.means[name]:.3f}"
        for name in ("agreement_supervisor_wrong", "ceiling_agreement_supervisor_wrong", "weak_auroc")
    )


def test_numbers_that_no_metric_declares_have_columns_of_their_names(store: Store) -> None:
    (item,) = finished(store).row_means
    own = RowMeans(row=item.row, means=item.means | {"weak_own": 0.25, "student_own": 0.5})
    table = metrics_table([own])
    assert table.columns[-2:] == ("own: weak", "student")
    assert table.rows[0].cells[-2:] == ("0.250", "0.500")


def choice(**fields: object) -> Choice:
    values = {
        "study": "student large of small on boolq, naive",
        "role": "student",
        "chosen_by": "ground_truth_validation",
        "num_trials": 4,
        "num_done": 2,
        "num_stopped": 1,
        "num_failed": 1,
        "is_complete": True,
        "values": {"optimization.learning_rate": 0.00123456},
        "signals": {"weak_validation": 0.8, "ground_truth_validation": 0.7},
        "test_accuracy": 0.75,
        "gain": -0.0001,
    }
    return Choice(**values | fields)  # type: ignore[arg-type]


def test_choices_are_values_with_their_accuracies() -> None:
    supervisor = choice(
        role="supervisor", chosen_by="weak_validation", num_stopped=0, num_failed=0, gain=None
    )
    nothing = choice(values=None, signals={}, gain=None, test_accuracy=None)
    table = search_table([choice(), supervisor, nothing, choice(is_complete=False, values=None)])
    assert shown(table) == {
        "study": "student large of small on boolq, naive",
        "trials": "2 of 4, 1 stopped, 1 failed",
        "chosen by": "ground_truth_validation, an oracle",
        "values": "optimization.learning_rate=0.00123",
        "weak val.": "0.800",
        "true val.": "0.700",
        "student on test": "0.750",
        "oracle gains": "+0.000",
    }
    assert (
        shown(table, 1)["chosen by"] == "own labels on validation" and shown(table, 1)["trials"] == "2 of 4"
    )
    assert shown(table, 1)["student on test"] == shown(table, 1)["oracle gains"] == ""
    assert [shown(table, index)["values"] for index in (2, 3)] == ["no trial is done", "not yet"]
    assert shown(table, 2)["weak val."] == "none"

"""Each transform against numbers worked out by hand."""

from collections import Counter

import numpy as np
import pytest
import scipy.special
from label_tables import apply, context, hard, kept, names, soft, spoken, without

from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec import Call

# How sure a label is
# ------------------------------------------------------------------------------------------------------


def test_harden() -> None:
    found = apply("harden", soft([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]]))
    assert found.probabilities.tolist() == [[0, 1, 0], [1, 0, 0]]
    answers = spoken(["4", "5"])
    assert apply("harden", answers).decisions.tolist() == ["4", "5"]


def test_temperature_by_hand() -> None:
    labels = soft([[0.2, 0.8], [1.0, 0.0], [0.5, 0.5]])
    softer = apply("temperature", labels, t=2.0).probabilities
    assert softer == pytest.approx(np.array([[1 / 3, 2 / 3], [1, 0], [0.5, 0.5]]))  # √0.2 : √0.8 is 1 : 2
    sharper = apply("temperature", labels, t=0.5).probabilities
    assert sharper == pytest.approx(np.array([[1 / 17, 16 / 17], [1, 0], [0.5, 0.5]]))
    assert apply("temperature", labels, t=1e-6).probabilities.tolist() == [[0, 1], [1, 0], [0.5, 0.5]]
    assert apply("temperature", labels, t=1.0).probabilities == pytest.approx(labels.probabilities)


def test_temperature_divides_the_logits() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (20, 4))
    found = apply("temperature", soft(scipy.special.softmax(logits, axis=1)), t=3.0)
    assert found.probabilities == pytest.approx(scipy.special.softmax(logits / 3, axis=1))


# A part of the labels
# -----------------------------------------------------------------------------------------------------

UNEVEN = [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6], [0.65, 0.35], [0.55, 0.45]]


def test_the_surest_labels_are_kept() -> None:
    labels = soft(UNEVEN)
    assert kept(apply("filter_confidence", labels, keep=0.5)) == [0, 1, 2]
    assert kept(apply("filter_confidence", labels, keep=0.7)) == [0, 1, 2, 4]  # round(4.2)
    assert kept(apply("filter_confidence", labels, keep=1.0)) == [0, 1, 2, 3, 4, 5]
    assert kept(apply("filter_confidence", labels, at_least=0.65)) == [0, 1, 2, 4]
    assert kept(apply("filter_confidence", labels, at_least=1.0)) == []
    found = apply("filter_confidence", labels, keep=0.5)
    assert found.probabilities.tolist() == labels.probabilities.tolist()


def test_the_share_is_of_the_covered_labels() -> None:
    assert kept(apply("filter_confidence", without(soft(UNEVEN), 0, 5), keep=0.5)) == [1, 2]


def test_a_balanced_filter_keeps_the_share_of_each_class() -> None:
    labels = soft(UNEVEN)  # four of class 1, two of class 0
    assert kept(apply("filter_confidence", labels, keep=0.5, balanced=True)) == [0, 1, 4]
    three = soft([[0.5, 0.3, 0.2], [0.4, 0.3, 0.3], [0.1, 0.9, 0.0], [0.2, 0.8, 0.0]])  # none of class 2
    assert kept(apply("filter_confidence", three, keep=0.5, balanced=True)) == [0, 2]
    assert kept(apply("filter_confidence", three, keep=0.5)) == [2, 3]


def test_equally_sure_labels_are_kept_as_if_at_random_but_the_same_ones_always() -> None:
    labels = hard(np.arange(400) % 2)
    rows = kept(apply("filter_confidence", labels, context(labels, seed=1), keep=0.5))
    assert len(rows) == 200 and rows == kept(
        apply("filter_confidence", labels, context(labels, seed=2), keep=0.5)
    )
    assert 60 < sum(row < 200 for row in rows) < 140 and 60 < sum(row % 2 for row in rows) < 140
    assert set(kept(apply("filter_confidence", labels, keep=0.25))) < set(rows)


def test_the_easiest_examples() -> None:
    labels = hard([0, 1, 0, 1, 0, 1])
    within = context(labels, difficulty=[5, 1, 4, 2, 3, 6])
    assert kept(apply("easiest", labels, within, share=0.5)) == [1, 3, 4]
    assert kept(apply("easiest", labels, within, at_most=4)) == [1, 2, 3, 4]
    assert kept(apply("easiest", labels, within, at_most=-1)) == []
    assert kept(apply("easiest", without(labels, 1, 3), within, share=0.5)) == [2, 4]
    assert kept(apply("easiest", spoken(list("abcdef")), within, share=1 / 3)) == [1, 3]


def test_an_unknown_difficulty_is_refused_where_it_counts() -> None:
    labels = hard([0, 1, 0])
    within = context(labels, difficulty=[1, np.nan, 2])
    told = (
        "the difficulty of 1 of 3 examples is unknown, such as that of 'example 00001'; use a task whose "
        "examples have one"
    )
    for name, params in (("easiest", {"share": 0.5}), ("errors", {"rate": 0.5, "where": "hard"})):
        with pytest.raises(InvalidInput, match=f"transform '{name}': {told}"):
            apply(name, labels, within, **params)
    with pytest.raises(InvalidInput, match=f"transform 'simulated_supervisor': {told}"):
        apply(
            "simulated_supervisor",
            labels,
            context(labels, difficulty=[1, np.nan, 2], truth=labels),
            where="hard",
        )
    assert kept(apply("easiest", without(labels, 1), within, share=0.5)) == [0]
    assert kept(apply("errors", labels, within, rate=0.5)) == [0, 1, 2]


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_parts_are_disjoint_and_cover_everything(of: int) -> None:
    labels = hard(np.arange(100) % 2)
    parts = [kept(apply("part", labels, number=number, of=of)) for number in range(of)]
    assert sorted(row for rows in parts for row in rows) == list(range(100))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    if of == 2:
        assert (
            30 < sum(row < 50 for row in parts[0]) + sum(row >= 50 for row in parts[1]) < 70
        )  # not the first half
        assert 15 < sum(row % 2 for row in parts[0]) < 35


def test_parts_are_of_the_ids_and_nothing_else() -> None:
    labels = hard(np.zeros(50, int))
    other = soft(np.random.default_rng(0).dirichlet([1, 1, 1], 50))
    first = kept(apply("part", labels, context(labels, seed=1), number=0, of=2))
    assert first == kept(apply("part", other, context(other, seed=2), number=0, of=2))
    assert first == kept(apply("part", spoken([""] * 50), number=0, of=2))
    fewer = without(labels, *first[:10])
    assert kept(apply("part", fewer, number=0, of=2)) == first[10:]
    assert (
        kept(apply("part", Predictions.of(names(51)[1:], labels.probabilities, "other ids"), number=0, of=2))
        != first
    )


# Controls
# ------------------------------------------------------------------------------------------------------------


def test_shuffle_deals_the_same_labels_out_again() -> None:
    labels = without(soft(np.random.default_rng(0).dirichlet([1, 1], 500)), 3, 7)
    found = apply("shuffle", labels)
    before = labels.probabilities[labels.covered]
    after = found.probabilities[labels.covered]
    assert sorted(before.tolist()) == sorted(after.tolist())
    assert (before == after).all(axis=1).sum() < 10
    assert abs(np.corrcoef(before[:, 0], after[:, 0])[0, 1]) < 0.2
    answers = spoken([f"answer {number}" for number in range(50)])
    assert sorted(apply("shuffle", answers).decisions) == sorted(answers.decisions)
    assert (apply("shuffle", answers).decisions == answers.decisions).sum() < 6


def test_random_labels_are_certain_and_uniform() -> None:
    labels = soft(np.tile([0.9, 0.05, 0.05], (3000, 1)))
    found = apply("random_labels", labels)
    assert set(found.probabilities.ravel()) == {0.0, 1.0}
    assert all(abs(count - 1000) < 120 for count in Counter(found.classes.tolist()).values())


def test_random_answers_come_from_other_examples() -> None:
    answers = spoken([f"answer {number}" for number in range(200)])
    found = apply("random_labels", answers).decisions
    assert (found != answers.decisions).all() and set(found) < set(answers.decisions)
    assert len(set(found)) < 160  # with replacement
    two = spoken(["a", "b"])
    assert all(
        apply("random_labels", two, context(two, seed)).decisions.tolist() == ["b", "a"] for seed in range(10)
    )
    hidden = without(answers, *range(100))
    assert set(apply("random_labels", hidden).decisions[100:]) < set(answers.decisions[100:])
    with pytest.raises(InvalidInput, match="weak answers 1 examples; it needs two"):
        apply("random_labels", spoken(["alone"]))


def test_constant() -> None:
    labels = without(soft([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.2, 0.5, 0.3]]), 2)
    assert apply("constant", labels, class_index=2).probabilities.tolist() == [
        [0, 0, 1],
        [0, 0, 1],
        [0.2, 0.5, 0.3],
    ]
    with pytest.raises(InvalidInput, match="class_index is 3; it must be one of 0 to 2"):
        apply("constant", labels, class_index=3)


# Ground truth and errors
# --------------------------------------------------------------------------------------------------


def test_ground_truth_is_mixed_in() -> None:
    labels = soft(np.tile([0.4, 0.6], (50, 1)))
    truth = hard(np.zeros(50, int))
    mixed = {}
    for share, number in ((0.0, 0), (0.3, 15), (0.5, 25), (1.0, 50)):
        found = apply("mix_ground_truth", labels, context(labels, truth=truth), share=share).probabilities
        mixed[share] = set(np.flatnonzero(found[:, 0] == 1).tolist())
        assert len(mixed[share]) == number and (found[:, 0] == 0.4).sum() == 50 - number
    assert mixed[0.3] < mixed[0.5]
    assert len(mixed[0.5] & set(range(25))) < 22  # drawn, not the first ones
    few = without(labels, *range(40))
    found = apply("mix_ground_truth", few, context(few, truth=truth), share=0.5)
    assert (found.probabilities[40:, 0] == 1).sum() == 5 and (found.probabilities[:40, 0] == 0.4).all()


def test_true_answers_are_mixed_in_whole() -> None:
    labels = spoken(["a", "b", "c", "d"])
    truth = spoken(["a much longer answer"] * 4)
    found = apply("mix_ground_truth", labels, context(labels, truth=truth), share=0.5).decisions
    assert Counter(found.tolist())["a much longer answer"] == 2


@pytest.mark.parametrize(("rate", "number"), [(0.0, 0), (0.1, 9), (0.25, 22), (0.333, 30), (1.0, 90)])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_errors_are_exactly_as_many(rate: float, number: int, num_classes: int) -> None:
    labels = without(hard(np.arange(100) % num_classes, num_classes), *range(10))
    found = apply("errors", labels, rate=rate)
    wrong = found.classes != labels.classes
    assert wrong.sum() == number and not wrong[:10].any()
    assert set(found.probabilities.ravel()) == {0.0, 1.0}


def test_errors_fall_on_all_other_classes_alike() -> None:
    labels = hard(np.zeros(3000, int), 4)
    counts = Counter(apply("errors", labels, rate=1.0).classes.tolist())
    assert set(counts) == {1, 2, 3} and all(abs(count - 1000) < 120 for count in counts.values())


def test_more_errors_hold_the_fewer() -> None:
    labels = hard(np.arange(100) % 5, 5)
    few, many = (apply("errors", labels, rate=rate).classes for rate in (0.2, 0.6))
    hit = few != labels.classes
    assert (few[hit] == many[hit]).all()
    assert 4 < hit[:50].sum() < 16


def test_an_error_in_an_uncertain_label_keeps_its_certainty() -> None:
    labels = soft([[0.7, 0.3], [0.1, 0.9]])
    assert apply("errors", labels, rate=1.0).probabilities == pytest.approx(
        np.array([[0.3, 0.7], [0.9, 0.1]])
    )
    tied = soft([[0.5, 0.5], [0.5, 0.5]])
    assert apply("errors", tied, rate=1.0).classes.tolist() == [1, 1]
    three = soft(np.tile([0.4, 0.4, 0.2], (50, 1)))
    assert set(apply("errors", three, rate=1.0).classes.tolist()) == {1, 2}


def test_errors_on_the_hardest_examples_first() -> None:
    labels = hard([0, 1, 0, 1, 0, 1])
    within = context(labels, difficulty=[1, 9, 3, 8, 2, 7])
    found = apply("errors", labels, within, rate=0.5, where="hard")
    assert np.flatnonzero(found.classes != labels.classes).tolist() == [1, 3, 5]


def test_among_equally_hard_examples_errors_are_drawn() -> None:
    labels = hard(np.zeros(100, int))
    rows = [
        np.flatnonzero(
            apply(
                "errors", labels, context(labels, seed, [1] * 60 + [2] * 40), rate=0.2, where="hard"
            ).classes
        )
        for seed in (0, 1)
    ]
    assert all(len(found) == 20 and (found >= 60).all() for found in rows)
    assert rows[0].tolist() != rows[1].tolist() and (rows[0] < 80).any() and (rows[0] >= 80).any()


def test_wrong_answers_read_differently() -> None:
    answers = spoken(["yes"] * 90 + ["no"] * 10)
    found = apply("errors", answers, rate=0.95).decisions
    assert (found != answers.decisions).sum() == 95 and set(found) == {"yes", "no"}
    with pytest.raises(InvalidInput, match="transform 'errors': all answers of weak are the same"):
        apply("errors", spoken(["yes", "yes"]), rate=0.5)


@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_simulated_supervisor_is_as_accurate_and_wrong_elsewhere(num_classes: int) -> None:
    rng = np.random.default_rng(0)
    truth = hard(rng.integers(0, num_classes, 200), num_classes)
    labels = without(soft(rng.dirichlet(np.ones(num_classes), 200)), *range(20))
    wrong = (labels.classes != truth.classes)[20:]
    found = apply("simulated_supervisor", labels, context(labels, truth=truth))
    simulated = (found.classes != truth.classes)[20:]
    assert simulated.sum() == wrong.sum() > 50 and (simulated != wrong).any()
    assert set(found.probabilities[20:].ravel()) == {0.0, 1.0}
    assert kept(found) == kept(labels)


def test_a_simulated_supervisor_that_fails_on_the_hardest() -> None:
    truth = hard([0, 1, 0, 1, 0])
    labels = hard([1, 0, 0, 1, 0])
    within = context(labels, difficulty=[1, 2, 5, 4, 3], truth=truth)
    assert apply("simulated_supervisor", labels, within, where="hard").classes.tolist() == [0, 1, 1, 0, 0]


def test_a_simulated_supervisor_that_answers() -> None:
    truth = spoken(["1", "2", "3", "4"])
    labels = spoken(["1", "2", "3", "nonsense"])
    found = apply("simulated_supervisor", labels, context(labels, truth=truth)).decisions
    assert (found != truth.decisions).sum() == 1 and set(found) < {"1", "2", "3", "4"}


def test_a_complement_is_what_a_chain_drops() -> None:
    labels = without(soft([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3]]), 3)
    sure = Call("filter_confidence", {"at_least": 0.7})
    assert kept(apply("complement", labels, of=[sure])) == [1]
    assert kept(apply("complement", labels, of=[])) == []
    with pytest.raises(InvalidInput, match="reads ground truth"):
        apply("complement", labels, of=[Call("mix_ground_truth", {"share": 0.5})])


def test_a_slice_and_its_complement_are_everything() -> None:
    labels = hard([0, 1] * 10)
    for number in range(3):
        own = kept(apply("part", labels, number=number, of=3))
        others = kept(apply("part", labels, number=number, of=3, complement=True))
        assert sorted(own + others) == list(range(20)) and own
    with pytest.raises(InvalidInput, match="single slice"):
        apply("part", labels, number=0, of=1, complement=True)

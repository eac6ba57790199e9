"""Which trials go on: Ray Tune's rules, asked by hand."""

import pytest
from ray import tune

from raysweep import Call, InvalidInput, Search
from raysweep.planning.search.stopping import EarlyStopper, make_stopping_rule


def search(stopping: Call | str) -> Search:
    """A search with a stopping rule."""
    return Search(student={"optimization.epochs": tune.uniform(1, 2)}, stopping=stopping)


def test_asha_stops_whoever_is_not_in_the_best_third_at_a_rung() -> None:
    stopper = EarlyStopper(search(Call("asha", {"grace_period": 10, "reduction_factor": 3})), {})
    # At 10 per cent; by hand: the first is alone, 0.6 is better, 0.5 is below the 2/3 quantile of (0.5, 0.6),
    # which is 0.567.
    assert not stopper.report("study", "a", 5, 0.1)  # before the first rung nobody is judged
    assert not stopper.report("study", "a", 10, 0.5)
    assert not stopper.report("study", "b", 12, 0.6)
    assert stopper.report("study", "c", 10, 0.55)
    assert not stopper.report("study", "d", 10, 0.7)
    assert not stopper.report("another study", "e", 10, 0.1)  # studies don't compete
    assert not stopper.report("study", "a", 20, 0.0)  # between two rungs


def test_the_median_rule_stops_whoever_is_below_the_median_of_the_others_means() -> None:
    stopper = EarlyStopper(search(Call("median", {"grace_period": 20, "min_samples_required": 3})), {})
    for name, signal in (("a", 0.5), ("b", 0.6), ("c", 0.7)):
        assert not stopper.report("study", name, 20, signal)
        assert not stopper.report("study", name, 40, signal)
    assert not stopper.report("study", "d", 20, 0.6)  # the median of 0.5, 0.6, 0.7 is 0.6
    assert stopper.report("study", "e", 20, 0.59)


def test_a_referee_of_a_search_that_goes_on_knows_what_earlier_trials_said() -> None:
    rule = Call("asha", {"grace_period": 10, "reduction_factor": 3})
    history = {"study": {"a": [(10.0, 0.5), (30.0, 0.6)], "b": [(10.0, 0.6)], "diverged": []}}
    assert EarlyStopper(search(rule), history).report("study", "c", 10, 0.55)
    assert not EarlyStopper(search(rule), {}).report("study", "c", 10, 0.55)
    assert EarlyStopper(search(rule), history).report(
        "study", "c", 30, 0.55
    )  # the rung at 30 per cent is a's


@pytest.mark.parametrize(
    ("stopping", "message"),
    [
        (Call("asha", {"graceful": 1}), "unexpected keyword argument 'graceful'"),
        (Call("asha", {"metric": "loss"}), "metric, mode, time_attr are raysweep's; leave them out"),
        (Call("median", {"max_t": 3}), "unexpected keyword argument 'max_t'"),
    ],
)
def test_parameters_that_a_rule_lacks_are_refused(stopping: Call, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_stopping_rule(search(stopping))

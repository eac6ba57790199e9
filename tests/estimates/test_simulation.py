"""The simulated cluster, on graphs small enough to be drawn by hand."""

import pytest

from raysweep.errors import InvalidInput
from raysweep.estimates.simulation import SimulatedRun, simulate


def runs(**each: tuple[float, float, str]) -> dict[str, SimulatedRun]:
    """By name: seconds, devices, and the names that it depends on."""
    return {
        name: SimulatedRun(seconds=seconds, devices=devices, depends_on=needed.split())
        for name, (seconds, devices, needed) in each.items()
    }


def test_runs_wait_for_what_they_depend_on_and_for_a_device() -> None:
    graph = runs(a=(2, 1, ""), b=(3, 1, ""), c=(4, 1, "a"), d=(1, 1, "a b"))
    found = simulate(graph, 2)
    # a ab… : device 1: a 0–2, c 2–6; device 2: b 0–3, d 3–4.
    assert found.starts == {"a": 0, "b": 0, "c": 2, "d": 3}
    assert (found.makespan, found.device_seconds) == (6, 10) and found.idle_share == pytest.approx(
        1 - 10 / 12
    )
    alone = simulate(graph, 1)
    assert alone.makespan == 10 and alone.idle_share == 0


def test_the_longest_remaining_path_first_ends_earlier() -> None:
    graph = runs(a=(2, 1, ""), b=(2, 1, ""), long=(1, 1, ""), last=(5, 1, "long"))
    come = simulate(graph, 2)
    assert come.starts == {"a": 0, "b": 0, "long": 2, "last": 3} and come.makespan == 8
    critical = simulate(graph, 2, {"a": 2, "b": 2, "long": 6, "last": 5})
    assert critical.starts == {"a": 0, "long": 0, "last": 1, "b": 2} and critical.makespan == 6
    assert (come.idle_share, critical.idle_share) == (pytest.approx(1 - 10 / 16), pytest.approx(1 - 10 / 12))


def test_first_come_is_by_when_a_run_became_ready() -> None:
    graph = runs(a=(1, 1, ""), early=(1, 1, "a"), b=(1, 1, ""), c=(1, 1, ""))
    assert simulate(graph, 1).starts == {"a": 0, "b": 1, "c": 2, "early": 3}
    assert simulate(graph, 1, dict.fromkeys(graph, 1.0)).starts == {"a": 0, "early": 1, "b": 2, "c": 3}


def test_small_runs_share_a_device_and_a_wide_one_is_not_overtaken() -> None:
    halves = runs(a=(4, 0.5, ""), b=(4, 0.5, ""), c=(4, 0.5, ""))
    assert simulate(halves, 1).starts == {"a": 0, "b": 0, "c": 4}
    wide = runs(a=(3, 1, ""), wide=(1, 2, ""), b=(1, 1, ""))
    # b would fit beside a, but the wide run, which came first, would wait ever longer.
    assert simulate(wide, 2).starts == {"a": 0, "wide": 3, "b": 4}
    assert simulate(wide, 2, {"a": 3, "b": 2, "wide": 1}).starts == {"a": 0, "b": 0, "wide": 3}


def test_what_takes_no_device_only_takes_time() -> None:
    found = simulate(runs(cpu=(5, 0, ""), other=(5, 0, ""), gpu=(1, 1, "cpu")), 1)
    assert found.starts == {"cpu": 0, "other": 0, "gpu": 5} and found.device_seconds == 1


def test_what_is_done_is_not_waited_for_and_nothing_takes_no_time() -> None:
    assert simulate(runs(a=(1, 1, "done before")), 1).starts == {"a": 0}
    empty = simulate({}, 4)
    assert (empty.makespan, empty.idle_share) == (0, 0)


def test_a_run_that_never_fits_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"run a asks for 4 devices; there are 2"):
        simulate(runs(a=(1, 4, "")), 2)


def test_a_whole_device_is_not_waited_for_while_fractions_come_and_go() -> None:
    halves = {f"half_{number}": (2, 0.5, "") for number in range(6)}
    graph = runs(**halves, whole=(1, 1, "half_0"))
    urgency = dict.fromkeys(graph, 1.0) | {"whole": 9.0}
    # Once half_0 has ended, no other half is let in until the whole device is free; then the rest, two at a
    # time.
    assert simulate(graph, 1, urgency).starts == {
        "half_0": 0,
        "half_1": 0,
        "whole": 2,
        "half_2": 3,
        "half_3": 3,
        "half_4": 5,
        "half_5": 5,
    }
    slow = graph | runs(**{"half_1": (5, 0.5, "")})
    starts = simulate(slow, 1, urgency).starts
    assert starts["whole"] == 5 and min(starts[f"half_{number}"] for number in (2, 3, 4, 5)) == 6


def test_what_is_free_beside_a_large_share_is_used() -> None:
    graph = runs(a=(4, 0.75, ""), b=(4, 0.75, ""), small=(1, 0.25, ""))
    assert simulate(graph, 1).starts == {"a": 0, "b": 4, "small": 0}

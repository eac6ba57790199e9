"""Who gets what is left of a cluster, on boards small enough to be followed by hand."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import replace

import pytest
from grid_helpers import pinned_run

from raysweep.estimates.backfill import blocks_backfill
from raysweep.planning.graph import PlannedRun
from raysweep.scheduling.capacity import ClusterCapacity
from raysweep.scheduling.cluster_size import ClusterSize
from raysweep.spec.resources import Resources


def run(name: str, gpus: float, workers: int = 0, **resources: float) -> PlannedRun:
    spec = pinned_run(model=replace(pinned_run().model, name=name))
    shape = Resources(gpus_per_worker=gpus, num_workers=workers, cpus_per_worker=0.01, **resources)  # type: ignore[arg-type]
    return PlannedRun(spec=spec, roles=("weak",), pairs=(), num_cells=1, resources=shape, needs_model=False)


SIXTEENTH = run("n", 1 / 16)
HALF = run("h", 0.5)
MOST = run("m", 12 / 16)
WHOLE = run("w", 1)
PAIR = run("p", 1, workers=2)


def size(gpus: float) -> ClusterSize:
    """One node that is all of the cluster."""
    nodes = [{"CPU": 64.0, "GPU": gpus}]
    return ClusterSize(nodes, nodes)


def started(total: float, *runs: tuple[PlannedRun, int]) -> ClusterCapacity:
    """A cluster of so many GPUs on which these runs run."""
    capacity = ClusterCapacity(size(total))
    for one, count in runs:
        for _ in range(count):
            capacity.reserve(one.resources)
            capacity.start(one.resources)
    return capacity


def test_sixteen_share_a_device_and_the_next_takes_the_place_of_one_that_has_ended() -> None:
    capacity = ClusterCapacity(size(1))
    for _ in range(16):
        assert capacity.choose([SIXTEENTH]) is SIXTEENTH
        capacity.reserve(SIXTEENTH.resources)
    assert capacity.choose([SIXTEENTH]) is None
    for _ in range(16):
        capacity.start(SIXTEENTH.resources)
    assert capacity.choose([SIXTEENTH]) is None
    assert capacity.choose_without([SIXTEENTH.resources], [SIXTEENTH]) is SIXTEENTH
    assert capacity.choose([SIXTEENTH]) is None  # asking has changed nothing


def test_a_wide_run_is_not_overtaken_by_fractions_that_would_fit() -> None:
    capacity = started(1, (SIXTEENTH, 15))
    assert capacity.choose([SIXTEENTH, WHOLE]) is SIXTEENTH  # the more urgent one goes first
    assert capacity.choose([WHOLE, SIXTEENTH]) is None  # not into what is free
    for number in range(15):
        # Nor in the place of one that has ended: the wide one gets the device as soon as all have.
        assert capacity.choose_without([SIXTEENTH.resources] * number, [WHOLE, SIXTEENTH]) is None
    assert capacity.choose_without([SIXTEENTH.resources] * 15, [WHOLE, SIXTEENTH]) is WHOLE
    for _ in range(15):
        assert capacity.choose([WHOLE, SIXTEENTH]) is None
        capacity.release(SIXTEENTH.resources, has_started=True)
    assert capacity.choose([WHOLE, SIXTEENTH]) is WHOLE


def test_what_is_free_beside_wide_runs_is_used() -> None:
    capacity = started(1, (MOST, 1))
    assert capacity.choose([MOST, SIXTEENTH]) is SIXTEENTH  # no second one fits beside it, whoever ends
    assert capacity.choose_without([MOST.resources], [MOST, SIXTEENTH]) is MOST
    # On two devices one of which has narrow runs, a second one would.
    assert started(2, (MOST, 1), (SIXTEENTH, 14)).choose([MOST, SIXTEENTH]) is None


def test_a_whole_device_that_is_free_in_parts_is_waited_for() -> None:
    capacity = started(2, (HALF, 2))
    assert capacity.choose([WHOLE, HALF]) is WHOLE  # one device may be free
    capacity.reserve(WHOLE.resources)
    # Had Ray put a half on each, the next half would take what the whole one waits for.
    capacity.release(HALF.resources, has_started=True)
    assert capacity.choose([HALF]) is None
    capacity.start(WHOLE.resources)
    assert capacity.choose([HALF]) is HALF


def test_a_group_starts_where_devices_are_free_however_the_fractions_lie() -> None:
    capacity = started(4, (HALF, 3))
    assert capacity.choose([PAIR, HALF]) is None  # three halves may lie on three devices
    capacity.release(HALF.resources, has_started=True)
    assert capacity.choose([PAIR, HALF]) is PAIR
    capacity.reserve(PAIR.resources)
    capacity.start(PAIR.resources)
    assert capacity.choose([PAIR, HALF]) is None  # the next pair needs what the halves hold
    wide = run("wide", 1, workers=3)
    other = started(4, (wide, 1))
    assert (
        other.choose([wide, HALF]) is HALF
    )  # but a second group of three needs the first one's, and the fourth device is idle


def test_a_run_without_a_gpu_does_not_wait_for_one() -> None:
    cpu = run("cpu", 0)
    capacity = started(1, (SIXTEENTH, 16))
    assert capacity.choose([WHOLE, SIXTEENTH, cpu]) is cpu


@pytest.mark.parametrize(
    ("need", "free", "others", "alike", "total", "expected"),
    [
        (1, 0.5, {0.5: 1}, 0, 1, True),
        (2, 1, {1: 1}, 0, 2, True),
        (2, 0, {4: 1}, 0, 4, False),  # only a wider one is in the way
        (0.75, 0.25, {}, 1, 1, False),
        (0.75, 1, {0.25: 1}, 4, 4, False),  # each device has one, and none has capacity for two
        (0.75, 0.5, {0.25: 3}, 3, 4, True),
    ],
)
def test_who_holds_back(
    need: float, free: float, others: Mapping[float, int], alike: int, total: float, expected: bool
) -> None:
    assert blocks_backfill(need, free, others, alike, total) is expected


def test_on_a_board_of_narrow_runs_that_never_end_coming_a_wide_one_starts_after_the_longest() -> None:
    """Two devices full of sixteenths of 1 to 8 s, and always more of them; after 20 s a whole-device run is
    more urgent."""
    capacity = ClusterCapacity(size(2))
    now = 0.0
    number = 0
    num_idle = 0
    running: list[float] = []
    while True:
        heads = [WHOLE, SIXTEENTH] if now >= 20 else [SIXTEENTH]
        while (chosen := capacity.choose_without([SIXTEENTH.resources] * num_idle, heads)) is SIXTEENTH:
            if num_idle:
                num_idle -= 1
            else:
                capacity.reserve(SIXTEENTH.resources)
                capacity.start(SIXTEENTH.resources)
            number += 1
            heapq.heappush(running, now + 1 + number % 8)
        if chosen is WHOLE:
            break
        now = heapq.heappop(running)
        num_idle += 1
    assert now - 20 <= 8  # nothing narrow has started since


def test_what_may_still_come_is_given_away_and_holds_nothing_back() -> None:
    now, later = [{"CPU": 8.0, "GPU": 1.0}], [{"CPU": 8.0, "GPU": 4.0}]
    capacity = ClusterCapacity(ClusterSize(now, [*now, *later]))
    wide = run("wide", 4)
    assert capacity.choose([wide]) is wide
    capacity.reserve(wide.resources)
    assert capacity.choose([wide]) is None  # a second one is above what the cluster may grow to
    assert capacity.choose([SIXTEENTH]) is SIXTEENTH and not capacity.is_reserved_for_wider(HALF.resources)
    capacity.resize(ClusterSize(both := [*now, *later], both))  # now it has the room, and takes it next
    assert capacity.choose([SIXTEENTH]) is None and capacity.is_reserved_for_wider(HALF.resources)
    capacity.resize(ClusterSize(now, None))
    assert capacity.choose([wide]) is wide  # as many as are asked for


def test_a_lost_node_is_counted_no_longer() -> None:
    capacity = started(2, (WHOLE, 1))
    assert capacity.choose([WHOLE]) is WHOLE
    capacity.resize(size(1))
    assert capacity.choose([WHOLE]) is None
    capacity.release(WHOLE.resources, has_started=True)
    assert capacity.choose([WHOLE]) is WHOLE

"""What a finished run says of itself."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest
from tiny import TinyWorld, Trained

from raysweep.store import Store


def test_durations_do_not_follow_a_clock_that_is_set_back(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.monotonic()
    hours = itertools.count()
    monkeypatch.setattr(time, "time", lambda: 1e9 - 3600.0 * next(hours))
    info = trained(tiny_world.student(), tiny_store).info
    assert info["finished_at"] < 1e9 and next(hours) > 1
    assert 0 < info["seconds_training"] + info["seconds_evaluation"] <= info["seconds_total"]
    assert info["seconds_total"] <= time.monotonic() - start

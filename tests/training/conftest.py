"""ZeRO stage 3 meets the tiny model here as it meets a large one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tiny

from raysweep.training import zero


@pytest.fixture(autouse=True, scope="package")
def _scaled_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zero, "STAGE_3_LIMITS", tiny.SCALED_LIMITS)
        yield

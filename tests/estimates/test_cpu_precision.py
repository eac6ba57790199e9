"""bfloat16 on a CPU that doesn't compute in it is told before anything trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny import TinyWorld

from raysweep.estimates import cpu_precision
from raysweep.estimates.cpu_precision import precision_warnings
from raysweep.planning.graph import PlannedRun
from raysweep.spec.resources import Resources

OLD = "processor\t: 0\nflags\t\t: fpu sse4_2 avx2 f16c\nbugs\t: none\n"
NEW = "processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16 amx_tile\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16\n"


@pytest.mark.parametrize(
    ("facts", "precision", "gpus", "is_told"),
    [
        (OLD, "bfloat16", 0, True),
        (OLD, "float32", 0, False),
        (OLD, "bfloat16", 1, False),
        (NEW, "bfloat16", 0, False),
        (ARM, "bfloat16", 0, False),
        ("nothing known", "bfloat16", 0, False),
        (None, "bfloat16", 0, False),
    ],
)
def test_only_bfloat16_on_a_cpu_without_it_is_told(
    facts: str | None,
    precision: str,
    gpus: int,
    is_told: bool,
    tiny_world: TinyWorld,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / "cpuinfo"
    if facts is not None:
        place.write_text(facts)
    monkeypatch.setattr(cpu_precision, "_CPU_FACTS", place)
    spec = tiny_world.finetuning()
    spec = replace(spec, optimization=replace(spec.optimization, precision=precision))
    run = PlannedRun(
        spec=spec,
        roles=("supervisor",),
        pairs=(),
        num_cells=1,
        resources=Resources(gpus_per_worker=gpus),
        needs_model=False,
    )
    lines = precision_warnings([run, run])
    assert len(lines) == is_told
    if is_told:
        assert lines[0].startswith(
            "Precision: bfloat16 for tiny on CPUs, and this machine's has no instructions"
        )

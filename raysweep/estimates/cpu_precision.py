"""Whether the precision of runs on CPUs is one that these compute in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raysweep.planning.graph import PlannedRun

_CPU_FACTS = Path("/proc/cpuinfo")
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags in Linux's list of a CPU's abilities, of x86 and of ARM."""


def precision_warnings(runs: Iterable[PlannedRun]) -> list[str]:
    """A line if runs on CPUs compute in bfloat16 and this machine's CPU has no instructions for it: a frozen
    SmolLM2 took 5.8 times as long as in float32 (AMD EPYC with AVX2, 2026-11-28)."""
    names = sorted(
        {
            run.spec.model.name
            for run in runs
            if run.spec.optimization.precision == "bfloat16" and not run.resources.num_gpus
        }
    )
    if not names or _computes_in_bfloat16():
        return []
    return [
        f"Precision: bfloat16 for {', '.join(names)} on CPUs, and this machine's has no instructions for it, "
        "which takes several times as long as float32; leave Optimization(precision=…) out unless the runs "
        "are for other machines"
    ]


def _computes_in_bfloat16() -> bool:
    """Also where that can't be told."""
    try:
        facts = _CPU_FACTS.read_text()
    except OSError:
        return True
    lines = [line for line in facts.splitlines() if line.startswith(("flags", "Features"))]
    return not lines or bool(_INSTRUCTIONS & set(lines[0].split()))

"""The commands of benchmarks/first_hour_on_a_gpu.md, as far as a machine without a GPU can follow them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raysweep.estimates.gpu_sharing import GpuShares
from raysweep.planning.plan import make_plan
from raysweep.planning.sweep import Sweep, load_sweep
from raysweep.spec.resources import Resources
from raysweep.store import Store

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "benchmarks" / "first_hour_on_a_gpu.md").read_text()
NAMES = sorted(set(re.findall(r"on_a_gpu\.py:(\w+)", PAGE)))


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sweep]:
    """Each sweep that a command names, from the file that the page has one save."""
    folder = tmp_path_factory.mktemp("first-hour")
    (file,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (folder / "on_a_gpu.py").write_text(file.replace('"experiments/', f'"{ROOT}/experiments/'))
    return {name: load_sweep(f"{folder / 'on_a_gpu.py'}:{name}") for name in NAMES}


def test_every_sweep_takes_gpus_and_what_is_compared_is_the_quickstart(sweeps: dict[str, Sweep]) -> None:
    assert NAMES == ["fits", "group", "lives", "low", "one", "pair", "sharded", "shared", "too_large"]
    resources = {name: sweep.resources for name, sweep in sweeps.items()}
    assert all(isinstance(item, Resources) and item.num_gpus for item in resources.values())
    quickstart = load_sweep(str(ROOT / "experiments" / "quickstart.py"))
    for name in ("one", "group", "pair", "sharded", "shared"):
        assert (sweeps[name].tasks, sweeps[name].pairs) == (quickstart.tasks, quickstart.pairs), name
    assert resources["pair"].world_size == 2 and resources["lives"].zero_stage == 3  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "is_warned_of"), [("fits", False), ("too_large", True)])
def test_only_what_is_meant_to_run_out_of_memory_is_warned_of(
    name: str, is_warned_of: bool, sweeps: dict[str, Sweep], store: Store
) -> None:
    plan = make_plan(sweeps[name], store)
    warnings = GpuShares(store, 80 * 10**9).warnings(plan.runs.values())
    assert bool(warnings) is is_warned_of, warnings


def test_inline_programs_compile() -> None:
    programs = re.findall(r"python - <<'END'\n(.*?)\nEND", PAGE, re.DOTALL)
    assert len(programs) == 2
    for program in programs:
        compile(program, "page", "exec")

"""The experiments in docs/ are ones that can be planned; the pages themselves are built by `make docs`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from raysweep import Method, Sweep
from raysweep.planning.plan import make_plan
from raysweep.planning.sweep import load_sweep
from raysweep.store import Store

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT / 'docs')}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]
SWEEPS = [
    block for block in BLOCKS if "def sweep()" in str(block.values[0]) and "own_parts" not in str(block.id)
]


@pytest.mark.parametrize("block", SWEEPS)
def test_an_experiment_can_be_planned(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, but for models and tasks that need the hub."""
    for there, here in (
        ('families.get("gpt2")[name] for name in ("gpt2", "gpt2-medium", "gpt2-large")', _SANDBOX),
        ('TaskSpec(name="sciq", num_train=5_000, num_test=1_000)', '"sandbox"'),
    ):
        block = block.replace(there, here)
    (tmp_path / "mine.py").write_text(block)
    rows = [f"title {number},a body of {number} words,{number % 5 + 1}" for number in range(400)]
    (tmp_path / "reviews.csv").write_text("\n".join(["title,body,stars", *rows]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # another page's
    sweep = load_sweep("mine.py")
    assert isinstance(sweep, Sweep)
    assert make_plan(sweep, Store(tmp_path / "store")).runs


_SANDBOX = 'families.get("sandbox")[name] for name in ("sandbox-6", "sandbox-12", "sandbox-24")'


def test_the_methods_named_there_are_ones_that_a_sweep_takes() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/how-to/method.md").read_text(), re.DOTALL)
    names: dict[str, list[Method | str]] = {}
    exec(block, names)
    from raysweep import families, grid

    models = families.get("sandbox")
    sweep = Sweep(
        name="methods",
        tasks=["sandbox"],
        pairs=grid(weak=[models["sandbox-6"]], strong=[models["sandbox-12"]]),
        methods=names["METHODS"],
        seeds=[0],
    )
    assert len(sweep.methods) == 4


def test_fields_that_the_tables_translate_to_exist() -> None:
    """Names such as `Optimization.epochs` in the tables for users of other codes."""
    import raysweep

    page = (ROOT / "docs/coming-from.md").read_text()
    named = set(re.findall(r"\b(Sweep|TaskSpec|ModelSpec|Optimization|Resources|Evaluation)\.(\w+)", page))
    assert len(named) > 15
    for kind, field in named:
        assert field in getattr(raysweep, kind).__dataclass_fields__, f"{kind}.{field}"

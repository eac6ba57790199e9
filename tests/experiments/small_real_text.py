"""experiments/real_text.py with few rows and a few steps of pretraining: the same code on the same data, in a minute."""

import importlib.util
from pathlib import Path
from types import ModuleType

from raysweep.sweep import Sweep


def sweep() -> Sweep:
    """The five real tasks, one seed."""
    module = _experiment()
    module.SIZES = dict.fromkeys(module.SIZES, (32, 32))
    original = module.from_text
    module.from_text = lambda folder, width, layers, steps: original(folder, width=width, layers=1, steps=5)
    made = module.sweep()
    return Sweep(
        name="small_real_text",
        tasks=made.tasks,
        pairs=made.pairs,
        methods=made.methods,
        seeds=made.seeds[:1],
        evaluation=made.evaluation,
        resources=made.resources,
    )


def _experiment() -> ModuleType:
    path = Path(__file__).parents[2] / "experiments" / "real_text.py"
    spec = importlib.util.spec_from_file_location("real_text", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

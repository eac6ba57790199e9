"""The small sweeps of experiments/nlp.py and reward_model.py with few rows and few steps: the same code, in a
minute."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import nlp
import reward_model

from raysweep import Family, Model, RunSpec, Sweep, TaskSpec
from raysweep.models.text import text_family

TASKS = ("sst2", "anli_r2", "quail")
FEW = {"num_train": 32, "num_validation": 16, "num_test": 32}


def sweep() -> Sweep:
    """A task of short texts, the smallest one and the one with the longest texts; one seed."""
    made = _with_short_pretraining(nlp.small)
    tasks = [replace(task, **FEW) for task in made.tasks if task.name in TASKS]
    return replace(made, name="small_nlp", tasks=tasks, seeds=[0])


def preferences() -> Sweep:
    """Every preference task, naive and generative finetuning; one seed."""
    made = _with_short_pretraining(reward_model.small)
    tasks = [TaskSpec(name=task.name, label=task.label, **FEW) for task in made.tasks]
    return replace(
        made, name="small_preferences", tasks=tasks, methods=["naive", "generative_finetuning"], seeds=[0]
    )


def _with_short_pretraining(small: Callable[[], Sweep]) -> Sweep:
    original = nlp.text_family
    nlp.text_family = lambda folder: _short(text_family(folder))
    try:
        return small()
    finally:
        nlp.text_family = original


def _short(family: Family) -> Family:
    """The family with 5 steps of pretraining each and 1 epoch of finetuning."""
    models = []
    for model in family.models:
        base = model.spec.base
        assert isinstance(base, RunSpec)
        pretraining = replace(base, optimization=replace(base.optimization, steps=5))
        optimization = replace(model.optimization, epochs=1.0)
        models.append(Model(spec=replace(model.spec, base=pretraining), optimization=optimization))
    return replace(family, models=tuple(models))

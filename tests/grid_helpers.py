"""Small sweeps that are planned in a tenth of a second, and runs that are done without training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from raysweep import Call, Evaluation, Model, ModelSpec, Optimization, RunSpec, Scratch, Sweep, TaskSpec, grid
from raysweep.data.examples import split_sizes
from raysweep.data.inputs import RunInputs
from raysweep.files import write_json
from raysweep.planning.plan import Plan
from raysweep.predictions import Predictions
from raysweep.results.measure import measure_run
from raysweep.spec import WeakLabels
from raysweep.store import Store
from raysweep.store.run_folder import RunFolder
from raysweep.training.history import History

WORDS = {"num_words": 40, "num_attributes": 2, "share_loaded": 0.6, "sentence_length": 8}


def small_task(label: str = "", attribute: int = 0, **fields: Any) -> TaskSpec:
    """A sandbox task of 2 × 32 training examples."""
    params = WORDS | {"num_sentences": 300, "num_test_sentences": 150, "attribute": attribute}
    sizes = {"num_train": 32, "num_validation": 20, "num_test": 40}
    return TaskSpec(**{"name": "sandbox", "label": label, "params": params} | sizes | fields)


def small_model(name: str, width: int = 4, pretraining_steps: int = 3, **optimization: Any) -> Model:
    """A GPT-2 that a run of a few steps pretrains; models of one width share it."""
    corpus = TaskSpec(
        name="sandbox_corpus", params=WORDS | {"num_sentences": 300}, num_train=128, num_validation=16
    )
    config = {"n_embd": width, "n_layer": 1, "n_head": 1, "n_positions": 16}
    pretraining = RunSpec(
        task=corpus,
        model=ModelSpec(
            name=name, base=Scratch(architecture="gpt2", config=config, tokenizer=Call("word_level"))
        ),
        optimization=Optimization(learning_rate=1e-2, batch_size=16, steps=pretraining_steps),
        train_split="train",
        objective=Call("language_modelling"),
        evaluation=Evaluation(every=0, num_examples=16),
    )
    settings = {"learning_rate": 1e-2, "batch_size": 16, "steps": 4} | optimization
    return Model(spec=ModelSpec(name=name, base=pretraining), optimization=Optimization(**settings))


def small_sweep(**fields: Any) -> Sweep:
    """One task, one pair, naive, one seed: 1 floor, 1 ceiling, 1 student."""
    defaults: dict[str, Any] = {
        "name": "small",
        "tasks": [small_task()],
        "pairs": grid([small_model("weak", 4)], [small_model("strong", 6)]),
        "methods": ["naive"],
        "seeds": [0],
        "evaluation": Evaluation(every=2, num_examples=10),
    }
    return Sweep(**defaults | fields)


def pinned_run(**changes: Any) -> RunSpec:
    """A run that is pinned by hand, without any data."""
    spec = RunSpec(
        task=TaskSpec(name="toy", content="0123456789abcdef", kind="classification", num_classes=2),
        model=ModelSpec(
            name="model",
            base=Scratch(architecture="gpt2", config={"n_embd": 4}, tokenizer=Call("word_level")),
        ),
        optimization=Optimization(learning_rate=1e-3),
        train_split="supervisor",
    )
    return replace(spec, **changes)


def finish(spec: RunSpec, store: Store, share_right: float = 0.8, draw: int = 0) -> RunFolder:
    """Give a run the files that training would give it, with a share of its predictions right."""
    paths = store.run(spec.id)
    paths.claim(spec)
    write_json(paths.environment, {"packages": {}, "code": {}})
    history = History()
    history.add_step(4, 0.5, 1e-3, 10)
    history.save(paths)
    if spec.kind == "text":
        frame = pd.DataFrame({"step": [3, 3], "id": ["a", "b"], "outputs": [[2.0], [3.0]]})
        frame.to_parquet(paths.curve_predictions("validation"))
    else:
        for split in split_sizes(spec.task, store):
            if split != "supervisor":
                truth = RunInputs(spec, store).ground_truth(split)
                rng = np.random.default_rng([draw, int(spec.id, 16) % 2**32, len(split)])
                right = rng.permutation(len(truth)) < round(share_right * len(truth))
                certain = np.where(right[:, None], truth.probabilities, 1 - truth.probabilities)
                Predictions.of(truth.ids, 0.1 + 0.8 * certain, spec.id).write(paths.predictions(split))
    if not isinstance(spec.labels, WeakLabels):
        paths.model.mkdir(exist_ok=True)
        (paths.model / "weights").write_text("weights")
    paths.finish(
        spec,
        measure_run(RunInputs(spec, store)),
        {"num_steps": 4, "seconds_total": 1.0, "finished_at": 2.0, "resources": {}},
    )
    return paths


def specs_of(plan: Plan) -> list[RunSpec]:
    """The specs of all runs of a plan, dependencies first."""
    return [run.spec for run in plan.runs.values()]


def finish_all(plan: Plan, store: Store, **share_right: float) -> None:
    """Finish every run of a plan; by kind, the share of its predictions that are right."""
    for run in plan.runs.values():
        finish(run.spec, store, share_right.get(run.role, 0.8))


def draw_curve(spec: RunSpec, store: Store, **right: Mapping[int, int]) -> None:
    """Give a finished run a curve on the first 10 examples of some splits; by split and step, how many of the
    first ones are right."""
    paths = store.run(spec.id)
    for split, points in right.items():
        truth = RunInputs(spec, store).ground_truth(split)
        first = truth.align(truth.ids[:10])
        frames = []
        for step, count in points.items():
            outputs = np.where((np.arange(10) < count)[:, None], first.probabilities, 1 - first.probabilities)
            frames.append(pd.DataFrame({"step": step, "id": first.ids, "outputs": list(outputs)}))
        paths.curve_predictions(split).parent.mkdir(exist_ok=True)
        pd.concat(frames).to_parquet(paths.curve_predictions(split))
    result = paths.read_result()
    paths.finish(spec, result["metrics"], result["info"])

"""A head on features against plain torch, and features against other divisions of the work."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tiny
import torch
from tiny import TinyWorld, Trained

from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.spec import Call, HeadOnly, Optimization, Probe, RunSpec
from raysweep.spec.resources import Resources
from raysweep.spec.tuning import Feature
from raysweep.store import Store
from raysweep.training.batching import global_batches
from raysweep.training.loop import train
from raysweep.training.on_features import Scaling
from raysweep.training.pooling import pooled
from raysweep.training.process import clean_process
from raysweep.training.run import Job, execute

READ = frozenset(
    Feature(split, layer, pooling)  # type: ignore[arg-type]
    for split, layer, pooling in product(
        ("supervisor", "transfer", "validation", "test"), (0, 2), ("first", "last", "mean")
    )
)


def on_features(world: TinyWorld, tuning: Any, **changes: Any) -> RunSpec:
    return world.finetuning(model=replace(world.model, tuning=tuning), **changes)


def features_run(world: TinyWorld, precision: Any = "float32") -> RunSpec:
    optimization = Optimization(learning_rate=1, steps=1, precision=precision)
    run = on_features(world, HeadOnly(layer=0), optimization=optimization).features
    assert run is not None
    return run


def computed(spec: RunSpec, store: Store, **resources: Any) -> Store:
    with clean_process():
        execute(Job(spec, Resources(**resources), str(store.folder), False, {}, features=READ))
    return store


@pytest.fixture(scope="module")
def featured(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The tiny world with features of its pretrained model. It is shared: only heads are trained in it."""
    return computed(features_run(tiny_world), tiny_world.copy(tmp_path_factory.mktemp("features") / "store"))


def load(store: Store, spec: RunSpec, feature: Feature) -> npt.NDArray[np.float32]:
    return np.load(store.run(spec.id).feature(feature))  # type: ignore[no-any-return]


def test_pooling_by_hand() -> None:
    """Padding may hold anything, NaN included."""
    nan = math.nan
    states = torch.tensor([[[1.0, 2], [3, 4], [5, 9]], [[2.0, 2], [nan, nan], [nan, nan]]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    assert pooled(states, mask, "first").tolist() == [[1, 2], [2, 2]]
    assert pooled(states, mask, "last").tolist() == [[5, 9], [2, 2]]
    assert pooled(states, mask, "mean").tolist() == [[3, 5], [2, 2]]


def test_a_feature_that_is_the_same_for_all_texts_becomes_zero() -> None:
    values = np.array([[1.0, 7.1], [3.0, 7.1]], np.float32)
    assert Scaling.of(values)(values).tolist() == [[-1, 0], [1, 0]]


def test_a_head_is_trained_as_by_plain_torch(tiny_world: TinyWorld, featured: Store) -> None:
    """The same, written out: batches, standardized features, soft cross-entropy, Adam, cosine."""
    spec = on_features(tiny_world, HeadOnly(layer=2, pooling="last"), seed=3)
    trained = tiny.train_run(spec, featured)
    source = features_run(tiny_world)
    known = load(featured, source, Feature("supervisor", 2, "last")).astype(np.float64)
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    inputs = torch.tensor((known - mean) / deviation, dtype=torch.float32)
    labels = torch.tensor(RunInputs(spec, featured).ground_truth("supervisor").probabilities).float()
    generator = torch.Generator().manual_seed(3)
    head = torch.nn.Linear(16, 2)
    with torch.no_grad():
        head.weight.copy_(torch.randn(2, 16, generator=generator) * 0.1 / 4)
        head.bias.zero_()
    adam = torch.optim.Adam(head.parameters(), lr=1e-2)
    losses = []
    for step, rows in enumerate(global_batches(160, 12, 16, "shuffled", 3)):
        adam.param_groups[0]["lr"] = 1e-2 * (1 + math.cos(math.pi * step / 12)) / 2
        loss = -(labels[rows] * head(inputs[rows]).log_softmax(dim=1)).sum(dim=1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    np.testing.assert_allclose(trained.losses, losses, rtol=1e-5)
    test = (load(featured, source, Feature("test", 2, "last")) - mean) / deviation
    expected = head(torch.tensor(test, dtype=torch.float32)).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(trained.probabilities(), expected, rtol=0, atol=1e-5)
    assert trained.info["num_trainable_parameters"] == 34
    assert trained.info["num_parameters"] > 34
    assert trained.info["num_tokens"] == 0


class Killed(Exception):
    pass


def test_a_head_resumes_from_its_checkpoint_to_the_same_numbers(
    tiny_world: TinyWorld, featured: Store
) -> None:
    optimization = Optimization(learning_rate=1e-2, batch_size=16, steps=24, gradient_clipping=0.1)
    spec = on_features(tiny_world, HeadOnly(layer=2), optimization=optimization)
    whole = tiny.train_run(spec, featured)
    expected = whole.losses, whole.probabilities()
    whole.paths.result.unlink()

    def report(step: int, num_steps: int, history: object) -> None:
        if step >= 10:
            raise Killed

    with pytest.raises(Killed):
        train(RunInputs(spec, featured), Resources(checkpoint_every=4), False, report)
    resumed = tiny.train_run(spec, featured, checkpoint_every=4)
    assert resumed.info["resumed_at_step"] == 8
    np.testing.assert_array_equal(resumed.losses, expected[0])
    np.testing.assert_array_equal(resumed.probabilities(), expected[1])


def test_objectives_and_curves_are_those_of_every_run(tiny_world: TinyWorld, featured: Store) -> None:
    spec = tiny_world.student(
        model=replace(tiny_world.model, tuning=HeadOnly(layer=2)), objective=Call("confidence")
    )
    trained = tiny.train_run(spec, featured)
    assert len(trained.losses) == 12
    assert trained.paths.curve_predictions("validation").exists()
    metrics = trained.paths.read_result()["metrics"]
    assert {"test_accuracy", "test_agreement"} <= metrics.keys()


def test_a_probe_is_a_run(tiny_world: TinyWorld, featured: Store) -> None:
    """Against scikit-learn on the same features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    spec = on_features(tiny_world, Probe(Call("logistic", {"l2": 0.01}), layer=2))
    found = tiny.train_run(spec, featured)
    source = features_run(tiny_world)
    scaler = StandardScaler()
    known = scaler.fit_transform(load(featured, source, Feature("supervisor", 2, "mean")).astype(np.float64))
    truth = RunInputs(spec, featured).ground_truth("supervisor").classes
    reference = LogisticRegression(C=1 / (0.01 * 160), tol=1e-12, max_iter=5000).fit(known, truth)
    for split in ("test", "transfer"):
        given = scaler.transform(load(featured, source, Feature(split, 2, "mean")).astype(np.float64))
        np.testing.assert_allclose(
            found.probabilities(split), reference.predict_proba(given), rtol=0, atol=1e-6
        )
    assert found.info["num_steps"] == 0


def test_a_probe_reads_a_finished_run_too(tiny_world: TinyWorld, tmp_path: Path) -> None:
    store = tiny_world.copy(tmp_path / "store")
    model = replace(tiny_world.model, base=tiny_world.supervisor, tuning=Probe(Call("ridge"), layer=2))
    spec = tiny_world.finetuning(model=model)
    assert spec.features is not None and spec.features.id != features_run(tiny_world).id
    assert tiny_world.supervisor in spec.features.dependencies
    computed(spec.features, store)
    accuracy = tiny.train_run(spec, store).paths.read_result()["metrics"]["test_accuracy"]
    supervisor = store.run(tiny_world.supervisor.id).read_result()["metrics"]["test_accuracy"]
    assert accuracy > supervisor - 0.1  # the finetuned model's last layer tells the classes apart


def test_features_that_are_not_finite_are_told(
    tiny_world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tiny_world.copy(tmp_path / "store")
    monkeypatch.setattr(
        "raysweep.training.features.pooled", lambda states, mask, pooling: states[:, 0].float() * math.inf
    )
    with pytest.raises(InvalidInput, match=r"hidden state of layer 0 isn't finite for a text of split"):
        computed(features_run(tiny_world), store)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_workers_stages_and_batches_give_the_same_features(
    tiny_world: TinyWorld, tmp_path: Path, precision: str
) -> None:
    spec = features_run(tiny_world, precision)
    reference = computed(spec, tiny_world.copy(tmp_path / "one"), evaluation_batch_size=64)
    alone = computed(spec, tiny_world.copy(tmp_path / "alone"), evaluation_batch_size=1)
    divisions = {
        "ZeRO 0": Resources(num_workers=2, evaluation_batch_size=24),
        "ZeRO 3": Resources(num_workers=2, zero_stage=3, evaluation_batch_size=40),
    }
    stores = {name: tiny_world.copy(tmp_path / name) for name in divisions}
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("extract_features", (spec, str(stores[name].folder), resources, READ))
        for name, resources in divisions.items()
    ]
    for ended in tiny.run_ranks(calls, tmp_path / "ranks"):
        assert [trace for _, trace in ended if trace] == []
    tolerance = 1e-5 if precision == "float32" else 0.05
    for name, store in {"alone": alone, **stores}.items():
        for feature in READ:
            np.testing.assert_allclose(
                load(store, spec, feature),
                load(reference, spec, feature),
                rtol=0,
                atol=tolerance,
                err_msg=f"{name} {feature}",
            )
    assert isinstance(Trained(reference.run(spec.id)).info["seconds_evaluation"], float)

"""Everything that a run reads is the store's, read once, and not more than the run may see."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tiny import TinyWorld

from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.errors import CorruptFile, InvalidInput
from raysweep.spec import Call, GroundTruth, RunSpec, Unlabelled, WeakLabels
from raysweep.store import Store
from raysweep.training.model import build_model
from raysweep.training.sharding import Sharding


def pretraining_of(world: TinyWorld) -> RunSpec:
    assert isinstance(world.model.base, RunSpec)
    return world.model.base


def test_what_a_run_is_evaluated_on_follows_from_what_it_learns(
    tiny_world: TinyWorld, tiny_store: Store
) -> None:
    finetuning = RunInputs(tiny_world.finetuning(), tiny_store)
    assert finetuning.split_sizes == {"supervisor": 160, "transfer": 160, "validation": 64, "test": 64}
    assert finetuning.curve_splits == ["validation", "test"]
    assert finetuning.evaluated_splits == ["transfer", "validation", "test"]
    reading = RunInputs(tiny_world.finetuning(labels=Unlabelled()), tiny_store)
    assert reading.curve_splits == reading.evaluated_splits == ["validation"]
    pretraining = RunInputs(pretraining_of(tiny_world), tiny_store)
    assert pretraining.split_sizes == {"train": 512, "validation": 64}
    assert pretraining.curve_splits == pretraining.evaluated_splits == ["validation"]


def test_the_task_s_own_labels_and_difficulties_are_those_of_its_examples(
    tiny_world: TinyWorld, tiny_store: Store
) -> None:
    inputs = RunInputs(tiny_world.student(), tiny_store)
    frame = read_split(tiny_world.task, "transfer", tiny_store)
    truth = inputs.ground_truth("transfer")
    assert truth.ids.tolist() == frame["id"].tolist() and truth.classes.tolist() == frame["label"].tolist()
    np.testing.assert_array_equal(inputs.difficulty("transfer").loc[truth.ids.tolist()], frame["difficulty"])
    assert inputs.max_answer_tokens == 0


def test_a_supervisor_learns_ground_truth_and_a_student_its_supervisor_s_predictions(
    tiny_world: TinyWorld, tiny_store: Store
) -> None:
    supervisor = RunInputs(tiny_world.supervisor, tiny_store)
    assert supervisor.labels("supervisor") is supervisor.ground_truth("supervisor")
    predicted = tiny_store.run(tiny_world.supervisor.id).read_predictions("transfer")
    weak = RunInputs(tiny_world.student(), tiny_store).labels("transfer")
    np.testing.assert_array_equal(weak.probabilities, predicted.probabilities)
    assert (
        weak.classes != RunInputs(tiny_world.student(), tiny_store).ground_truth("transfer").classes
    ).any()


def test_transforms_are_applied_one_after_another(tiny_world: TinyWorld, tiny_store: Store) -> None:
    calls = (Call("harden"), Call("easiest", {"share": 0.5}))
    labels = WeakLabels(supervisor=tiny_world.supervisor, transforms=calls)
    inputs = RunInputs(tiny_world.student(labels=labels), tiny_store)
    found = inputs.labels("transfer")
    assert set(found.probabilities.ravel()) == {0.0, 1.0} and found.covered.sum() == 80
    difficulty = inputs.difficulty("transfer").loc[found.ids.tolist()].to_numpy()
    assert difficulty[found.covered].max() <= difficulty[~found.covered].min()
    own = GroundTruth(transforms=(Call("mix_ground_truth", {"share": 1.0}),))
    whole = RunInputs(tiny_world.finetuning(labels=own), tiny_store)
    np.testing.assert_array_equal(
        whole.labels("supervisor").classes, whole.ground_truth("supervisor").classes
    )


def test_each_part_is_read_once(tiny_world: TinyWorld, tiny_store: Store) -> None:
    inputs = RunInputs(tiny_world.student(), tiny_store)
    read = [inputs.ground_truth, inputs.labels, inputs.difficulty, inputs.tokens]
    before = [part("transfer") for part in read]
    names = list(inputs.split_sizes)
    for folder in ("tasks", "tokens", "runs"):
        shutil.rmtree(tiny_store.folder / folder)
    assert all(part("transfer") is found for part, found in zip(read, before, strict=True))
    assert list(inputs.split_sizes) == names
    with pytest.raises(CorruptFile, match="is missing or isn't what raysweep wrote"):
        inputs.ground_truth("test")


def test_tokens_are_mapped_and_shared_with_the_file(tiny_world: TinyWorld, tiny_store: Store) -> None:
    values, offsets = RunInputs(tiny_world.student(), tiny_store).tokens("transfer")
    assert isinstance(values, np.memmap) and values.dtype == np.int32
    assert len(offsets) == 161 and offsets[-1] == len(values)


def test_an_unknown_split_is_told(tiny_world: TinyWorld, tiny_store: Store) -> None:
    with pytest.raises(InvalidInput, match="unknown split 'train' of task 'sandbox'; it has supervisor"):
        RunInputs(tiny_world.student(), tiny_store).ground_truth("train")


def test_building_a_model_changes_no_input(tiny_world: TinyWorld, tiny_store: Store) -> None:
    """A configuration and a tokenizer are shared; the model's own has no dropout and another head."""
    inputs = RunInputs(replace(tiny_world.finetuning(), seed=3), tiny_store)
    config = inputs.config.to_dict()
    backend = inputs.tokenizer.backend_tokenizer.to_str()
    model = build_model(inputs, Sharding(None))
    assert model.config.to_dict() != config
    assert inputs.config.to_dict() == config and inputs.tokenizer.backend_tokenizer.to_str() == backend

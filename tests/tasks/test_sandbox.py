"""The sandbox's probabilities equal sums written out by hand, in every process and on every machine."""

import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysweep import InvalidInput, TaskSpec
from raysweep.data.examples import read_split
from raysweep.data.pinning import Pinner
from raysweep.models.sandbox import SANDBOX
from raysweep.spec import RunSpec
from raysweep.store import Store
from raysweep.tasks import load_task
from raysweep.tasks.base import tasks
from raysweep.tasks.sandbox import World, bayes_accuracy, load_attribute, load_corpus

SMALL = {"num_words": 40, "num_attributes": 3, "share_loaded": 0.5, "sentence_length": 6}


def brute_force(world: World, sentence: list[int], attribute: int) -> float:
    """P(z_attribute = +1 | words), by a product over the words for every setting of the attributes."""
    likelihood = {}
    for number, setting in enumerate(itertools.product((-1, 1), repeat=world.num_attributes)):
        probability = 1.0
        for word in sentence:
            probability *= math.exp(world.log_word_probabilities[number][word])
        likelihood[setting] = probability
    positive = sum(value for setting, value in likelihood.items() if setting[attribute] == 1)
    return positive / sum(likelihood.values())


def test_word_probabilities_follow_from_frequencies_and_loadings() -> None:
    world = World(**SMALL, seed=3)
    probabilities = np.exp(world.log_word_probabilities)
    assert probabilities.shape == (8, 40) and probabilities.sum(axis=1) == pytest.approx(np.ones(8))
    # log P(word | z) = frequency + Σ_k z_k·loading_k − normaliser(z). Without the means over settings and
    # words this is a sum of K products, so its rank is K.
    centred = world.log_word_probabilities - world.log_word_probabilities.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    assert np.linalg.matrix_rank(centred, tol=1e-8) == 3


@pytest.mark.parametrize("attribute", [0, 1, 2])
def test_the_posterior_is_that_of_a_sum_over_all_settings(attribute: int) -> None:
    world = World(**SMALL, seed=1)
    sentences, _ = world.sentences(50, stream=0)
    expected = [brute_force(world, sentence.tolist(), attribute) for sentence in sentences]
    assert world.posterior(sentences, attribute) == pytest.approx(expected, rel=1e-9)


def test_a_world_worked_out_by_hand() -> None:
    world = World(num_words=10, num_attributes=1, seed=5)
    negative, positive = np.exp(world.log_word_probabilities)
    sentence = np.array([3, 7, 7])
    ratio = (positive[3] / negative[3]) * (positive[7] / negative[7]) ** 2
    assert world.posterior([sentence], 0) == pytest.approx([ratio / (1 + ratio)])


def test_sentences_are_drawn_as_the_world_says() -> None:
    world = World(num_words=30, num_attributes=2, seed=2, sentence_length=10)
    sentences, attributes = world.sentences(20_000, stream=0)
    lengths = np.array([len(sentence) for sentence in sentences])
    assert set(lengths.tolist()) == set(range(7, 14)) and lengths.mean() == pytest.approx(10, abs=0.1)
    for number, setting in enumerate(world.settings):
        rows = np.flatnonzero((attributes == setting).all(axis=1))
        assert len(rows) / 20_000 == pytest.approx(0.25, abs=0.02)
        words = np.concatenate([sentences[row] for row in rows])
        shares = np.bincount(words, minlength=30) / len(words)
        assert shares == pytest.approx(np.exp(world.log_word_probabilities[number]), abs=0.01)
    assert {tuple(sentence) for sentence in sentences[:1000]}.isdisjoint(
        tuple(sentence) for sentence in world.sentences(1000, stream=1)[0] if len(sentence) > 8
    )


def test_words_are_distinct_and_have_no_blanks() -> None:
    words = World(num_words=4970, num_attributes=1).words
    assert len(set(words)) == len(words) == 4970 and all(word.isalpha() for word in words)
    world = World(**SMALL)
    assert world.text(np.array([0, 39, 1])).split() == [world.words[0], world.words[39], world.words[1]]


def test_difficulty_and_the_bayes_accuracy() -> None:
    world = World(**SMALL)
    examples = load_attribute(attribute=1, num_sentences=4000, num_test_sentences=10, **SMALL)["train"]
    numbers = {word: number for number, word in enumerate(world.words)}
    best = []
    for example in examples[:30]:
        positive = brute_force(world, [numbers[word] for word in example.texts[0].split()], 1)
        assert example.difficulty == pytest.approx(1 - abs(2 * positive - 1), abs=1e-6)
        best.append(max(positive, 1 - positive))
    assert bayes_accuracy(examples[:30]) == pytest.approx(np.mean(best), abs=1e-6)
    # Answers by the exact posterior are right as often as the Bayes accuracy says.
    texts = [np.array([numbers[word] for word in example.texts[0].split()]) for example in examples]
    answers = world.posterior(texts, 1) > 0.5
    right = np.mean(
        [answer == bool(example.label) for answer, example in zip(answers, examples, strict=True)]
    )
    assert right == pytest.approx(bayes_accuracy(examples), abs=0.02)
    assert 0.6 < bayes_accuracy(examples) < 1


def test_larger_strength_makes_an_easier_task() -> None:
    accuracies = [
        bayes_accuracy(load_attribute(num_sentences=1000, strength=strength)["train"])
        for strength in (0.1, 0.3, 1.2)
    ]
    assert accuracies == sorted(accuracies) and accuracies[0] < 0.6 < 0.9 < accuracies[2]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"attribute": 6}, "attribute is 6; this world has 0 to 5"),
        ({"attribute": -1}, "attribute is -1; this world has 0 to 5"),
        ({"num_words": 5}, "10 to 4970 num_words"),
        ({"num_words": 5000}, "10 to 4970 num_words"),
        ({"num_attributes": 0}, "1 to 12 num_attributes"),
        ({"num_attributes": 13}, "1 to 12 num_attributes"),
        ({"sentence_length": 3}, "sentence_length of at least 4"),
        ({"strength": 0}, "strength above 0"),
        ({"share_loaded": 0}, r"share_loaded in \(0, 1\]"),
        ({"share_loaded": 1.5}, r"share_loaded in \(0, 1\]"),
        ({"num_sentences": "many"}, "its loader refuses num_sentences='many'"),
    ],
)
def test_an_impossible_world_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_task(TaskSpec(name="sandbox", params=params))


PROGRAM = """
import json, sys, tempfile
from raysweep import TaskSpec
from raysweep.data.pinning import Pinner
from raysweep.store import Store
store = Store(tempfile.mkdtemp())
specs = [
    TaskSpec(name="sandbox", num_train=100),
    TaskSpec(name="sandbox_corpus", params={"num_sentences": 500}),
]
print(json.dumps([Pinner(store).task(spec).content for spec in specs]))
"""


@pytest.mark.parametrize(
    "machine",
    [
        {"PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "2", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
        # Other kernels of numpy's exp and of its matrix product, whose last digits differ.
        {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3", "OPENBLAS_CORETYPE": "Prescott"},
        {"OPENBLAS_CORETYPE": "Haswell"},
    ],
    ids=["hash seed", "threads", "no AVX", "Haswell"],
)
def test_the_content_is_the_same_in_every_process_and_on_every_machine(
    tmp_path: Path, machine: dict[str, str]
) -> None:
    store = Store(tmp_path)
    specs = [
        TaskSpec(name="sandbox", num_train=100),
        TaskSpec(name="sandbox_corpus", params={"num_sentences": 500}),
    ]
    expected = [Pinner(store).task(spec).content for spec in specs]
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, env=os.environ | machine, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == expected


def test_what_is_pinned_is_what_was_drawn(tmp_path: Path) -> None:
    store = Store(tmp_path)
    spec = Pinner(store).task(
        TaskSpec(name="sandbox", params=SMALL, num_train=50, num_validation=20, num_test=30)
    )
    assert (spec.kind, spec.num_classes) == ("classification", 2)
    drawn = {example.id: example for pool in load_attribute(**SMALL).values() for example in pool}
    for split, size in (("supervisor", 50), ("transfer", 50), ("validation", 20), ("test", 30)):
        frame = read_split(spec, split, store)
        assert len(frame) == size and (frame["label"].value_counts() == size // 2).all()
        for row in frame.itertuples():
            example = drawn[str(row.id)]
            assert (tuple(row.texts), row.label, row.difficulty) == (
                example.texts,
                example.label,
                example.difficulty,
            )
    other = Pinner(store).task(TaskSpec(name="sandbox", params=SMALL | {"world_seed": 1}, num_train=50))
    assert other.content != spec.content


def test_the_corpus_is_unlabelled_and_apart_from_the_tasks() -> None:
    corpus = load_corpus(num_sentences=2000, **SMALL)
    assert {name: len(pool) for name, pool in corpus.items()} == {"train": 2000, "validation": 1000}
    assert all(example.label is None and example.difficulty is None for example in corpus["train"])
    data = load_task(TaskSpec(name="sandbox_corpus", params={"num_sentences": 300}))
    assert data.task.kind == "text" and set(data.splits) == {"train", "validation"}
    long = {
        text
        for example in load_corpus(num_sentences=5000)["train"]
        if len((text := example.texts[0]).split()) > 9
    }
    assert long.isdisjoint(example.texts[0] for pool in load_attribute().values() for example in pool)


def test_models_of_the_family_grow_and_are_pretrained_on_the_corpus() -> None:
    widths = []
    for model in SANDBOX.models:
        base = model.spec.base
        assert isinstance(base, RunSpec) and base.task.name == "sandbox_corpus"
        widths.append(base.model.base.config["n_embd"])  # type: ignore[union-attr]
    assert len(widths) >= 3 and widths == sorted(set(widths)) and widths[0] >= 6 and widths[-1] <= 64
    assert {"sandbox", "sandbox_corpus"} <= {name for name, _ in tasks}

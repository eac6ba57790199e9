"""Everything that a run reads: its task's examples, its model's configuration and tokens, its labels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from raysweep.data.examples import max_answer_tokens, read_split, split_sizes
from raysweep.data.labels import require_usable, transformed, true_labels
from raysweep.data.tokens import prepare_tokens
from raysweep.errors import InvalidInput
from raysweep.models.layers import layer_number
from raysweep.models.source import ModelInputs
from raysweep.predictions import Predictions
from raysweep.rules import HALF_A, HalfA, RuleContext, combine, predicts_only_half_a, rules
from raysweep.spec import GroundTruth, RunSpec, Unlabelled, WeakLabels
from raysweep.spec.tuning import Feature, feature_choice
from raysweep.store import Store
from raysweep.tasks.base import TRAINING_SPLITS

T = TypeVar("T")


class Tokens(NamedTuple):
    """The texts of a split as token numbers, memory-mapped."""

    values: npt.NDArray[np.int32]
    """(T,) the tokens of all texts, one text after another."""
    offsets: npt.NDArray[np.int64]
    """(number of texts + 1,) where each text starts in `values`."""


def _read_once(read: Callable[[RunInputs, str], T]) -> Callable[[RunInputs, str], T]:
    """Keep what a method of `RunInputs` returns for each split."""

    @functools.wraps(read)
    def kept(inputs: RunInputs, split: str) -> T:
        key = (read.__name__, split)
        if key not in inputs._kept:
            inputs._kept[key] = read(inputs, split)
        return inputs._kept[key]

    return kept


class RunInputs(ModelInputs):
    """What a pinned run reads: training, measuring and estimates take this instead of a spec and a store.

    Each part is read when it is first asked for, and kept; callers must not change it. Asking for a part
    raises `CorruptFile` if the task in the store is missing or isn't what was written.

    Attributes:
        spec: the run.
        also_predicts: splits that it predicts beside its own, since other runs of the plan read them.
    """

    def __init__(self, spec: RunSpec, store: Store, also_predicts: Iterable[str] = ()) -> None:
        super().__init__(spec.model, spec.task, store)
        self.spec = spec
        self.also_predicts = sorted(also_predicts)
        self._kept: dict[tuple[str, str], Any] = {}

    @cached_property
    def split_sizes(self) -> dict[str, int]:
        """The number of examples in each split of the task."""
        return split_sizes(self.task, self.store)

    @property
    def curve_splits(self) -> list[str]:
        """The splits on which the run is evaluated while it trains."""
        return self.spec.curve_splits(self.split_sizes)

    @property
    def evaluated_splits(self) -> list[str]:
        """The splits on which the trained model is evaluated, or the sources are combined."""
        if predicts_only_half_a(self.spec):
            return [HALF_A]
        return list(dict.fromkeys([*self.spec.evaluated_splits(self.split_sizes), *self.also_predicts]))

    @cached_property
    def max_answer_tokens(self) -> int:
        """Room for an answer in tokens, its end token included; 0 unless the task is generative."""
        return max_answer_tokens(self.task, self.store)

    def examples(self, split: str, columns: list[str]) -> pd.DataFrame:
        """Columns of a split's examples, read from the store each time; see `read_split`."""
        return read_split(self.task, split, self.store, columns)

    @_read_once
    def difficulty(self, split: str) -> pd.Series:
        """(N,) difficulties of a split's examples by id; larger is harder, NaN where unknown."""
        return self.examples(split, ["id", "difficulty"]).set_index("id")["difficulty"]

    @_read_once
    def allowed_answers(self, split: str) -> list[tuple[str, ...]]:
        """The valid answers to each prompt of a split; empty where any text is valid."""
        return [tuple(answers) for answers in self.examples(split, ["allowed"])["allowed"]]

    @_read_once
    def ground_truth(self, split: str) -> Predictions:
        """The task's own labels of a split. Only measuring and runs on ground truth may ask for them."""
        column = "target" if self.task.kind == "generative" else "label"
        return true_labels(self.examples(split, ["id", column]), self.task)

    @_read_once
    def labels(self, split: str) -> Predictions:
        """The run's labels of a split: ground truth or its supervisor's predictions, after the transforms.

        Raises:
            InvalidInput: no example is left to train on, or the supervisor has another number of classes.
            CorruptFile: also if the supervisor's predictions aren't what was written.
        """
        source = self.spec.labels
        assert not isinstance(source, Unlabelled)
        labels = self._labels_of(source, split)
        require_usable(labels, self.task, split)
        return labels

    def _labels_of(self, source: GroundTruth | WeakLabels, split: str) -> Predictions:
        if isinstance(source, WeakLabels):
            labels = self.store.run(source.supervisor.id).read_predictions(split)
        else:
            labels = self.ground_truth(split)
        for call in source.transforms:
            labels = transformed(
                labels, call, self.spec.seed, self.difficulty(split), lambda: self.ground_truth(split)
            )
        return labels

    @_read_once
    def combined(self, split: str) -> Predictions:
        """What a combination says of a split.

        Raises:
            InvalidInput: its rule can't be applied to what the sources say, or gives no example a label that
                could be trained on.
            CorruptFile: also if a source's predictions aren't what was written.
        """
        combination = self.spec.combination
        assert combination is not None
        rule = rules.get(combination.rule.name)

        def half_a() -> HalfA:
            if not rule.reads_half_a:
                raise InvalidInput(
                    "a rule asked for half A; one that may must say so: Rule(reads_half_a=True)"
                )
            truth = self.ground_truth(HALF_A)
            ids = np.sort(truth.ids)
            sources = [self._labels_of(source, HALF_A).align(ids) for source in combination.sources]
            return HalfA(sources, truth.align(ids))

        sources = [self._labels_of(source, split) for source in combination.sources]
        found = combine(combination.rule, sources, RuleContext(self.spec.seed, half_a))
        if split in TRAINING_SPLITS:
            require_usable(found, self.task, split)
        return replace(found, source=self.spec.id)

    @_read_once
    def tokens(self, split: str) -> Tokens:
        """A split's texts as tokens of the run's model; made if they aren't in the store yet.

        Raises:
            InvalidInput: a text can't be tokenized as the model's spec says; see `prepare_tokens`.
        """
        arrays = (
            np.load(self._token_folder / f"{split}.{name}.npy", mmap_mode="r")
            for name in ("tokens", "offsets")
        )
        return Tokens(*arrays)

    @cached_property
    def features_read(self) -> list[Feature]:
        """The features that the run reads, one for each split that it is trained, fitted or evaluated on;
        none unless its tuning reads some.

        Raises:
            InvalidInput: the model has no such layer.
        """
        choice = feature_choice(self.model.tuning)
        if choice is None or choice.layer is None or choice.pooling is None:
            return []
        layer = layer_number(choice.layer, self)
        splits = dict.fromkeys([self.spec.train_split, *self.evaluated_splits])
        return [Feature(split, layer, choice.pooling) for split in splits]

    def features(self, feature: Feature) -> npt.NDArray[np.float32]:
        """(N·S, W) features of the S texts of each example of a split, memory-mapped.

        Raises:
            CorruptFile: they aren't what was written.
        """
        assert self.spec.features is not None
        folder = self.store.run(self.spec.features.id)
        values: npt.NDArray[np.float32] = np.load(folder.verified(folder.feature(feature)), mmap_mode="r")
        return values

    @cached_property
    def _token_folder(self) -> Path:
        return prepare_tokens(self)

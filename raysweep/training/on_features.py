"""Heads and probes on features: what takes the place of the model where its hidden states are there
already."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.probes import Fitted, LabelledFeatures, fit_probe
from raysweep.spec import Probe
from raysweep.spec.tuning import feature_choice
from raysweep.training.heads import Head
from raysweep.training.plain_engine import PlainEngine
from raysweep.training.tokenized import TokenizedSplit

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from raysweep.training.batching import Rows


@dataclass(frozen=True)
class FeatureSplit(TokenizedSplit):
    """N examples of S texts each, as features. They have no tokens, which were read when the features were
    computed."""

    values: npt.NDArray[np.float32] = field(kw_only=True)
    """(N·S, W) memory-mapped."""
    scaling: Scaling = field(kw_only=True)

    def of(self, rows: Rows) -> npt.NDArray[np.float64]:
        """(B·S, W) scaled features of examples."""
        return self.scaling(self.values[self._texts(rows)])

    def collate(
        self, rows: Rows, pad_token: int, device: torch.device, *, pad_left: bool = False
    ) -> dict[str, Tensor]:
        """`input` (B·S, W) in float32; there is nothing to pad."""
        import torch

        return {"input": torch.from_numpy(self.of(rows).astype(np.float32))}


@dataclass(frozen=True)
class Scaling:
    """Features are shifted by a mean and divided by a deviation."""

    mean: npt.NDArray[np.float64]
    """(W,)"""
    deviation: npt.NDArray[np.float64]
    """(W,) infinite where a feature is the same for all texts, which so becomes 0."""

    def __call__(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """(…, W) scaled features."""
        return (values.astype(np.float64) - self.mean) / self.deviation

    @classmethod
    def none(cls, width: int) -> Scaling:
        """Features are left as they are."""
        return cls(np.zeros(width), np.ones(width))

    @classmethod
    def of(cls, values: npt.NDArray[np.float32]) -> Scaling:
        """The scaling after which these features (M, W) have mean 0 and deviation 1. One that varies by no
        more than the rounding of its mean becomes 0."""
        mean = values.mean(axis=0, dtype=np.float64)
        deviation = values.std(axis=0, dtype=np.float64)
        is_constant = deviation <= np.finfo(np.float32).eps * np.abs(mean)
        return cls(mean, np.where(is_constant, np.inf, deviation))


def load_feature_splits(inputs: RunInputs) -> dict[str, FeatureSplit]:
    """The splits that a run on features reads.

    Raises:
        CorruptFile: the features aren't what was written.
    """
    choice = feature_choice(inputs.model.tuning)
    assert choice is not None
    read = {feature.split: inputs.features(feature) for feature in inputs.features_read}
    known = read[inputs.spec.train_split]
    scaling = Scaling.of(known) if choice.standardize else Scaling.none(known.shape[1])
    splits = {}
    for name, values in read.items():
        ids = inputs.examples(name, ["id"])["id"].to_numpy(dtype=str)
        none = np.zeros(len(values) + 1, np.int64)
        splits[name] = FeatureSplit(
            ids, np.zeros(0, np.int32), none, len(values) // len(ids), values=values, scaling=scaling
        )
    return splits


def make_feature_head(inputs: RunInputs, splits: Mapping[str, FeatureSplit]) -> Head:
    """A head that is yet to be trained, or a probe that is fitted.

    Raises:
        InvalidInput: the labelled examples are none, or the probe can't be fitted to them.
    """
    import torch

    spec = inputs.spec
    split = splits[spec.train_split]
    width = split.values.shape[1]
    num_outputs = 1 if spec.task.kind == "preference" else spec.task.num_classes or 0
    module = torch.nn.Linear(width, num_outputs)
    generator = torch.Generator().manual_seed(spec.seed)
    with torch.no_grad():
        drawn = torch.randn(module.weight.shape, generator=generator) * 0.1 / math.sqrt(width)
        module.weight.copy_(drawn if spec.model.head_init == "small" else torch.zeros_like(drawn))
        module.bias.zero_()
    engine = PlainEngine(module, spec.optimization)
    if not isinstance(spec.model.tuning, Probe):
        return FeatureHead(engine, None)  # type: ignore[arg-type]
    return ProbeHead(engine, None, fit_probe(spec.model.tuning.call, _labelled(inputs, split)))  # type: ignore[arg-type]


def _labelled(inputs: RunInputs, split: FeatureSplit) -> LabelledFeatures:
    spec = inputs.spec
    labels = inputs.labels(spec.train_split).align(split.ids)
    weights = labels.weight * labels.covered
    rows = np.flatnonzero(weights > 0)
    if not len(rows):
        raise InvalidInput(
            f"split {spec.train_split!r} of task {spec.task.name!r} has nothing to learn from: the weights "
            f"of all {len(weights)} examples are 0"
        )
    values = split.of(rows).reshape(len(rows), split.num_texts, -1)
    return LabelledFeatures(
        values if spec.task.kind == "preference" else values[:, 0],
        labels.probabilities[rows],
        weights[rows],
        spec.seed,
    )


class FeatureHead(Head):
    """A linear layer on features. It needs no tokenizer."""

    def inputs(self, split: TokenizedSplit, rows: Rows, *, pad_left: bool = False) -> dict[str, Tensor]:
        """Features of rows."""
        return split.collate(rows, 0, self.engine.device)


@dataclass(frozen=True)
class ProbeHead(FeatureHead):
    """A probe that was fitted."""

    fitted: Fitted

    def readings(self, split: TokenizedSplit, rows: Rows) -> Tensor:
        """(B, K) class probabilities, as evaluations keep them."""
        import torch

        assert isinstance(split, FeatureSplit)
        values = split.of(rows).reshape(len(rows), split.num_texts, -1)
        return torch.from_numpy(self.fitted(values[:, 0] if split.num_texts == 1 else values)).float()

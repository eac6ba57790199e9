"""A lint for renderers: can a probe that never sees the question tell the label?

A task whose answers give themselves away measures nothing (EleutherAI's OpenBookQA renderer writes letters
for right answers and texts for wrong ones). Probes are logistic regressions on the candidate answer alone: on
its length, and on its words. Each is tested on groups it wasn't trained on, and its score is the mean ROC AUC
over the folds: 0.5 knows nothing, 1 knows all. For preference pairs the probe sees the difference of the two
lengths.

Some signal is in the data itself (people write right answers with more care than wrong ones). Measured on
real rows, faithful renderings score up to 0.64 (OpenBookQA; SciQ 0.59, CosmosQA 0.59, HH 0.60) and the leak
above 0.99. The bound lies between: an AUC of 0.75 is what a mark on half of the right answers would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from raysweep.errors import InvalidInput
from raysweep.tasks.base import Example

Labels = npt.NDArray[np.int64]
NUM_FOLDS = 5
BOUND = 0.75
MINIMUM_EXAMPLES = 50


def leak_scores(examples: Sequence[Example]) -> dict[str, float]:
    """The AUC of each probe that applies, by its name: none to tasks without a candidate answer.

    Raises:
        InvalidInput: fewer examples or groups than the probes need.
    """
    is_preference = all(len(example.texts) == 2 for example in examples)
    answers = [example.answer for example in examples if example.answer is not None]
    if not is_preference and len(answers) < len(examples):
        return {}
    labels = np.array([example.label for example in examples])
    groups = np.unique([example.group for example in examples], return_inverse=True)[1]
    if len(examples) < MINIMUM_EXAMPLES or len(set(groups)) < NUM_FOLDS or len(set(labels)) < 2:
        raise InvalidInput(
            f"the leak lint needs {MINIMUM_EXAMPLES} examples in {NUM_FOLDS} groups with 2 classes; "
            "there are "
            f"{len(examples)} in {len(set(groups))} with {len(set(labels))}"
        )
    if is_preference:
        features = {"length_difference": _length_differences(examples)}
    else:
        features = {"answer_length": _lengths(answers), "answer_words": _words(answers)}
    return {name: _cross_validated_auc(values, labels, groups) for name, values in features.items()}


def check_leak(name: str, examples: Sequence[Example], bound: float = BOUND) -> None:
    """Refuse examples whose label a probe tells without the question.

    Raises:
        InvalidInput: a probe's AUC is above the bound.
    """
    for probe, auc in leak_scores(examples).items():
        if auc > bound:
            raise InvalidInput(
                f"task {name!r} gives its labels away: the probe {probe}, which never sees the question, has "
                f"an AUC of {auc:.3f} (allowed: {bound}). Render right and wrong answers alike"
            )


def _cross_validated_auc(features: Any, labels: Labels, groups: Labels) -> float:
    """Mean AUC of a logistic regression on held-out groups: of the class that is told best from the
    others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    classes = sorted(set(labels))
    folds = list(
        StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=0).split(features, labels, groups)
    )
    means = []
    for is_class in (labels == number for number in (classes[1:] if len(classes) == 2 else classes)):
        aucs = []
        for train, test in folds:
            if len(set(is_class[train])) == len(set(is_class[test])) == 2:  # else there is no AUC
                # liblinear: on sparse words ten times as fast as the default, with the same scores
                probe = make_pipeline(MaxAbsScaler(), LogisticRegression(solver="liblinear", random_state=0))
                probe.fit(features[train], is_class[train])
                aucs.append(roc_auc_score(is_class[test], probe.predict_proba(features[test])[:, 1]))
        if not aucs:
            raise InvalidInput("the leak lint needs examples of every class in several groups")
        means.append(np.mean(aucs))
    return float(max(means))


def _num_characters_and_words(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """(N, 2)."""
    return np.array([[len(text), len(text.split())] for text in texts], dtype=np.float64)


def _lengths(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Log lengths and their squares: with these, a class of middling lengths is told apart too."""
    lengths = np.log1p(_num_characters_and_words(texts))
    centred = (lengths - lengths.mean(axis=0)) / (lengths.std(axis=0) + 1e-9)
    return np.hstack([centred, centred**2])


def _length_differences(examples: Sequence[Example]) -> npt.NDArray[np.float64]:
    """(N, 2) how much longer the second text is than the first, on a signed log scale: what they share
    cancels out."""
    first, second = (
        _num_characters_and_words([example.texts[side] for example in examples]) for side in (0, 1)
    )
    return np.sign(second - first) * np.log1p(np.abs(second - first))


def _words(texts: Sequence[str]) -> Any:
    """(N, V) sparse: which words occur. Single letters and marks count, as multiple-choice letters are
    such."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(binary=True, token_pattern=r"\w+|[^\w\s]").fit_transform(texts)

"""A check for label leakage: can a probe that never sees the question predict the label?

A task whose answers reveal their label measures nothing. EleutherAI's OpenBookQA renderer, for example,
writes right answers as letters and wrong ones as texts. The probes are logistic regressions on the candidate
answer alone: on its length, and on its words. For preference pairs the probe sees the difference of the two
lengths. Each probe is tested on groups that it wasn't trained on; its score is the mean ROC AUC over the
folds, from 0.5 (no leakage) to 1 (the label is certain).

Some signal is in the data itself, since people write right answers with more care than wrong ones. Measured
on real rows, faithful renderings score up to 0.64 (OpenBookQA; SciQ 0.59, CosmosQA 0.59, HH 0.60), and the
leak above scores 0.99. The bound lies between: a mark on half of the right answers would give an AUC of 0.75.
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
    """The AUC of each probe that applies, by the probe's name. None applies without candidate answers.

    Raises:
        InvalidInput: there are fewer examples, groups or classes than the probes need.
    """
    is_preference = all(len(example.texts) == 2 for example in examples)
    answers = [example.answer for example in examples if example.answer is not None]
    if not is_preference and len(answers) < len(examples):
        return {}
    labels = np.array([example.label for example in examples])
    groups = np.unique([example.group for example in examples], return_inverse=True)[1]
    if len(examples) < MINIMUM_EXAMPLES or len(set(groups)) < NUM_FOLDS or len(set(labels)) < 2:
        raise InvalidInput(
            f"the leakage check needs {MINIMUM_EXAMPLES} examples in {NUM_FOLDS} groups with 2 classes; "
            f"there are {len(examples)} in {len(set(groups))} with {len(set(labels))}"
        )
    if is_preference:
        features = {"length_difference": _length_differences(examples)}
    else:
        features = {"answer_length": _lengths(answers), "answer_words": _words(answers)}
    return {name: _cross_validated_auc(values, labels, groups) for name, values in features.items()}


def check_leak(name: str, examples: Sequence[Example], bound: float = BOUND) -> None:
    """Refuse examples whose labels a probe predicts without the question.

    Raises:
        InvalidInput: a probe's AUC is above the bound.
    """
    for probe, auc in leak_scores(examples).items():
        if auc > bound:
            raise InvalidInput(
                f"task {name!r} leaks its labels: the probe {probe}, which never sees the question, has an "
                f"AUC of {auc:.3f} (allowed: {bound}). Render right and wrong answers alike"
            )


def _cross_validated_auc(features: Any, labels: Labels, groups: Labels) -> float:
    """Mean AUC of a logistic regression on held-out groups. With more than two classes, that of the class
    which is predicted best."""
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
                # liblinear is ten times as fast as the default on sparse words, with the same scores.
                probe = make_pipeline(MaxAbsScaler(), LogisticRegression(solver="liblinear", random_state=0))
                probe.fit(features[train], is_class[train])
                aucs.append(roc_auc_score(is_class[test], probe.predict_proba(features[test])[:, 1]))
        if not aucs:
            raise InvalidInput("the leakage check needs examples of every class in several groups")
        means.append(np.mean(aucs))
    return float(max(means))


def _num_characters_and_words(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """(N, 2) the number of characters and of words of each text."""
    return np.array([[len(text), len(text.split())] for text in texts], dtype=np.float64)


def _lengths(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """(N, 4) log lengths and their squares, which also separate a class of medium lengths."""
    lengths = np.log1p(_num_characters_and_words(texts))
    centred = (lengths - lengths.mean(axis=0)) / (lengths.std(axis=0) + 1e-9)
    return np.hstack([centred, centred**2])


def _length_differences(examples: Sequence[Example]) -> npt.NDArray[np.float64]:
    """(N, 2) how much longer the second text is than the first, on a signed log scale. What the two have in
    common cancels out."""
    first, second = (
        _num_characters_and_words([example.texts[side] for example in examples]) for side in (0, 1)
    )
    return np.sign(second - first) * np.log1p(np.abs(second - first))


def _words(texts: Sequence[str]) -> Any:
    """(N, V) sparse: which words occur. Letters and punctuation marks count as words, to catch
    multiple-choice letters."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(binary=True, token_pattern=r"\w+|[^\w\s]").fit_transform(texts)

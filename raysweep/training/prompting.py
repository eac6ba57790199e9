"""Zero- and few-shot prompting: a run's texts behind examples with their labels, for a model that isn't
trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from raysweep.data.examples import max_answer_tokens, read_split
from raysweep.data.labels import training_labels
from raysweep.errors import InvalidInput
from raysweep.models.source import context_length, load_config, load_tokenizer
from raysweep.spec import Prompting
from raysweep.training.tokenized import TokenizedSplit

if TYPE_CHECKING:
    import numpy.typing as npt

    from raysweep.spec import RunSpec
    from raysweep.store import Store


def prompted(spec: RunSpec, split: str, store: Store) -> TokenizedSplit:
    """A split's texts as prompts. Too long ones lose their beginning, the first of the examples before them
    first."""
    tuning = spec.model.tuning
    assert isinstance(tuning, Prompting)
    frame = read_split(spec.task, split, store, ["id", "texts"])
    before = "".join(shot + tuning.separator for shot in shots(spec, store))
    room = context_length(spec.model, load_config(spec.model, spec.task, store)) - max_answer_tokens(
        spec.task, store
    )
    tokenizer = load_tokenizer(spec.model, spec.task, store)
    tokenizer.truncation_side = "left"
    texts = [f"{before}{row[0]}{tuning.question}" for row in frame["texts"]]
    lists = tokenizer(texts, truncation=True, max_length=room, return_attention_mask=False)["input_ids"]
    return TokenizedSplit.of_lists(frame["id"].to_numpy(dtype=str), lists)


def shots(spec: RunSpec, store: Store) -> list[str]:
    """The examples put before each text: of each class in turn, drawn from the run's training split by its
    seed.

    Raises:
        InvalidInput: there are fewer labelled examples than are asked for.
    """
    tuning = spec.model.tuning
    assert isinstance(tuning, Prompting)
    if tuning.num_examples == 0:
        return []
    labels = training_labels(spec, spec.train_split, store)
    rows = np.random.default_rng([spec.seed, 0]).permutation(np.flatnonzero(labels.covered))
    if labels.answers is None:
        rows = _class_by_class(rows, labels.classes[rows])
        says = [tuning.words[number] for number in labels.classes[rows]]
    else:
        says = [str(answer) for answer in labels.answers[rows]]
    if len(rows) < tuning.num_examples:
        raise InvalidInput(
            f"model {spec.model.name!r}: Prompting(num_examples={tuning.num_examples}), and split "
            f"{spec.train_split!r} of task {spec.task.label!r} has {len(rows)} labelled examples"
        )
    frame = read_split(spec.task, spec.train_split, store, ["id", "texts"]).set_index("id")
    chosen = zip(labels.ids[rows[: tuning.num_examples]], says, strict=False)
    return [f"{frame.loc[example_id, 'texts'][0]}{tuning.question} {word}" for example_id, word in chosen]


def _class_by_class(rows: npt.NDArray[np.int64], classes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows reordered so that the classes take turns."""
    turn = np.empty(len(rows), np.int64)
    for number in np.unique(classes):
        turn[classes == number] = np.arange((classes == number).sum())
    return rows[np.argsort(turn, kind="stable")]

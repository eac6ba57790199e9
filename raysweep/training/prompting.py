"""Zero- and few-shot prompting: texts behind labelled examples, for a model that isn't trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from raysweep.data.inputs import RunInputs
from raysweep.data.tokens import truncating
from raysweep.errors import InvalidInput
from raysweep.spec import Prompting
from raysweep.training.tokenized import TokenizedSplit

if TYPE_CHECKING:
    import numpy.typing as npt


class Prompts:
    """The texts of a prompted run's task as prompts.

    Attributes: shots: the labelled examples before each text: the classes in turn, drawn from the run's
        training split
            by its seed.

    Raises:
        InvalidInput: there are fewer labelled examples than the run asks for.
    """

    def __init__(self, inputs: RunInputs) -> None:
        assert isinstance(inputs.model.tuning, Prompting)
        self._inputs = inputs
        self._tuning = inputs.model.tuning
        self._tokenizer = truncating(inputs.tokenizer, "left")
        self.shots = self._shots()

    def split(self, name: str) -> TokenizedSplit:
        """A split's texts as prompts. Prompts that are too long lose their beginning, so the first shots
        first."""
        frame = self._inputs.examples(name, ["id", "texts"])
        before = "".join(shot + self._tuning.separator for shot in self.shots)
        texts = [f"{before}{row[0]}{self._tuning.question}" for row in frame["texts"]]
        room = self._inputs.context_length - self._inputs.max_answer_tokens
        lists = self._tokenizer(texts, truncation=True, max_length=room, return_attention_mask=False)
        return TokenizedSplit.of_lists(frame["id"].to_numpy(dtype=str), lists["input_ids"])

    def _shots(self) -> list[str]:
        tuning = self._tuning
        if tuning.num_examples == 0:
            return []
        spec = self._inputs.spec
        labels = self._inputs.labels(spec.train_split)
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
        frame = self._inputs.examples(spec.train_split, ["id", "texts"]).set_index("id")
        chosen = zip(labels.ids[rows[: tuning.num_examples]], says, strict=False)
        return [f"{frame.loc[example_id, 'texts'][0]}{tuning.question} {word}" for example_id, word in chosen]


def _class_by_class(rows: npt.NDArray[np.int64], classes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows reordered so that the classes take turns."""
    turn = np.empty(len(rows), np.int64)
    for number in np.unique(classes):
        turn[classes == number] = np.arange((classes == number).sum())
    return rows[np.argsort(turn, kind="stable")]

"""From a model's outputs to what objectives and predictions need: one head for each kind of run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raysweep.data.inputs import RunInputs
from raysweep.data.tokens import answer_tokens
from raysweep.errors import InvalidInput
from raysweep.predictions import Predictions
from raysweep.spec import Prompting
from raysweep.training.tokenized import TokenizedSplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from raysweep.training.batching import Rows
    from raysweep.training.engine import Engine


def make_head(inputs: RunInputs, engine: Engine) -> Head:
    """The head of a run.

    Raises:
        InvalidInput: words to prompt with can't be told apart by their first tokens.
    """
    tokenizer = inputs.tokenizer
    if inputs.spec.kind == "text":
        return LanguageModelHead(engine, tokenizer)
    if inputs.spec.kind == "generative":
        return AnswerHead(engine, tokenizer, inputs.max_answer_tokens)
    if isinstance(inputs.model.tuning, Prompting):
        return WordHead(engine, tokenizer, first_tokens(inputs.model.tuning.words, tokenizer))
    return Head(engine, tokenizer)


@dataclass(frozen=True)
class Head:
    """The head of classification and preference tasks.

    A classifier has K logits for the one text of an example. A preference model has a score for each of the
    two texts: class k means that text k is the better one, and P(class 1) = σ(score_1 − score_0).
    """

    engine: Engine
    tokenizer: PreTrainedTokenizerBase

    def inputs(self, split: TokenizedSplit, rows: Rows, *, pad_left: bool = False) -> dict[str, Tensor]:
        """Padded inputs of rows, on the engine's device."""
        pad_token: int = self.tokenizer.pad_token_id  # type: ignore[assignment]
        return split.collate(rows, pad_token, self.engine.device, pad_left=pad_left)

    def outputs(self, split: TokenizedSplit, rows: Rows) -> Tensor:
        """(B, K) logits, as objectives take them."""
        return self.engine.forward(**self.inputs(split, rows)).reshape(len(rows), -1)

    def readings(self, split: TokenizedSplit, rows: Rows) -> Tensor:
        """(B, K) class probabilities, as evaluations keep them."""
        return self.outputs(split, rows).softmax(dim=-1)

    def predictions(
        self, ids: npt.NDArray[np.str_], readings: npt.NDArray[np.float64], source: str
    ) -> Predictions:
        """The predictions that readings (N, K) of examples stand for."""
        return Predictions.of(ids, readings, source)


class LanguageModelHead(Head):
    """The head of runs on texts alone, which are predicted token by token."""

    def outputs(self, split: TokenizedSplit, rows: Rows) -> Tensor:
        """(B, 1) mean negative log-likelihood of each example's target tokens, in nats."""
        import torch

        inputs = self.inputs(split, rows)
        firsts = torch.as_tensor(split.first_targets(rows), device=self.engine.device)
        # Logits over the vocabulary are computed only where some row has a target next.
        places = torch.arange(
            int(firsts.min()) - 1, inputs["input_ids"].shape[1] - 1, device=self.engine.device
        )
        logits = self.engine.forward(**inputs, logits_to_keep=places)
        targets = inputs["input_ids"][:, places + 1]
        mask = inputs["attention_mask"][:, places + 1] * (places + 1 >= firsts[:, None])
        # Flat, because torch's cross-entropy over a middle dimension takes two to four times as long on CPU.
        flat = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        sums = (flat.reshape(targets.shape) * mask).sum(dim=1)
        counts = mask.sum(dim=1)
        return (
            sums.reshape(len(rows), -1).sum(dim=1) / counts.reshape(len(rows), -1).sum(dim=1).clamp(min=1)
        )[:, None]

    def readings(self, split: TokenizedSplit, rows: Rows) -> Tensor:
        """(B, 1) the same losses."""
        return self.outputs(split, rows)


@dataclass(frozen=True)
class AnswerHead(LanguageModelHead):
    """The head of generative tasks: learns the tokens of answers to prompts, and generates answers by greedy
    decoding (temperature 0)."""

    num_tokens: int
    """Most tokens of an answer, its end token included."""

    @property
    def end_token(self) -> int:
        """The token that ends an answer: the tokenizer's end-of-text token, or its padding token."""
        token = self.tokenizer.eos_token_id
        return self.tokenizer.pad_token_id if token is None else token  # type: ignore[return-value]

    def targets(self, answers: Sequence[str]) -> list[list[int]]:
        """Answers as tokens to be learnt, with the end token if there is room for it: a supervisor's answer
        may have been cut off."""
        lists = answer_tokens(answers, self.tokenizer)
        return [[*tokens, self.end_token][: self.num_tokens] for tokens in lists]

    def readings(self, split: TokenizedSplit, rows: Rows) -> Tensor:
        """(B, num_tokens) token numbers of the generated answers, padded with the end token."""
        import torch

        inputs = self.inputs(split, rows, pad_left=True)
        written = self.engine.generate(inputs, self.num_tokens, self.end_token)[
            :, inputs["input_ids"].shape[1] :
        ]
        width = self.num_tokens - written.shape[1]
        return torch.nn.functional.pad(written, (0, width), value=self.end_token).float()

    def predictions(
        self, ids: npt.NDArray[np.str_], readings: npt.NDArray[np.float64], source: str
    ) -> Predictions:
        """The answers as text, up to their end tokens."""
        rows = [[*map(int, row), self.end_token] for row in readings]
        texts = [self.tokenizer.decode(row[: row.index(self.end_token)]) for row in rows]
        return Predictions.of_answers(ids, [str(text).strip() for text in texts], source)


@dataclass(frozen=True)
class WordHead(Head):
    """The head of prompted classification: the class whose word is most likely to come next, judged by the
    first tokens of the words."""

    word_tokens: tuple[int, ...]

    def outputs(self, split: TokenizedSplit, rows: Rows) -> Tensor:
        """(B, K) logits of the first tokens of the words after the text."""
        import torch

        inputs = self.inputs(split, rows)
        # Logits over the vocabulary are computed only where some row ends.
        places, own = (inputs["attention_mask"].sum(dim=1) - 1).unique(return_inverse=True)
        logits = self.engine.forward(**inputs, logits_to_keep=places)
        chosen: Tensor = logits[torch.arange(len(rows), device=logits.device), own][:, list(self.word_tokens)]
        return chosen


def first_tokens(words: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The first token of each word as it is written after a blank.

    Raises:
        InvalidInput: two words begin with the same token, or one with an unknown token.
    """
    lists = tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
    tokens = tuple(tokens[0] for tokens in lists)
    if len(set(tokens)) < len(tokens) or tokenizer.unk_token_id in tokens:
        raise InvalidInput(
            f"the words {', '.join(map(repr, words))} begin with the same token, or with an unknown one, for "
            "this model's tokenizer; choose others in Prompting(words=…)"
        )
    return tokens

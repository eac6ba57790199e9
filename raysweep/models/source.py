"""Where the configuration, tokenizer and weights of a model are read from, for every kind of base."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.errors import InvalidInput
from raysweep.spec import Folder, Hub, RunSpec, Scratch, TaskSpec
from raysweep.spec.identity import digest

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from raysweep.spec import ModelSpec
    from raysweep.store import Store


@dataclass(frozen=True)
class Location:
    """Arguments of `from_pretrained`: a hub id or folder, and keywords such as the revision."""

    name: str
    keywords: dict[str, Any]


def origin(model: ModelSpec, task: TaskSpec) -> tuple[ModelSpec, TaskSpec]:
    """Where a chain of trainings begins: the model whose base is no run, and the task it is trained on."""
    while isinstance(model.base, RunSpec):
        task = model.base.task
        model = model.base.model
    return model, task


def tokenizer_key(model: ModelSpec, task: TaskSpec) -> str:
    """Identity of the tokenizer of a model on a task. The task matters only if the tokenizer is made from
    it."""
    first, first_task = origin(model, task)
    base = first.base
    if isinstance(base, Scratch):
        return digest([first_task.content, base.tokenizer])
    assert isinstance(base, Hub | Folder)
    return digest([type(base).__name__, base.commit if isinstance(base, Hub) else base.content])


def context_key(model: ModelSpec) -> str:
    """Identity of what decides how long a text may be and how it is cut: the architecture, and the spec's own
    limits."""
    base = model.base
    while isinstance(base, RunSpec):
        base = base.model.base
    if isinstance(base, Scratch):
        return digest([base.architecture, base.config, model.max_tokens, model.truncation])
    return digest(
        [base.commit if isinstance(base, Hub) else base.content, model.max_tokens, model.truncation]
    )


class ModelInputs:
    """What is read of a pinned model on a pinned task: tokenizer, configuration, weights. Each is read once.

    A model that starts from a run has the weights of that run, and tokenizer and configuration of its origin.

    Attributes:
        model: the model.
        task: the task.
        store: where runs and tokenizers are.
        origin: the model where the chain of trainings begins: `model` itself, unless it starts from a run.
        origin_task: the task of the first training.
    """

    def __init__(self, model: ModelSpec, task: TaskSpec, store: Store) -> None:
        self.model = model
        self.task = task
        self.store = store
        self.origin, self.origin_task = origin(model, task)

    @cached_property
    def tokenizer_key(self) -> str:
        """See the function `tokenizer_key`."""
        return tokenizer_key(self.model, self.task)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer. It pads on the right; if it has no padding token, with the end-of-text token.

        It is shared: whoever changes it, as truncation does, takes a copy.

        Raises:
            InvalidInput: there is no tokenizer, or it has neither a padding nor an end token.
        """
        from transformers import AutoTokenizer

        source = self._tokenizer_location
        try:
            tokenizer = AutoTokenizer.from_pretrained(source.name, **source.keywords)
        except (OSError, ValueError, ImportError) as error:
            raise InvalidInput(
                f"model {self.model.name!r}: no tokenizer can be loaded from {source.name}: "
                f"{_one_line(error)}"
            ) from error
        tokenizer.padding_side = "right"
        if tokenizer.pad_token_id is None:
            if tokenizer.eos_token_id is None:
                raise InvalidInput(
                    f"model {self.model.name!r}: the tokenizer of {source.name} has neither a padding nor an "
                    "end token"
                )
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    @property
    def _tokenizer_location(self) -> Location:
        """Known before any weights exist."""
        if isinstance(self.origin.base, Scratch):
            return Location(str(self.store.tokenizer(self.tokenizer_key)), {})
        return _pretrained(self.origin)

    @cached_property
    def config(self) -> PretrainedConfig:
        """The configuration of the architecture, known before any weights exist.

        It is shared: whoever changes it takes a copy.

        Raises:
            InvalidInput: there is none, or the architecture refuses its values.
        """
        from transformers import AutoConfig

        base = self.origin.base
        try:
            if isinstance(base, Scratch):
                where = base.architecture
                pad_token = self.tokenizer.pad_token_id
                special = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": pad_token}
                values = {"vocab_size": len(self.tokenizer)} | special | dict(base.config)
                return AutoConfig.for_model(base.architecture, **values)
            source = _pretrained(self.origin)
            where = source.name
            return AutoConfig.from_pretrained(source.name, **source.keywords)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InvalidInput(
                f"model {self.origin.name!r}: no configuration can be made from {where}: {_one_line(error)}"
            ) from error

    @cached_property
    def context_length(self) -> int:
        """See the function `context_length`."""
        return context_length(self.model, self.config)

    @property
    def weights(self) -> Location:
        """Where pretrained weights are read from. Those of a run are checked against their checksums.

        Raises:
            CorruptFile: a file of the run's weights isn't what was written.
        """
        if isinstance(self.model.base, RunSpec):
            return Location(str(self.store.run(self.model.base.id).verified_model()), {})
        return _pretrained(self.model)


def _pretrained(model: ModelSpec) -> Location:
    base = model.base
    if isinstance(base, Folder):
        return Location(base.path, {"trust_remote_code": model.trust_remote_code})
    assert isinstance(base, Hub)
    return Location(base.id, {"revision": base.commit, "trust_remote_code": model.trust_remote_code})


def context_length(model: ModelSpec, config: PretrainedConfig) -> int:
    """Length of the longest text in tokens: `max_tokens` of the spec, or all that the architecture can take.

    Raises:
        InvalidInput: the spec asks for more than the architecture can take, or neither names a length.
    """
    limit = getattr(config.get_text_config(), "max_position_embeddings", None) or getattr(
        config, "n_positions", None
    )
    if model.max_tokens is None:
        if limit is None:
            raise InvalidInput(
                f"model {model.name!r}: its configuration names no context length; set ModelSpec.max_tokens"
            )
        return int(limit)
    if limit is not None and model.max_tokens > limit:
        raise InvalidInput(
            f"model {model.name!r}: max_tokens is {model.max_tokens}, its context holds at most {limit}"
        )
    return model.max_tokens


def folder_problem(folder: Path) -> str | None:
    """What a local model folder lacks, or None."""
    if not folder.is_dir():
        return "there is no such folder"
    if not (folder / "config.json").exists():
        return "it has no config.json"
    if not [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]:
        return "it has no weights (*.safetensors or pytorch_model*.bin)"
    if not [*folder.glob("tokenizer.json"), *folder.glob("vocab*"), *folder.glob("*.model")]:
        return "it has no tokenizer (tokenizer.json, vocab.*, *.model)"
    return None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

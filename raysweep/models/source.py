"""Where a model's configuration, tokenizer and weights are read from, for every kind of base."""

from __future__ import annotations

from dataclasses import dataclass
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
class Source:
    """Arguments of `from_pretrained`: a hub id or folder, and the keywords that pin it."""

    name: str
    keywords: dict[str, Any]


def tokenizer_key(model: ModelSpec, task: TaskSpec) -> str:
    """Identity of the tokenizer that a model on a task uses; the task matters only where the tokenizer is
    made from it."""
    base = model.base
    if isinstance(base, RunSpec):
        return tokenizer_key(base.model, base.task)
    if isinstance(base, Scratch):
        return digest([task.content, base.tokenizer])
    return digest([type(base).__name__, base.commit if isinstance(base, Hub) else base.content])


def context_key(model: ModelSpec) -> str:
    """Identity of what decides how long a text may be and how it is cut: the architecture and the spec's own
    limits."""
    base = model.base
    while isinstance(base, RunSpec):
        base = base.model.base
    if isinstance(base, Scratch):
        return digest([base.architecture, base.config, model.max_tokens, model.truncation])
    return digest(
        [base.commit if isinstance(base, Hub) else base.content, model.max_tokens, model.truncation]
    )


def tokenizer_source(model: ModelSpec, task: TaskSpec, store: Store) -> Source:
    """Where the tokenizer is read from: known before any weights exist."""
    base = model.base
    if isinstance(base, RunSpec):
        return tokenizer_source(base.model, base.task, store)
    if isinstance(base, Scratch):
        return Source(str(store.tokenizer(tokenizer_key(model, task))), {})
    return _pretrained(model)


def _pretrained(model: ModelSpec) -> Source:
    base = model.base
    if isinstance(base, Folder):
        return Source(base.path, {"trust_remote_code": model.trust_remote_code})
    assert isinstance(base, Hub)
    return Source(base.id, {"revision": base.commit, "trust_remote_code": model.trust_remote_code})


def load_tokenizer(model: ModelSpec, task: TaskSpec, store: Store) -> PreTrainedTokenizerBase:
    """The model's tokenizer, which pads on the right; without a padding token of its own, with the end of
    text.

    Raises:
        InvalidInput: there is no tokenizer, or it has neither a padding nor an end token.
    """
    from transformers import AutoTokenizer

    source = tokenizer_source(model, task, store)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.name, **source.keywords)
    except (OSError, ValueError, ImportError) as error:
        raise InvalidInput(
            f"model {model.name!r}: no tokenizer can be loaded from {source.name}: {_one_line(error)}"
        ) from error
    tokenizer.padding_side = "right"
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise InvalidInput(
                f"model {model.name!r}: the tokenizer of {source.name} has neither a padding nor an end token"
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(model: ModelSpec, task: TaskSpec, store: Store) -> PretrainedConfig:
    """The configuration of the model's architecture, known before any weights exist.

    Raises:
        InvalidInput: there is none, or the architecture's values are refused.
    """
    from transformers import AutoConfig

    base = model.base
    if isinstance(base, RunSpec):
        return load_config(base.model, base.task, store)
    try:
        if isinstance(base, Scratch):
            tokenizer = load_tokenizer(model, task, store)
            special = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": tokenizer.pad_token_id}
            return AutoConfig.for_model(
                base.architecture, **({"vocab_size": len(tokenizer)} | special | dict(base.config))
            )
        source = _pretrained(model)
        return AutoConfig.from_pretrained(source.name, **source.keywords)
    except (OSError, ValueError, TypeError, KeyError) as error:
        where = base.architecture if isinstance(base, Scratch) else _pretrained(model).name
        raise InvalidInput(
            f"model {model.name!r}: no configuration can be made from {where}: {_one_line(error)}"
        ) from error


def weights_source(model: ModelSpec, store: Store) -> Source:
    """Where pretrained weights are read from; a run's are checked against their checksums."""
    if isinstance(model.base, RunSpec):
        return Source(str(store.run(model.base.id).verified_model()), {})
    return _pretrained(model)


def context_length(model: ModelSpec, config: PretrainedConfig) -> int:
    """Longest text in tokens: what the spec says, at most what the architecture can take.

    Raises:
        InvalidInput: the spec asks for more than the architecture can take, or neither says.
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

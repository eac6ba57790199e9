"""Where the configuration, tokenizer and weights of a model are read from, for every kind of base."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from raysweep.errors import InvalidInput
from raysweep.files import read_json, write_json
from raysweep.models.architecture import adapted, on_meta, one_line, position_limit
from raysweep.models.folder import require_unchanged
from raysweep.models.sizes import size_problem
from raysweep.models.snapshots import cached_snapshot
from raysweep.models.weights import foreign_problem, weight_files
from raysweep.spec import Folder, Hub, RunSpec, Scratch, TaskSpec
from raysweep.spec.identity import SCHEMA, digest

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from raysweep.spec import ModelSpec
    from raysweep.store import Store

_NO_LIMIT = 10**9
"""Lengths from here on aren't meant."""


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


class Limits(NamedTuple):
    """What bounds the tokens that a model can take; None where nothing is named."""

    context: int | None
    """Length of the longest text that the architecture takes, in tokens."""
    tokenizer: int | None
    """The same as the tokenizer says it (`model_max_length`)."""
    embeddings: int | None
    """Number of tokens that have an embedding; None for a model that computes them, such as CANINE."""


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
    def architecture_key(self) -> str:
        """Identity of the architecture, its configuration and its tokenizer."""
        base = self.origin.base
        values = [base.architecture, base.config] if isinstance(base, Scratch) else []
        return digest([*values, self.tokenizer_key])

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer. It pads on the right; if it has no padding token, with the end-of-text token.

        It is shared: whoever changes it, as truncation does, takes a copy.

        Raises:
            InvalidInput: there is no tokenizer, it has neither a padding nor an end token, or its folder has
                changed since it was pinned.
        """
        from transformers import AutoTokenizer

        source = self._tokenizer_location
        try:
            tokenizer = AutoTokenizer.from_pretrained(source.name, **source.keywords)
        except Exception as error:  # the library in Rust raises plain exceptions
            file = Path(source.name) / "tokenizer.json"
            raise InvalidInput(
                f"model {self.model.name!r}: no tokenizer can be loaded from "
                f"{file if file.exists() else source.name}: {_reason(error)}"
            ) from error
        tokenizer.padding_side = "right"
        if tokenizer.pad_token_id is None:
            if tokenizer.eos_token_id is None:
                raise InvalidInput(
                    f"model {self.model.name!r}: the tokenizer of {source.name} has neither a padding nor an "
                    "end token; name one in its tokenizer_config.json (pad_token)"
                )
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    @property
    def _tokenizer_location(self) -> Location:
        """Known before any weights exist."""
        if isinstance(self.origin.base, Scratch):
            return Location(str(self.store.tokenizer(self.tokenizer_key)), {})
        return self._pretrained(self.origin)

    @cached_property
    def config(self) -> PretrainedConfig:
        """The configuration of the architecture, known before any weights exist.

        It is shared: whoever changes it takes a copy.

        Raises:
            InvalidInput: there is none, the architecture refuses its values or they are larger than any
                machine, or its folder has changed since it was pinned.
        """
        base = self.origin.base
        source = None if isinstance(base, Scratch) else self._pretrained(self.origin)
        try:
            return self._loaded_config(source) if source else self._new_config()
        except InvalidInput as error:
            raise self._unusable(error) from error
        except Exception as error:  # each architecture checks its values in its own way
            raise InvalidInput(
                f"model {self.origin.name!r}: no configuration can be made from {self._config_place}: "
                f"{_reason(error)}"
            ) from error

    def _loaded_config(self, source: Location) -> PretrainedConfig:
        from transformers import AutoConfig, PretrainedConfig

        values, _ = PretrainedConfig.get_config_dict(source.name, revision=source.keywords.get("revision"))
        _require_possible(values)
        if values.get("quantization_config"):
            raise InvalidInput(
                "its weights are quantized (quantization_config), and only whole ones are trained; take the "
                "model that it was made from"
            )
        return AutoConfig.from_pretrained(source.name, **source.keywords)

    def _new_config(self) -> PretrainedConfig:
        from transformers import AutoConfig

        base = self.origin.base
        assert isinstance(base, Scratch)
        _require_possible(base.config)
        pad_token = self.tokenizer.pad_token_id
        special = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": pad_token}
        values = {"vocab_size": len(self.tokenizer)} | special | dict(base.config)
        return AutoConfig.for_model(base.architecture, **values)

    @property
    def _config_place(self) -> str:
        base = self.origin.base
        if isinstance(base, Scratch):
            return base.architecture
        return f"{base.path if isinstance(base, Folder) else base.id}/config.json"  # type: ignore[union-attr]

    def _unusable(self, error: InvalidInput) -> InvalidInput:
        return InvalidInput(f"model {self.origin.name!r}: {self._config_place} can't be used: {error}")

    def on_meta(self, auto: Any, config: PretrainedConfig) -> PreTrainedModel:
        """The modules of the model on the meta device, which takes no memory.

        Raises:
            InvalidInput: they can't be built from this configuration; it names the file.
        """
        try:
            return on_meta(auto, config, trust_remote_code=self.origin.trust_remote_code)
        except InvalidInput as error:
            raise self._unusable(error) from error

    @cached_property
    def limits(self) -> Limits:
        """What bounds the model's tokens; found once for a store, since that lays out the modules.

        Raises:
            InvalidInput: no such model can be built.
        """
        version = importlib.metadata.version("transformers")
        path = self.store.model_check(digest(["limits", SCHEMA, version, self.architecture_key]))
        if not path.exists():
            found = self._find_limits()
            with contextlib.suppress(OSError):  # a store that can only be read
                write_json(path, found._asdict())
            return found
        return Limits(**read_json(path))

    def _find_limits(self) -> Limits:
        from transformers import AutoModel

        config = adapted(self.config, self.tokenizer.pad_token_id, 0, dropout=False)
        body = self.on_meta(AutoModel, config)
        base = self.origin.base
        if isinstance(base, Folder) and (problem := foreign_problem(weight_files(Path(base.path)), body)):
            raise InvalidInput(f"model {self.origin.name!r}: {base.path} can't be used: {problem}")
        text = config.get_text_config()
        named = [getattr(text, name, None) for name in ("max_position_embeddings", "n_positions")]
        lengths = [length for length in (*map(_length, named), position_limit(body)) if length is not None]
        return Limits(
            context=min(lengths, default=None),
            tokenizer=_length(self.tokenizer.model_max_length),
            embeddings=_num_embeddings(body),
        )

    @cached_property
    def context_length(self) -> int:
        """See the function `context_length`."""
        return context_length(self.model, self.limits)

    @property
    def weights(self) -> Location:
        """Where pretrained weights are read from. Those of a run are checked against their checksums, those
        of a folder against what was pinned.

        Raises:
            CorruptFile: a file of the run's weights isn't what was written.
            InvalidInput: the folder has changed since it was pinned.
        """
        if isinstance(self.model.base, RunSpec):
            return Location(str(self.store.run(self.model.base.id).verified_model()), {})
        return self._pretrained(self.model)

    def _pretrained(self, model: ModelSpec) -> Location:
        base = model.base
        if isinstance(base, Folder):
            require_unchanged(base, model.name, self.store)
            return Location(base.path, {"trust_remote_code": model.trust_remote_code})
        assert isinstance(base, Hub)
        # A model with code of its own is loaded by its id: transformers finds the code by it.
        folder = None if model.trust_remote_code else cached_snapshot(base)
        if folder is not None:
            return Location(str(folder), {"trust_remote_code": False})
        return Location(base.id, {"revision": base.commit, "trust_remote_code": model.trust_remote_code})


def context_length(model: ModelSpec, limits: Limits) -> int:
    """Length of the longest text in tokens: `max_tokens` of the spec; without it, the least of what
    architecture and tokenizer name.

    Raises:
        InvalidInput: the spec asks for more than the architecture can take, or nothing names a length.
    """
    if model.max_tokens is None:
        named = [limit for limit in (limits.context, limits.tokenizer) if limit is not None]
        if not named:
            raise InvalidInput(
                f"model {model.name!r}: its configuration names no context length; set ModelSpec.max_tokens"
            )
        return min(named)
    if limits.context is not None and model.max_tokens > limits.context:
        raise InvalidInput(
            f"model {model.name!r}: max_tokens is {model.max_tokens}, its context holds at most "
            f"{limits.context}"
        )
    return model.max_tokens


def _require_possible(values: Mapping[str, Any]) -> None:
    if problem := size_problem(values):
        raise InvalidInput(f"it {problem}")


def _length(named: object) -> int | None:
    """A length that a configuration or tokenizer names; None where it stands for no limit: 0, negative, or
    absurdly large, such as the 10^30 of transformers."""
    if isinstance(named, bool) or not isinstance(named, int | float) or not 0 < named < _NO_LIMIT:
        return None
    return int(named)


def _num_embeddings(body: PreTrainedModel) -> int | None:
    try:
        found = getattr(body.get_input_embeddings(), "num_embeddings", None)
    except NotImplementedError:
        return None
    return None if found is None else int(found)


def _reason(error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return (
            "it comes with Python code of its own; read it, and set ModelSpec(trust_remote_code=True) if you "
            "trust it"
        )
    return one_line(error)

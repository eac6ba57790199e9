"""Whether a model does what a run takes it for, tried on a few texts before anything trains: padding must not
change what it computes, a model that writes must not read what comes later, and its tokenizer must fit.

All this follows from the architecture, so it is tried with random weights, which no one has to download,
and with few layers, narrow MLPs and a small vocabulary. Of a model that is larger than `_MOST_PARAMETERS`
even so, the modules are only laid out.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from raysweep.errors import InvalidInput
from raysweep.files import write_json
from raysweep.models.architecture import Use, adapted, auto_class, one_line
from raysweep.models.layers import num_layers
from raysweep.models.source import ModelInputs
from raysweep.spec.identity import SCHEMA, digest

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

_MOST_PARAMETERS = 3 * 10**8
"""Largest model that is tried: 1.2 GB in memory, some ten seconds."""
_NUM_LAYERS = (4, 1, None)
"""Numbers of layers with which a model is tried, until it isn't too large and can be built; None for the
whole model. Some architectures can't be cut, such as those whose layers are of several kinds."""
_INNER = ("intermediate_size", "moe_intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff")
"""Names of the width of an MLP's inner layer, which nothing else depends on."""
_NARROW = 64
_NUM_PADDINGS = 8
_NUM_WRITTEN = 2
"""Tokens that a model writes which is tried as a writer."""
_TOLERANCE = 1e-3
"""Largest difference that padding may make, in standard deviations of the logits over texts. Rounding makes
one of 1e-6; FNet, YOSO and other models that ignore the mask, one of 0.2 to 6."""
_LENGTHS = (1, 2, 3, 4, 5, 6, 8, 11)
"""Tokens of the texts that are tried, without those that the tokenizer adds."""


def require_usable(inputs: ModelInputs, use: Use) -> None:
    """Refuse a model that a run can't use; tried once for a store and a version of transformers.

    Raises:
        InvalidInput: says which model, what is wrong, and by how much.
    """
    version = importlib.metadata.version("transformers")
    path = inputs.store.model_check(digest(["usable", SCHEMA, version, inputs.architecture_key, use]))
    if path.exists():
        return
    given = inputs.config
    _require_fitting_tokenizer(inputs)
    config = adapted(given, inputs.tokenizer.pad_token_id, 2 if use == "classes" else 0, dropout=False)
    what = f"model {inputs.origin.name!r}: architecture {config.model_type!r} can't be used here"
    if use == "features":
        num_layers(inputs)
    if use not in ("classes", "features") and config.is_encoder_decoder:
        raise InvalidInput(
            f"{what}: it is an encoder-decoder, and this run's model must write after a text; use a decoder, "
            "such as GPT-2 or Llama"
        )
    with _quiet():
        inputs.on_meta(auto_class(use, config), config)
        problem = _problem(inputs, config, use)
    if problem:
        raise InvalidInput(f"{what}: {problem}")
    if use in ("words", "answers"):
        _require_open_end(inputs)
    with contextlib.suppress(OSError):  # a store that can only be read
        write_json(path, {"model": inputs.origin.name, "use": use})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from giving advice on a model that is only tried."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _require_fitting_tokenizer(inputs: ModelInputs) -> None:
    """Refuse a tokenizer that knows no text, and a padding token without an embedding: every batch has it."""
    if len(inputs.tokenizer) <= len(set(inputs.tokenizer.all_special_ids)):
        raise InvalidInput(
            f"model {inputs.origin.name!r}: its tokenizer has no tokens but special ones; save the model's "
            "own with it"
        )
    pad_token: int = inputs.tokenizer.pad_token_id  # type: ignore[assignment]
    rows = inputs.limits.embeddings
    if rows is not None and pad_token >= rows:
        raise InvalidInput(
            f"model {inputs.origin.name!r}: its tokenizer has {len(inputs.tokenizer)} tokens, and the model "
            f"embeddings for {rows}; the padding token {inputs.tokenizer.pad_token!r} is number {pad_token}. "
            f"Call model.resize_token_embeddings({len(inputs.tokenizer)}) and save the model again, or set "
            "another pad_token in tokenizer_config.json"
        )


def _require_open_end(inputs: ModelInputs) -> None:
    """Refuse a tokenizer that ends each text: a model must go on after a prompt."""
    tokenizer = inputs.tokenizer
    whole = tokenizer("a b")["input_ids"]
    plain = tokenizer("a b", add_special_tokens=False)["input_ids"]
    if whole[-1:] != plain[-1:]:
        raise InvalidInput(
            f"model {inputs.origin.name!r}: its tokenizer ends each text with "
            f"{tokenizer.convert_ids_to_tokens(whole[-1])!r}, after which a model doesn't go on, and this "
            "run prompts it; set add_eos_token to false in tokenizer_config.json, or take the token out of "
            "the post_processor in tokenizer.json"
        )


def _problem(inputs: ModelInputs, config: PretrainedConfig, use: Use) -> str | None:
    """What is wrong with the model of this configuration; None if nothing is."""
    import torch

    limit = inputs.limits.context or _LENGTHS[-1] * 4
    num_paddings = max(0, min(_NUM_PADDINGS, limit - 1 - _NUM_WRITTEN))
    texts = _texts(inputs, max(1, limit - num_paddings - _NUM_WRITTEN))
    for most_layers in _NUM_LAYERS:
        state = torch.get_rng_state()
        try:
            numbers, tried = _cut(config, texts, most_layers) if most_layers else (texts, config)
            if _num_parameters(inputs, tried, use) <= _MOST_PARAMETERS:
                model = _drawn(inputs, tried, use)
                with torch.no_grad():
                    return _first_problem(model, numbers, num_paddings, use)
        except Exception as error:  # of the architecture's own code
            if most_layers is None:
                what = f"{type(error).__name__}: {one_line(error)}"
                return f"it fails on a padded text with an attention mask ({what})"
        finally:
            torch.set_rng_state(state)
    return None


def _texts(inputs: ModelInputs, room: int) -> list[list[int]]:
    """Token numbers of texts of several lengths up to `room`, as the tokenizer gives them."""
    import torch

    tokenizer = inputs.tokenizer
    special = set(tokenizer.all_special_ids)
    most = min(len(tokenizer), inputs.limits.embeddings or len(tokenizer))
    known = [number for number in range(min(most, 50_000)) if number not in special]
    generator = torch.Generator().manual_seed(0)
    texts = []
    for length in _LENGTHS * 2:
        drawn = torch.randint(len(known), (length,), generator=generator).tolist()
        text = tokenizer.decode([known[number] for number in drawn])
        numbers = tokenizer(text)["input_ids"]
        fits = 0 < len(numbers) <= room and max(numbers) < most
        texts.append(numbers if fits else [known[number] for number in drawn][:room])
    return texts


def _cut(
    config: PretrainedConfig, texts: list[list[int]], num_layers: int
) -> tuple[list[list[int]], PretrainedConfig]:
    """The same architecture with few layers, narrow MLPs and no other tokens than special ones and those of
    the texts, and the texts in their new numbers."""
    config = copy.deepcopy(config)
    text = config.get_text_config()
    names = [
        name for name in vars(text) if name.endswith("token_id") and isinstance(getattr(text, name), int)
    ]
    used = {getattr(text, name) for name in names} | {number for numbers in texts for number in numbers}
    new = {number: place for place, number in enumerate(sorted(used))}
    for name in names:
        setattr(text, name, new[getattr(text, name)])
        if text is not config and hasattr(config, name):
            setattr(config, name, getattr(text, name))
    text.vocab_size = len(new)
    text.num_hidden_layers = min(text.num_hidden_layers, num_layers)
    for name in _INNER:
        if isinstance(width := getattr(text, name, None), int):
            setattr(text, name, min(width, _NARROW))
    if isinstance(getattr(text, "layer_types", None), list):
        text.layer_types = text.layer_types[: text.num_hidden_layers]
    return [[new[number] for number in numbers] for numbers in texts], config


def _num_parameters(inputs: ModelInputs, config: PretrainedConfig, use: Use) -> int:
    return sum(
        parameter.numel() for parameter in inputs.on_meta(auto_class(use, config), config).parameters()
    )


def _drawn(inputs: ModelInputs, config: PretrainedConfig, use: Use) -> PreTrainedModel:
    """A model with weights of variance 1/width, so that everything in it acts, also what an architecture
    draws as zeros."""
    import torch

    model: PreTrainedModel = auto_class(use, config).from_config(
        config, dtype=torch.float32, trust_remote_code=inputs.origin.trust_remote_code
    )
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            drawn = torch.randn(parameter.shape, generator=generator)
            parameter.data = drawn / math.sqrt(parameter.shape[-1])
    return model.eval()


def _first_problem(model: PreTrainedModel, texts: list[list[int]], num_paddings: int, use: Use) -> str | None:
    """What is wrong with what a model computes for a use; None if nothing is."""
    read = {"classes": _class_logits, "features": _mean_state}.get(use, _token_logits)
    problem = _padding_problem(model, texts, num_paddings, read)
    if problem is None and use not in ("classes", "features"):
        problem = _causality_problem(model, texts)
    if problem is None and use == "answers":
        problem = _padding_problem(model, texts, num_paddings, _written_logits)
    return problem


def _padding_problem(
    model: PreTrainedModel,
    texts: list[list[int]],
    num_paddings: int,
    read: Callable[[PreTrainedModel, list[int], int], torch.Tensor],
) -> str | None:
    import torch

    alone = torch.stack([read(model, text, 0) for text in texts])
    padded = torch.stack([read(model, text, num_paddings) for text in texts])
    spread = float(alone.std(dim=0).mean())
    difference = float((alone - padded).abs().max())
    if difference <= _TOLERANCE * spread:
        return None
    return (
        f"padding changes what it computes. A text padded by {num_paddings} tokens gets logits that differ "
        f"by {difference / (spread or math.nan):.2g} standard deviations of the logits from those that it "
        f"gets alone, and {_TOLERANCE:g} is allowed; results would depend on which texts are in a batch. Use "
        "an architecture that heeds the attention mask"
    )


def _class_logits(model: PreTrainedModel, text: list[int], num_paddings: int) -> torch.Tensor:
    """(K,) logits of the classes of a text that is padded on the right, as all runs pad to train."""
    return _logits(model, text, num_paddings)


def _token_logits(model: PreTrainedModel, text: list[int], num_paddings: int) -> torch.Tensor:
    """(V,) logits of the token after such a text."""
    return _logits(model, text, num_paddings)[len(text) - 1]


def _mean_state(model: PreTrainedModel, text: list[int], num_paddings: int) -> torch.Tensor:
    """(W,) mean of the last hidden states of such a text."""
    state: torch.Tensor = model(**_padded(model, text, num_paddings)).last_hidden_state[0, : len(text)]
    return state.mean(dim=0)


def _logits(model: PreTrainedModel, text: list[int], num_paddings: int) -> torch.Tensor:
    logits: torch.Tensor = model(**_padded(model, text, num_paddings)).logits[0]
    return logits


def _padded(model: PreTrainedModel, text: list[int], num_paddings: int) -> dict[str, Any]:
    import torch

    return {
        "input_ids": torch.tensor([text + [_pad_token(model)] * num_paddings]),
        "attention_mask": torch.tensor([[1] * len(text) + [0] * num_paddings]),
    }


def _written_logits(model: PreTrainedModel, text: list[int], num_paddings: int) -> torch.Tensor:
    """(2, V) logits of the tokens that a model writes after a text that is padded on the left, as answers are
    written."""
    import torch
    from transformers import GenerationConfig

    pad_token = _pad_token(model)
    given: dict[str, Any] = {
        "input_ids": torch.tensor([[pad_token] * num_paddings + text]),
        "attention_mask": torch.tensor([[0] * num_paddings + [1] * len(text)]),
    }
    config = GenerationConfig(
        max_new_tokens=_NUM_WRITTEN,
        min_new_tokens=_NUM_WRITTEN,
        do_sample=False,
        pad_token_id=pad_token,
        output_logits=True,
        return_dict_in_generate=True,
    )
    written = model.generate(**given, generation_config=config)  # type: ignore[operator]
    return torch.cat(list(written.logits))


def _pad_token(model: PreTrainedModel) -> int:
    token: int = model.config.get_text_config().pad_token_id
    return token


def _causality_problem(model: PreTrainedModel, texts: list[list[int]]) -> str | None:
    text = max(texts, key=len)
    tokens = {token for text in texts for token in text}
    other = [*text[:-1], min(tokens - {text[-1]}, default=text[-1])]
    before, after = (_logits(model, numbers, 0)[:-1] for numbers in (text, other))
    difference = float((before - after).abs().max() / before.std())
    if not difference > _TOLERANCE:
        return None
    return (
        "it reads what comes later, so it can't learn to write: another last token changes the logits before "
        f"it by {difference:.2g} standard deviations, and {_TOLERANCE:g} is allowed. Use a decoder, such as "
        "GPT-2 or Llama"
    )

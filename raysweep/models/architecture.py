"""From a model's configuration to its modules: the class of transformers that a run takes, and its modules on
torch's meta device, which takes no memory."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, Literal

from raysweep.errors import InvalidInput
from raysweep.models.classifiers import ensure_classifier
from raysweep.models.sizes import MOST_PARAMETERS
from raysweep.spec import Features, Prompting, RunSpec

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

Use = Literal["classes", "tokens", "words", "answers", "features"]
"""What a run takes from its model: the logits of classes or scores of a text, those of the tokens after each
token, those of words after a prompt, an answer that is written after a prompt, or hidden states."""


def use_of(spec: RunSpec) -> Use:
    """What a run takes from its model; a run on features, what the run that computes them takes."""
    if spec.features is not None or isinstance(spec.model.tuning, Features):
        return "features"
    if spec.kind == "generative":
        return "answers"
    if spec.kind == "text":
        return "tokens"
    return "words" if isinstance(spec.model.tuning, Prompting) else "classes"


def auto_class(use: Use, config: PretrainedConfig) -> Any:
    """The class of transformers that makes a model of an architecture for a use."""
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

    if use == "features":
        return AutoModel
    if use != "classes":
        return AutoModelForCausalLM
    ensure_classifier(config)
    return AutoModelForSequenceClassification


def adapted(
    config: PretrainedConfig, pad_token: int | None, num_labels: int, *, dropout: bool
) -> PretrainedConfig:
    """A copy of a configuration for a run.

    Args:
        config: as it comes with the model.
        pad_token: that of the tokenizer, with which classifiers find the end of a text.
        num_labels: logits of a classifier; 0 for a model of tokens.
        dropout: whether the configuration's dropout is kept.
    """
    config = copy.deepcopy(config)
    if not dropout:
        _switch_off_dropout(config)
    config.pad_token_id = pad_token
    config.get_text_config().pad_token_id = pad_token  # where a model of texts and images looks it up
    if num_labels:
        config.num_labels = num_labels
    return config


def _switch_off_dropout(config: PretrainedConfig) -> None:
    for name, value in list(vars(config).items()):
        if name in config.sub_configs and value is not None:
            _switch_off_dropout(value)
        elif "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)


def on_meta(auto: Any, config: PretrainedConfig, *, trust_remote_code: bool) -> PreTrainedModel:
    """The modules of a model on the meta device.

    Raises:
        InvalidInput: the architecture can't be built from these values, in a few words.
    """
    import torch

    try:
        with torch.device("meta"):
            model: PreTrainedModel = auto.from_config(
                config, dtype=torch.float32, trust_remote_code=trust_remote_code
            )
    except Exception as error:  # of the architecture's own code, which checks little
        if "Unrecognized configuration class" in str(error):
            raise InvalidInput(
                f"transformers has no {auto.__name__} of architecture {config.model_type!r}"
            ) from error
        raise InvalidInput(f"no {config.model_type} has these values: {one_line(error)}") from error
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    for name, shape in shapes.items():
        if 0 in shape:
            raise InvalidInput(
                f"no {config.model_type} has these values: parameter {name} would have the shape {shape}"
            )
    total = sum(map(math.prod, shapes.values()))
    if total > MOST_PARAMETERS:
        raise InvalidInput(
            f"it describes a model of {total:.0e} parameters; at most {MOST_PARAMETERS:.0e} can be built"
        )
    return model


def position_limit(model: torch.nn.Module) -> int | None:
    """Length of the longest text, in tokens, that a model's tables of positions can take; None without one.

    RoBERTa and its kin number positions from the padding token's number + 1, so that this much of the table
    is never used. BART and OPT have a table that is larger by their offset.
    """
    import torch

    limits = [
        table.num_embeddings
        - getattr(table, "offset", 0)
        - (0 if table.padding_idx is None or hasattr(table, "offset") else table.padding_idx + 1)
        for name, table in model.named_modules()
        if isinstance(table, torch.nn.Embedding) and _is_of_positions(name)
    ]
    return min((limit for limit in limits if limit > 0), default=None)


def _is_of_positions(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last == "wpe" or ("position" in last and "relative" not in last)


def one_line(error: BaseException) -> str:
    """The first paragraph of an error's text, without line breaks and transformers' lists of all that it
    knows."""
    text = " ".join(str(error).partition("\n\n")[0].partition(" Should contain one of")[0].split())
    return text[:400] or type(error).__name__

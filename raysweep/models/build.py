"""Build a run's model: weights, new head, tuning mode, and the checks that its numbers start sane.

With ZeRO-3, transformers builds and loads the model sharded (`HfDeepSpeedConfig` must be alive: see the engine), so that no
rank holds the whole; everything here then touches one parameter at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from raysweep.errors import InvalidInput
from raysweep.models.source import load_config, load_tokenizer, weights_source
from raysweep.spec import Full, HeadOnly, Lora, RunSpec, Scratch

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

    from raysweep.store import Store
    from raysweep.training.engine import Sharding


def build_model(spec: RunSpec, store: Store, sharding: Sharding) -> PreTrainedModel:
    """The model of a run, in float32, ready for the engine.

    Raises:
        InvalidInput: weights are missing, of another architecture, or not finite.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, set_seed

    set_seed(spec.seed)
    config = load_config(spec.model, spec.task, store)
    if not spec.model.dropout:
        _switch_off_dropout(config)
    config.pad_token_id = load_tokenizer(spec.model, spec.task, store).pad_token_id
    auto: Any = AutoModelForCausalLM
    if spec.task.kind != "text":
        auto = AutoModelForSequenceClassification
        config.num_labels = 1 if spec.task.kind == "preference" else spec.task.num_classes or 0
    new: list[str]
    if isinstance(spec.model.base, Scratch):
        model, new = auto.from_config(config, dtype=torch.float32), []
    else:
        model, new = _from_pretrained(auto, config, spec, store)
    _initialise(model, new, spec, sharding)
    model = _tune(model, spec, new)
    _require_finite(model, spec.model.name, sharding)
    return model


def _from_pretrained(auto: Any, config: PretrainedConfig, spec: RunSpec, store: Store) -> tuple[Any, list[str]]:
    """The model with its pretrained weights, and the names of the parameters that the checkpoint lacks."""
    import torch

    source = weights_source(spec.model, store)
    options = {"config": config, "dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": True}
    try:
        model, report = auto.from_pretrained(source.name, **source.keywords, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"model {spec.model.name!r}: weights can't be loaded from {source.name}: {error}") from error
    return model, sorted({*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])})


def _switch_off_dropout(config: PretrainedConfig) -> None:
    for name, value in config.to_dict().items():
        if ("drop" in name or "pdrop" in name) and isinstance(value, float):
            setattr(config, name, 0.0)


def _initialise(model: PreTrainedModel, names: Iterable[str], spec: RunSpec, sharding: Sharding) -> None:
    """Give every parameter that the checkpoint lacks a value of our own: transformers can leave them uninitialised.

    Weights get a normal with standard deviation 0.1/√width, so that a head's first logits are about 0.1; biases 0; with
    head_init="zeros" the last layer is 0, as in openai/weak-to-strong.

    Raises:
        InvalidInput: the checkpoint lacks parameters below the head: it isn't of this architecture.
    """
    import torch

    parameters = dict(model.named_parameters())
    names = [name for name in names if name in parameters]
    below_head = [name for name in names if name.startswith(f"{model.base_model_prefix}.")]
    if below_head and len(below_head) > len([name for name in below_head if "pooler" in name]):
        raise InvalidInput(
            f"model {spec.model.name!r}: its weights lack {len(below_head)} parameters of the {model.config.model_type} "
            f"architecture, such as {below_head[0]}"
        )
    generator = torch.Generator().manual_seed(spec.seed)
    for name in names:
        with sharding.whole(parameters[name]) as parameter:
            is_last_layer = name.rpartition(".")[0] == names[-1].rpartition(".")[0]
            if parameter.dim() < 2 or (spec.model.head_init == "zeros" and is_last_layer):
                parameter.data.zero_()
            else:
                values = torch.randn(parameter.shape, generator=generator) * 0.1 / math.sqrt(parameter.shape[-1])
                parameter.data.copy_(values)


def _tune(model: PreTrainedModel, spec: RunSpec, new: list[str]) -> PreTrainedModel:
    tuning = spec.model.tuning
    if isinstance(tuning, Full):
        return model
    if isinstance(tuning, HeadOnly):
        head = [name for name, _ in model.named_parameters() if not name.startswith(f"{model.base_model_prefix}.")]
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in head or name in new)
        return model
    assert isinstance(tuning, Lora)
    from peft import LoraConfig, TaskType, get_peft_model

    kind = TaskType.CAUSAL_LM if spec.task.kind == "text" else TaskType.SEQ_CLS
    lora = LoraConfig(
        task_type=kind,
        r=tuning.rank,
        lora_alpha=tuning.alpha,  # type: ignore[arg-type]
        lora_dropout=0.0,
        target_modules=list(tuning.target_modules) or None,
    )
    try:
        return get_peft_model(model, lora)  # type: ignore[return-value]
    except ValueError as error:
        raise InvalidInput(f"model {spec.model.name!r}: {error}; name them in Lora(target_modules=…)") from error


def _require_finite(model: torch.nn.Module, name: str, sharding: Sharding) -> None:
    for key, parameter in model.named_parameters():
        if not sharding.local(parameter).isfinite().all():
            raise InvalidInput(f"model {name!r}: parameter {key} isn't finite after loading")

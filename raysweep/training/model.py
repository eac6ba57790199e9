"""Build the model of a run: pretrained weights, a new head, the tuning, and a check of the numbers; and save
it.

Under ZeRO stage 3, transformers divides the model while it loads it (see `sharding`), so that no rank holds
the whole. Everything here then touches one parameter at a time.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.files import written_atomically
from raysweep.models.architecture import adapted, auto_class, one_line, use_of
from raysweep.models.unembedding import word_tokens
from raysweep.spec import Features, Full, HeadOnly, Lora, Prompting, RunSpec, Scratch, Unembedding
from raysweep.training.engine import Engine
from raysweep.training.pooling import pool_for_head

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from raysweep.training.sharding import Sharding


def build_model(inputs: RunInputs, sharding: Sharding) -> PreTrainedModel:
    """The model of a run in float32, ready for the engine.

    Raises:
        InvalidInput: weights are missing, of another architecture, or not finite.
    """
    import torch
    from transformers import GenerationConfig, set_seed

    spec = inputs.spec
    set_seed(spec.seed)
    auto, config = _architecture(inputs)
    new: list[str]
    rows = _unembedding(config, inputs, sharding)
    if isinstance(spec.model.base, Scratch):
        model = auto.from_config(config, dtype=torch.float32)
        new = []
        _draw_weights(model, spec.seed, sharding)
    else:
        model, new = _from_pretrained(auto, config, inputs)
    if (
        model.can_generate()
    ):  # transformers falls back on what comes with a model, such as a repetition penalty
        model.generation_config = GenerationConfig()
    _initialise(model, new, spec, sharding, rows)
    if spec.model.pooling is not None:
        pool_for_head(model, spec.model.pooling)
    set_seed(spec.seed)  # so that adapters don't depend on how much transformers drew while it loaded
    model = _tune(model, spec, new)
    sharding.divide(model)
    _require_finite(model, spec.model.name, sharding)
    return model


def _architecture(inputs: RunInputs) -> tuple[Any, PretrainedConfig]:
    """The class that makes a run's model, and its configuration."""
    spec = inputs.spec
    use = use_of(spec)
    num_labels = 1 if spec.task.kind == "preference" else spec.task.num_classes or 0
    config = adapted(
        inputs.config,
        inputs.tokenizer.pad_token_id,
        num_labels if use == "classes" else 0,
        dropout=spec.model.dropout,
    )
    if use == "features":
        config.get_text_config().use_cache = False  # keys and values that nobody reads
    return auto_class(use, config), config


def meta_model(inputs: RunInputs) -> PreTrainedModel:
    """The modules of a run's model on the meta device, which takes no memory. Trained parameters require
    gradients.

    Raises:
        InvalidInput: the model can't be built from its configuration, or the tuning doesn't fit it.
    """
    import torch

    spec = inputs.spec
    model = inputs.on_meta(*_architecture(inputs))
    is_new = not isinstance(spec.model.base, Scratch) and use_of(spec) == "classes"
    body = f"{model.base_model_prefix}."
    new = [name for name, _ in model.named_parameters() if is_new and not name.startswith(body)]
    with torch.device("meta"):
        return _tune(model, spec, new)


def meta_body(inputs: RunInputs) -> PreTrainedModel:
    """The modules of a run's model on the meta device, without head and adapters.

    Raises:
        InvalidInput: the model can't be built from its configuration.
    """
    from transformers import AutoModel

    return inputs.on_meta(AutoModel, inputs.config)


def _from_pretrained(auto: Any, config: PretrainedConfig, inputs: RunInputs) -> tuple[Any, list[str]]:
    """The model with its pretrained weights, and the names of the parameters that the checkpoint lacks."""
    import torch

    source = inputs.weights
    options = {
        "config": config,
        "dtype": torch.float32,
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,
    }
    try:
        model, report = auto.from_pretrained(source.name, **source.keywords, **options)
    except Exception as error:  # pickle, safetensors and each architecture raise their own
        raise InvalidInput(
            f"model {inputs.model.name!r}: weights can't be loaded from {source.name}: {one_line(error)}"
        ) from error
    _ = inputs.weights  # raises if they were overwritten meanwhile
    lacking = {*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])}
    return model, [name for name, _ in model.named_parameters() if name in lacking]


def _draw_weights(model: PreTrainedModel, seed: int, sharding: Sharding) -> None:
    """Draw the weights of a new model again, by the rules of its architecture but always in the same order,
    in float32 and on the CPU.

    transformers draws them differently when it divides the model while building it, and a result must not
    depend on that.
    """
    import torch
    from transformers import PreTrainedModel, set_seed

    def draw(module: torch.nn.Module, owner: PreTrainedModel) -> None:
        owner = module if isinstance(module, PreTrainedModel) else owner
        for child in module.children():
            draw(child, owner)
        # The rule of a module may change parameters of its children.
        parameters = {
            id(item): item for part in (module, *module.children()) for item in part.parameters(recurse=False)
        }
        with sharding.whole(*parameters.values()), torch.no_grad():
            stored = [(parameter, parameter.data) for parameter in parameters.values()]
            for parameter, values in stored:
                parameter.data = values.float().cpu()
            owner._init_weights(module)
            for parameter, values in stored:
                parameter.data = values.copy_(parameter.data)

    set_seed(seed)
    draw(model, model)


def _unembedding(config: PretrainedConfig, inputs: RunInputs, sharding: Sharding) -> torch.Tensor | None:
    """(K, width) rows of the language model's output layer for the words that a head starts as, in float32 on
    the CPU; None unless it starts so.

    Raises:
        InvalidInput: the checkpoint has no output layer.
    """
    if not isinstance(inputs.model.head_init, Unembedding) or use_of(inputs.spec) != "classes":
        return None
    from transformers import AutoModelForCausalLM

    model, lacking = _from_pretrained(AutoModelForCausalLM, copy.deepcopy(config), inputs)
    weight = model.get_output_embeddings().weight
    if any(parameter is weight for name, parameter in model.named_parameters() if name in lacking):
        raise InvalidInput(
            f"model {inputs.model.name!r}: head_init is {inputs.model.head_init}, and its weights have no "
            "output layer; use 'small' or 'zeros'"
        )
    with sharding.whole(weight):
        rows: torch.Tensor = weight.data[word_tokens(inputs)].float().cpu()
    return rows


def _initialise(
    model: PreTrainedModel,
    names: list[str],
    spec: RunSpec,
    sharding: Sharding,
    rows: torch.Tensor | None,
) -> None:
    """Initialise every parameter that the checkpoint lacks, which transformers can leave uninitialised.

    Weights are drawn from a normal distribution with standard deviation 0.1/√width, so that the first logits
    of a head are about 0.1. Biases are 0 and scales of norms 1. With head_init="zeros" the last layer is 0,
    as in openai/weak-to-strong; given `rows` (K, width), it is these.

    Raises:
        InvalidInput: the checkpoint lacks parameters below the head, so it isn't of this architecture; or it
            has the head that `rows` are for.
    """
    import torch

    parameters = dict(model.named_parameters())
    below_head = [name for name in names if name.startswith(f"{model.base_model_prefix}.")]
    if below_head and len(below_head) > len([name for name in below_head if "pooler" in name]):
        raise InvalidInput(
            f"model {spec.model.name!r}: its weights lack {len(below_head)} parameters of the "
            f"{model.config.model_type} architecture, such as {below_head[0]}"
        )
    if rows is not None and not names:
        raise InvalidInput(
            f"model {spec.model.name!r}: head_init is {spec.model.head_init}, and its weights have a head, "
            "which is kept"
        )
    generator = torch.Generator().manual_seed(spec.seed)
    for name in names:  # in the order of the modules; the last one computes the logits
        parameter = parameters[name]
        with sharding.whole(parameter):
            is_last_layer = name.rpartition(".")[0] == names[-1].rpartition(".")[0]
            if name.endswith("bias") or (spec.model.head_init == "zeros" and is_last_layer):
                parameter.data.zero_()
            elif rows is not None and is_last_layer:
                parameter.data.copy_(rows)
            elif parameter.dim() < 2:
                parameter.data.fill_(1)
            else:
                values = (
                    torch.randn(parameter.shape, generator=generator) * 0.1 / math.sqrt(parameter.shape[-1])
                )
                parameter.data.copy_(values)


def _tune(model: PreTrainedModel, spec: RunSpec, new: list[str]) -> PreTrainedModel:
    import torch

    tuning = spec.model.tuning
    if isinstance(tuning, Full):
        if "embeddings" in tuning.freeze:
            for module in model.modules():
                if isinstance(module, torch.nn.Embedding):
                    module.requires_grad_(False)
        return model
    if isinstance(tuning, Prompting | Features):
        for parameter in list(model.parameters())[:-1]:  # DeepSpeed needs one to train; it isn't
            parameter.requires_grad_(False)
        return model
    if isinstance(tuning, HeadOnly):
        head = [
            name for name, _ in model.named_parameters() if not name.startswith(f"{model.base_model_prefix}.")
        ]
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in head or name in new)
        if not head:
            raise InvalidInput(
                f"model {spec.model.name!r}: tuning is HeadOnly(), but its output layer is its embedding; "
                "use Full() or Lora(…)"
            )
        return model
    assert isinstance(tuning, Lora)
    from peft import LoraConfig, TaskType, get_peft_model

    kind = TaskType.SEQ_CLS if use_of(spec) == "classes" else TaskType.CAUSAL_LM
    lora = LoraConfig(
        task_type=kind,
        r=tuning.rank,
        lora_alpha=tuning.alpha,  # type: ignore[arg-type]
        lora_dropout=0.0,
        target_modules=list(tuning.target_modules) or _linear_layers(model, new),
        modules_to_save=_new_modules(model, new) or None,
    )
    try:
        # peft would hold adapters in float32 beside a body in bfloat16, which ZeRO stage 3 refuses.
        return get_peft_model(model, lora, autocast_adapter_dtype=False)  # type: ignore[return-value]
    except ValueError as error:
        raise InvalidInput(
            f"model {spec.model.name!r}: {error}; name them in Lora(target_modules=…)"
        ) from error


def _linear_layers(model: PreTrainedModel, new: list[str]) -> list[str]:
    """Full names of the linear layers of a model's body that its checkpoint has."""
    import torch
    from transformers.pytorch_utils import Conv1D

    body = f"{model.base_model_prefix}."
    layers = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear | Conv1D)]
    lacking = set(_new_modules(model, new))
    return [name for name in layers if name.startswith(body) and name not in lacking]


def _new_modules(model: PreTrainedModel, new: list[str]) -> list[str]:
    """The modules that the checkpoint lacks, which peft must train and save beside the adapters."""
    body = f"{model.base_model_prefix}."
    return sorted(
        {name.rpartition(".")[0] if name.startswith(body) else name.partition(".")[0] for name in new}
    )


def _require_finite(model: torch.nn.Module, name: str, sharding: Sharding) -> None:
    for key, parameter in model.named_parameters():
        if not sharding.local(parameter).isfinite().all():
            raise InvalidInput(f"model {name!r}: parameter {key} isn't finite after loading")


def save_model(engine: Engine, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write a trained model with its tokenizer into a folder; all ranks call it. Under LoRA, only adapters
    and head are written."""
    tensors = engine.state_dict()
    if engine.rank == 0:
        with written_atomically(folder) as temporary:
            temporary.mkdir()
            engine.module.save_pretrained(temporary, state_dict=dict(tensors), max_shard_size="5GB")
            tokenizer.save_pretrained(temporary)
    engine.barrier()

"""How many parameters a model has: one rule for which of them count, for models that are built and for models
that are only laid out, without memory."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from raysweep.data.inputs import RunInputs
from raysweep.errors import StorageFailed
from raysweep.files import read_json, write_json
from raysweep.spec import Features, Folder, Full, Prompting, Scratch
from raysweep.spec.identity import SCHEMA, digest
from raysweep.training.model import meta_body, meta_model

if TYPE_CHECKING:
    import torch

_HEADS = ("lm_head.", "score.", "classifier.")
"""How the names of a head's tensors begin."""


class ParameterCounts(NamedTuple):
    """Numbers of parameters."""

    num_parameters: int
    """Of the whole model, its head included; tied ones are counted once."""
    num_trained: int
    """Those of them that are trained; 0 for a model that is only prompted."""


def count_parameters(model: torch.nn.Module, tuning: object) -> ParameterCounts:
    """The parameters of a model in memory, however ZeRO divides it, or on the meta device.

    What peft keeps of a module that it copied is never used and isn't counted.
    """
    whole = 0
    trained = 0
    for name, parameter in model.named_parameters():
        if ".original_module." not in name:
            size = int(getattr(parameter, "ds_numel", parameter.numel()))
            whole += size
            trained += size if parameter.requires_grad else 0
    return ParameterCounts(whole, 0 if isinstance(tuning, Prompting | Features) else trained)


def expected_parameters(inputs: RunInputs) -> ParameterCounts:
    """The parameters of the model that a run will train. Its modules are laid out once for a store.

    Raises:
        InvalidInput: the model's configuration can't be loaded, or the tuning doesn't fit it.
    """
    tuning = inputs.model.tuning
    kind = inputs.spec.kind
    outputs = kind if kind in ("text", "generative", "preference") else inputs.task.num_classes
    counted = _counted_once(
        inputs, [tuning, outputs], lambda: count_parameters(meta_model(inputs), tuning)._asdict()
    )
    return ParameterCounts(counted["num_parameters"], counted["num_trained"])


def parameters_without_head(inputs: RunInputs) -> int:
    """The parameters of a run's model without its head and without adapters.

    They are read from the headers of the model folder's safetensors where it has some, which imports nothing.
    Otherwise the modules are laid out, once for a store.

    Raises:
        InvalidInput: the model's configuration can't be loaded.
    """

    def count() -> dict[str, int]:
        base = inputs.origin.base
        saved = _count_saved(Path(base.path)) if isinstance(base, Folder) else 0
        return {"num_parameters": saved or count_parameters(meta_body(inputs), Full()).num_parameters}

    return _counted_once(inputs, [], count)["num_parameters"]


def _counted_once(
    inputs: RunInputs, parts: list[object], count: Callable[[], dict[str, int]]
) -> dict[str, int]:
    """What `count` returns for the architecture of a run's model and what else it depends on; kept in the
    store."""
    base = inputs.origin.base
    architecture = [base.architecture, base.config] if isinstance(base, Scratch) else []
    path = inputs.store.model_size(digest([SCHEMA, *architecture, inputs.tokenizer_key, *parts]))
    if path.exists():
        return {name: int(number) for name, number in read_json(path).items()}
    counted = count()
    with contextlib.suppress(StorageFailed):  # a store that is only read
        write_json(path, counted)
    return counted


def _count_saved(folder: Path) -> int:
    """Numbers in the safetensors of a folder without those of a head; 0 without such files.

    A file begins with the length of its header in 8 bytes, followed by the header, which is JSON.
    """
    found = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__" and not name.startswith(_HEADS):
                found += math.prod(tensor["shape"])
    return found

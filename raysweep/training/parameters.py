"""TODO."""

from __future__ import annotations

import json
import math
from pathlib import Path

from raysweep.files import read_json, write_json
from raysweep.models.source import load_config, tokenizer_key
from raysweep.spec import Folder, ModelSpec, RunSpec, Scratch, TaskSpec
from raysweep.spec.identity import digest
from raysweep.store import Store

_HEADS = ("lm_head.", "score.", "classifier.")
"""How the names of a head's tensors begin."""


def count_parameters(model: ModelSpec, task: TaskSpec, store: Store) -> int:
    """The parameters of a model without its head: as its folder's safetensors say, which takes no import;
    else its modules are laid out once, without memory. The count is kept in the store.

    Raises:
        InvalidInput: its configuration can't be loaded.
    """
    base = model.base
    if isinstance(base, RunSpec):
        return count_parameters(base.model, base.task, store)
    architecture = [base.architecture, base.config] if isinstance(base, Scratch) else []
    path = store.model_size(digest([*architecture, tokenizer_key(model, task)]))
    if path.exists():
        return int(read_json(path)["num_parameters"])
    found = _count_saved(Path(base.path)) if isinstance(base, Folder) else 0
    if not found:
        import torch
        from transformers import AutoModel

        config = load_config(model, task, store)
        with torch.device("meta"):
            empty = AutoModel.from_config(config, trust_remote_code=model.trust_remote_code)
        found = sum(parameter.numel() for parameter in empty.parameters())
    write_json(path, {"num_parameters": found})
    return found


def _count_saved(folder: Path) -> int:
    """Numbers in the safetensors of a folder, those of a head left out; 0 without such files. Each begins
    with the length of its header, 8 bytes, and the header, which is JSON."""
    found = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__" and not name.startswith(_HEADS):
                found += math.prod(tensor["shape"])
    return found

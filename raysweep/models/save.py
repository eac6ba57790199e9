"""Save a trained model as transformers reads it: safetensors, configuration, tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from raysweep.files import written_atomically

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from raysweep.training.engine import Engine


def save_model(engine: Engine, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the model's folder (rank 0); all ranks call it. Under LoRA only the adapters and the head are written."""
    tensors = engine.state_dict()
    if engine.rank == 0:
        with written_atomically(folder) as temporary:
            temporary.mkdir()
            engine.module.save_pretrained(temporary, state_dict=dict(tensors), max_shard_size="5GB")
            tokenizer.save_pretrained(temporary)
    engine.barrier()

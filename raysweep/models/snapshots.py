"""Models of the hub that are whole in this machine's cache, so that nobody need ask the hub for them."""

from __future__ import annotations

from pathlib import Path

from raysweep.errors import InvalidInput
from raysweep.models.weights import weight_files
from raysweep.spec import Hub

_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")


def cached_snapshot(hub: Hub) -> Path | None:
    """The folder of the cache with configuration, tokenizer and weights of a pinned model; None if it isn't
    whole there, or isn't pinned.

    Given the model's id, transformers asks the hub several times for each part, even when all is cached.
    """
    folder = hub_folder(hub.id) / "snapshots" / (hub.commit or "unpinned")
    named = [folder / "config.json", folder / "tokenizer_config.json"]
    try:
        weights = weight_files(folder)
    except InvalidInput:
        return None
    has_vocabulary = any((folder / name).exists() for name in _VOCABULARIES)
    is_whole = weights and has_vocabulary and all(path.exists() for path in [*named, *weights])
    return folder if is_whole else None


def hub_folder(model_id: str) -> Path:
    """The folder of the cache for all revisions of a model."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{model_id.replace('/', '--')}"

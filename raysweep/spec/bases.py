"""What a model starts from: weights of the hub or of a folder, or new ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raysweep.spec.call import Call
from raysweep.spec.identity import label_field
from raysweep.spec.validation import require_name, require_stable, require_type


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A model of the Hugging Face hub."""

    id: str = label_field()
    revision: str = label_field(default="main")
    """A branch, tag or commit."""
    commit: str | None = None
    """The commit of the revision; filled in by pinning."""

    def __post_init__(self) -> None:
        require_name(self, "id", "a hub id such as openai-community/gpt2")
        require_name(self, "revision", "a branch, tag or commit")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A model in a local folder, as written by `save_pretrained`: config, weights, tokenizer."""

    path: str = label_field()
    content: str | None = None
    """Checksum of the folder's files; filled in by pinning."""

    def __post_init__(self) -> None:
        require_type(self, "path", (str, os.PathLike), "the path of a folder")
        object.__setattr__(self, "path", os.fspath(self.path))


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A new model with random weights, to be pretrained."""

    architecture: str
    """A `model_type` of transformers, such as "gpt2"."""
    config: Mapping[str, Any]
    """Values of the architecture's configuration; the vocabulary size comes from the tokenizer."""
    tokenizer: Call
    """How the tokenizer is made from the task's texts: see `raysweep.models.tokenizers`."""

    def __post_init__(self) -> None:
        require_name(self, "architecture", "a model_type of transformers, such as 'gpt2'")
        require_type(self, "config", Mapping, "a dict of the architecture's configuration values")
        require_stable(self, "config")
        require_type(self, "tokenizer", Call, "a Call, such as Call('word_level')")

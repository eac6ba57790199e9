"""The files that hold a model's weights: which of them are read, whether they are whole, and whether they are
those of a model."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.errors import InvalidInput

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_WEIGHTS = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
"""Names of a file with all weights, and of the list of several files; transformers reads the first that it
finds."""
INDEX_FILES = tuple(index for _, index in _WEIGHTS)
_POINTER = b"version https://git-lfs"
"""How a file begins that Git keeps in place of a large one."""
_LONGEST_HEADER = 100_000_000
"""Most bytes of the header of a safetensors file; the format's own limit."""


def json_object(path: Path) -> tuple[dict[str, Any] | None, str | None]:
    """The object in a JSON file, or what is wrong with it."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return None, f"its {path.name} isn't JSON ({error})"
    if not isinstance(found, dict):
        what = {None: "null", list: "a list"}.get(None if found is None else type(found), repr(found)[:40])
        return None, f"its {path.name} holds {what}; it must be an object, as save_pretrained writes it"
    return found, None


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads a folder's weights from; empty if there are none.

    Raises:
        InvalidInput: the list of several files can't be read.
    """
    for single, index in _WEIGHTS:
        if (folder / single).exists():
            return [folder / single]
        if (folder / index).exists():
            values, problem = json_object(folder / index)
            names = (values or {}).get("weight_map")
            if not isinstance(names, dict) or not all(map(_is_file_name, names.values())):
                raise InvalidInput(
                    problem or f"its {index} has no weight_map from tensors to files beside it"
                )
            return [folder / name for name in sorted(set(names.values()))]
    return []


def _is_file_name(value: object) -> bool:
    return isinstance(value, str) and Path(value).name == value


def weights_problem(files: list[Path]) -> str | None:
    """What is wrong with files of weights, by what their beginnings and sizes show; None if nothing is."""
    for path in files:
        if not path.is_file():
            return f"its weights are incomplete: {path.name} is missing"
        with path.open("rb") as file:
            start = file.read(len(_POINTER))
        if not start:
            return f"its {path.name} is empty; copy or download it again"
        if start == _POINTER:
            return f"its {path.name} only points to the weights; call `git lfs pull` in it"
        problem = _safetensors_problem(path) if path.suffix == ".safetensors" else _pickle_problem(path)
        if problem:
            return f"its {path.name} {problem}; copy or download it again"
    return None


def _safetensors_problem(path: Path) -> str | None:
    size = path.stat().st_size
    try:
        tensors, start = _header(path)
        ends = [item["data_offsets"][1] for item in tensors.values()]
        expected = start + max(ends, default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return f"holds no safetensors, or only their beginning ({size} bytes)"
    if not tensors:
        return "holds no tensor"
    return None if size == expected else f"has {size} bytes, and its header says {expected}"


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """What a safetensors file says of each of its tensors, and where their bytes begin: the file begins with
    the length of its header in 8 bytes and the header, which is JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(path.stat().st_size, _LONGEST_HEADER):
            raise ValueError(f"a header of {length} bytes")
        tensors = json.loads(file.read(length))
    return {name: item for name, item in tensors.items() if name != "__metadata__"}, 8 + length


def foreign_problem(files: list[Path], body: PreTrainedModel) -> str | None:
    """Why whole files of weights can't be those of a model, which may be on the meta device; None if they
    may."""
    num_parameters = sum(parameter.numel() for parameter in body.parameters())
    num_bytes = sum(path.stat().st_size for path in files)
    if num_parameters > num_bytes:
        return (
            f"its config.json describes a model of {num_parameters:,} parameters, and its weights have "
            f"{num_bytes:,} bytes; they belong to different models"
        )
    shapes = {name: tuple(parameter.shape) for name, parameter in body.named_parameters()}
    for path in files:
        for name, item in (_header(path)[0] if path.suffix == ".safetensors" else {}).items():
            described = shapes.get(name, shapes.get(name.removeprefix(f"{body.base_model_prefix}.")))
            if described is not None and described != tuple(item["shape"]):
                return (
                    f"its {path.name} holds {name} in the shape {tuple(item['shape'])}, and its config.json "
                    f"describes {described}; they belong to different models"
                )
    return None


def _pickle_problem(path: Path) -> str | None:
    # torch.save writes a zip archive, whose directory is at its end; until 2020 it wrote a pickle
    with path.open("rb") as file:
        is_pickle = file.read(1) == b"\x80"
    if not is_pickle and not zipfile.is_zipfile(path):
        return f"isn't what torch.save writes, or is cut off ({path.stat().st_size} bytes)"
    return None

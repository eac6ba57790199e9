"""Model folders: which of their files are read, what they lack, and that they are still what was planned."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.errors import CorruptFile, InvalidInput
from raysweep.files import read_json, write_json
from raysweep.models.sizes import size_problem
from raysweep.spec.identity import digest, file_checksum

if TYPE_CHECKING:
    from raysweep.spec import Folder
    from raysweep.store import Store

_TOKENIZERS = ("tokenizer.json", "vocab*", "*.model", "*.spm", "*.tiktoken", "*.codes")
"""Patterns of files that hold a vocabulary."""
_READ = (
    *_TOKENIZERS,
    *("config.json", "generation_config.json", "*.py"),
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "merges*", "*.bpe", "dict.txt"),
)
"""Patterns of the files beside weights that decide what a model computes."""
_WEIGHTS = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
"""Names of a file with all weights, and of the list of several files; transformers reads the first that it
finds."""
_POINTER = b"version https://git-lfs"
"""How a file begins that Git keeps in place of a large one."""


def folder_problem(folder: Path) -> str | None:
    """Why a local folder can't be used as a model, or None."""
    try:
        return _problem(folder)
    except OSError as error:  # such as a file without permission to read
        return str(error)


def _problem(folder: Path) -> str | None:
    if any("\ud800" <= letter <= "\udfff" for letter in str(folder)):
        return "its path isn't UTF-8; rename the folder"
    if folder.is_file():
        return "it is a file; name the folder that save_pretrained wrote"
    if not folder.is_dir():
        return "there is no such folder"
    if (folder / "adapter_config.json").exists():
        return _adapter_problem(folder)
    if not (folder / "config.json").exists():
        return "it has no config.json"
    try:
        weights = weight_files(folder)
    except InvalidInput as error:
        return str(error)
    if not weights:
        return _no_weights(folder)
    if not any(path for pattern in _TOKENIZERS for path in folder.glob(pattern)):
        return "it has no tokenizer (tokenizer.json, vocab.*, *.model); save that of the model there too"
    return _config_problem(folder / "config.json") or _weights_problem(weights)


def _adapter_problem(folder: Path) -> str:
    values, _ = _json_object(folder / "adapter_config.json")
    base = (values or {}).get("base_model_name_or_path") or "BASE"
    return (
        f"it is a LoRA adapter, not a model; merge it into its base: PeftModel.from_pretrained("
        f'AutoModelForCausalLM.from_pretrained("{base}"), "{folder}").merge_and_unload()'
        '.save_pretrained("NEW"), save the tokenizer of the base there too, and name that folder'
    )


def _json_object(path: Path) -> tuple[dict[str, Any] | None, str | None]:
    """The object in a JSON file, or what is wrong with it."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return None, f"its {path.name} isn't JSON ({error})"
    if not isinstance(found, dict):
        what = {None: "null", list: "a list"}.get(None if found is None else type(found), repr(found)[:40])
        return None, f"its {path.name} holds {what}; it must be an object, as save_pretrained writes it"
    return found, None


def _config_problem(path: Path) -> str | None:
    values, problem = _json_object(path)
    if values is None:
        return problem
    problem = size_problem(values)
    return f"its config.json {problem}" if problem else None


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads a folder's weights from; empty if there are none.

    Raises:
        InvalidInput: the list of several files can't be read.
    """
    for single, index in _WEIGHTS:
        if (folder / single).exists():
            return [folder / single]
        if (folder / index).exists():
            values, problem = _json_object(folder / index)
            names = (values or {}).get("weight_map")
            if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
                raise InvalidInput(problem or f"its {index} has no weight_map from tensors to files")
            return [folder / name for name in sorted(set(names.values()))]
    return []


def _no_weights(folder: Path) -> str:
    others = sorted(path.name for path in folder.glob("*.gguf"))
    if others:
        return f"its only weights are {others[0]}, and GGUF isn't trained; get the model's safetensors"
    return "it has no weights (model.safetensors or pytorch_model.bin, or several files and their index)"


def _weights_problem(files: list[Path]) -> str | None:
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
    """What is wrong with a file that begins with the length of its header in 8 bytes and the header, which is
    JSON and says where each tensor's bytes are."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= max(size - 8, 0):
            return f"holds no safetensors, or only their beginning ({size} bytes)"
        try:
            tensors = json.loads(file.read(length))
            ends = [item["data_offsets"][1] for name, item in tensors.items() if name != "__metadata__"]
            expected = 8 + length + max(ends, default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            return f"holds no safetensors: its header can't be read ({type(error).__name__})"
    if not ends:
        return "holds no tensor"
    return None if size == expected else f"has {size} bytes, and its header says {expected}"


def _pickle_problem(path: Path) -> str | None:
    # torch.save writes a zip archive, whose directory is at its end; until 2020 it wrote a pickle
    with path.open("rb") as file:
        is_pickle = file.read(1) == b"\x80"
    if not is_pickle and not zipfile.is_zipfile(path):
        return f"isn't what torch.save writes, or is cut off ({path.stat().st_size} bytes)"
    return None


def pin_folder(folder: Path, store: Store) -> str:
    """The checksum, 16 hex digits, of what a model is made from: the files of its folder that hold
    configuration, tokenizer and weights. The state of the files is kept in the store, so that they are read
    again only when they change."""
    states = _states(folder)
    record = _record(folder, store)
    if record is not None and record["states"] == states:
        return str(record["content"])
    content = _content(folder, states)
    with contextlib.suppress(OSError):  # a store that can only be read
        write_json(_record_path(folder, store), {"content": content, "states": states})
    return content


def require_unchanged(base: Folder, model: str, store: Store) -> None:
    """Check that a pinned model's folder holds what it held when it was pinned. Nothing is read unless the
    size or time of a file differs.

    Raises:
        InvalidInput: it doesn't.
    """
    folder = Path(base.path)
    try:
        states = _states(folder)
        record = _record(folder, store)
        if record is not None and (record["states"], record["content"]) == (states, base.content):
            return
        if _content(folder, states) == base.content:
            return
        what = "has changed since the sweep was planned"
    except (OSError, InvalidInput) as error:
        what = f"can't be read any more since the sweep was planned ({error})"
    raise InvalidInput(
        f"model {model!r}: the model folder {folder} {what}. What it holds decides the result: run the same "
        "command again to plan with what it holds now, or put the old files back"
    )


def _record_path(folder: Path, store: Store) -> Path:
    return store.model_folder(digest(str(folder)))


def _record(folder: Path, store: Store) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = read_json(_record_path(folder, store))
    except CorruptFile:
        return None
    return found if isinstance(found, dict) and {"content", "states"} <= found.keys() else None


def _states(folder: Path) -> dict[str, list[int]]:
    """Size in bytes, and times of change in nanoseconds, of each file that is read, by its name."""
    files = {path for pattern in _READ for path in folder.glob(pattern) if path.is_file()}
    files.update(weight_files(folder))
    files.update(path for _, index in _WEIGHTS if (path := folder / index).exists())
    stats = {path.relative_to(folder).as_posix(): path.stat() for path in files}
    return {name: [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for name, stat in sorted(stats.items())}


def _content(folder: Path, states: dict[str, list[int]]) -> str:
    lines = [f"{name} {_checksum(folder / name, *state)}" for name, state in states.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=10_000)
def _checksum(path: Path, *state: int) -> str:
    """A file's checksum, computed once in a process for each state of the file."""
    return file_checksum(path)

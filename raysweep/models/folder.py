"""Model folders: which of their files are read, what they lack, and that they are still what was planned."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.errors import CorruptFile, InvalidInput
from raysweep.files import read_json, write_json
from raysweep.models.sizes import size_problem
from raysweep.models.weights import INDEX_FILES, json_object, weight_files, weights_problem
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
    return _config_problem(folder / "config.json") or weights_problem(weights)


def _adapter_problem(folder: Path) -> str:
    values, _ = json_object(folder / "adapter_config.json")
    base = (values or {}).get("base_model_name_or_path") or "BASE"
    return (
        f"it is a LoRA adapter, not a model; merge it into its base: PeftModel.from_pretrained("
        f'AutoModelForCausalLM.from_pretrained("{base}"), "{folder}").merge_and_unload()'
        '.save_pretrained("NEW"), save the tokenizer of the base there too, and name that folder'
    )


def _config_problem(path: Path) -> str | None:
    values, problem = json_object(path)
    if values is None:
        return problem
    problem = size_problem(values)
    return f"its config.json {problem}" if problem else None


def _no_weights(folder: Path) -> str:
    others = sorted(path.name for path in folder.glob("*.gguf"))
    if others:
        return f"its only weights are {others[0]}, and GGUF isn't trained; get the model's safetensors"
    return "it has no weights (model.safetensors or pytorch_model.bin, or several files and their index)"


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
    files.update(path for name in INDEX_FILES if (path := folder / name).exists())
    stats = {path.relative_to(folder).as_posix(): path.stat() for path in files}
    return {name: [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for name, stat in sorted(stats.items())}


def _content(folder: Path, states: dict[str, list[int]]) -> str:
    lines = [f"{name} {_checksum(folder / name, *state)}" for name, state in states.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=10_000)
def _checksum(path: Path, *state: int) -> str:
    """A file's checksum, computed once in a process for each state of the file."""
    return file_checksum(path)

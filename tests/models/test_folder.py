"""A model folder is identified by what a model is made from, and is still that when a run loads it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from folders import save_tiny_model
from transformers import AutoModelForCausalLM

from raysweep.errors import InvalidInput
from raysweep.models import folder as folders
from raysweep.models.folder import pin_folder, require_unchanged
from raysweep.spec import Folder
from raysweep.store import Store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model("gpt2", tmp_path_factory.mktemp("folders") / "gpt2")


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


def test_only_configuration_tokenizer_and_weights_count(model: Path, store: Store) -> None:
    first = pin_folder(model, store)
    for name in (
        "README.md",
        "LICENSE",
        "training_args.bin",
        "optimizer.pt",
        "trainer_state.json",
        "q4.gguf",
    ):
        (model / name).write_text("beside the model")
    (model / "checkpoint-10").mkdir()
    (model / "checkpoint-10" / "config.json").write_text("{}")
    (model / "pytorch_model.bin").write_text("not read, since there are safetensors")
    assert pin_folder(model, store) == first


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "generation_config.json", "model.safetensors", "modeling_own.py"),
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
        *("vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "vocab.bpe"),
    ],
)
def test_each_part_of_a_model_counts(name: str, model: Path, store: Store) -> None:
    first = pin_folder(model, store)
    before = (model / name).read_bytes() if (model / name).exists() else b""
    (model / name).write_bytes(before + b" ")
    second = pin_folder(model, store)
    assert second != first
    (model / name).write_bytes(before + b"\n")
    assert pin_folder(model, store) not in (first, second)


def test_every_file_of_weights_counts(model: Path, store: Store) -> None:
    saved = AutoModelForCausalLM.from_pretrained(model)
    (model / "model.safetensors").unlink()
    saved.save_pretrained(model, max_shard_size="10KB")
    shards = sorted(model.glob("model-*.safetensors"))
    assert len(shards) > 1
    seen = {pin_folder(model, store)}
    for path in [*shards, model / "model.safetensors.index.json"]:
        path.write_bytes(path.read_bytes() + b" ")
        seen.add(pin_folder(model, store))
    assert len(seen) == len(shards) + 2


def test_files_are_read_again_only_when_they_change(
    model: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Folder(path=str(model), content=pin_folder(model, store))
    folders._checksum.cache_clear()
    monkeypatch.setattr(folders, "file_checksum", lambda path: pytest.fail(f"{path} is read"))
    assert pin_folder(model, store) == base.content
    require_unchanged(base, "mine", store)
    os.utime(model / "config.json", (1, 1))
    with pytest.raises(pytest.fail.Exception, match="is read"):
        require_unchanged(base, "mine", store)


def test_a_folder_that_was_only_touched_is_the_same(model: Path, store: Store, tmp_path: Path) -> None:
    base = Folder(path=str(model), content=pin_folder(model, store))
    os.utime(model / "model.safetensors", (1, 1))
    require_unchanged(base, "mine", store)
    require_unchanged(base, "mine", Store(tmp_path / "another store, that knows nothing of it"))


@pytest.mark.parametrize("keeps_size_and_time", [True, False])
def test_a_folder_that_changed_is_refused(keeps_size_and_time: bool, model: Path, store: Store) -> None:
    base = Folder(path=str(model), content=pin_folder(model, store))
    weights = model / "model.safetensors"
    status = weights.stat()
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) + (b"" if keeps_size_and_time else b" "))
    if keeps_size_and_time:
        os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    message = rf"model 'mine': the model folder {model} has changed since the sweep was planned"
    with pytest.raises(InvalidInput, match=message):
        require_unchanged(base, "mine", store)
    pin_folder(model, store)  # another plan knows what it holds now; this run was planned with what it held
    with pytest.raises(InvalidInput, match=message):
        require_unchanged(base, "mine", store)
    weights.write_bytes(content)
    require_unchanged(base, "mine", store)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_lost_a_file_is_refused(name: str, model: Path, store: Store) -> None:
    base = Folder(path=str(model), content=pin_folder(model, store))
    (model / name).unlink()
    with pytest.raises(InvalidInput, match="has changed since the sweep was planned"):
        require_unchanged(base, "mine", store)
    shutil.rmtree(model)
    with pytest.raises(InvalidInput, match="since the sweep was planned"):
        require_unchanged(base, "mine", store)

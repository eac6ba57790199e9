"""Models that are whole in the cache of the hub are loaded without a single request."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest
from folders import save_tiny_model
from huggingface_hub import HfApi, constants
from tiny import TinyWorld
from transformers import AutoModelForSequenceClassification

from raysweep.data.pinning import Pinner
from raysweep.models.snapshots import cached_snapshot
from raysweep.models.source import ModelInputs
from raysweep.spec import Hub, ModelSpec
from raysweep.store import Store

COMMIT = "a" * 40
MODEL = ModelSpec(name="tiny", base=Hub(id="org/tiny", revision=COMMIT, commit=COMMIT))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub with one whole model; the folder of its snapshot."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "models--org--tiny"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    return save_tiny_model("gpt2", folder / "snapshots" / COMMIT)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts whose addresses are looked up, which is where every request begins; there is no network."""
    hosts: list[str] = []

    def refuse(host: str, *_: object, **__: object) -> None:
        hosts.append(host)
        raise socket.gaierror("no network")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return hosts


def test_a_model_that_is_whole_in_the_cache_is_loaded_without_a_request(
    cache: Path, asked: list[str], tiny_world: TinyWorld, store: Store
) -> None:
    assert Pinner(store).model(MODEL) == MODEL
    inputs = ModelInputs(MODEL, tiny_world.task, store)
    assert inputs.tokenizer.pad_token == "<pad>" and inputs.config.n_embd == 16
    source = inputs.weights
    assert source.name == str(cache)
    AutoModelForSequenceClassification.from_pretrained(source.name, **source.keywords)
    assert asked == []
    with pytest.raises(Exception, match="no network"):  # so that a request would have been seen
        HfApi().model_info("org/tiny")
    assert set(asked) == {"huggingface.co"}


@pytest.mark.parametrize(
    "lacking", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]
)
def test_a_model_that_lacks_a_part_is_asked_for(lacking: str, cache: Path) -> None:
    base = MODEL.base
    assert isinstance(base, Hub) and cached_snapshot(base) == cache
    (cache / lacking).unlink()
    assert cached_snapshot(base) is None


def test_shards_are_all_there_or_it_is_not_whole(cache: Path) -> None:
    (cache / "model.safetensors").rename(cache / "model-1.safetensors")
    index = cache / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}')
    base = MODEL.base
    assert isinstance(base, Hub) and cached_snapshot(base) is None
    shutil.copy(cache / "model-1.safetensors", cache / "model-2.safetensors")
    assert cached_snapshot(base) == cache


def test_code_that_comes_with_a_model_is_found_by_its_id(
    cache: Path, tiny_world: TinyWorld, store: Store
) -> None:
    model = ModelSpec(name="tiny", base=MODEL.base, trust_remote_code=True)
    assert ModelInputs(model, tiny_world.task, store).weights.name == "org/tiny"

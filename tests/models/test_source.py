"""Where a model's tokenizer, configuration and weights are read from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from folders import replace_tokenizer, save_tiny_model
from tiny import TinyWorld
from transformers import AutoConfig

from raysweep.data.pinning import Pinner
from raysweep.errors import InvalidInput
from raysweep.models.architecture import adapted
from raysweep.models.folder import folder_problem, pin_folder
from raysweep.models.source import Limits, ModelInputs, context_length, origin, tokenizer_key
from raysweep.spec import Call, Folder, Hub, ModelSpec, RunSpec, Scratch
from raysweep.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model("gpt2", tmp_path_factory.mktemp("tokenizers") / "gpt2")


def model_of(folder: Path, store: Store, **changes: object) -> ModelSpec:
    """The model of a folder, identified by what is in it, whatever that is worth."""
    base = Folder(path=str(folder), content=pin_folder(folder, store))
    return ModelSpec(name="tiny", base=base, **changes)  # type: ignore[arg-type]


def test_a_model_without_a_padding_token_pads_with_its_end(
    folder: Path, tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    copy = save_tiny_model("gpt2", tmp_path / "end")
    replace_tokenizer(copy, eos_token="<unk>")
    tokenizer = ModelInputs(model_of(copy, store), tiny_world.task, store).tokenizer
    assert (tokenizer.pad_token_id, tokenizer.padding_side) == (1, "right")
    replace_tokenizer(copy)
    with pytest.raises(
        InvalidInput, match=r"model 'tiny': the tokenizer of .*end has neither a padding nor an end token"
    ):
        _ = ModelInputs(model_of(copy, store), tiny_world.task, store).tokenizer


def test_a_tokenizer_that_pads_on_the_left_is_turned_round(
    tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    copy = save_tiny_model("gpt2", tmp_path / "left")
    replace_tokenizer(copy, pad_token="<pad>", padding_side="left")
    assert ModelInputs(model_of(copy, store), tiny_world.task, store).tokenizer.padding_side == "right"


@pytest.mark.parametrize("name", ["tokenizer", "config"])
def test_unreadable_parts_of_a_folder_are_told_by_name(
    name: str, tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    copy = save_tiny_model("gpt2", tmp_path / "broken")
    (copy / f"{name}.json").write_text("{ not json")
    with pytest.raises(InvalidInput, match=rf"model 'tiny': no {name}.*{copy}"):
        getattr(ModelInputs(model_of(copy, store), tiny_world.task, store), name)


def test_code_in_a_folder_is_not_run_unless_trusted(
    tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "code.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"
        "from transformers import GPT2Config\nclass Own(GPT2Config):\n    model_type = 'own'\n"
    )
    (tmp_path / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoConfig": "code.Own"}}')
    with pytest.raises(InvalidInput, match="trust_remote_code"):
        _ = ModelInputs(model_of(tmp_path, store), tiny_world.task, store).config
    assert not (tmp_path / "ran").exists()


def test_what_a_model_folder_lacks_is_named(folder: Path, store: Store, tmp_path: Path) -> None:
    assert folder_problem(folder) is None
    assert "no such folder" in (folder_problem(tmp_path / "none") or "")
    copy = save_tiny_model("gpt2", tmp_path / "copy")
    for name, problem in (
        ("tokenizer*", "no tokenizer"),
        ("*.safetensors", "no weights"),
        ("config.json", "no config.json"),
    ):
        for path in copy.glob(name):
            path.unlink()
        assert problem in (folder_problem(copy) or "")
    with pytest.raises(InvalidInput, match=r"model 'tiny': .*copy can't be used: it has no config"):
        Pinner(store).model(ModelSpec(name="tiny", base=Folder(path=str(copy))))


def test_the_context_is_the_least_that_is_named_or_a_shorter_one(folder: Path, store: Store) -> None:
    def length(context: int | None, tokenizer: int | None, **changes: object) -> int:
        return context_length(model_of(folder, store, **changes), Limits(context, tokenizer, 42))

    assert length(32, None) == length(32, 64) == length(64, 32) == length(None, 32) == 32
    assert length(32, None, max_tokens=5) == 5
    with pytest.raises(InvalidInput, match="max_tokens is 33, its context holds at most 32"):
        length(32, None, max_tokens=33)
    with pytest.raises(InvalidInput, match=r"names no context length; set ModelSpec\.max_tokens"):
        length(None, None)
    # what a tokenizer says is a default; what the architecture can take isn't
    assert length(None, None, max_tokens=99) == length(128, 64, max_tokens=99) == 99


def test_tokens_are_kept_apart_by_all_that_decides_them(tiny_world: TinyWorld) -> None:
    model = tiny_world.model
    base = tiny_world.model.base
    assert isinstance(base, RunSpec) and isinstance(base.model.base, Scratch)

    def new(**changes: object) -> ModelSpec:
        return ModelSpec(name="new", base=replace(base.model.base, **changes))  # type: ignore[type-var, union-attr, arg-type]

    # a model that starts from a run reads that run's tokens
    assert tokenizer_key(model, tiny_world.task) == tokenizer_key(base.model, base.task)
    assert tokenizer_key(new(), base.task) != tokenizer_key(new(), tiny_world.task)
    assert tokenizer_key(new(config={"n_embd": 8}), base.task) == tokenizer_key(new(), base.task)
    other = new(tokenizer=Call("byte_pair", {"vocabulary_size": 300}))
    assert tokenizer_key(other, base.task) != tokenizer_key(new(), base.task)
    hub = [ModelSpec(name="hub", base=Hub(id="a/b", commit=commit * 40)) for commit in "01"]
    assert tokenizer_key(hub[0], base.task) != tokenizer_key(hub[1], base.task)


def test_where_weights_come_from_is_pinned(tiny_world: TinyWorld, tiny_store: Store) -> None:
    hub = ModelSpec(name="hub", base=Hub(id="a/b", commit="0" * 40))
    source = ModelInputs(hub, tiny_world.task, tiny_store).weights
    assert (source.name, source.keywords) == ("a/b", {"revision": "0" * 40, "trust_remote_code": False})
    base = tiny_world.model.base
    assert isinstance(base, RunSpec)
    inputs = ModelInputs(tiny_world.model, tiny_world.task, tiny_store)
    folder = Path(inputs.weights.name)
    assert folder == tiny_store.run(base.id).model
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(Exception, match=r"model\.safetensors .* isn't what raysweep wrote"):
        _ = inputs.weights


def test_a_chain_of_trainings_begins_with_the_model_whose_base_is_no_run(tiny_world: TinyWorld) -> None:
    base = tiny_world.model.base
    assert isinstance(base, RunSpec)
    assert origin(tiny_world.model, tiny_world.task) == (base.model, base.task)
    longer = ModelSpec(name="longer", base=tiny_world.finetuning())
    assert origin(longer, tiny_world.task) == (base.model, base.task)
    hub = ModelSpec(name="hub", base=Hub(id="a/b", commit="0" * 40))
    assert origin(hub, tiny_world.task) == (hub, tiny_world.task)


def test_parts_are_read_once(folder: Path, tiny_world: TinyWorld, store: Store, tmp_path: Path) -> None:
    copy = save_tiny_model("gpt2", tmp_path / "copy")
    inputs = ModelInputs(model_of(copy, store), tiny_world.task, store)
    first = (inputs.tokenizer, inputs.config, inputs.context_length)
    (copy / "tokenizer.json").unlink()
    (copy / "config.json").unlink()
    assert inputs.tokenizer is first[0] and inputs.config is first[1] and inputs.context_length == 32


def test_classifiers_of_texts_and_images_find_the_padding_token() -> None:
    config = AutoConfig.for_model("gemma3", text_config={"pad_token_id": 9, "vocab_size": 20})
    changed = adapted(config, 3, 2, dropout=False)
    assert (changed.pad_token_id, changed.get_text_config().pad_token_id, changed.num_labels) == (3, 3, 2)
    assert config.get_text_config().pad_token_id == 9

"""A model is built with the weights that it was pretrained with, a small new head, and only what is to be
trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from folders import ARCHITECTURES, BODY_ONLY, DECODERS, save_tiny_model
from peft import PeftModel
from safetensors.torch import load_file
from tiny import TinyWorld, Trained
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2ForSequenceClassification,
    PreTrainedModel,
)

from raysweep.data.examples import read_split
from raysweep.data.inputs import RunInputs
from raysweep.data.pinning import Pinner
from raysweep.errors import InvalidInput
from raysweep.spec import Folder, HeadOnly, Lora, ModelSpec, RunSpec, Scratch, Unlabelled
from raysweep.store import Store
from raysweep.training.model import build_model
from raysweep.training.sharding import Sharding


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`folders(architecture)`: the folder of a tiny model, made when first asked for."""
    root = tmp_path_factory.mktemp("folders")

    def get(architecture: str) -> Path:
        folder = root / architecture
        return folder if folder.exists() else save_tiny_model(architecture, folder)

    return get


def run_of(folder: Path, world: TinyWorld, store: Store, **changes: Any) -> RunSpec:
    """A short run of the model in a folder."""
    model = ModelSpec(name=folder.name, base=Folder(path=str(folder)), **changes)
    return world.finetuning(model=Pinner(store).model(model))


def built(spec: RunSpec, store: Store) -> PreTrainedModel:
    return build_model(RunInputs(spec, store), Sharding(None))


def logits_of(model: torch.nn.Module) -> torch.Tensor:
    """(6, outputs) logits of six sentences of several lengths, padded on the right."""
    tokens = torch.randint(2, 40, (6, 8), generator=torch.Generator().manual_seed(0))
    mask = torch.arange(8) < torch.tensor([8, 3, 5, 8, 1, 2])[:, None]
    return model(input_ids=tokens * mask, attention_mask=mask.long()).logits


def body_of(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a saved language model that a classifier takes over."""
    heads = ("lm_head", "embed_out", "cls.", "vocab_", "lm_predictions")
    prefix = "model." if folder.name in BODY_ONLY else ""
    tensors = load_file(folder / "model.safetensors")
    return {prefix + name: value for name, value in tensors.items() if not name.startswith(heads)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_the_body_is_the_folder_s_and_the_head_is_new_and_small(
    architecture: str, folders: Callable[[str], Path], tiny_world: TinyWorld, store: Store
) -> None:
    spec = run_of(folders(architecture), tiny_world, store)
    model = built(spec, store)
    tensors = model.state_dict()
    body = body_of(folders(architecture))
    assert len(body) > 10
    for name, value in body.items():
        assert torch.equal(tensors[name], value), name
    assert all(value.isfinite().all() for value in tensors.values() if value.is_floating_point())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in model.parameters())
    logits = logits_of(model.eval())
    assert logits.shape == (6, 2) and 0 < logits.abs().max() < 1

    again, other = (built(replace(spec, seed=seed), store).eval() for seed in (spec.seed, 1))
    assert torch.equal(logits_of(again), logits)
    assert not torch.equal(logits_of(other), logits)
    for name in body:
        assert torch.equal(other.state_dict()[name], body[name]), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_head_of_zeros_has_logits_of_zero_and_learns(
    architecture: str, folders: Callable[[str], Path], tiny_world: TinyWorld, store: Store
) -> None:
    model = built(run_of(folders(architecture), tiny_world, store, head_init="zeros"), store).eval()
    logits = logits_of(model)
    assert torch.equal(logits, torch.zeros(6, 2))
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 0, 0, 0, 1, 1])).backward()
    zeros = [value for name, value in model.named_parameters() if value.dim() == 2 and not value.any()]
    assert [value.shape[0] for value in zeros] == [2]  # the layer that gives the logits, and no other
    assert zeros[0].grad is not None and zeros[0].grad.abs().max() > 1e-4


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_dropout_is_off_unless_it_is_asked_for(
    architecture: str, folders: Callable[[str], Path], tiny_world: TinyWorld, store: Store
) -> None:
    off = built(run_of(folders(architecture), tiny_world, store), store)
    assert torch.equal(logits_of(off.train()), logits_of(off.eval()))
    on = built(run_of(folders(architecture), tiny_world, store, dropout=True), store)
    assert not torch.equal(logits_of(on.train()), logits_of(on.train()))
    assert torch.equal(logits_of(on.eval()), logits_of(off))


@pytest.mark.parametrize(
    ("architecture", "rate"),
    [
        ("gpt2", "attn_pdrop"),
        ("llama", "attention_dropout"),
        ("qwen2", "attention_dropout"),
        ("gpt_neox", "attention_dropout"),
        ("bert", "attention_probs_dropout_prob"),
    ],
)
@torch.no_grad()
def test_attention_s_own_dropout_follows_too(
    architecture: str, rate: str, tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    def only_attention(model: PreTrainedModel, tensors: dict[str, torch.Tensor]) -> None:
        for name, value in vars(model.config).items():
            if "drop" in name and isinstance(value, float):
                setattr(model.config, name, 0.5 if name == rate else 0.0)

    folder = save_tiny_model(architecture, tmp_path / architecture, only_attention)
    on = built(run_of(folder, tiny_world, store, dropout=True), store).train()
    assert not torch.equal(logits_of(on), logits_of(on))
    off = built(run_of(folder, tiny_world, store), store).train()
    assert torch.equal(logits_of(off), logits_of(off))


def drop_layer(model: PreTrainedModel, tensors: dict[str, torch.Tensor]) -> None:
    for name in [name for name in tensors if ".1." in name and "weight" in name]:
        del tensors[name]


def spoil(model: PreTrainedModel, tensors: dict[str, torch.Tensor]) -> None:
    name = next(name for name in tensors if ".1." in name and "weight" in name)
    tensors[name] = tensors[name].clone()
    tensors[name].view(-1)[3] = float("nan")


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "bert"])
def test_a_folder_that_lacks_weights_of_the_body_is_refused(
    architecture: str, tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    folder = save_tiny_model(architecture, tmp_path / "lacking", drop_layer)
    with pytest.raises(
        InvalidInput, match=r"model 'lacking': its weights lack \d+ parameters .*such as .*\.1\."
    ):
        built(run_of(folder, tiny_world, store), store)


@pytest.mark.parametrize("architecture", ["gpt2", "bert"])
def test_weights_that_are_not_finite_are_refused(
    architecture: str, tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    folder = save_tiny_model(architecture, tmp_path / "spoilt", spoil)
    with pytest.raises(InvalidInput, match=r"model 'spoilt': parameter .*\.1\..* isn't finite"):
        built(run_of(folder, tiny_world, store), store)


def test_a_folder_that_changes_after_planning_is_refused(
    tiny_world: TinyWorld, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_tiny_model("gpt2", tmp_path / "changed")
    spec = run_of(folder, tiny_world, store)
    built(spec, store)
    load = GPT2ForSequenceClassification.from_pretrained

    def overwritten_meanwhile(*args: Any, **keywords: Any) -> Any:
        save_tiny_model("gpt2", folder, lambda _, tensors: tensors["transformer.wpe.weight"].add_(1))
        return load(*args, **keywords)

    message = r"model 'changed': the model folder .*changed has changed since the sweep was planned"
    with monkeypatch.context() as patch:
        patch.setattr(GPT2ForSequenceClassification, "from_pretrained", overwritten_meanwhile)
        with pytest.raises(InvalidInput, match=message):
            built(spec, store)
    with pytest.raises(InvalidInput, match=message):
        built(spec, store)
    built(run_of(folder, tiny_world, store), store)


def test_a_model_s_own_way_to_generate_is_not_used(
    tiny_world: TinyWorld, store: Store, tmp_path: Path
) -> None:
    folder = save_tiny_model("gpt2", tmp_path / "own")
    (folder / "generation_config.json").write_text('{"repetition_penalty": 50.0, "suppress_tokens": [5]}')
    spec = replace(run_of(folder, tiny_world, store), labels=Unlabelled())
    settings = built(spec, store).generation_config
    assert settings is not None and (settings.repetition_penalty, settings.suppress_tokens) in [
        (None, None),
        (1.0, None),
    ]


def test_a_classifier_s_head_is_taken_over_if_it_fits(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    """A finetuned model may be finetuned again; another number of classes gets a new head."""
    folder = tiny_store.run(tiny_world.supervisor.id).model
    model = ModelSpec(name="again", base=tiny_world.supervisor)
    kept = built(tiny_world.finetuning(model=model), tiny_store)
    score = load_file(folder / "model.safetensors")["score.weight"]
    assert torch.equal(kept.state_dict()["score.weight"], score)
    new = built(tiny_world.finetuning(model=model, task=replace(tiny_world.task, num_classes=3)), tiny_store)
    assert new.state_dict()["score.weight"].shape == (3, 16)
    assert 0 < logits_of(new.eval()).abs().max() < 1


def changed_by_training(
    spec: RunSpec, store: Store, trained: Callable[..., Trained]
) -> tuple[set[str], Trained]:
    """Names of the parameters that a run changes, and the run."""
    before = {name: value.clone() for name, value in built(spec, store).state_dict().items()}
    run = trained(spec, store, save_weights=True)
    after = load_file(next(run.paths.model.glob("*.safetensors")))
    return {
        name for name, value in after.items() if name in before and not torch.equal(value, before[name])
    }, run


def predicted_by(model: torch.nn.Module, folder: Path, spec: RunSpec, store: Store) -> np.ndarray:
    """(N, K) probabilities of the test split, one text at a time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        texts = [row[0] for row in read_split(spec.task, "test", store)["texts"]]
        rows = [
            model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0].softmax(dim=-1) for text in texts
        ]
    return torch.stack(rows).double().numpy()


@pytest.mark.parametrize("architecture", ["llama", "granite", "bert", "distilbert"])
def test_full_tuning_trains_everything_and_what_it_saves_predicts_the_same(
    architecture: str,
    folders: Callable[[str], Path],
    tiny_world: TinyWorld,
    tiny_store: Store,
    trained: Callable[..., Trained],
) -> None:
    spec = run_of(folders(architecture), tiny_world, tiny_store)
    names = {name for name, _ in built(spec, tiny_store).named_parameters()}
    changed, run = changed_by_training(spec, tiny_store, trained)
    assert changed == names
    saved = AutoModelForSequenceClassification.from_pretrained(run.paths.model).eval()
    expected = predicted_by(saved, run.paths.model, spec, tiny_store)
    np.testing.assert_allclose(run.probabilities("test"), expected, atol=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "granite", "bert", "distilbert", "roberta"])
def test_head_only_trains_the_head(
    architecture: str,
    folders: Callable[[str], Path],
    tiny_world: TinyWorld,
    tiny_store: Store,
    trained: Callable[..., Trained],
) -> None:
    spec = run_of(folders(architecture), tiny_world, tiny_store, tuning=HeadOnly())
    changed, _ = changed_by_training(spec, tiny_store, trained)
    heads = {
        "llama": {"score.weight"},
        "granite": {"score.weight"},
        "bert": {
            f"{part}.{kind}" for part in ("bert.pooler.dense", "classifier") for kind in ("weight", "bias")
        },
        "distilbert": {
            f"{part}.{kind}" for part in ("pre_classifier", "classifier") for kind in ("weight", "bias")
        },
        "roberta": {
            f"classifier.{part}.{kind}" for part in ("dense", "out_proj") for kind in ("weight", "bias")
        },
    }
    assert changed == heads[architecture]


def test_a_language_model_whose_output_layer_is_its_embedding_has_no_head_of_its_own(
    tiny_world: TinyWorld,
) -> None:
    pretraining = tiny_world.model.base
    assert isinstance(pretraining, RunSpec)
    spec = replace(pretraining, model=replace(tiny_world.model, tuning=HeadOnly()))
    with pytest.raises(
        InvalidInput, match=r"model 'tiny': tuning is HeadOnly\(\), but its output layer is its embedding"
    ):
        built(spec, Store(tiny_world.folder))


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "bert", "distilbert", "roberta", "deberta-v2"])
def test_lora_trains_adapters_and_head_and_what_it_saves_loads(
    architecture: str,
    folders: Callable[[str], Path],
    tiny_world: TinyWorld,
    tiny_store: Store,
    trained: Callable[..., Trained],
) -> None:
    spec = run_of(folders(architecture), tiny_world, tiny_store, tuning=Lora(rank=2))
    model = built(spec, tiny_store)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    adapters = {name for name in trainable if "lora_" in name}
    assert adapters and all("modules_to_save" in name for name in trainable - adapters)
    frozen = {name: value.clone() for name, value in model.named_parameters() if name not in trainable}

    run = trained(spec, tiny_store, save_weights=True)
    saved = load_file(run.paths.model / "adapter_model.safetensors")
    assert len(saved) == len(trainable)  # every trained tensor, and nothing of the body
    base = AutoModelForSequenceClassification.from_pretrained(folders(architecture), num_labels=2)
    loaded = PeftModel.from_pretrained(base, str(run.paths.model)).eval()
    expected = predicted_by(loaded, run.paths.model, spec, tiny_store)
    np.testing.assert_allclose(run.probabilities("test"), expected, atol=1e-5)
    after = dict(loaded.named_parameters())
    for name, value in frozen.items():
        if "original_module" not in name:
            assert torch.equal(after[name], value), name


@pytest.mark.parametrize(
    ("architecture", "layer", "names"),
    [
        ("gpt2", "transformer.h", ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]),  # Conv1D
        (
            "llama",
            "model.layers",
            [f"self_attn.{name}_proj" for name in "qkvo"] + [f"mlp.{n}_proj" for n in ("gate", "up", "down")],
        ),
        (
            "bert",
            "bert.encoder.layer",
            [f"attention.self.{name}" for name in ("query", "key", "value")]
            + ["attention.output.dense", "intermediate.dense", "output.dense"],
        ),
    ],
)
def test_lora_adapts_all_linear_layers_of_the_body(
    architecture: str,
    layer: str,
    names: list[str],
    folders: Callable[[str], Path],
    tiny_world: TinyWorld,
    store: Store,
) -> None:
    """Neither embeddings nor the head, nor BERT's pooler, which its checkpoint lacks and which is trained
    whole."""
    model = built(run_of(folders(architecture), tiny_world, store, tuning=Lora(rank=2)), store)
    adapted = {name.partition(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A" in name}
    prefix = f"base_model.model.{layer}"
    assert adapted == {f"{prefix}.{number}.{name}" for number in range(2) for name in names}


def test_lora_starts_as_the_model_without_it(
    folders: Callable[[str], Path], tiny_world: TinyWorld, store: Store
) -> None:
    adapted = built(run_of(folders("gpt2"), tiny_world, store, tuning=Lora()), store).eval()
    plain = built(run_of(folders("gpt2"), tiny_world, store), store).eval()
    with torch.no_grad():
        assert torch.equal(logits_of(adapted), logits_of(plain))


def test_lora_on_modules_that_are_not_there_is_refused(
    folders: Callable[[str], Path], tiny_world: TinyWorld, store: Store
) -> None:
    spec = run_of(folders("gpt2"), tiny_world, store, tuning=Lora(target_modules=("nothing",)))
    with pytest.raises(
        InvalidInput, match=r"model 'gpt2': .*target.*; name them in Lora\(target_modules=…\)"
    ):
        built(spec, store)


def test_a_new_model_is_drawn_by_its_architecture_s_rules(tiny_world: TinyWorld, store: Store) -> None:
    """GPT-2: normal(0, 0.02), residual projections divided by √(2·layers), biases 0, layer norms 1."""
    pretraining = tiny_world.model.base
    assert isinstance(pretraining, RunSpec) and isinstance(pretraining.model.base, Scratch)
    config = {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 16}
    scratch = replace(pretraining.model.base, config=config)
    spec = replace(pretraining, model=replace(pretraining.model, base=scratch))
    model = built(spec, Store(tiny_world.folder))
    tensors = dict(model.named_parameters())
    assert tensors["transformer.h.0.attn.c_attn.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert tensors["transformer.h.1.mlp.c_proj.weight"].std().item() == pytest.approx(0.02 / 2, rel=0.05)
    assert tensors["transformer.wte.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert all((value == 0).all() for name, value in tensors.items() if name.endswith("bias"))
    assert all(
        (value == 1).all() for name, value in tensors.items() if ".ln_" in name and name.endswith("weight")
    )
    assert model.lm_head.weight is tensors["transformer.wte.weight"]
    other = dict(built(replace(spec, seed=1), Store(tiny_world.folder)).named_parameters())
    assert not torch.equal(other["transformer.wte.weight"], tensors["transformer.wte.weight"])


@pytest.mark.parametrize("architecture", DECODERS)
def test_new_models_of_every_decoder_can_be_pretrained(
    architecture: str, tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    pretraining = tiny_world.model.base
    assert isinstance(pretraining, RunSpec) and isinstance(pretraining.model.base, Scratch)
    scratch = replace(pretraining.model.base, architecture=architecture, config=DECODERS[architecture])
    plan = replace(pretraining.optimization, steps=6)
    spec = replace(pretraining, model=replace(pretraining.model, base=scratch), optimization=plan)
    run = trained(spec, tiny_store)
    assert run.losses[0] == pytest.approx(np.log(42), abs=0.15)  # about uniform over the vocabulary
    assert run.losses[-1] < run.losses[0] - 0.05

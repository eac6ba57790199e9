"""Models that can't do what a run takes them for are refused before anything trains: padding must not change
what they compute, a model that writes must not read what comes later, texts may be as long as is said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from folders import DECODERS, ENCODERS, save_tiny_model
from tiny import TinyWorld, tiny_task

from raysweep.data.tokens import ensure_tokenizer, prepare_tokens
from raysweep.errors import InvalidInput
from raysweep.models import usability
from raysweep.models.architecture import Use, adapted, auto_class
from raysweep.models.families import Model
from raysweep.models.source import ModelInputs
from raysweep.models.usability import require_usable
from raysweep.planning.plan import make_plan
from raysweep.planning.sweep import Sweep
from raysweep.spec import Call, Folder, Full, ModelSpec, Optimization, Prompting, RunSpec, Scratch
from raysweep.store import Store

SIZE = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
CONTEXT = {"max_position_embeddings": 32}
MORE: Mapping[str, Mapping[str, Any]] = {
    "xlm-roberta": SIZE | CONTEXT,
    "camembert": SIZE | CONTEXT,
    "mpnet": SIZE | CONTEXT,
    "longformer": SIZE | CONTEXT | {"attention_window": 4},
    "esm": SIZE | CONTEXT,
    "opt": SIZE | CONTEXT | {"ffn_dim": 16, "word_embed_proj_dim": 8},
    "bloom": {"hidden_size": 8, "n_layer": 2, "n_head": 2},
    "mamba": {"hidden_size": 8, "num_hidden_layers": 2, "state_size": 4},
    "fnet": SIZE | CONTEXT,
    "yoso": SIZE | CONTEXT,
    "convbert": SIZE | CONTEXT | {"embedding_size": 8, "conv_kernel_size": 3},
    "nystromformer": SIZE | CONTEXT | {"num_landmarks": 4, "segment_means_seq_len": 4},
    "xlnet": {"d_model": 8, "n_layer": 2, "n_head": 2, "d_inner": 16},
    "t5": {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2},
}
CONFIGS = DECODERS | ENCODERS | MORE


def inputs_of(architecture: str, world: TinyWorld, store: Store, **changes: Any) -> ModelInputs:
    """A new model of an architecture, with the tokenizer that is made from the tiny world's texts."""
    config = dict(CONFIGS[architecture]) | changes
    base = Scratch(architecture=architecture, config=config, tokenizer=Call("word_level"))
    assert isinstance(world.model.base, RunSpec)
    inputs = ModelInputs(ModelSpec(name="tiny", base=base), world.model.base.task, store)
    ensure_tokenizer(inputs)
    return inputs


@pytest.mark.parametrize(
    "architecture",
    [*DECODERS, *ENCODERS, "xlm-roberta", "camembert", "mpnet", "longformer", "esm", "opt", "bloom"],
)
def test_architectures_that_heed_the_mask_can_classify(
    architecture: str, tiny_world: TinyWorld, tiny_store: Store
) -> None:
    require_usable(inputs_of(architecture, tiny_world, tiny_store), "classes")


@pytest.mark.parametrize("architecture", ["fnet", "yoso", "convbert", "nystromformer", "xlnet"])
def test_architectures_on_which_padding_acts_are_refused(
    architecture: str, tiny_world: TinyWorld, tiny_store: Store
) -> None:
    message = (
        rf"model 'tiny': architecture '{architecture}' can't be used here: (padding changes what it "
        r"computes.* differ by [\d.e+]+ standard deviations .* 0\.001 is allowed|it fails on a padded text)"
    )
    with pytest.raises(InvalidInput, match=message):
        require_usable(inputs_of(architecture, tiny_world, tiny_store), "classes")


@pytest.mark.parametrize("architecture", [*DECODERS, "opt", "bloom", "mamba"])
@pytest.mark.parametrize("use", ["tokens", "words", "answers"])
def test_decoders_can_write(architecture: str, use: Use, tiny_world: TinyWorld, tiny_store: Store) -> None:
    require_usable(inputs_of(architecture, tiny_world, tiny_store), use)


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("bert", r"architecture 'bert' can't be used here: it reads what comes later"),
        ("roberta", r"architecture 'roberta' can't be used here: it reads what comes later"),
        ("xlnet", r"architecture 'xlnet' can't be used here: it reads what comes later"),
        ("t5", r"architecture 't5' can't be used here: it is an encoder-decoder"),
        ("distilbert", r"transformers has no AutoModelForCausalLM of architecture 'distilbert'"),
    ],
)
@pytest.mark.parametrize("use", ["tokens", "words", "answers"])
def test_other_models_can_not_write(
    architecture: str, reason: str, use: Use, tiny_world: TinyWorld, tiny_store: Store
) -> None:
    with pytest.raises(InvalidInput, match=rf"model 'tiny': .*{reason}"):
        require_usable(inputs_of(architecture, tiny_world, tiny_store), use)


def test_a_bert_that_is_a_decoder_can_write(tiny_world: TinyWorld, tiny_store: Store) -> None:
    require_usable(inputs_of("bert", tiny_world, tiny_store, is_decoder=True), "answers")


def test_a_model_is_tried_once_and_with_the_random_state_untouched(
    tiny_world: TinyWorld, tiny_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    require_usable(inputs_of("gpt2", tiny_world, tiny_store, n_positions=31), "classes")
    assert torch.equal(torch.rand(2), expected)
    monkeypatch.setattr(usability, "_problem", lambda *_: "tried again")
    require_usable(inputs_of("gpt2", tiny_world, tiny_store, n_positions=31), "classes")
    with pytest.raises(InvalidInput, match="tried again"):
        require_usable(inputs_of("gpt2", tiny_world, tiny_store, n_positions=31), "tokens")


def test_a_model_too_large_to_try_is_only_laid_out(
    tiny_world: TinyWorld, tiny_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"hidden_size": 65_536, "num_attention_heads": 512, "num_key_value_heads": 512}
    large = inputs_of("llama", tiny_world, tiny_store, **config, num_hidden_layers=1)
    monkeypatch.setattr(usability, "_drawn", lambda *_: pytest.fail("17 billion parameters are drawn"))
    require_usable(large, "tokens")
    assert large.limits.context == 32
    # that it can't be cut is no fault of the model
    monkeypatch.setattr(usability, "_cut", lambda *_: 1 / 0)
    require_usable(large, "words")


@pytest.mark.parametrize(
    ("architecture", "usable"),
    # the padding token is number 0, so that the kin of RoBERTa begin at position 1, and MPNet always at 2
    [("roberta", 39), ("mpnet", 30)]
    + [(name, 31) for name in ("xlm-roberta", "camembert", "longformer", "esm")]
    + [(name, 32) for name in ("bert", "distilbert", "gpt2", "opt", "llama", "modernbert")],
)
@torch.no_grad()
def test_texts_may_be_as_long_as_the_limit(
    architecture: str, usable: int, tiny_world: TinyWorld, tiny_store: Store
) -> None:
    inputs = inputs_of(architecture, tiny_world, tiny_store)
    assert inputs.context_length == usable
    config = adapted(inputs.config, 0, 2, dropout=False)
    model = auto_class("classes", config).from_config(config).eval()

    def logits(length: int) -> torch.Tensor:
        tokens = torch.randint(2, 40, (2, length), generator=torch.Generator().manual_seed(0))
        return model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits

    assert logits(usable).isfinite().all()
    if architecture not in ("llama", "modernbert"):  # which compute positions and have no table of them
        with pytest.raises((IndexError, RuntimeError)):
            logits(usable + 1)


def test_longer_texts_are_cut_to_the_limit(tiny_world: TinyWorld, tiny_store: Store) -> None:
    whole = prepare_tokens(inputs_of("roberta", tiny_world, tiny_store))
    cut = prepare_tokens(inputs_of("roberta", tiny_world, tiny_store, max_position_embeddings=9))
    lengths = np.diff(np.load(whole / "validation.offsets.npy"))
    assert lengths.max() > 8
    assert np.diff(np.load(cut / "validation.offsets.npy")).tolist() == np.minimum(lengths, 8).tolist()


@pytest.mark.parametrize("tuning", [Full(), Prompting(words=("ba", "be"))], ids=["finetuned", "prompted"])
def test_a_plan_tries_the_models_of_its_runs(tuning: Full | Prompting, store: Store, tmp_path: Path) -> None:
    bert = save_tiny_model("bert", tmp_path / "bert")
    spec = ModelSpec(name="mine", base=Folder(path=str(bert)), tuning=tuning)
    model = Model(spec=spec, optimization=Optimization(learning_rate=1e-2, batch_size=16, epochs=1.0))
    sweep = Sweep(name="tried", tasks=[tiny_task()], pairs=[(model, model)], methods=["naive"], seeds=[0])
    if tuning == Full():
        assert len(make_plan(sweep, store).runs) > 1
    else:
        with pytest.raises(
            InvalidInput, match="model 'mine': architecture 'bert' can't be used here: it reads"
        ):
            make_plan(sweep, store)

"""The hub families: what can be tested without a hub.

The tables are checked for form and order. The architectures are checked on tiny random models of the same
kind, through the class that a run uses: a padded text must get the logits that it gets alone, and the
family's learning rate must train it. That the hub ids and commits exist can only be seen with a network.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from raysweep.errors import InvalidInput
from raysweep.models.families import Family, Model, families
from raysweep.models.hub_families import GPT2, LLAMA3, PYTHIA, QWEN2_5
from raysweep.spec import Full, Hub

HUB_FAMILIES = (GPT2, PYTHIA, QWEN2_5, LLAMA3)
HUB_MODELS = [(family, model) for family in HUB_FAMILIES for model in family.models]

VOCABULARY = 64
PADDING = 0
# Weights ten times larger than usual, so that logits of different texts differ by far more than rounding.
COMMON = {
    "vocab_size": VOCABULARY,
    "initializer_range": 0.2,
    "num_labels": 2,
    "pad_token_id": PADDING,
    "bos_token_id": None,
    "eos_token_id": None,
}
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
TINY: dict[str, Callable[[], PretrainedConfig]] = {
    "gpt2": lambda: GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=32, **COMMON),
    "pythia": lambda: GPTNeoXConfig(max_position_embeddings=32, **SIZE, **COMMON),
    "qwen2.5": lambda: Qwen2Config(num_key_value_heads=2, max_position_embeddings=32, **SIZE, **COMMON),
    "llama3": lambda: LlamaConfig(num_key_value_heads=2, max_position_embeddings=32, **SIZE, **COMMON),
}

by_family = pytest.mark.parametrize("family", HUB_FAMILIES, ids=lambda family: family.name)


def tiny_model(family: Family) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(TINY[family.name](), dtype=torch.float32).eval()


def batch_of(texts: list[list[int]]) -> dict[str, torch.Tensor]:
    """Token numbers of several texts, padded on the right, and their mask."""
    longest = max(map(len, texts))
    padded = [text + [PADDING] * (longest - len(text)) for text in texts]
    mask = [[1] * len(text) + [0] * (longest - len(text)) for text in texts]
    return {"input_ids": torch.tensor(padded), "attention_mask": torch.tensor(mask)}


def hub(model: Model) -> Hub:
    assert isinstance(model.spec.base, Hub)
    return model.spec.base


def test_families_are_registered_under_their_names() -> None:
    assert [family.name for family in HUB_FAMILIES] == ["gpt2", "pythia", "qwen2.5", "llama3"]
    for family in HUB_FAMILIES:
        assert families.get(family.name) is family
        assert family.summary


def test_a_model_is_found_by_its_name_and_an_unknown_one_is_refused() -> None:
    assert hub(families.get("qwen2.5")["qwen2.5-7b"]).id == "Qwen/Qwen2.5-7B"
    with pytest.raises(InvalidInput, match="gpt2-medium"):
        GPT2["gpt2-huge"]


def test_names_and_hub_ids_are_unique_over_all_families() -> None:
    names = [model.name for _, family in families for model in family.models]
    assert len(names) == len(set(names))
    ids = [hub(model).id for _, model in HUB_MODELS]
    assert len(ids) == len(set(ids)) == 24


@pytest.mark.parametrize("model", [model for _, model in HUB_MODELS], ids=lambda model: model.name)
def test_rows_are_well_formed(model: Model) -> None:
    assert re.fullmatch(r"[a-z0-9.-]+", model.name)
    # the short name is the hub's own in lower case, so that nobody has to look it up and no row holds
    # another's id
    assert hub(model).id.rpartition("/")[2].lower() == model.name
    assert re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9.-]+", hub(model).id)
    assert re.fullmatch(r"main|[0-9a-f]{40}", hub(model).revision)
    assert hub(model).commit is None  # filled in by pinning
    assert model.spec.tuning == Full() and not model.spec.trust_remote_code
    assert (model.optimization.batch_size, model.optimization.epochs) == (32, 2)


def test_no_commit_is_used_twice() -> None:
    commits = [hub(model).revision for _, model in HUB_MODELS if hub(model).revision != "main"]
    assert len(commits) == len(set(commits))


def billions(model: Model) -> float:
    """Nominal size by the model's name."""
    gpt2 = {"gpt2": 0.124, "gpt2-medium": 0.355, "gpt2-large": 0.774, "gpt2-xl": 1.558}
    if model.name in gpt2:
        return gpt2[model.name]
    number, unit = re.fullmatch(r".*-([0-9.]+)([mb])", model.name).groups()  # type: ignore[union-attr]
    return float(number) / (1000 if unit == "m" else 1)


@by_family
def test_models_are_sorted_by_size_and_learning_rates_do_not_grow(family: Family) -> None:
    sizes = [billions(model) for model in family.models]
    assert sizes == sorted(sizes)
    rates = [model.optimization.learning_rate for model in family.models]
    assert rates == sorted(rates, reverse=True)
    assert all(1e-6 <= rate <= 1e-4 for rate in rates)


@by_family
def test_large_models_train_in_bfloat16_and_small_ones_in_float32(family: Family) -> None:
    for model in family.models:
        expected = "bfloat16" if round(billions(model)) >= 7 else "float32"
        assert model.optimization.precision == expected, model.name


def test_published_learning_rates_of_openai_weak_to_strong() -> None:
    rates = {model.name: model.optimization.learning_rate for model in GPT2.models}
    assert rates == {"gpt2": 5e-5, "gpt2-medium": 5e-5, "gpt2-large": 1e-5, "gpt2-xl": 1e-5}


@by_family
@pytest.mark.parametrize(
    "short",
    [[5, 9, 23], [5, PADDING, 23], [7]],
    # the padding token of these models is their end of text, which a text may hold
    ids=["plain", "with the padding token inside", "one token"],
)
@torch.no_grad()
def test_a_padded_text_gets_the_logits_it_gets_alone(family: Family, short: list[int]) -> None:
    model = tiny_model(family)
    long = [11, 40, 3, 62, 17, 8, 29, 33]
    alone = model(**batch_of([short])).logits
    padded = model(**batch_of([long, short])).logits
    assert alone.shape == (1, 2) and torch.isfinite(padded).all()
    torch.testing.assert_close(padded[1], alone[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(padded[0], model(**batch_of([long])).logits[0], rtol=1e-5, atol=1e-5)
    # the check can fail: another last token gives other logits
    other = model(**batch_of([[*short[:-1], 50]])).logits
    assert (other - alone).abs().max() > 1e-3


@by_family
def test_the_smallest_default_learning_rate_trains_one_step(family: Family) -> None:
    model = tiny_model(family).train()
    defaults = min((member.optimization for member in family.models), key=lambda values: values.learning_rate)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=defaults.learning_rate,
        betas=defaults.betas,
        eps=defaults.epsilon,
        weight_decay=defaults.weight_decay,
    )
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    batch = batch_of([[5, 9, 23, 41], [14, 2, 60], [33, 8], [21, 7, 7, 19]])
    loss = torch.nn.functional.cross_entropy(model(**batch).logits, torch.tensor([0, 1, 1, 0]))
    assert torch.isfinite(loss)
    loss.backward()
    optimizer.step()
    changes = {
        name: (parameter - before[name]).abs().max().item() for name, parameter in model.named_parameters()
    }
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    # Adam's first step moves a weight by about the learning rate: less means that the value is lost in
    # float32
    assert changes["score.weight"] == pytest.approx(defaults.learning_rate, rel=0.05)

"""The family that a sweep pretrains on a folder of text."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysweep import Family, InvalidInput, RunSpec, Scratch
from raysweep.data.pinning import Pinner
from raysweep.models.text import text_family
from raysweep.store import Store


def scratch(family: Family, name: str) -> tuple[RunSpec, Scratch]:
    pretraining = family[name].spec.base
    assert isinstance(pretraining, RunSpec) and isinstance(pretraining.model.base, Scratch)
    return pretraining, pretraining.model.base


def test_sizes_grow_and_share_corpus_and_tokenizer() -> None:
    family = text_family("books")
    assert [model.name for model in family.models] == ["text-16", "text-32", "text-64", "text-128"]
    made = [scratch(family, model.name) for model in family.models]
    widths = [base.config["n_embd"] for _, base in made]
    assert widths == sorted(widths)
    assert len({str((pretraining.task, base.tokenizer)) for pretraining, base in made}) == 1
    assert {base.config["n_positions"] for _, base in made} == {192}
    assert all(
        pretraining.kind is None and pretraining.objective.name == "language_modelling"
        for pretraining, _ in made
    )


def test_what_a_user_may_change_reaches_every_model() -> None:
    family = text_family("books", num_characters=1_000, max_tokens=64, vocabulary_size=512)
    for model in family.models:
        pretraining, base = scratch(family, model.name)
        assert pretraining.task.params["num_characters_total"] == 1_000
        assert base.config["n_positions"] == 64 and base.tokenizer.params == {"vocabulary_size": 512}


def test_pinning_reads_the_folder(tmp_path: Path, store: Store) -> None:
    (tmp_path / "book.txt").write_text(
        "\n\n".join(f"Paragraph {number} of a short book." for number in range(400))
    )
    model = text_family(str(tmp_path))["text-16"]
    pinned = Pinner(store).model(model.spec)
    assert isinstance(pinned.base, RunSpec) and pinned.base.is_pinned
    with pytest.raises(InvalidInput, match="existing folder"):
        Pinner(store).model(text_family(str(tmp_path / "none"))["text-16"].spec)

"""experiments/real_models.py on few rows, and what its models compute, where its packages can be had."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
import torch
from real_folder import ROOT, real_folder
from transformers import AutoModel, AutoTokenizer

from raysweep.cli.main import main
from raysweep.planning.plan import make_plan
from raysweep.store import Store
from raysweep.training.features import pooled

FEW_ROWS = str(Path(__file__).parent / "experiments" / "few_real_rows.py")
TEXTS = [
    "A gorgeous, witty, seductive film.",
    "Dull.",
    "It is not that it is bad, it is that nothing in two long hours is good, and that nobody seems to mind.",
    "ok",
    "Ünïcode & punctuation!!! :-)",
    "The plot was good, but the characters are uncompelling and the dialog is not great.",
]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_folder(tmp_path_factory)


@pytest.fixture
def experiment(real: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, which looks for the folder when it is imported."""
    monkeypatch.setenv("RAYSWEEP_REAL", str(real))
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    sys.modules.pop("real_models", None)
    return importlib.import_module("real_models")


@pytest.mark.timeout(1_800)  # models are loaded whole, however few the rows
def test_a_few_rows_of_every_table_and_model(
    experiment: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", FEW_ROWS, "--local"]) == 0
    capsys.readouterr()
    assert main(["results", FEW_ROWS, "--format", "json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert len(cells) == 3 * 2 * 2
    assert {cell["task"] for cell in cells} == {"movies", "tweets", "products"}
    assert {cell["strong"] for cell in cells} == {"minilm-4", "smollm2-20"}
    # 60 labelled sentences say little, but a frozen model of sentences is above chance with them.
    ceilings = [cell["ceiling_accuracy"] for cell in cells]
    assert sum(ceilings) / len(ceilings) > 0.6


def test_each_model_runs_over_a_table_once(experiment: ModuleType, store: Store) -> None:
    plan = make_plan(experiment.small(), store)
    roles = Counter(run.role for run in plan.runs.values())
    assert len(plan.cells) == 225
    assert roles["features"] == 3 * 2
    assert roles["student"] == 225


@pytest.mark.parametrize("layer", [0, 1, 4, 6])
@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
@pytest.mark.parametrize(
    ("precision", "allowed"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)], ids=["float32", "bfloat16"]
)
def test_features_of_minilm_are_those_of_each_text_alone(
    real: Path, layer: int, pooling: str, precision: torch.dtype, allowed: float
) -> None:
    """Padding and the other texts of a batch change them by rounding alone: by no more than so many standard
    deviations of a feature."""
    model = AutoModel.from_pretrained(real / "minilm-6", dtype=precision).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) > 22_000_000
    tokenizer = AutoTokenizer.from_pretrained(real / "minilm-6")

    def features(texts: list[str]) -> torch.Tensor:
        given = tokenizer(texts, padding=True, return_tensors="pt")
        with torch.no_grad():
            hidden = model(**given, output_hidden_states=True).hidden_states
        return pooled(hidden[layer], given["attention_mask"], pooling)

    alone = torch.cat([features([text]) for text in TEXTS])
    for texts in (TEXTS, TEXTS[::-1], [TEXTS[2], *TEXTS]):
        together = features(texts)
        expected = alone[[TEXTS.index(text) for text in texts]]
        assert (together - expected).abs().max() <= allowed * alone.std()

"""The five real tasks' own rows through the whole pipeline, from a folder of text and from model folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raysweep.cli import main

SHARED = Path(__file__).parents[2] / "shared" / "data"
EXPERIMENT = str(Path(__file__).parent / "experiments" / "small_real_text.py")
TASKS = {"sciq", "boolq", "cosmos_qa", "sst2", "anthropic_hh"}

pytestmark = pytest.mark.skipif(not (SHARED / "hub").is_dir(), reason="the shared rows aren't here (../shared/data/hub)")


@pytest.fixture(autouse=True)
def _rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(SHARED / "hub"))
    monkeypatch.delenv("RAYSWEEP_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)


def _results(capsys: pytest.CaptureFixture[str]) -> dict:
    capsys.readouterr()
    assert main(["results", EXPERIMENT, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_real_rows_with_models_from_a_folder_of_text_and_then_from_model_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    books = tmp_path / "books"
    books.mkdir()
    for number in range(3):
        words = [f"word{number}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
        paragraphs = [" ".join(words[(start * step) % 26] for step in range(60)) for start in range(1, 60)]
        (books / f"{number}.txt").write_text("\n\n".join(paragraphs))
    monkeypatch.setenv("RAYSWEEP_TEXT", str(books))

    assert main(["run", EXPERIMENT, "--local"]) == 0

    results = _results(capsys)
    assert {cell["task"] for cell in results["cells"]} == TASKS
    assert len(results["cells"]) == 10
    assert all(0 <= cell[name] <= 1 for cell in results["cells"] for name in ("weak_accuracy", "student_accuracy"))

    # The pretrained models, now as folders that someone names.
    for path in Path("raysweep-store").glob("runs/*/model/config.json"):
        config = json.loads(path.read_text())
        if config["architectures"] == ["GPT2LMHeadModel"]:
            (tmp_path / f"width-{config['n_embd']}").symlink_to(path.parent.absolute())
    monkeypatch.setenv("RAYSWEEP_MODELS", f"{tmp_path}/width-32,{tmp_path}/width-128")

    capsys.readouterr()
    assert main(["plan", EXPERIMENT, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["num_pretrainings"] == 0 and plan["num_trainings"] == 20

"""The guide to one's own parts: its file runs as it stands there."""

import json
import random
import re
import sys
from pathlib import Path

import pytest
from folders import save_tiny_model, words

from raysweep.cli.exit_codes import SUCCESS
from raysweep.cli.main import main

GUIDE = Path(__file__).parents[1] / "docs" / "own_parts.md"


def blocks(language: str) -> list[str]:
    text = GUIDE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def guide_file() -> str:
    file = blocks("python")[0]
    assert file.startswith('"""own.py: ')
    return file


def commands() -> list[list[str]]:
    (block,) = blocks("console")
    return [line.removeprefix("raysweep ").split() for line in block.splitlines()]


def write_table() -> None:
    draw = random.Random(0)
    known = words()
    rows = ["subject,body,urgent"]
    for number in range(600):
        label = number % 2
        text = [draw.choice(known[: len(known) // 2] if label else known) for _ in range(8)]
        rows.append(f"{text[0]},{' '.join(text[1:])},{'yes' if label else 'no'}")
    Path("tickets.csv").write_text("\n".join(rows))


def test_the_file_of_the_guide_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RAYSWEEP_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    before = [*sys.path]
    write_table()
    for name in ("small", "large"):
        save_tiny_model("gpt2", Path("models", name))
    Path("own.py").write_text(guide_file(), encoding="utf-8")
    told = {}
    for arguments in commands():
        local = ["--local"] if arguments[0] == "run" else []
        monkeypatch.setattr(sys, "path", [*before])
        sys.modules.pop("own", None)
        assert main([*arguments, *local]) == SUCCESS, capsys.readouterr().err
        told[arguments[0]] = capsys.readouterr().out
    sys.modules.pop("own", None)
    assert "focal, smoothed" in told["run"] and "tickets" in told["run"]
    assert "margin" in told["measure"]
    assert "gamma" in told["list"] and "own.py, line " in told["list"]
    assert main(["results", "own.py", "--format", "json"]) == SUCCESS
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert {cell["method"] for cell in cells} == {"naive", "focal", "focal, smoothed"} and len(cells) == 6
    assert all(0 < cell["student_margin"] < 1 for cell in cells)

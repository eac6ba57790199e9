"""A typo is answered in one line of at most 300 characters, with the nearest name before all others."""

import sys
from pathlib import Path

import pytest

from raysweep.cli.exit_codes import BAD_INPUT
from raysweep.cli.main import main

TESTS = Path(__file__).parents[1]
OWN = "def focal(logits, labels, context, *, gamma: float = 2.0): ...\n"
TRANSFER = "methods=[Method(name='m', recipe='transfer', params=%s)]"
TYPOS = {
    "task": ("tasks=['sandbx']", "sandbox"),
    "method": ("methods=['confidnce']", "confidence"),
    "recipe": ("methods=[Method(name='m', recipe='confidnce')]", "confidence"),
    "family": ("pairs=families.get('gtp2')", "gpt2"),
    "model": ("pairs=[(families.get('gpt2')['gpt2-mediun'], small_model('s'))]", "gpt2-medium"),
    "objective": (TRANSFER % "{'objective': Call('cross_entrpy')}", "cross_entropy"),
    "transform": (TRANSFER % "{'transforms': [Call('hardn')]}", "harden"),
    "own objective": (TRANSFER % "{'objective': Call('typos_mine:focl')}", "focal"),
    "method's parameter": (
        "methods=[Method(name='m', recipe='confidence', params={'alpha_mx': 0.5})]",
        "alpha_max",
    ),
    "objective's parameter": (
        TRANSFER % "{'objective': Call('typos_mine:focal', {'gama': 2})}",
        "gamma",
    ),
    "task's parameter": ("tasks=[TaskSpec(name='sandbox', params={'atribute': 1})]", "attribute"),
    "sweep's field": ("resources=Resources(num_worker=2)", "num_workers"),
    "method's field": ("methods=[Method(name='m', recipe='confidence', parms={})]", "params"),
    "name in raysweep": ("resources=__import__('typos_importing')", "Sweep"),
}
COMMANDS = {
    "command": (["pln"], "plan"),
    "flag": (["plan", "experiment.py", "--sotre", "x"], "--store"),
    "runner": (["run", "experiment.py", "--runner", "locl"], "local"),
    "metric": (["measure", "experiment.py", "--metric", "acuracy", "--store", "."], "accuracy"),
    "kind": (["list", "method"], "methods"),
    "name": (["list", "methods", "confidnce"], "confidence"),
}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(TESTS)
    monkeypatch.delenv("RAYSWEEP_STORE", raising=False)
    Path("typos_mine.py").write_text(OWN)
    Path("typos_importing.py").write_text("from raysweep import Sweeep\n")
    sys.modules.pop("typos_mine", None)
    write("")


def write(fields: str) -> None:
    Path("experiment.py").write_text(
        "from grid_helpers import small_model, small_sweep\nfrom raysweep import *\n"
        f"def sweep():\n    return small_sweep({fields})\n"
    )


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = main(arguments)
    out, err = capsys.readouterr()
    assert (code, out) == (BAD_INPUT, "") and err.count("\n") == 1
    return err.rstrip("\n")


@pytest.mark.parametrize(("fields", "nearest"), TYPOS.values(), ids=TYPOS.keys())
def test_a_typo_in_an_experiment(fields: str, nearest: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(fields)
    told = answer(["plan", "experiment.py"], capsys)
    assert len(told) <= 300 and f"(did you mean {nearest!r}?)" in told
    assert nearest not in told.partition("(did you mean")[0]


@pytest.mark.parametrize(("arguments", "nearest"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_typo_on_the_command_line(
    arguments: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = answer(arguments, capsys)
    assert len(told) <= 300 and f"(did you mean {nearest!r}?)" in told
